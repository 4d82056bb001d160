//! Appending to the inbox: the one write that stands between a callback and its `success`, and only to the inbox's
//! end. A push repeated soon finds its row and counts up; one repeated later gets a row of its own, whose applier finds
//! the identity and calls it a duplicate (I2).

use std::collections::BTreeMap;

use domain::{InboxId, Millis};

use super::{hex, json, values};
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::happened::Happened;
use crate::relay::{self, NewRelay};
use crate::writing::Batch;
use crate::writing::Context;

/// What an inbox row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxKind {
    /// A subscribe event: the user acted on the popup.
    Popup,
    /// A subscribe event: the user changed a setting.
    Change,
    /// A subscribe event: what became of a message.
    Sent,
    /// Another event of WeChat's.
    Event,
    /// An event that demands the erasure of a person, or of what the person took back.
    Erasure,
    /// Not from WeChat: the mini program reports what a person decided.
    Report,
    /// A customer-service chat; its content is never kept.
    Chat,
    /// Not parseable.
    Unreadable,
}

impl InboxKind {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Popup => "popup",
            Self::Change => "change",
            Self::Sent => "sent",
            Self::Event => "event",
            Self::Erasure => "erasure",
            Self::Report => "report",
            Self::Chat => "chat",
            Self::Unreadable => "unreadable",
        }
    }

    /// Reads the stored word; an unknown one is an ordinary event.
    pub fn from_word(word: &str) -> Self {
        match word {
            "popup" => Self::Popup,
            "change" => Self::Change,
            "sent" => Self::Sent,
            "erasure" => Self::Erasure,
            "report" => Self::Report,
            "chat" => Self::Chat,
            "unreadable" => Self::Unreadable,
            _ => Self::Event,
        }
    }
}

/// What was decided about an inbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It took effect.
    Applied,
    /// Nothing to do: kept for the record.
    Ignored,
    /// Verified, but stale or not parseable: no effect until somebody replays it (I3).
    Quarantined,
    /// The same event as an earlier row: no effect (I2).
    Duplicate,
}

impl Verdict {
    /// As it is stored.
    pub fn code(self) -> i16 {
        match self {
            Self::Applied => 1,
            Self::Ignored => 2,
            Self::Quarantined => 3,
            Self::Duplicate => 4,
        }
    }

    /// Reads what is stored.
    pub fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Applied),
            2 => Some(Self::Ignored),
            3 => Some(Self::Quarantined),
            4 => Some(Self::Duplicate),
            _ => None,
        }
    }
}

/// A verified callback on its way into the inbox.
#[derive(Debug, Clone)]
pub struct NewInboxRow {
    /// Its id; carries the lane of the openid.
    pub id: InboxId,
    /// The app that it was pushed to.
    pub app: i64,
    /// The event's CreateTime in milliseconds; 0 where it has none.
    pub event_at: Millis,
    /// Digest of the verified plaintext.
    pub digest: [u8; 16],
    /// When it came.
    pub received_at: Millis,
    /// What it is.
    pub kind: InboxKind,
    /// FromUserName.
    pub openid: String,
    /// The verified plaintext (empty for chats).
    pub body: String,
    /// Set where it waits for nothing.
    pub verdict: Option<Verdict>,
    /// Why that verdict.
    pub reason: Option<String>,
    /// Whether and how it is passed on to the team's other server.
    pub relay: Option<NewRelay>,
}

/// What became of an appended row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It has a row of its own.
    New,
    /// The same event came a moment ago, and this push was counted on it; or it came at any time and was passed on at
    /// once, and must not be again.
    Repeated,
}

const INSERT: &str = "
insert into inbox (id, lane, app, event_at, digest, received_at, kind, openid, pushes, verdict, reason, applied_at, body)";
const KEPT: &str = "select id from inbox where {inbox.id in $1}";
const AGAIN: &str = "
update inbox set pushes = pushes + b.again from [$1: id id, again int8] b where inbox.id = b.id{inbox.id}";
/// Rows that nobody will apply take their identity here; one that was there before makes the row a duplicate.
const IDENTIFY: &str = "
insert into identity (event_at, lane, digest, inbox)
select b.event_at, b.lane, b.digest, b.inbox from [$1: event_at int8, lane int2, digest bytes, inbox id] b where true
on conflict do nothing";
const DUPLICATES: &str = "
update inbox set verdict = $2 where id in (
    select b.id from [$1: event_at int8, lane int2, digest bytes, id id] b
    join identity i on i.event_at = b.event_at and i.lane = b.lane and i.digest = b.digest and i.inbox <> b.id){inbox}";

pub(crate) struct Append;

impl Batch for Append {
    type Item = NewInboxRow;
    type Outcome = Appended;
    const OWNED: bool = false;

    fn lane(item: &NewInboxRow) -> u16 {
        item.id.lane().0
    }

    /// What waits to be applied is only inserted; how often a push came again is a help to whoever looks.
    fn is_one_statement(items: &[NewInboxRow]) -> bool {
        items.iter().all(|item| item.verdict.is_none() && item.relay.is_none())
    }

    async fn run(db: &mut Db, items: &[NewInboxRow], context: &Context) -> Result<Vec<Appended>, StoreError> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut fresh: Vec<&NewInboxRow> = Vec::with_capacity(items.len());
        let mut again: BTreeMap<InboxId, i64> = BTreeMap::new();
        for item in items {
            // What was set aside must not swallow the same event when it comes in time.
            let aside = item.verdict == Some(Verdict::Quarantined);
            let first = context.recent.claim((item.id.lane(), item.event_at, item.digest, aside), item.id);
            if first == item.id {
                fresh.push(item);
                outcomes.push(Appended::New);
            } else {
                *again.entry(first).or_default() += 1;
                outcomes.push(Appended::Repeated);
            }
        }
        fresh.sort_unstable_by_key(|item| item.id);
        for part in fresh.chunks(values::MOST) {
            insert(db, part).await?;
        }
        identify(db, &fresh).await?;
        count(db, &fresh).await?;
        if fresh.iter().any(|item| item.relay.is_some()) {
            let relayed: Vec<&NewInboxRow> =
                fresh.iter().filter(|item| item.relay.is_some()).copied().collect();
            let before = relay::queue(db, &relayed).await?;
            for (item, outcome) in items.iter().zip(&mut outcomes) {
                if item.relay == Some(NewRelay::AtOnce) && before.contains(&item.id) {
                    *outcome = Appended::Repeated;
                }
            }
        }
        if !again.is_empty() {
            let rows: Vec<_> = again.into_iter().map(|(id, count)| (hex(id.0), count)).collect();
            db::query(AGAIN).bind(json(&rows)?).execute(db).await?;
        }
        Ok(outcomes)
    }

    /// A row that is there was kept; that it is not passed on twice is known from its own table.
    async fn run_again(
        db: &mut Db,
        items: &[NewInboxRow],
        context: &Context,
    ) -> Result<Vec<Appended>, StoreError> {
        super::run_missing::<Self>(db, items, context, (KEPT, |row| row.id.0), Appended::New).await
    }
}

async fn insert(db: &mut Db, rows: &[&NewInboxRow]) -> Result<(), StoreError> {
    let query = values::insert(db.engine(), INSERT, rows, "", |query, row| {
        query
            .bind(row.id.0.as_bytes().as_slice())
            .bind(row.id.lane().0)
            .bind(row.app)
            .bind(row.event_at)
            .bind(row.digest.as_slice())
            .bind(row.received_at)
            .bind(row.kind.as_str())
            .bind(row.openid.as_str())
            .bind(1i64)
            .bind(row.verdict.map(Verdict::code))
            .bind(row.reason.as_deref())
            .bind(row.verdict.map(|_| row.received_at))
            .bind(row.body.as_str())
    });
    query.execute(db).await?;
    Ok(())
}

/// Counts those that nobody will apply; the others are counted when they are.
async fn count(db: &mut Db, rows: &[&NewInboxRow]) -> Result<(), StoreError> {
    let mut happened = Happened::default();
    for row in rows {
        if let Some(verdict) = row.verdict {
            happened.callback(row.app, verdict, row.received_at);
        }
    }
    let at = rows.iter().map(|row| row.received_at).max().unwrap_or(0);
    happened.write(db, at).await
}

async fn identify(db: &mut Db, rows: &[&NewInboxRow]) -> Result<(), StoreError> {
    let rows: Vec<_> = rows
        .iter()
        .filter(|row| row.verdict == Some(Verdict::Ignored))
        .map(|row| (row.event_at, row.id.lane().0, hex::encode(row.digest), hex(row.id.0)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let batch = json(&rows)?;
    let done = db::query(IDENTIFY).bind(&batch).execute(&mut *db).await?;
    if done.rows_affected() < rows.len() as u64 {
        db::query(DUPLICATES).bind(&batch).bind(Verdict::Duplicate.code()).execute(db).await?;
    }
    Ok(())
}
