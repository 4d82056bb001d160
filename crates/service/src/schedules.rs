//! Campaigns that recur: a cron expression, a campaign to make each time, and what is done where it comes late.

use std::sync::Arc;

use domain::Millis;
use domain::clock::MINUTE;
use domain::schedule::{Recurring, ScheduleError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::schedules::{Fired, NewSchedule, StoredSchedule};
use uuid::Uuid;

use crate::campaigns::CampaignRequest;
use crate::problem::{FieldError, Kind, Problem};
use crate::view::time;
use crate::{App, Service};

/// Longest name of a schedule.
const NAME: usize = 80;

/// A schedule as it is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRequest {
    /// A name for people; its campaigns have it with the day.
    pub name: String,
    /// Minute, hour, day of month, month, day of week.
    #[schema(example = "0 9 25 * *")]
    pub cron: String,
    /// The time zone that these are meant in.
    #[serde(default = "shanghai")]
    #[schema(example = "Asia/Shanghai")]
    pub time_zone: String,
    /// The campaign to make each time, as for `POST …/campaigns` without a name.
    #[schema(value_type = Object)]
    pub campaign: Value,
    /// Where we were down: sent up to so many minutes late; later a draft is made and somebody decides. However late unless given.
    #[serde(default)]
    pub late_minutes: Option<u32>,
    /// Whether it fires.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn shanghai() -> String {
    "Asia/Shanghai".to_owned()
}

fn yes() -> bool {
    true
}

/// A schedule.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ScheduleView {
    /// Its id.
    pub id: String,
    /// What was asked.
    #[serde(flatten)]
    pub asked: ScheduleRequest,
    /// When it fires next.
    pub next_at: Option<String>,
    /// When it fired last.
    pub last_at: Option<String>,
    /// The campaign that this made.
    pub last_campaign_id: Option<String>,
    /// started, awaiting_approval, missed (a draft waits for somebody), or the code of what went wrong.
    pub last_result: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: String,
}

impl Service {
    /// The schedules of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn schedules(&self, app: &App) -> Result<Vec<ScheduleView>, Problem> {
        Ok(self.store.schedules(app.number).await?.into_iter().map(view).collect())
    }

    /// One schedule.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn schedule(&self, app: &App, id: Uuid) -> Result<ScheduleView, Problem> {
        Ok(view(self.stored_schedule(app, id).await?))
    }

    /// Makes a schedule.
    ///
    /// # Errors
    /// `validation_failed` with each wrong field.
    pub async fn add_schedule(
        &self,
        app: &App,
        request: ScheduleRequest,
        by: &str,
    ) -> Result<ScheduleView, Problem> {
        let id = domain::MessageId::new(self.now(), domain::Lane(0), &*self.entropy).0;
        let new = self.checked_schedule(app, request, id, by).await?;
        self.store.add_schedule(new).await?;
        self.schedule(app, id).await
    }

    /// Changes a schedule: what is given takes the place of what was asked.
    ///
    /// # Errors
    /// `schedule_not_found`, `validation_failed`.
    pub async fn change_schedule(&self, app: &App, id: Uuid, change: Value) -> Result<ScheduleView, Problem> {
        let stored = self.stored_schedule(app, id).await?;
        let mut asked = serde_json::to_value(view(stored.clone()).asked).unwrap_or_default();
        let Value::Object(change) = change else { return Err(unreadable(&"not an object")) };
        for (name, value) in change {
            asked[&name] = value;
        }
        let request: ScheduleRequest = serde_json::from_value(asked).map_err(|error| unreadable(&error))?;
        let new = self.checked_schedule(app, request, id, &stored.asked.created_by).await?;
        self.store.change_schedule(stored.number, new, self.now()).await?;
        self.schedule(app, id).await
    }

    /// Forgets a schedule; the campaigns that it made stay.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub async fn remove_schedule(&self, app: &App, id: Uuid) -> Result<(), Problem> {
        let stored = self.stored_schedule(app, id).await?;
        Ok(self.store.remove_schedule(stored.number).await?)
    }

    /// Makes the campaign of a schedule whose time has come. Asked again after a crash it finds the campaign of before.
    ///
    /// # Errors
    /// Where the database is away: then it is asked again.
    pub async fn fire_schedule(&self, app: &Arc<App>, stored: &StoredSchedule) -> Result<(), Problem> {
        let now = self.now();
        let Some(first) = stored.asked.next_at else { return Ok(()) };
        let recurring = match Recurring::parse(&stored.asked.cron, &stored.asked.time_zone) {
            Ok(recurring) => recurring,
            // The time zone database has changed under it.
            Err(error) => {
                tracing::error!(schedule = %stored.asked.id, %error, "a schedule cannot be read any more");
                let fired =
                    Fired { at: first, campaign: None, result: "invalid_schedule".to_owned(), next_at: None };
                self.store.schedule_fired(stored.number, first, fired).await?;
                return Ok(());
            }
        };
        let due = recurring.due(first, now);
        let late = stored.asked.late_minutes.is_some_and(|minutes| now - due.at > minutes * MINUTE);
        let (campaign, result) = match self.make(app, stored, due.at, late).await {
            Ok((campaign, result)) => (Some(campaign), result),
            Err(problem) if problem.kind == Kind::Unavailable => return Err(problem),
            Err(problem) => {
                tracing::error!(schedule = %stored.asked.id, %problem, "a schedule could not make its campaign");
                (None, problem.code.to_owned())
            }
        };
        if due.missed > 0 {
            tracing::warn!(schedule = %stored.asked.id, missed = due.missed, "a schedule was not looked after: only the latest is made up for");
        }
        if result != "started" {
            let body = serde_json::json!({ "schedule_id": stored.asked.id, "name": stored.asked.name, "due_at": time(due.at),
                "result": result, "campaign_id": campaign });
            self.store.tell(app.number, "alarm.schedule", body.to_string()).await?;
        }
        let fired = Fired { at: due.at, campaign, result, next_at: due.next };
        self.store.schedule_fired(stored.number, first, fired).await?;
        Ok(())
    }

    /// The campaign, started unless it is too late.
    async fn make(
        &self,
        app: &Arc<App>,
        stored: &StoredSchedule,
        at: Millis,
        late: bool,
    ) -> Result<(Uuid, String), Problem> {
        let request =
            self.campaign_of(&stored.asked.name, &stored.asked.campaign, &stored.asked.time_zone, at)?;
        let key = format!("schedule-{}-{at}", stored.asked.id);
        let by = format!("schedule:{}", stored.asked.created_by);
        let drafted = self.draft_campaign(app, request, &by, Some(&key)).await?;
        let id: Uuid = drafted.campaign.id.parse().map_err(|_| store::StoreError::Corrupt("campaign.id"))?;
        if late {
            return Ok((id, "missed".to_owned()));
        }
        if drafted.campaign.state != "draft" {
            return Ok((id, "started".to_owned()));
        }
        let started = self.start_campaign(app, id, &by).await?;
        let result = if started.state == "awaiting_approval" { "awaiting_approval" } else { "started" };
        Ok((id, result.to_owned()))
    }

    fn campaign_of(
        &self,
        name: &str,
        campaign: &str,
        zone: &str,
        at: Millis,
    ) -> Result<CampaignRequest, Problem> {
        let mut asked: Value = serde_json::from_str(campaign).map_err(|error| unreadable(&error))?;
        if !asked.is_object() {
            return Err(unreadable(&"campaign is an object"));
        }
        let day = jiff::Timestamp::from_millisecond(at)
            .ok()
            .and_then(|at| Some(at.to_zoned(jiff::tz::TimeZone::get(zone).ok()?).date().to_string()))
            .unwrap_or_default();
        asked["name"] = format!("{name} {day}").into();
        serde_json::from_value(asked).map_err(|error| unreadable(&error))
    }

    async fn checked_schedule(
        &self,
        app: &App,
        request: ScheduleRequest,
        id: Uuid,
        by: &str,
    ) -> Result<NewSchedule, Problem> {
        let mut errors = Vec::new();
        let name = request.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > NAME {
            errors.push(FieldError::new(
                "/name",
                "invalid_name",
                format!("name 应为 1 到 {NAME} 个字。"),
                format!("name has 1 to {NAME} characters."),
            ));
        }
        let now = self.now();
        let next_at = match Recurring::parse(&request.cron, &request.time_zone) {
            Ok(recurring) => recurring.after(now),
            Err(error) => {
                errors.push(wrong_time(&error));
                None
            }
        };
        if request.campaign.get("send_at").is_some_and(|at| !at.is_null()) {
            errors.push(FieldError::new(
                "/campaign/send_at",
                "not_allowed",
                "定时任务的时间由 cron 决定，请去掉 send_at。",
                "When a schedule sends is said by cron; leave send_at out.",
            ));
        }
        let campaign = request.campaign.to_string();
        match self.campaign_of(&name, &campaign, &request.time_zone, now) {
            Ok(asked) => {
                if let Err(problem) = self.check_campaign(app, asked, by).await {
                    errors.extend(
                        problem.errors.into_iter().map(|error| FieldError {
                            pointer: format!("/campaign{}", error.pointer),
                            ..error
                        }),
                    );
                }
            }
            Err(problem) => errors.push(FieldError::new("/campaign", "invalid_body", problem.zh, problem.en)),
        }
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        Ok(NewSchedule {
            id,
            app: app.number,
            name,
            cron: request.cron.trim().to_owned(),
            time_zone: request.time_zone,
            campaign,
            late_minutes: request.late_minutes.map(i64::from),
            enabled: request.enabled,
            next_at: next_at.filter(|_| request.enabled),
            created_by: by.to_owned(),
            created_at: now,
        })
    }

    async fn stored_schedule(&self, app: &App, id: Uuid) -> Result<StoredSchedule, Problem> {
        self.store.schedule(app.number, id).await?.ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "schedule_not_found",
                "没有这个定时任务。",
                "There is no such schedule.",
            )
        })
    }
}

fn view(stored: StoredSchedule) -> ScheduleView {
    let asked = stored.asked;
    ScheduleView {
        id: asked.id.to_string(),
        next_at: asked.next_at.map(time),
        last_at: stored.last_at.map(time),
        last_campaign_id: stored.last_campaign.map(|id| id.to_string()),
        last_result: stored.last_result,
        created_by: asked.created_by,
        created_at: time(asked.created_at),
        asked: ScheduleRequest {
            name: asked.name,
            cron: asked.cron,
            time_zone: asked.time_zone,
            campaign: serde_json::from_str(&asked.campaign).unwrap_or_default(),
            late_minutes: asked.late_minutes.and_then(|minutes| u32::try_from(minutes).ok()),
            enabled: asked.enabled,
        },
    }
}

fn wrong_time(error: &ScheduleError) -> FieldError {
    match error {
        ScheduleError::TimeZone(zone) => FieldError::new(
            "/time_zone",
            "invalid_time_zone",
            format!("没有时区 {zone}，例如 Asia/Shanghai。"),
            format!("There is no time zone {zone}; one is Asia/Shanghai."),
        ),
        ScheduleError::Never => FieldError::new(
            "/cron",
            "invalid_cron",
            "这个时间永远不会到来（例如 2 月 30 日）。",
            "That time never comes (like 30 February).",
        ),
        ScheduleError::Cron(why) => FieldError::new(
            "/cron",
            "invalid_cron",
            format!("cron 写法有误（{why}）。五个字段：分 时 日 月 周，例如每月 25 日 9 点：0 9 25 * *。"),
            format!(
                "The cron expression is wrong: {why}. It has five fields: minute, hour, day, month, weekday; 9 o'clock on every 25th is 0 9 25 * *."
            ),
        ),
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Kind::Invalid,
        "invalid_body",
        format!("请求内容的格式有误：{error}"),
        format!("The request is not of the right form: {error}"),
    )
}
