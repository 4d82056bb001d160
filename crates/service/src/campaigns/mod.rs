//! Campaigns: one notice to many. Drafts and what they say, who gets them, what a start would do, what is done to them, and
//! what became of everybody. Used by the API, the command line and (for expanding and gates) the engine.

mod acts;
mod draft;
mod forecast;
mod live;
mod recipients;
pub(crate) use recipients::text;
mod request;
mod results;
mod trial;
mod view;
mod workbook;

pub use acts::{Resend, Resendable};
pub use draft::Drafted;
pub use forecast::Forecast;
pub use live::{Campaigns, Live};
pub use recipients::{Candidate, Made, Materials};
pub use request::{Audience, CampaignRequest, ListedTo, Misfire, Options, WindowRequest};
pub use results::{Line, ListColumn, ListName};
pub use trial::{DryRun, Sample};
pub use view::{CampaignView, CountsView};
pub use workbook::TOLD;

use domain::campaign::Wrong;
use store::campaigns::StoredCampaign;
use uuid::Uuid;

use crate::problem::{Kind, Problem};
use crate::{App, Service};

impl Service {
    /// A campaign of an app as it stands in the database.
    ///
    /// # Errors
    /// `campaign_not_found`.
    pub async fn stored_campaign(&self, app: &App, id: Uuid) -> Result<StoredCampaign, Problem> {
        self.store.campaign(app.number, id).await?.ok_or_else(no_campaign)
    }
}

impl Service {
    /// Reads the campaigns under way again.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn reload_campaigns(&self) -> Result<(), store::StoreError> {
        let _turn = self.campaigns.turn().await;
        self.campaigns.reload(&self.store).await
    }

    /// A campaign as the dispatcher sees it; also one that is over, where something of it waits.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn live_campaign(
        &self,
        number: i64,
    ) -> Result<Option<std::sync::Arc<Live>>, store::StoreError> {
        if let Some(live) = self.campaigns.get(number) {
            return Ok(Some(live));
        }
        let _turn = self.campaigns.turn().await;
        let stored = self.store.campaign_by_number(number).await?;
        Ok(stored.map(|stored| self.campaigns.keep(stored)))
    }
}

/// There is no such campaign.
pub fn no_campaign() -> Problem {
    Problem::new(Kind::NotFound, "campaign_not_found", "没有这个群发任务。", "There is no such campaign.")
}

fn wrong_state(wrong: Wrong) -> Problem {
    Problem::new(
        Kind::Conflict,
        "wrong_state",
        format!("任务现在的状态是 {}，不能执行这个操作（{}）。", wrong.state, wrong.act),
        format!("The campaign is {}; that allows no {}.", wrong.state, wrong.act),
    )
}
