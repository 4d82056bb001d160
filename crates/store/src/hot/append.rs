//! Appending to the inbox: the one write that stands between a callback and its `success`. A re-pushed event
//! finds its row and only counts up (I2).

use std::collections::HashMap;

use domain::{InboxId, Lane, Millis};

use sqlx::{Row, SqliteConnection};

use super::{hex, json};
use crate::error::StoreError;
use crate::sqlite::batch::Batch;
use crate::sqlite::writer::Context;

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
}

impl Verdict {
    /// As it is stored.
    pub fn code(self) -> i16 {
        match self {
            Self::Applied => 1,
            Self::Ignored => 2,
            Self::Quarantined => 3,
        }
    }

    /// Reads what is stored.
    pub fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Applied),
            2 => Some(Self::Ignored),
            3 => Some(Self::Quarantined),
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
}

/// What became of an appended row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is new.
    New,
    /// The same event stands already; this push was counted on it.
    Repeated,
}

pub(crate) const STATEMENT: &str = "
insert into inbox (id, lane, app, event_at, digest, received_at, kind, openid, pushes, verdict, reason, applied_at, body)
select unhex(v->>0), v->>1, v->>2, v->>3, unhex(v->>4), v->>5, v->>6, v->>7, v->>8, v->>9, v->>10, v->>11, v->>12
from (select value v from json_each($1)) where true
on conflict (event_at, lane, digest) do update set pushes = inbox.pushes + excluded.pushes
returning id, pushes";

/// The columns of a row, as they stand in the batch.
pub(crate) type Columns<'r> = (
    String,
    u16,
    i64,
    i64,
    String,
    i64,
    &'static str,
    &'r str,
    i64,
    Option<i16>,
    Option<&'r str>,
    Option<i64>,
    &'r str,
);

/// Rows of one batch that are the same event are folded into one that counts them.
pub(crate) fn fold(items: &[NewInboxRow]) -> Vec<Columns<'_>> {
    let mut seen: HashMap<(Lane, Millis, [u8; 16]), usize> = HashMap::with_capacity(items.len());
    let mut rows: Vec<Columns<'_>> = Vec::with_capacity(items.len());
    for item in items {
        let lane = item.id.lane();
        let at = *seen.entry((lane, item.event_at, item.digest)).or_insert_with(|| {
            rows.push((
                hex(item.id.0),
                lane.0,
                item.app,
                item.event_at,
                hex::encode(item.digest),
                item.received_at,
                item.kind.as_str(),
                &item.openid,
                0,
                item.verdict.map(Verdict::code),
                item.reason.as_deref(),
                item.verdict.map(|_| item.received_at),
                &item.body,
            ));
            rows.len() - 1
        });
        rows[at].8 += 1;
    }
    rows
}

/// Who is new: a row whose own id came back from the database, and only its first caller.
pub(crate) fn verdicts(items: &[NewInboxRow], written: &std::collections::HashSet<Vec<u8>>) -> Vec<Appended> {
    items
        .iter()
        .map(|item| {
            if written.contains(item.id.0.as_bytes().as_slice()) { Appended::New } else { Appended::Repeated }
        })
        .collect()
}

pub(crate) struct Append;

impl Batch for Append {
    type Item = NewInboxRow;
    type Outcome = Appended;

    async fn run(
        db: &mut SqliteConnection,
        items: &[NewInboxRow],
        _context: &Context,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut rows = fold(items);
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let written = sqlx::query(STATEMENT)
            .bind(json(&rows)?)
            .fetch_all(db)
            .await?
            .into_iter()
            .map(|row| row.try_get::<Vec<u8>, _>(0))
            .collect::<Result<_, _>>()?;
        Ok(verdicts(items, &written))
    }
}
