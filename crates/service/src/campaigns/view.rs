//! A campaign as everybody is shown it: API, console, command line.

use domain::campaign::{Accounts, CampaignState};
use domain::message::State;
use serde::Serialize;
use serde_json::Value;
use store::campaigns::{CampaignKey, StoredCampaign};
use uuid::Uuid;

use super::forecast::Forecast;
use super::request::{Audience, Options, WindowRequest};
use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};
use wechat::Lang;
use wechat::errcode;

/// A campaign.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CampaignView {
    /// Its id.
    pub id: String,
    /// The app's AppID.
    pub app_id: String,
    /// A name for people.
    pub name: String,
    /// Its state.
    pub state: &'static str,
    /// WeChat's template id.
    pub template_id: String,
    /// The fields with their placeholders.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The page that the card opens.
    pub page: Option<String>,
    /// formal, trial or developer.
    pub miniprogram_state: String,
    /// The card's language.
    pub lang: String,
    /// Who gets it; a given list shows only how many it names.
    #[schema(value_type = Object)]
    pub audience: Value,
    /// Not before this.
    pub send_at: Option<String>,
    /// Not after this.
    pub expire_at: Option<String>,
    /// Its own rate, where it has one.
    pub rate_per_second: Option<u32>,
    /// The hours of the day in which it is sent.
    #[schema(value_type = Option<Object>)]
    pub window: Option<WindowRequest>,
    /// refuse or try.
    pub on_empty_balance: &'static str,
    /// Where every recipient is.
    pub counts: CountsView,
    /// Messages a second, as last measured.
    pub rate: f64,
    /// Why it stands still, where it does.
    pub paused_because: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: String,
    /// Who started it.
    pub started_by: Option<String>,
    /// When.
    pub started_at: Option<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When its last message got an outcome.
    pub finished_at: Option<String>,
    /// The forecast that approval was asked with.
    pub forecast: Option<Forecast>,
}

/// Where every recipient is: the others add up to `recipients`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[expect(missing_docs, reason = "the states of a message")]
pub struct CountsView {
    pub recipients: i64,
    pub todo: i64,
    pub scheduled: i64,
    pub queued: i64,
    pub sending: i64,
    pub accepted: i64,
    pub delivered: i64,
    pub undelivered: i64,
    pub refused: i64,
    pub failed: i64,
    pub unknown: i64,
    pub expired: i64,
    pub cancelled: i64,
    pub skipped: i64,
}

impl From<Accounts> for CountsView {
    fn from(accounts: Accounts) -> Self {
        let of = |state| accounts.of(state);
        Self {
            recipients: accounts.recipients,
            todo: accounts.todo,
            scheduled: of(State::Scheduled),
            queued: of(State::Queued),
            sending: of(State::Sending),
            accepted: of(State::Accepted),
            delivered: of(State::Delivered),
            undelivered: of(State::Undelivered),
            refused: of(State::Refused),
            failed: of(State::Failed),
            unknown: of(State::Unknown),
            expired: of(State::Expired),
            cancelled: of(State::Cancelled),
            skipped: of(State::Skipped),
        }
    }
}

impl CampaignView {
    /// The same with what WeChat said explained in a language.
    #[must_use]
    pub fn explained(mut self, lang: Lang) -> Self {
        let code = self.paused_because.as_deref().and_then(|because| {
            let (code, errmsg) = because.split_once(' ').unwrap_or((because, ""));
            Some((code.parse::<i64>().ok()?, errmsg.to_owned()))
        });
        if let Some((code, errmsg)) = code {
            self.paused_because = Some(format!("{code}: {}", errcode::explain(code, &errmsg, lang)));
        }
        self
    }
}

impl Service {
    /// One campaign.
    ///
    /// # Errors
    /// `campaign_not_found`.
    pub async fn campaign(&self, app: &App, id: Uuid) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        self.show_campaign(app, stored).await
    }

    /// A page of an app's campaigns, newest first, and where the next begins.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaign_page(
        &self,
        app: &App,
        before: Option<CampaignKey>,
        limit: i64,
    ) -> Result<(Vec<CampaignView>, Option<CampaignKey>), Problem> {
        let stored = self.store.campaigns(app.number, before, limit).await?;
        let full = i64::try_from(stored.len()).unwrap_or(0) == limit;
        let next = stored.last().filter(|_| full).map(|campaign| campaign.number);
        let mut views = Vec::with_capacity(stored.len());
        for campaign in stored {
            views.push(self.show_campaign(app, campaign).await?);
        }
        Ok((views, next))
    }

    async fn show_campaign(&self, app: &App, stored: StoredCampaign) -> Result<CampaignView, Problem> {
        let mut accounts = self.store.campaign_progress(stored.number).await?.accounts;
        if let Err(broken) = accounts.check() {
            // I9: never to be seen; whoever sees it has to be told.
            tracing::error!(campaign = %stored.asked.id, %broken, "the accounts of a campaign do not close");
            metrics::counter!("hongyan_campaign_accounts_broken_total").increment(1);
        }
        let now = self.now();
        if stored.asked.send_at.is_none_or(|at| at <= now) {
            accounts = accounts.due();
        }
        // Before the start a list says how many it will be.
        let audience: Value = serde_json::from_str(&stored.asked.audience).unwrap_or_default();
        let options: Options = serde_json::from_str(&stored.asked.options).unwrap_or_default();
        if stored.started_at.is_none()
            && let Ok(
                Audience::Recipients { count: Some(count), .. } | Audience::Upload { count: Some(count), .. },
            ) = serde_json::from_value(audience.clone())
        {
            (accounts.recipients, accounts.todo) = (count, count);
        }
        let live = self.campaigns.get(stored.number);
        let waits_for = live.as_ref().and_then(|live| live.opens_at(now));
        let running = stored.state == CampaignState::Running;
        // What holds up all of the app's messages holds up this one's.
        let gate = if running { self.store.gate(app.number).await? } else { None };
        let paused_because = stored
            .paused_because
            .or_else(|| {
                gate.map(|gate| match gate.errcode {
                    // Ours, not WeChat's.
                    0 => gate.detail,
                    errcode => format!("{errcode} {}", gate.detail),
                })
            })
            .or_else(|| waits_for.filter(|_| running).map(|at| format!("window: {}", time(at))));
        Ok(CampaignView {
            id: stored.asked.id.to_string(),
            app_id: app.app_id.clone(),
            name: stored.asked.name,
            state: stored.state.as_str(),
            template_id: stored.template_id,
            data: serde_json::from_str(&stored.asked.data).unwrap_or_default(),
            page: stored.asked.page,
            miniprogram_state: stored.asked.version,
            lang: stored.asked.lang,
            audience,
            send_at: stored.asked.send_at.map(time),
            expire_at: stored.asked.expire_at.map(time),
            rate_per_second: options.rate_per_second,
            window: options.window,
            on_empty_balance: match options.on_empty_balance {
                Some(crate::messages::OnEmptyBalance::Try) => "try",
                _ => "refuse",
            },
            counts: accounts.into(),
            rate: live.filter(|_| stored.state == CampaignState::Running).map_or(0.0, |live| live.rate()),
            paused_because,
            created_by: stored.asked.created_by,
            created_at: time(stored.asked.created_at),
            started_by: stored.started_by,
            started_at: stored.started_at.map(time),
            approved_by: stored.approved_by,
            finished_at: stored.finished_at.map(time),
            forecast: stored.forecast.and_then(|forecast| serde_json::from_str(&forecast).ok()),
        })
    }
}
