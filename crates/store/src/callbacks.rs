//! The inbox: appending what WeChat pushed, reading it, and replaying what was set aside.

use domain::{InboxId, Lane, Millis};

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;
use crate::hot::append::{Appended, InboxKind, NewInboxRow, Verdict};
use crate::hot::apply::{Application, ToApply};
use crate::hot::pending::{self, Pending};
use crate::hot::uuid;
use crate::writing::Job;

/// A row of the inbox.
#[derive(Debug, Clone)]
pub struct StoredCallback {
    /// Which.
    pub id: InboxId,
    /// The event's CreateTime; 0 where it has none.
    pub event_at: Millis,
    /// When it came.
    pub received_at: Millis,
    /// What it is.
    pub kind: InboxKind,
    /// FromUserName.
    pub openid: String,
    /// How often WeChat pushed it.
    pub pushes: i64,
    /// `None` while it waits to be applied.
    pub verdict: Option<Verdict>,
    /// Why that verdict.
    pub reason: Option<String>,
    /// What it changed, as JSON.
    pub effects: Option<String>,
    /// When it was applied or set aside.
    pub applied_at: Option<Millis>,
    /// The verified plaintext (empty for chats).
    pub body: String,
}

const QUARANTINE_EDGE: &str = "
select id from inbox where app = $1 and verdict = 3 order by id desc limit 1 offset $2";
/// How far a page looks: the ten thousandth row of the app before it. On PostgreSQL, where each lane is looked at by itself, the
/// row from which on all lanes are looked at as far.
const EDGE: &str = "
<<select id from inbox where app = $1 and id < $2 order by id desc limit 1 offset 9999|
select x.id from lane l cross join lateral (
    select id from inbox where lane = l.id and app = $1 and id < $2 order by id desc limit 1 offset 255) x
order by x.id desc limit 1>>";
const PAGE: &str = "
where app = $1 and id < $2 and id >= $5 and ($3 is null or verdict = $3)
<<|and lane = any(array(select l.id from lane l))>> order by id desc limit $4";
/// Both conditions twice: a row that is being replayed meanwhile stays, and the index of what is quarantined finds the others.
const TRIM: &str = "
delete from inbox where app = $1 and verdict = 3 and id in
    (select id from inbox where app = $1 and verdict = 3 and id <= $2 order by id limit 1000)";
const COLUMNS: &str =
    "id, event_at, received_at, kind, openid, pushes, verdict, reason, effects, applied_at, body from inbox";

impl Store {
    /// Appends verified callbacks; returns when they are durable. The owner finds them when it looks; whoever wants it
    /// sooner hands them over.
    ///
    /// # Errors
    /// Where the database is away: then WeChat must be answered 503, so that it pushes again.
    pub async fn append(&self, rows: Vec<NewInboxRow>) -> Result<Vec<Appended>, StoreError> {
        self.writer.call(Job::Append, rows).await
    }

    /// Rows that wait to be applied, in arrival order.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn pending(
        &self,
        lane: Lane,
        after: Option<InboxId>,
        limit: i64,
    ) -> Result<Vec<Pending>, StoreError> {
        pending::pending(&self.readers, Some(lane).filter(|_| self.is_shared()), after, limit).await
    }

    /// When the oldest waiting row came.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn oldest_pending(&self) -> Result<Option<Millis>, StoreError> {
        let id: Option<Vec<u8>> = db::query_scalar(
            "select id from inbox <<indexed by inbox_pending|>> where verdict is null order by id limit 1",
        )
        .fetch_optional(&self.readers)
        .await?;
        Ok(id.map(|id| uuid(&id)).transpose()?.map(|id| InboxId(id).created_at()))
    }

    /// Applies events; returns when the effects are durable.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn apply(&self, events: Vec<ToApply>) -> Result<Vec<Application>, StoreError> {
        let outcome = self.writer.call(Job::Apply, events).await?;
        self.hints.something_settled();
        Ok(outcome)
    }

    /// A page of an app's inbox, newest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn callbacks(
        &self,
        app: i64,
        verdict: Option<Verdict>,
        before: Option<InboxId>,
        limit: i64,
    ) -> Result<(Vec<StoredCallback>, Option<InboxId>), StoreError> {
        let before = before.map_or_else(|| vec![0xff; 16], |id| id.0.as_bytes().to_vec());
        let edge: Option<Vec<u8>> =
            db::query_scalar(EDGE).bind(app).bind(&before).fetch_optional(&self.readers).await?;
        let rows = db::query(format!("select {COLUMNS} {PAGE}"))
            .bind(app)
            .bind(before)
            .bind(verdict.map(Verdict::code))
            .bind(limit)
            // Without an edge, before every id: SQLite makes no bound of one that may be missing, and would read on to the oldest row.
            .bind(edge.as_deref().unwrap_or_default())
            .fetch_all(&self.readers)
            .await?;
        let items = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let full = i64::try_from(items.len()).unwrap_or(0) == limit;
        let next = if full {
            items.last().map(|row| row.id)
        } else {
            // The page ended because enough rows were looked at; further ones may follow.
            edge.map(|id| uuid(&id).map(InboxId)).transpose()?
        };
        Ok((items, next))
    }

    /// One row of an app's inbox.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn callback(&self, app: i64, id: InboxId) -> Result<Option<StoredCallback>, StoreError> {
        let statement = format!("select {COLUMNS} where id = $1 and app = $2 and lane = $3");
        let row = db::query(statement)
            .bind(id.0.as_bytes().as_slice())
            .bind(app)
            .bind(id.lane().0)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(stored).transpose()
    }

    /// Deletes the oldest quarantined rows of an app beyond `keep`, a thousand at a time; gives how many.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn trim_quarantine(&self, app: i64, keep: i64) -> Result<u64, StoreError> {
        let edge: Option<Vec<u8>> =
            db::query_scalar(QUARANTINE_EDGE).bind(app).bind(keep).fetch_optional(&self.readers).await?;
        let Some(edge) = edge else { return Ok(0) };
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    Ok(db::query(TRIM).bind(app).bind(edge).execute(db).await?.rows_affected())
                })
            })
            .await
    }

    /// How many rows of an app are quarantined.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn quarantined(&self, app: i64) -> Result<i64, StoreError> {
        let count = "select count(*) from inbox where app = $1 and verdict = 3";
        Ok(db::query_scalar(count).bind(app).fetch_one(&self.readers).await?)
    }

    /// Notes on a quarantined row that it can be read now, as another row that was appended for it.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn replayed_as(&self, id: InboxId, other: InboxId, now: Millis) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query(
                        "update inbox set verdict = 2, reason = $2, applied_at = $3 where id = $1 and lane = $4 and verdict = 3",
                    )
                    .bind(id.0.as_bytes().as_slice())
                    .bind(format!("replayed_as {other}"))
                    .bind(now)
                    .bind(id.lane().0)
                    .execute(db)
                    .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }

    /// Lets a row that was quarantined or ignored be applied again; false where there is none such.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn replay(&self, app: i64, id: InboxId) -> Result<bool, StoreError> {
        let replayed = self
            .writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query(
                        "update inbox set verdict = null, reason = 'replay', applied_at = null
                         where id = $1 and app = $2 and lane = $3 and verdict in (2, 3) and kind in ('popup', 'change', 'sent', 'erasure')",
                    )
                    .bind(id.0.as_bytes().as_slice())
                    .bind(app)
                    .bind(id.lane().0)
                    .execute(db)
                    .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await?;
        self.hints.replayed();
        Ok(replayed)
    }
}

fn stored(row: &Row) -> Result<StoredCallback, StoreError> {
    Ok(StoredCallback {
        id: InboxId(uuid(&row.try_get::<Vec<u8>>(0)?)?),
        event_at: row.try_get(1)?,
        received_at: row.try_get(2)?,
        kind: InboxKind::from_word(row.try_get(3)?),
        openid: row.try_get(4)?,
        pushes: row.try_get(5)?,
        verdict: row.try_get::<Option<i16>>(6)?.and_then(Verdict::from_code),
        reason: row.try_get(7)?,
        effects: row.try_get(8)?,
        applied_at: row.try_get(9)?,
        body: row.try_get(10)?,
    })
}
