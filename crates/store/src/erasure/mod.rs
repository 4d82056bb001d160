//! Erasing a person (I17). It is asked for durably (by an event's row, in the commit that applies it, or by the API), and
//! done by the lane's owner in small steps, each of which may be repeated: `erase` walks the tables, `rows` writes.
//!
//! What stays: messages as rows without recipient, fields, page and texts, so that every count still closes (I9); the
//! identity of events, which are digests (I2).

mod erase;
mod rows;

use domain::{InboxId, Lane, Millis};
use secrecy::{ExposeSecret, SecretString};

use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hot::{hex, json, uuid};

pub use erase::{Erased, Walk};

/// The word for everything that is a person's; any other names fields.
pub const PERSON: &str = "person";

/// A demand to erase, sealed, on its way with the event that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewErasure {
    /// What, in the words of the service.
    pub what: String,
    /// Whom, sealed for the event's row.
    pub openid: Vec<u8>,
}

/// A demand that is due.
#[derive(Debug, Clone)]
pub struct Erasure {
    /// Which; carries the lane.
    pub id: InboxId,
    /// The app whose user it is.
    pub app: i64,
    /// Whom.
    pub openid: SecretString,
    /// What, in the words of the service.
    pub what: String,
    /// What is older than this is erased.
    pub asked_at: Millis,
    /// How often it was worked on to the end.
    pub looks: i64,
}

/// Where a demand stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureStatus {
    /// Whether everything that was there is erased.
    pub erased: bool,
    /// How much, as JSON, once it is.
    pub counts: Option<String>,
}

const INSERT: &str = "
insert into erasure (id, lane, app, openid, what, inbox, asked_at, due_at, looks)
select b.id, b.lane, b.app, b.openid, b.what, b.inbox, b.asked_at, b.asked_at, 0
from [$1: id id, lane int2, app int8, openid bytes, what text, inbox id, asked_at int8] b where true
on conflict do nothing";
const BLANK: &str = "
update inbox set openid = '', body = '' where {inbox.id in $1}";
const DUE: &str = "
select id, app, openid, what, asked_at, looks from erasure where done_at is null and due_at <= $1 order by due_at limit $2";
const LOOKED: &str = "
update erasure set looks = looks + $2, due_at = coalesce($3, due_at), done_at = case when $3 is null then $4 end,
    openid = case when $3 is null then null else openid end, counts = coalesce(counts, $5) where lane = $6 and id = $1";
const TELL: &str = "
update inbox set effects = $2 where lane = $3 and id = (select e.inbox from erasure e where e.lane = $3 and e.id = $1)";

/// The columns of a demand in a batch: id, lane, app, openid, what, the event's row, when.
pub(crate) type Columns = (String, u16, i64, String, String, Option<String>, Millis);

/// A demand that an event makes, as its columns.
pub(crate) fn of_event(id: InboxId, app: i64, new: &NewErasure, at: Millis) -> Columns {
    (hex(id.0), id.lane().0, app, hex::encode(&new.openid), new.what.clone(), Some(hex(id.0)), at)
}

/// Writes demands, and takes person and text out of the rows of the events that made them.
pub(crate) async fn ask(db: &mut Db, demands: &[Columns], events: &[String]) -> Result<(), StoreError> {
    if !demands.is_empty() {
        db::query(INSERT).bind(json(demands)?).execute(&mut *db).await?;
    }
    if !events.is_empty() {
        db::query(BLANK).bind(json(events)?).execute(db).await?;
    }
    Ok(())
}

impl Store {
    /// What the event with this row demands.
    pub fn new_erasure(&self, id: InboxId, what: String, openid: &str) -> NewErasure {
        NewErasure { what, openid: self.master.seal_bytes(openid.as_bytes(), &context(id), &*self.entropy) }
    }

    /// Asks for an erasure; gives its id.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn ask_erasure(
        &self,
        app: i64,
        openid: &str,
        what: String,
        now: Millis,
    ) -> Result<InboxId, StoreError> {
        let id = InboxId::new(now, self.lanes().of_openid(openid), &*self.entropy);
        let new = self.new_erasure(id, what, openid);
        let columns = (hex(id.0), id.lane().0, app, hex::encode(&new.openid), new.what, None::<String>, now);
        self.writer
            .cold(move |db, _| Box::pin(async move { ask(db.in_lane(id.lane().0), &[columns], &[]).await }))
            .await?;
        Ok(id)
    }

    /// Where a demand stands; `None` where there is none such.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn erasure(&self, id: InboxId) -> Result<Option<ErasureStatus>, StoreError> {
        let row = db::query("select looks, counts from erasure where lane = $2 and id = $1")
            .bind(id.0.as_bytes().as_slice())
            .bind(id.lane().0)
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| Ok(ErasureStatus { erased: row.try_get::<i64>(0)? > 0, counts: row.try_get(1)? }))
            .transpose()
    }

    /// Demands that are due.
    ///
    /// # Errors
    /// Where the database is away, or what is stored does not open.
    pub async fn erasures_due(&self, now: Millis, limit: i64) -> Result<Vec<Erasure>, StoreError> {
        db::query(DUE)
            .bind(now)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                let id = InboxId(uuid(row.try_get(0)?)?);
                Ok(Erasure {
                    id,
                    app: row.try_get(1)?,
                    openid: self.master.open(&row.try_get::<Vec<u8>>(2)?, &context(id))?,
                    what: row.try_get(3)?,
                    asked_at: row.try_get(4)?,
                    looks: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Puts a demand off: something of it is under way.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn erasure_waits(&self, erasure: &Erasure, due_at: Millis) -> Result<(), StoreError> {
        self.looked(erasure.id, 0, Some(due_at), due_at, None).await
    }

    /// Notes that a demand was worked on to the end; `again` is when to look for what came in since. Without it, the
    /// openid is forgotten here too.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn erasure_done(
        &self,
        erasure: &Erasure,
        counts: Option<String>,
        again: Option<Millis>,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.looked(erasure.id, 1, again, now, counts).await?;
        self.writer.scrub();
        Ok(())
    }

    async fn looked(
        &self,
        id: InboxId,
        looks: i64,
        again: Option<Millis>,
        now: Millis,
        counts: Option<String>,
    ) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let (lane, id) = (id.lane().0, id.0.as_bytes().to_vec());
                    db::query(LOOKED)
                        .bind(&id)
                        .bind(looks)
                        .bind(again)
                        .bind(now)
                        .bind(&counts)
                        .bind(lane)
                        .execute(&mut *db)
                        .await?;
                    if let Some(counts) = counts {
                        let told = db::query(TELL).bind(id).bind(format!("[{counts}]"));
                        told.bind(lane).execute(db).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

impl Erasure {
    /// The lane of the person.
    pub fn lane(&self) -> Lane {
        self.id.lane()
    }

    pub(crate) fn person(&self) -> &str {
        self.openid.expose_secret()
    }
}

pub(crate) fn context(id: InboxId) -> String {
    format!("erasure {id}")
}
