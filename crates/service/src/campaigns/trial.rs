//! Trying a campaign out: a dry run of everything without a call, and one message to somebody of one's choice.

use domain::message::State;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;
use wechat::Lang;

use super::forecast::Forecast;
use super::recipients::Made;
use crate::messages::{SendRequest, Sent};
use crate::problem::{FieldError, Problem};
use crate::recipient::Recipient;
use crate::view::time;
use crate::{App, Service};

/// Messages shown of a dry run; lines with mistakes shown.
const SHOWN: usize = 20;
const WRONG: usize = 200;

/// What a campaign would send.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DryRun {
    /// How many, and why not the others.
    pub forecast: Forecast,
    /// The first messages as they would be sent.
    pub samples: Vec<Sample>,
    /// The first recipients to whom nothing can be sent as it is, and why.
    pub wrong: Vec<Sample>,
}

/// A message of a dry run.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Sample {
    /// The line of the given list.
    pub row: Option<i64>,
    /// To whom.
    pub to: String,
    /// The fields as they would be sent.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The page.
    pub page: Option<String>,
    /// Why it would not be sent.
    pub reason: Option<String>,
}

impl From<Made> for Sample {
    fn from(made: Made) -> Self {
        Self {
            row: made.row,
            to: made.openid,
            data: serde_json::from_str(&made.data).unwrap_or_default(),
            page: made.page,
            reason: made.reason.map(|reason| match made.detail {
                Some(detail) => format!("{reason}: {detail}"),
                None => reason.to_owned(),
            }),
        }
    }
}

impl Service {
    /// Makes every message of a campaign and sends none.
    ///
    /// # Errors
    /// `campaign_not_found`, `template_gone`.
    pub async fn dry_run(&self, app: &App, id: Uuid) -> Result<DryRun, Problem> {
        let campaign = self.stored_campaign(app, id).await?;
        let mut materials = self.materials(app, &campaign).await?;
        let mut run = DryRun {
            forecast: Forecast { computed_at: time(self.now()), ..Forecast::default() },
            samples: Vec::new(),
            wrong: Vec::new(),
        };
        self.each_candidate(app, &campaign, &mut materials, |made| {
            run.forecast.count(&made);
            if matches!(made.state, State::Queued | State::Scheduled) {
                if run.samples.len() < SHOWN {
                    run.samples.push(made.into());
                }
            } else if made.reason != Some("no_grant") && run.wrong.len() < WRONG {
                run.wrong.push(made.into());
            }
        })
        .await?;
        Ok(run)
    }

    /// Sends the text that a campaign's first recipient (or one line of its list) would get to somebody of one's choice: a
    /// single urgent message.
    ///
    /// # Errors
    /// `campaign_not_found`, `no_such_row`, and as [`Service::send`].
    pub async fn test_send(
        &self,
        app: &App,
        id: Uuid,
        to: Recipient,
        row: Option<i64>,
        lang: Lang,
    ) -> Result<Sent, Problem> {
        let campaign = self.stored_campaign(app, id).await?;
        let mut materials = self.materials(app, &campaign).await?;
        let after = row.unwrap_or(1).max(1) - 1;
        let candidates = if campaign.asked.list.is_some() {
            self.listed_candidates(&campaign, &materials, after, 1).await?.0
        } else {
            self.first_members(&campaign, &materials).await?
        };
        let made = candidates.into_iter().next().map(|candidate| materials.make(candidate, |_| true));
        let Some(made) = made.filter(|made| made.data != "{}") else {
            return Err(FieldError::new(
                "/row",
                "no_such_row",
                "没有可用来试发的收件人：名单为空、这一行不存在，或这一行填不出内容。",
                "There is no recipient to try it with: the audience is empty, the row does not exist, or its text cannot be filled.",
            )
            .into());
        };
        let request = SendRequest {
            to,
            template_id: campaign.template_id,
            data: serde_json::from_str(&made.data).unwrap_or_default(),
            page: made.page,
            miniprogram_state: Some(campaign.asked.version),
            lang: Some(campaign.asked.lang),
            send_at: None,
            expire_at: None,
            priority: Some(store::hot::enqueue::Priority::Urgent),
            on_empty_balance: None,
            fan_out: false,
            idempotency_key: None,
        };
        self.send(app, request, None, lang).await
    }

    async fn first_members(
        &self,
        campaign: &store::campaigns::StoredCampaign,
        materials: &super::Materials,
    ) -> Result<Vec<super::Candidate>, Problem> {
        for lane in self.store.lanes().iter() {
            let (found, _) = self.lane_candidates(campaign, materials, lane, "", 10).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}
