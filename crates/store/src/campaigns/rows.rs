//! The campaigns themselves: making, reading, changing.

use domain::campaign::{Accounts, CampaignState};
use domain::message::State;
use domain::{Lane, MessageId, Millis};
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Db, Row};
use crate::error::StoreError;
use crate::hot::enqueue::{self, Enqueued, Idempotency};
use crate::hot::{json, uuid};
use crate::webhooks;

/// A campaign to be kept as a draft.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// Its id for the outside.
    pub id: Uuid,
    /// The app.
    pub app: i64,
    /// A name for people.
    pub name: String,
    /// The template's number.
    pub template: i64,
    /// The fields with their placeholders, as a JSON object.
    pub data: String,
    /// The page that the card opens, with placeholders.
    pub page: Option<String>,
    /// developer, trial or formal.
    pub version: String,
    /// The card's language.
    pub lang: String,
    /// Who gets it, as JSON.
    pub audience: String,
    /// Everything else that was asked, as JSON.
    pub options: String,
    /// Where its list of recipients stands, where it has one.
    pub list: Option<Uuid>,
    /// Not before this.
    pub send_at: Option<Millis>,
    /// Not after this.
    pub expire_at: Option<Millis>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
}

/// What became of a draft that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignKept {
    /// It is kept.
    New,
    /// The key was used before with the same body: this is that campaign's id.
    Replayed(Uuid),
    /// The key was used before with another body.
    KeyReused,
}

/// A campaign as it stands in the database.
#[derive(Debug, Clone)]
pub struct StoredCampaign {
    /// Its number: that of its queue too.
    pub number: i64,
    /// What was asked.
    pub asked: NewCampaign,
    /// WeChat's template id.
    pub template_id: String,
    /// Where it stands.
    pub state: CampaignState,
    /// Why it is paused, where it is.
    pub paused_because: Option<String>,
    /// Last change.
    pub updated_at: Millis,
    /// Who started it.
    pub started_by: Option<String>,
    /// When.
    pub started_at: Option<Millis>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When its last message got an outcome.
    pub finished_at: Option<Millis>,
    /// The forecast that approval was asked with, as JSON.
    pub forecast: Option<String>,
    /// The last row of its list that is a message.
    pub expanded_to: i64,
    /// Whether every recipient is a message.
    pub expanded: bool,
}

/// Where a page of campaigns goes on: the number of the last one shown.
pub type CampaignKey = i64;

/// A step from one state to the next, with what is written beside it.
#[derive(Debug, Clone)]
pub struct CampaignChange {
    /// The state that it must have for this.
    pub from: CampaignState,
    /// The state afterwards.
    pub to: CampaignState,
    /// Now.
    pub at: Millis,
    /// Why it stands still; taken away where none.
    pub paused_because: Option<String>,
    /// Who started it, where this does.
    pub started_by: Option<String>,
    /// Who approved it, where this does.
    pub approved_by: Option<String>,
    /// The forecast to keep.
    pub forecast: Option<String>,
    /// When it is to be sent, where this says so anew.
    pub send_at: Option<Millis>,
    /// Recipients by lane, where this is the start: the accounts begin.
    pub begin: Option<Vec<(Lane, i64)>>,
    /// The states that are to be tried again, from the first message on.
    pub resend: Option<Vec<State>>,
}

impl CampaignChange {
    /// A bare step.
    pub fn new(from: CampaignState, to: CampaignState, at: Millis) -> Self {
        Self {
            from,
            to,
            at,
            paused_because: None,
            started_by: None,
            approved_by: None,
            forecast: None,
            send_at: None,
            begin: None,
            resend: None,
        }
    }
}

const COLUMNS: &str = "
select c.number, c.id, c.app, c.name, c.state, c.paused_because, c.template, c.data, c.page, c.version, c.lang, c.audience,
    c.options, c.list, c.send_at, c.expire_at, c.created_by, c.created_at, c.updated_at, c.started_by, c.started_at,
    c.approved_by, c.finished_at, c.forecast, c.expanded_to, c.expanded, t.template_id
from campaign c join template t on t.id = c.template";
const INSERT: &str = "
insert into campaign (id, app, name, state, template, data, page, version, lang, audience, options, list, send_at, expire_at,
    created_by, created_at, updated_at, expanded_to, expanded)
values ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, 0, false)";
const REDRAFT: &str = "
update campaign set name = $3, template = $4, data = $5, page = $6, version = $7, lang = $8, audience = $9, options = $10,
    list = $11, send_at = $12, expire_at = $13, updated_at = $14
where number = $1 and app = $2 and state = 1";
const CHANGE: &str = "
update campaign set state = $3, updated_at = $4, paused_because = $5, started_by = coalesce($6, started_by),
    started_at = case when $6 is null then started_at else $4 end, approved_by = coalesce($7, approved_by),
    forecast = coalesce($8, forecast), send_at = coalesce($9, send_at),
    finished_at = case when $3 in (7, 8) then $4 end
where number = $1 and state = $2";
const BEGIN: &str = "
insert into campaign_lane (campaign, lane, recipients, todo, scheduled, queued, sending, accepted, delivered, undelivered,
    refused, failed, unknown, expired, cancelled, skipped, expanded)
select $1, b.lane, b.count, b.count, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false from [$2: lane int2, count int8] b";
const RESEND: &str = "update campaign_lane set resent_to = $2 where campaign = $1";

impl Store {
    /// Keeps a draft, unless its key answers an earlier one.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn add_campaign(
        &self,
        new: NewCampaign,
        key: Option<Idempotency>,
    ) -> Result<CampaignKept, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    if let Some(key) = &key {
                        let message = MessageId(new.id);
                        match enqueue::reserve_key(db, (new.app, key), message, new.created_at).await? {
                            Enqueued::Replayed(earlier) => return Ok(CampaignKept::Replayed(earlier.0)),
                            Enqueued::KeyReused => return Ok(CampaignKept::KeyReused),
                            Enqueued::Accepted | Enqueued::NoGrant => {}
                        }
                    }
                    bound(db::query(INSERT).bind(new.id.as_bytes().to_vec()).bind(new.app), &new)
                        .bind(&new.created_by)
                        .bind(new.created_at)
                        .execute(db)
                        .await?;
                    Ok(CampaignKept::New)
                })
            })
            .await
    }

    /// Writes a draft anew; false where it is none any more.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn redraft_campaign(
        &self,
        number: i64,
        new: NewCampaign,
        at: Millis,
    ) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = bound(db::query(REDRAFT).bind(number).bind(new.app), &new)
                        .bind(at)
                        .execute(db)
                        .await?;
                    Ok(done.rows_affected() == 1)
                })
            })
            .await
    }

    /// Forgets a draft; false where it is none any more.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_campaign(&self, number: i64) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query("delete from campaign where number = $1 and state = 1")
                        .bind(number)
                        .execute(db)
                        .await?;
                    Ok(done.rows_affected() == 1)
                })
            })
            .await
    }

    /// One campaign of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaign(&self, app: i64, id: Uuid) -> Result<Option<StoredCampaign>, StoreError> {
        let statement = format!("{COLUMNS} where c.id = $1 and c.app = $2");
        db::query(statement)
            .bind(id.as_bytes().as_slice())
            .bind(app)
            .fetch_optional(&self.readers)
            .await?
            .as_ref()
            .map(stored)
            .transpose()
    }

    /// One campaign by its number.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaign_by_number(&self, number: i64) -> Result<Option<StoredCampaign>, StoreError> {
        let statement = format!("{COLUMNS} where c.number = $1");
        let query = db::query(statement).bind(number);
        query.fetch_optional(&self.readers).await?.as_ref().map(stored).transpose()
    }

    /// A page of an app's campaigns, newest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaigns(
        &self,
        app: i64,
        before: Option<CampaignKey>,
        limit: i64,
    ) -> Result<Vec<StoredCampaign>, StoreError> {
        let statement =
            format!("{COLUMNS} where c.app = $1 and c.number < $2 order by c.number desc limit $3");
        let query = db::query(statement).bind(app).bind(before.unwrap_or(i64::MAX)).bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(stored).collect()
    }

    /// Campaigns of all apps that the engine has something to do for.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaigns_under_way(&self) -> Result<Vec<StoredCampaign>, StoreError> {
        let statement = format!("{COLUMNS} where c.state between 3 and 6 order by c.number");
        let query = db::query(statement);
        query.fetch_all(&self.readers).await?.iter().map(stored).collect()
    }

    /// Takes a step; false where the campaign has another state by now: somebody was faster.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn change_campaign(&self, number: i64, change: CampaignChange) -> Result<bool, StoreError> {
        let done =
            self.writer.cold(move |db, _| Box::pin(async move { step(db, number, &change).await })).await?;
        self.hints.look_everywhere();
        self.hints.something_settled();
        Ok(done)
    }
}

async fn step(db: &mut Db, number: i64, change: &CampaignChange) -> Result<bool, StoreError> {
    let done = db::query(CHANGE)
        .bind(number)
        .bind(change.from.code())
        .bind(change.to.code())
        .bind(change.at)
        .bind(change.paused_because.as_deref())
        .bind(change.started_by.as_deref())
        .bind(change.approved_by.as_deref())
        .bind(change.forecast.as_deref())
        .bind(change.send_at)
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    tell(db, number, change).await?;
    if let Some(lanes) = &change.begin {
        let rows: Vec<_> = lanes.iter().map(|(lane, count)| (lane.0, *count)).collect();
        db::query(BEGIN).bind(number).bind(json(&rows)?).execute(&mut *db).await?;
    }
    if let Some(states) = &change.resend {
        let codes: Vec<i16> = states.iter().map(|state| state.code()).collect();
        db::query("update campaign set resend = $2 where number = $1")
            .bind(number)
            .bind(json(&codes)?)
            .execute(&mut *db)
            .await?;
        db::query(RESEND).bind(number).bind(Vec::new()).execute(db).await?;
    }
    Ok(true)
}

/// Tells whoever wants to know that a campaign has another state.
async fn tell(db: &mut Db, number: i64, change: &CampaignChange) -> Result<(), StoreError> {
    if !webhooks::anybody(db).await? {
        return Ok(());
    }
    let (app, id, name): (i64, Vec<u8>, String) =
        db::query_as("select app, id, name from campaign where number = $1")
            .bind(number)
            .fetch_one(&mut *db)
            .await?;
    let body = serde_json::json!({ "campaign_id": crate::hot::uuid(&id)?, "name": name, "state": change.to.as_str(),
        "because": change.paused_because });
    webhooks::note(db, &[(app, format!("campaign.{}", change.to.as_str()), body.to_string())]).await
}

/// What a draft says, from its name on.
fn bound<'q>(query: db::Query<'q>, new: &'q NewCampaign) -> db::Query<'q> {
    query
        .bind(&new.name)
        .bind(new.template)
        .bind(&new.data)
        .bind(new.page.as_deref())
        .bind(&new.version)
        .bind(&new.lang)
        .bind(&new.audience)
        .bind(&new.options)
        .bind(new.list.map(|list| list.as_bytes().to_vec()))
        .bind(new.send_at)
        .bind(new.expire_at)
}

fn stored(row: &Row) -> Result<StoredCampaign, StoreError> {
    Ok(StoredCampaign {
        number: row.try_get(0)?,
        asked: NewCampaign {
            id: uuid(&row.try_get::<Vec<u8>>(1)?)?,
            app: row.try_get(2)?,
            name: row.try_get(3)?,
            template: row.try_get(6)?,
            data: row.try_get(7)?,
            page: row.try_get(8)?,
            version: row.try_get(9)?,
            lang: row.try_get(10)?,
            audience: row.try_get(11)?,
            options: row.try_get(12)?,
            list: row.try_get::<Option<Vec<u8>>>(13)?.map(|list| uuid(&list)).transpose()?,
            send_at: row.try_get(14)?,
            expire_at: row.try_get(15)?,
            created_by: row.try_get(16)?,
            created_at: row.try_get(17)?,
        },
        state: CampaignState::try_from(row.try_get::<i16>(4)?)
            .map_err(|_| StoreError::Corrupt("campaign.state"))?,
        paused_because: row.try_get(5)?,
        updated_at: row.try_get(18)?,
        started_by: row.try_get(19)?,
        started_at: row.try_get(20)?,
        approved_by: row.try_get(21)?,
        finished_at: row.try_get(22)?,
        forecast: row.try_get(23)?,
        expanded_to: row.try_get(24)?,
        expanded: row.try_get(25)?,
        template_id: row.try_get(26)?,
    })
}

/// Reads accounts from fourteen columns in a row: recipients, todo, then the states by their codes.
pub(super) fn accounts(row: &Row, from: usize) -> Result<Accounts, StoreError> {
    let mut accounts = Accounts::default();
    (accounts.recipients, accounts.todo) = (row.try_get(from)?, row.try_get(from + 1)?);
    for (at, state) in State::ALL.iter().enumerate() {
        accounts.add(*state, row.try_get(from + 2 + at)?);
    }
    Ok(accounts)
}
