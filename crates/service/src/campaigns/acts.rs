//! What is done to a campaign: started, approved, paused, resumed, cancelled, sent again. When an answer leaves here, the
//! registry knows of it, and no call starts against it (I15).

use domain::campaign::{Act, Wrong, act};
use domain::message::State;
use domain::{Lane, Millis};
use serde::Deserialize;
use store::campaigns::{CampaignChange, StoredCampaign};
use uuid::Uuid;

use super::request::Audience;
use super::view::CampaignView;
use super::wrong_state;
use crate::problem::{FieldError, Kind, Problem};
use crate::{App, Service};

/// Which of those that were not sent are tried again.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resend {
    /// failed, undelivered and expired unless given.
    #[serde(default)]
    pub states: Option<Vec<Resendable>>,
}

/// States of messages that can be tried again all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resendable {
    /// WeChat said no for good.
    Failed,
    /// The receipt said it did not arrive.
    Undelivered,
    /// Its time was over.
    Expired,
    /// 43101: no usable grant.
    Refused,
    /// Not tried for want of a grant, or since the person was no guest.
    Skipped,
}

impl Resendable {
    fn state(self) -> State {
        match self {
            Self::Failed => State::Failed,
            Self::Undelivered => State::Undelivered,
            Self::Expired => State::Expired,
            Self::Refused => State::Refused,
            Self::Skipped => State::Skipped,
        }
    }
}

const USUAL: [Resendable; 3] = [Resendable::Failed, Resendable::Undelivered, Resendable::Expired];

impl Service {
    /// Starts a draft; where it is larger than the app allows without asking, somebody else has to approve.
    ///
    /// # Errors
    /// `wrong_state`, `template_gone`.
    pub async fn start_campaign(&self, app: &App, id: Uuid, by: &str) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let now = self.now();
        act(stored.state, Act::Start).map_err(wrong_state)?;
        self.check_time(&stored, now)?;
        // Whatever is missing is better said now than in a million lines afterwards.
        self.materials(app, &stored).await?;
        if let Some(most) = app.settings.approval_above {
            let forecast = self.forecast_of(app, &stored).await?;
            if forecast.recipients > i64::from(most) {
                let mut change = step(&stored, Act::AskApproval, now)?;
                change.started_by = Some(by.to_owned());
                change.forecast = serde_json::to_string(&forecast).ok();
                return self.change(app, &stored, Act::AskApproval, change).await;
            }
        }
        self.begin(app, &stored, Act::Start, Act::Schedule, by, None).await
    }

    /// Somebody who is not its creator approves; it starts.
    ///
    /// # Errors
    /// `wrong_state`, `own_campaign`.
    pub async fn approve_campaign(&self, app: &App, id: Uuid, by: &str) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        act(stored.state, Act::Approve).map_err(wrong_state)?;
        if stored.asked.created_by == by {
            return Err(Problem::new(
                Kind::Forbidden,
                "own_campaign",
                "不能审批自己创建的任务，请由另一位成员（另一个密钥）审批。",
                "Nobody approves a campaign of their own; another member (another key) has to.",
            ));
        }
        self.check_time(&stored, self.now())?;
        let asked_by = stored.started_by.clone().unwrap_or_else(|| stored.asked.created_by.clone());
        self.begin(app, &stored, Act::Approve, Act::ApproveScheduled, &asked_by, Some(by)).await
    }

    /// Takes a request for approval back: a draft again.
    ///
    /// # Errors
    /// `wrong_state`.
    pub async fn withdraw_campaign(&self, app: &App, id: Uuid) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let change = step(&stored, Act::Withdraw, self.now())?;
        self.change(app, &stored, Act::Withdraw, change).await
    }

    /// Stops it for now: when this answers, no call of it starts any more.
    ///
    /// # Errors
    /// `wrong_state`.
    pub async fn pause_campaign(&self, app: &App, id: Uuid, because: &str) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let mut change = step(&stored, Act::Pause, self.now())?;
        change.paused_because = Some(because.to_owned());
        self.change(app, &stored, Act::Pause, change).await
    }

    /// Goes on.
    ///
    /// # Errors
    /// `wrong_state`.
    pub async fn resume_campaign(&self, app: &App, id: Uuid) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let now = self.now();
        let later = stored.asked.send_at.is_some_and(|at| at > now);
        let change = step(&stored, if later { Act::ResumeScheduled } else { Act::Resume }, now)?;
        self.change(app, &stored, Act::Resume, change).await
    }

    /// Ends it: what waits is not sent, what is being sent ends.
    ///
    /// # Errors
    /// `wrong_state`.
    pub async fn cancel_campaign(&self, app: &App, id: Uuid) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let change = step(&stored, Act::Cancel, self.now())?;
        self.change(app, &stored, Act::Cancel, change).await
    }

    /// Tries again what was not sent, each the same message with a new attempt.
    ///
    /// # Errors
    /// `wrong_state`.
    pub async fn resend_failed(&self, app: &App, id: Uuid, which: &Resend) -> Result<CampaignView, Problem> {
        let stored = self.stored_campaign(app, id).await?;
        let mut change = step(&stored, Act::ResendFailed, self.now())?;
        let states = which.states.as_deref().unwrap_or(&USUAL);
        change.resend = Some(states.iter().map(|state| state.state()).collect());
        self.change(app, &stored, Act::ResendFailed, change).await
    }

    /// What runs by itself takes a step; false where somebody was faster.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn advance_campaign(&self, stored: &StoredCampaign, what: Act) -> Result<bool, Problem> {
        let Ok(change) = step(stored, what, self.now()) else { return Ok(false) };
        let _turn = self.campaigns.turn().await;
        let done = self.store.change_campaign(stored.number, change).await?;
        self.campaigns.reload(&self.store).await?;
        Ok(done)
    }

    fn check_time(&self, stored: &StoredCampaign, now: Millis) -> Result<(), Problem> {
        if stored.asked.expire_at.is_some_and(|at| at <= now) {
            return Err(FieldError::new(
                "/expire_at",
                "invalid_time",
                "过期时间已过，请修改草稿的 expire_at。",
                "Its expire_at has passed; change the draft.",
            )
            .into());
        }
        Ok(())
    }

    /// The accounts begin: everybody who is in the audience now.
    async fn begin(
        &self,
        app: &App,
        stored: &StoredCampaign,
        now_act: Act,
        later_act: Act,
        by: &str,
        approved_by: Option<&str>,
    ) -> Result<CampaignView, Problem> {
        let now = self.now();
        let later = stored.asked.send_at.is_some_and(|at| at > now);
        let mut change = step(stored, if later { later_act } else { now_act }, now)?;
        change.started_by = Some(by.to_owned());
        change.approved_by = approved_by.map(str::to_owned);
        let audience: Audience =
            serde_json::from_str(&stored.asked.audience).unwrap_or(Audience::Subscribers {});
        change.begin = Some(match (stored.asked.list, audience) {
            (Some(list), _) => {
                let count = self.store.count_list(list).await?;
                let home = self.home_lane(stored.number);
                self.store.lanes().iter().map(|lane| (lane, if lane == home { count } else { 0 })).collect()
            }
            (None, Audience::Segment { .. }) => self.count_segment(app, stored, now).await?,
            (None, _) => self.store.count_members(stored.asked.template, now).await?,
        });
        self.change(app, stored, now_act, change).await
    }

    /// The lane in which the accounts of a list's lines stand that are no messages yet, and whose owner makes them.
    pub fn home_lane(&self, number: i64) -> Lane {
        let lanes = i64::from(self.store.lanes().count());
        Lane(u16::try_from(number.rem_euclid(lanes)).unwrap_or(0))
    }

    async fn count_segment(
        &self,
        app: &App,
        stored: &StoredCampaign,
        now: Millis,
    ) -> Result<Vec<(Lane, i64)>, Problem> {
        let mut started = stored.clone();
        started.started_at = Some(now);
        let materials = self.materials(app, stored).await?;
        let mut counts = Vec::new();
        for lane in self.store.lanes().iter() {
            let (mut after, mut count) = (String::new(), 0);
            loop {
                let (candidates, last) =
                    self.lane_candidates(&started, &materials, lane, &after, super::forecast::PAGE).await?;
                count += i64::try_from(candidates.len()).unwrap_or(i64::MAX);
                match last {
                    Some(openid) => after = openid,
                    None => break,
                }
            }
            counts.push((lane, count));
        }
        Ok(counts)
    }

    async fn change(
        &self,
        app: &App,
        stored: &StoredCampaign,
        what: Act,
        change: CampaignChange,
    ) -> Result<CampaignView, Problem> {
        let turn = self.campaigns.turn().await;
        let done = self.store.change_campaign(stored.number, change).await?;
        let after = self.stored_campaign(app, stored.asked.id).await?;
        let state = after.state;
        self.campaigns.keep(after);
        drop(turn);
        if !done {
            return Err(wrong_state(Wrong { state, act: what }));
        }
        self.campaign(app, stored.asked.id).await
    }
}

fn step(stored: &StoredCampaign, what: Act, at: Millis) -> Result<CampaignChange, Problem> {
    let to = act(stored.state, what).map_err(wrong_state)?;
    Ok(CampaignChange::new(stored.state, to, at))
}
