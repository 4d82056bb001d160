//! Campaigns that recur. Used by the service and the engine.

use domain::Millis;
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;

/// What is asked with a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub app: i64,
    /// A name for people.
    pub name: String,
    /// Five fields.
    pub cron: String,
    /// The time zone that they are meant in.
    pub time_zone: String,
    /// The campaign, as JSON.
    pub campaign: String,
    /// Minutes that it may be late.
    pub late_minutes: Option<i64>,
    /// Whether it fires.
    pub enabled: bool,
    /// When next.
    pub next_at: Option<Millis>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    /// Its number.
    pub number: i64,
    /// What was asked.
    pub asked: NewSchedule,
    /// When it fired last.
    pub last_at: Option<Millis>,
    /// The campaign that this made.
    pub last_campaign: Option<Uuid>,
    /// How that went.
    pub last_result: Option<String>,
}

/// What became of a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The moment that was due.
    pub at: Millis,
    /// The campaign.
    pub campaign: Option<Uuid>,
    /// How it went.
    pub result: String,
    /// When next.
    pub next_at: Option<Millis>,
}

const READ: &str = "
select number, id, app, name, cron, time_zone, campaign, late_minutes, enabled, next_at, created_by, created_at, last_at,
    last_campaign, last_result from schedule";

impl Store {
    /// Keeps a schedule.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn add_schedule(&self, new: NewSchedule) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into schedule (id, app, name, cron, time_zone, campaign, late_minutes, enabled, next_at, created_by,
                             created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
                    )
                    .bind(new.id.as_bytes().to_vec())
                    .bind(new.app)
                    .bind(new.name)
                    .bind(new.cron)
                    .bind(new.time_zone)
                    .bind(new.campaign)
                    .bind(new.late_minutes)
                    .bind(new.enabled)
                    .bind(new.next_at)
                    .bind(new.created_by)
                    .bind(new.created_at)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Changes a schedule; what it last did stays.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn change_schedule(&self, number: i64, new: NewSchedule, at: Millis) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "update schedule set name = $2, cron = $3, time_zone = $4, campaign = $5, late_minutes = $6, enabled = $7,
                             next_at = $8, updated_at = $9 where number = $1",
                    )
                    .bind(number)
                    .bind(new.name)
                    .bind(new.cron)
                    .bind(new.time_zone)
                    .bind(new.campaign)
                    .bind(new.late_minutes)
                    .bind(new.enabled)
                    .bind(new.next_at)
                    .bind(at)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Forgets a schedule; what it made stays.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_schedule(&self, number: i64) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("delete from schedule where number = $1").bind(number).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// One schedule of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn schedule(&self, app: i64, id: Uuid) -> Result<Option<StoredSchedule>, StoreError> {
        let query = db::query(format!("{READ} where id = $1 and app = $2"));
        let row = query.bind(id.as_bytes().to_vec()).bind(app).fetch_optional(&self.readers).await?;
        row.as_ref().map(read).transpose()
    }

    /// The schedules of an app, in the order of their making.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn schedules(&self, app: i64) -> Result<Vec<StoredSchedule>, StoreError> {
        let query = db::query(format!("{READ} where app = $1 order by number"));
        query.bind(app).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// Those whose time has come.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn due_schedules(&self, now: Millis) -> Result<Vec<StoredSchedule>, StoreError> {
        let query = db::query(format!("{READ} where enabled and next_at <= $1 order by next_at"));
        query.bind(now).fetch_all(&self.readers).await?.iter().map(read).collect()
    }

    /// Notes a firing, unless somebody else has noted it: `first` is the moment that was waited for.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn schedule_fired(&self, number: i64, first: Millis, fired: Fired) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query(
                        "update schedule set next_at = $3, last_at = $4, last_campaign = $5, last_result = $6
                         where number = $1 and next_at = $2",
                    )
                    .bind(number)
                    .bind(first)
                    .bind(fired.next_at)
                    .bind(fired.at)
                    .bind(fired.campaign.map(|id| id.as_bytes().to_vec()))
                    .bind(fired.result)
                    .execute(db)
                    .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }

    /// Takes calls of a day's budget; gives how many there were to take.
    ///
    /// # Errors
    /// Where the database is away: then none may be made.
    pub async fn take_budget(
        &self,
        app: i64,
        day: String,
        wanted: i64,
        budget: i64,
    ) -> Result<i64, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into app_day (app, day, calls) values ($1, $2, 0) on conflict do nothing",
                    )
                    .bind(app)
                    .bind(&day)
                    .execute(&mut *db)
                    .await?;
                    let taken: i64 = db::query_scalar(
                        "select calls from app_day where app = $1 and day = $2<<| for update>>",
                    )
                    .bind(app)
                    .bind(&day)
                    .fetch_one(&mut *db)
                    .await?;
                    let given = wanted.min(budget - taken).max(0);
                    if given > 0 {
                        db::query("update app_day set calls = calls + $3 where app = $1 and day = $2")
                            .bind(app)
                            .bind(&day)
                            .bind(given)
                            .execute(&mut *db)
                            .await?;
                    }
                    // A year is enough to look back on.
                    db::query("delete from app_day where app = $1 and day < $2")
                        .bind(app)
                        .bind(year_before(&day))
                        .execute(db)
                        .await?;
                    Ok(given)
                })
            })
            .await
    }

    /// How much of a day's budget is taken.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn budget_taken(&self, app: i64, day: &str) -> Result<i64, StoreError> {
        let query = db::query_scalar("select calls from app_day where app = $1 and day = $2");
        let taken: Option<i64> = query.bind(app).bind(day).fetch_optional(&self.readers).await?;
        Ok(taken.unwrap_or(0))
    }
}

/// The day a year before, as text that sorts as days do.
fn year_before(day: &str) -> String {
    let (year, rest) = day.split_at_checked(4).unwrap_or((day, ""));
    format!("{:04}{rest}", year.parse::<i64>().unwrap_or(0) - 1)
}

fn read(row: &Row) -> Result<StoredSchedule, StoreError> {
    let id = |bytes: Vec<u8>| crate::hot::uuid(&bytes);
    Ok(StoredSchedule {
        number: row.try_get(0)?,
        asked: NewSchedule {
            id: id(row.try_get(1)?)?,
            app: row.try_get(2)?,
            name: row.try_get(3)?,
            cron: row.try_get(4)?,
            time_zone: row.try_get(5)?,
            campaign: row.try_get(6)?,
            late_minutes: row.try_get(7)?,
            enabled: row.try_get(8)?,
            next_at: row.try_get(9)?,
            created_by: row.try_get(10)?,
            created_at: row.try_get(11)?,
        },
        last_at: row.try_get(12)?,
        last_campaign: row.try_get::<Option<Vec<u8>>>(13)?.map(id).transpose()?,
        last_result: row.try_get(14)?,
    })
}
