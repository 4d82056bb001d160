//! Walking the tables for what is a person's. There is no index by person over the large tables (it would make every
//! event and every message dearer), so they are read from end to end, ten thousand rows at a time.

use std::collections::BTreeSet;

use domain::Millis;
use serde::Serialize;
use uuid::Uuid;

use super::{Erasure, rows};
use crate::Store;
use crate::db::{self, Db, Engine, Readers};
use crate::error::StoreError;
use crate::messages::first_id_of;

/// Rows that one reading looks at, and rows that one commit changes.
const PAGE: i64 = 10_000;
const COMMIT: usize = 256;

/// How much was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Balances and statuses, one per template.
    pub subscriptions: u64,
    /// Entries of the ledger.
    pub ledger_entries: u64,
    /// Messages: they stay, without recipient and fields.
    pub messages: u64,
    /// Callbacks: they stay, without openid and text.
    pub callbacks: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// Everything that was there is erased.
    Done(Erased),
    /// A message to the person is being sent: ask again soon.
    UnderWay,
    /// Somebody else owns the lane (I7).
    NotOurs,
}

/// A page: what is the person's in it, and where the next one begins. PostgreSQL reads a lane, by which its keys are led.
macro_rules! page {
    ($theirs:literal, $rows:literal) => {
        concat!(
            "select <<json_group_array(hex(id))|json_agg(encode(id, 'hex'))>> filter (where ",
            $theirs,
            ")<<|::text>>, <<max(id)|decode(max(encode(id, 'hex') collate \"C\"), 'hex')>>, count(*) from (",
            $rows,
            " order by id limit $5) page"
        )
    };
}

const MESSAGES: &str = page!(
    "app = $3 and openid = $4",
    "select id, app, openid from message where <<|lane = $7 and >>id > $1 and id < $2"
);
const CALLBACKS: &str = page!(
    "app = $3 and (openid = $4 or <<instr|strpos>>(body, $4) > 0)",
    "select id, app, openid, body from inbox where <<|lane = $7 and >>id > $1 and id < $2"
);
/// What came in after the person was erased and is about the time before: receipts of messages that are erased, events
/// that were pushed again.
const LATE_CALLBACKS: &str = page!(
    "app = $3 and (openid = $4 or <<instr|strpos>>(body, $4) > 0)
        and (verdict = 4 or event_at <= $6 or (kind = 'sent' and effects like '%\"message\":null%'))",
    "select id, app, openid, body, verdict, event_at, kind, effects from inbox
        where <<|lane = $7 and >>id > $1 and id < $2 and verdict is not null"
);

const UNAPPLIED: &str = "
select 1 from inbox where lane = $4 and verdict is null and id < $1 and app = $2 and openid = $3 limit 1";

impl Store {
    /// Erases a person: first what is still to be sent, then everything else.
    ///
    /// # Errors
    /// Where the database is away; it may be asked for again.
    pub async fn erase_person(&self, erasure: &Erasure, epoch: i64) -> Result<Walk, StoreError> {
        if self.has_unapplied(erasure).await? {
            return Ok(Walk::UnderWay);
        }
        match self.stop_sending(erasure, epoch, None).await? {
            Walk::Done(_) => {}
            other => return Ok(other),
        }
        let mut erased = Erased::default();
        // While the messages still say whose they are.
        if !self.forget_keys(erasure, epoch).await? {
            return Ok(Walk::NotOurs);
        }
        let until = first_id_of(erasure.asked_at + 1);
        for ids in self.walk(MESSAGES, erasure, &[erasure.lane().0], (Vec::new(), until)).await? {
            let fence = (erasure.lane().0, epoch);
            let done = self.in_commits(ids, fence, rows::messages).await?;
            let Some(done) = done else { return Ok(Walk::NotOurs) };
            if done.under_way {
                return Ok(Walk::UnderWay);
            }
            erased.messages += done.count;
        }
        let (app, person) = (erasure.app, erasure.person().to_owned());
        let (lane, fence) = (erasure.lane().0, (erasure.lane().0, epoch));
        let ledger = self
            .writer
            .cold(move |db, _| {
                Box::pin(async move {
                    if !rows::ours(db, fence).await? {
                        return Ok(None);
                    }
                    rows::accounts(db, app, lane, &person).await.map(Some)
                })
            })
            .await?;
        let Some((subscriptions, ledger_entries)) = ledger else { return Ok(Walk::NotOurs) };
        (erased.subscriptions, erased.ledger_entries) = (subscriptions, ledger_entries);
        // Nobody can tell in which files the person is; what campaigns were made of is a list, not a file.
        self.forget_uploads_of(erasure.app).await?;
        let until = first_id_of(erasure.asked_at + 1);
        for ids in self.walk(CALLBACKS, erasure, &self.all_lanes(), (Vec::new(), until)).await? {
            let done = self.in_commits(ids, (erasure.lane().0, epoch), rows::callbacks).await?;
            let Some(done) = done else { return Ok(Walk::NotOurs) };
            erased.callbacks += done.count;
        }
        Ok(Walk::Done(erased))
    }

    /// Erases what came in since a person was erased and tells of the time before.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn erase_latecomers(
        &self,
        erasure: &Erasure,
        epoch: i64,
        now: Millis,
    ) -> Result<Walk, StoreError> {
        let mut erased = Erased::default();
        let (after, until) = (first_id_of(erasure.asked_at), first_id_of(now + 1));
        for ids in self.walk(LATE_CALLBACKS, erasure, &self.all_lanes(), (after, until)).await? {
            let done = self.in_commits(ids, (erasure.lane().0, epoch), rows::callbacks).await?;
            let Some(done) = done else { return Ok(Walk::NotOurs) };
            erased.callbacks += done.count;
        }
        Ok(Walk::Done(erased))
    }

    /// Erases the values of a person's fields: those of some kinds, or all. Messages that wait with such a value are not
    /// sent any more.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn erase_values(
        &self,
        erasure: &Erasure,
        epoch: i64,
        kinds: Option<Vec<String>>,
    ) -> Result<Walk, StoreError> {
        match self.stop_sending(erasure, epoch, kinds.clone()).await? {
            Walk::Done(_) => {}
            other => return Ok(other),
        }
        let mut erased = Erased::default();
        let until = first_id_of(erasure.asked_at + 1);
        for ids in self.walk(MESSAGES, erasure, &[erasure.lane().0], (Vec::new(), until)).await? {
            for part in ids.chunks(COMMIT) {
                let (part, kinds) = (part.to_vec(), kinds.clone());
                let fence = (erasure.lane().0, epoch);
                let done = self
                    .writer
                    .cold(move |db, _| {
                        Box::pin(async move {
                            if !rows::ours(db, fence).await? {
                                return Ok(None);
                            }
                            rows::values(db, fence.0, &part, kinds.as_deref()).await.map(Some)
                        })
                    })
                    .await?;
                let Some(done) = done else { return Ok(Walk::NotOurs) };
                if done.under_way {
                    return Ok(Walk::UnderWay);
                }
                erased.messages += done.count;
            }
        }
        Ok(Walk::Done(erased))
    }

    /// Events of the time before that are still to be applied would bring the person back.
    async fn has_unapplied(&self, erasure: &Erasure) -> Result<bool, StoreError> {
        let found: Option<i64> = db::query_scalar(UNAPPLIED)
            .bind(first_id_of(erasure.asked_at + 1))
            .bind(erasure.app)
            .bind(erasure.person())
            .bind(erasure.lane().0)
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.is_some())
    }

    /// Nothing more is sent to the person: what waits is skipped, what is being sent is not tried again.
    async fn stop_sending(
        &self,
        erasure: &Erasure,
        epoch: i64,
        kinds: Option<Vec<String>>,
    ) -> Result<Walk, StoreError> {
        let (app, person) = (erasure.app, erasure.person().to_owned());
        let (lane, fence) = (erasure.lane().0, (erasure.lane().0, epoch));
        let values = erasure.what != crate::erasure::PERSON;
        let stopped = self
            .writer
            .cold(move |db, _| {
                Box::pin(async move {
                    if !rows::ours(db, fence).await? {
                        return Ok(None);
                    }
                    rows::stop(db, app, lane, &person, values.then_some(kinds.as_deref())).await.map(Some)
                })
            })
            .await?;
        self.hints.something_settled();
        Ok(match stopped {
            None => Walk::NotOurs,
            Some(true) => Walk::UnderWay,
            Some(false) => Walk::Done(Erased::default()),
        })
    }

    /// Idempotency keys may name the person, and only their messages tell whose they are.
    async fn forget_keys(&self, erasure: &Erasure, epoch: i64) -> Result<bool, StoreError> {
        let mut after = (-1i64, 0i64, String::new());
        loop {
            let page = rows::keys(&self.readers, erasure, &after, PAGE).await?;
            for part in page.found.chunks(COMMIT) {
                let (part, fence) = (part.to_vec(), (erasure.lane().0, epoch));
                let ours = self
                    .writer
                    .cold(move |db, _| {
                        Box::pin(async move {
                            let ours = rows::ours(db, fence).await?;
                            if ours {
                                rows::forget_keys(db, &part).await?;
                            }
                            Ok(ours)
                        })
                    })
                    .await?;
                if !ours {
                    return Ok(false);
                }
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(true),
            }
        }
    }

    /// The lanes that a walk goes through one after the other; SQLite's keys are not led by them, so that it is walked at once.
    fn all_lanes(&self) -> Vec<u16> {
        match self.readers.engine() {
            Engine::Sqlite => vec![0],
            Engine::Postgres => self.lanes().iter().map(|lane| lane.0).collect(),
        }
    }

    /// The person's rows of a table between two ids, page by page.
    async fn walk(
        &self,
        statement: &'static str,
        erasure: &Erasure,
        lanes: &[u16],
        (first, until): (Vec<u8>, Vec<u8>),
    ) -> Result<Vec<Vec<Uuid>>, StoreError> {
        let mut pages = Vec::new();
        for lane in lanes {
            let mut after = Some(first.clone());
            while let Some(from) = after {
                let (ids, last, count) =
                    page(&self.readers, statement, erasure, *lane, (&from, &until)).await?;
                if !ids.is_empty() {
                    pages.push(ids);
                }
                after = last.filter(|_| count == PAGE);
            }
        }
        Ok(pages)
    }

    async fn in_commits<F>(
        &self,
        ids: Vec<Uuid>,
        fence: (u16, i64),
        write: F,
    ) -> Result<Option<rows::Written>, StoreError>
    where
        F: for<'c> Fn(
                &'c mut Db,
                u16,
                Vec<Uuid>,
            ) -> futures::future::BoxFuture<'c, Result<rows::Written, StoreError>>
            + Copy
            + Send
            + 'static,
    {
        let mut all = rows::Written::default();
        for part in ids.chunks(COMMIT) {
            let part = part.to_vec();
            let written = self
                .writer
                .cold(move |db, _| {
                    Box::pin(async move {
                        if !rows::ours(db, fence).await? {
                            return Ok(None);
                        }
                        write(db, fence.0, part).await.map(Some)
                    })
                })
                .await?;
            let Some(written) = written else { return Ok(None) };
            all.count += written.count;
            all.under_way |= written.under_way;
        }
        Ok(Some(all))
    }
}

async fn page(
    readers: &Readers,
    statement: &'static str,
    erasure: &Erasure,
    lane: u16,
    (after, until): (&[u8], &[u8]),
) -> Result<(Vec<Uuid>, Option<Vec<u8>>, i64), StoreError> {
    let row = db::query(statement)
        .bind(after)
        .bind(until)
        .bind(erasure.app)
        .bind(erasure.person())
        .bind(PAGE)
        .bind(erasure.asked_at)
        .bind(lane)
        .fetch_one(readers)
        .await?;
    let ids: BTreeSet<Uuid> = match row.try_get::<Option<&str>>(0)? {
        Some(ids) => serde_json::from_str(ids).map_err(|_| StoreError::Corrupt("a batch"))?,
        None => BTreeSet::new(),
    };
    // The event that demanded it is blank already, and keeps its own effects.
    let own = erasure.id.0;
    Ok((ids.into_iter().filter(|id| *id != own).collect(), row.try_get(1)?, row.try_get(2)?))
}
