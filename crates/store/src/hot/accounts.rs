//! The accounts that a batch touches: read once, changed in memory by the rules of `domain::ledger`, written
//! back once. Ledger entries of one account are a chain (`subscription.last_entry`, `ledger.previous`), so that
//! a balance is explained without an index over the largest table.

use std::collections::BTreeMap;

use domain::ledger::{
    Account, Change, Entry, EntryKind, LedgerError, Reason, Status, Subscription, TemplateKind,
};
use domain::{LedgerIds, Millis};
use uuid::Uuid;

use super::{json, uuid, values};
use crate::db::{self, Db, Row};
use crate::error::StoreError;

/// Whose account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Key {
    /// The lane of the openid.
    pub lane: u16,
    /// The template's number.
    pub template: i64,
    /// Whose.
    pub openid: String,
}

pub(crate) struct Held {
    kind: TemplateKind,
    account: Account,
    last_entry: Option<i64>,
    pub(crate) last_sent: Option<Uuid>,
    touched: bool,
    /// For new entries by hand, by their place: note and author.
    remarks: BTreeMap<usize, (Option<String>, String)>,
}

/// The accounts of one batch.
#[derive(Default)]
pub(crate) struct Book(BTreeMap<Key, Held>);

/// One row that holds them all: handing over a thousand rows of twelve columns costs more than reading them.
pub(crate) const LOAD: &str = "
select <<json_group_array(json_array(s.lane, s.template, s.openid, s.status, s.status_at, s.balance, s.known,
    s.last_grant_at, s.refused_at, s.found_open, s.last_entry, hex(s.last_sent)))
|cast(coalesce(json_agg(json_build_array(s.lane, s.template, s.openid, s.status, s.status_at, s.balance, cast(s.known as int),
    s.last_grant_at, s.refused_at, s.found_open, s.last_entry, coalesce(encode(s.last_sent, 'hex'), ''))), '[]') as text)>>
from [$1: lane int2, template int8, openid text] b
join subscription s on s.lane = b.lane and s.template = b.template and s.openid = b.openid{s}";
type Loaded = (u16, i64, String, i16, i64, i64, i64, i64, i64, i64, Option<i64>, String);

pub(crate) const CHAIN: &str = "
with recursive chain (id, kind, reason, delta, balance, act_at, written_at, reference, note, previous, author) as (
    select id, kind, reason, delta, balance, act_at, written_at, reference, note, previous, author
    from ledger where id = $1{ledger}
    union all
    select l.id, l.kind, l.reason, l.delta, l.balance, l.act_at, l.written_at, l.reference, l.note, l.previous, l.author
    from chain c join ledger l on l.id = c.previous{l}
)
select * from chain order by id";

const WRITE_SUBSCRIPTIONS: &str = "
insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open, last_entry, last_sent, since)";
const OVER: &str = "
on conflict (lane, template, openid) do update set status = excluded.status, status_at = excluded.status_at,
    balance = excluded.balance, known = excluded.known, last_grant_at = excluded.last_grant_at,
    refused_at = excluded.refused_at, found_open = excluded.found_open, last_entry = excluded.last_entry,
    last_sent = excluded.last_sent";
const WRITE_ENTRIES: &str = "
insert into ledger (id, lane, template, openid, kind, reason, delta, balance, act_at, written_at, reference, note, previous, author)";

pub(crate) type SubscriptionColumns<'r> =
    (u16, i64, &'r str, i16, i64, i64, bool, i64, i64, i32, Option<i64>, Option<Uuid>);
pub(crate) type EntryColumns<'r> = (
    i64,
    u16,
    i64,
    &'r str,
    i16,
    i16,
    i64,
    i64,
    i64,
    i64,
    Option<Uuid>,
    Option<&'r str>,
    Option<i64>,
    Option<&'r str>,
);

impl Book {
    /// Reads the accounts of `keys`; those without a row begin empty.
    pub(crate) async fn load(
        db: &mut Db,
        keys: impl IntoIterator<Item = (Key, TemplateKind)>,
    ) -> Result<Self, StoreError> {
        let mut book = Self::default();
        for (key, kind) in keys {
            book.0.entry(key).or_insert_with(|| Held::empty(kind));
        }
        if book.0.is_empty() {
            return Ok(book);
        }
        let wanted: Vec<_> = book.0.keys().map(|key| (key.lane, key.template, &key.openid)).collect();
        let wanted = json(&wanted)?;
        let loaded: String = db::query_scalar(LOAD).bind(wanted).fetch_one(db).await?;
        let loaded: Vec<Loaded> =
            serde_json::from_str(&loaded).map_err(|_| StoreError::Corrupt("subscription"))?;
        for (lane, template, openid, status, status_at, balance, known, grant, refused, found, entry, sent) in
            loaded
        {
            let subscription = Subscription {
                status: Status::try_from(status).map_err(|_| StoreError::Corrupt("subscription.status"))?,
                status_at,
                balance,
                known: known != 0,
                last_grant_at: grant,
                refused_at: refused,
                found_open: i32::try_from(found)
                    .map_err(|_| StoreError::Corrupt("subscription.found_open"))?,
            };
            let sent = match sent.as_str() {
                "" => None,
                text => {
                    Some(Uuid::try_parse(text).map_err(|_| StoreError::Corrupt("subscription.last_sent"))?)
                }
            };
            if let Some(held) = book.0.get_mut(&Key { lane, template, openid }) {
                held.fill(subscription, entry, sent);
            }
        }
        Ok(book)
    }

    /// Applies one act; reads the account's past first where the rule needs it.
    pub(crate) async fn apply(
        &mut self,
        db: &mut Db,
        key: &Key,
        change: Change,
        written_at: Millis,
        reference: Option<Uuid>,
    ) -> Result<(), StoreError> {
        let Some(held) = self.0.get_mut(key) else { return Err(StoreError::Corrupt("subscription")) };
        if held.account.needs_past(&change) {
            let past = chain(db, held.last_entry).await?;
            held.account.load_past(past.into_iter().map(|stored| stored.entry).collect());
        }
        held.touched = true;
        held.account.apply(change, written_at, reference).map_err(|error: LedgerError| {
            tracing::error!(%error, "a ledger rule refused");
            StoreError::Corrupt("ledger")
        })
    }

    /// Applies an entry by hand; reads the account's past first where the rule needs it. The rule may refuse.
    pub(crate) async fn by_hand(
        &mut self,
        db: &mut Db,
        key: &Key,
        change: Change,
        written_at: Millis,
        (note, author, reference): (Option<&str>, &str, Option<Uuid>),
    ) -> Result<Result<(), LedgerError>, StoreError> {
        let Some(held) = self.0.get_mut(key) else { return Err(StoreError::Corrupt("subscription")) };
        if held.account.needs_past(&change) {
            let past = chain(db, held.last_entry).await?;
            held.account.load_past(past.into_iter().map(|stored| stored.entry).collect());
        }
        let before = held.account.new_entries().len();
        if let Err(refused) = held.account.apply(change, written_at, reference) {
            return Ok(Err(refused));
        }
        held.touched = true;
        for at in before..held.account.new_entries().len() {
            held.remarks.insert(at, (note.map(str::to_owned), author.to_owned()));
        }
        Ok(Ok(()))
    }

    /// All entries of an account, those included that are still to be written.
    pub(crate) async fn entries(&self, db: &mut Db, key: &Key) -> Result<Vec<Entry>, StoreError> {
        let Some(held) = self.0.get(key) else { return Ok(Vec::new()) };
        let past = chain(db, held.last_entry).await?;
        Ok(past
            .into_iter()
            .map(|stored| stored.entry)
            .chain(held.account.new_entries().iter().cloned())
            .collect())
    }

    /// The balance and number of new entries of an account.
    pub(crate) fn subscription(&self, key: &Key) -> Option<&Subscription> {
        self.0.get(key).map(|held| held.account.subscription())
    }

    /// The newest message that may have reached WeChat, for the chain of sent messages.
    pub(crate) fn last_sent(&self, key: &Key) -> Option<Uuid> {
        self.0.get(key).and_then(|held| held.last_sent)
    }

    /// Puts a message at the head of that chain; gives the one before.
    pub(crate) fn link_sent(&mut self, key: &Key, message: Uuid) -> Option<Uuid> {
        let held = self.0.get_mut(key)?;
        held.touched = true;
        held.last_sent.replace(message)
    }

    /// The rows to write: entries in time order, subscriptions in key order.
    pub(crate) fn rows(
        &mut self,
        ids: &LedgerIds,
        now: Millis,
    ) -> (Vec<EntryColumns<'_>>, Vec<SubscriptionColumns<'_>>) {
        let (mut entries, mut subscriptions) = (Vec::new(), Vec::new());
        for (key, held) in &mut self.0 {
            if !held.touched {
                continue;
            }
            // One that a person made by another node may be ahead of this one's numbers.
            ids.lift(held.last_entry.unwrap_or(0));
            for (at, entry) in held.account.new_entries().iter().enumerate() {
                let id = ids.next(now);
                let remark = held.remarks.get(&at);
                entries.push((
                    id,
                    key.lane,
                    key.template,
                    key.openid.as_str(),
                    entry.kind.code(),
                    entry.reason.code(),
                    entry.delta,
                    entry.balance,
                    entry.act_at,
                    entry.written_at,
                    entry.reference,
                    remark.and_then(|(note, _)| note.as_deref()),
                    held.last_entry,
                    remark.map(|(_, author)| author.as_str()),
                ));
                held.last_entry = Some(id);
            }
            let s = held.account.subscription();
            subscriptions.push((
                key.lane,
                key.template,
                key.openid.as_str(),
                s.status.code(),
                s.status_at,
                s.balance,
                s.known,
                s.last_grant_at,
                s.refused_at,
                s.found_open,
                held.last_entry,
                held.last_sent,
            ));
        }
        (entries, subscriptions)
    }

    /// Writes what changed.
    pub(crate) async fn write(
        &mut self,
        db: &mut Db,
        ids: &LedgerIds,
        now: Millis,
    ) -> Result<(), StoreError> {
        let (entries, subscriptions) = self.rows(ids, now);
        for kind in [EntryKind::Found, EntryKind::Zeroed] {
            // Where WeChat knew better: how far our arithmetic drifts (I8).
            let count = entries.iter().filter(|entry| entry.4 == kind.code()).count();
            if count > 0 {
                metrics::counter!("hongyan_ledger_corrections_total", "kind" => kind.as_str())
                    .increment(count as u64);
            }
        }
        for part in entries.chunks(values::MOST) {
            values::insert(db.engine(), WRITE_ENTRIES, part, "", |query, row| {
                query
                    .bind(row.0)
                    .bind(row.1)
                    .bind(row.2)
                    .bind(row.3)
                    .bind(row.4)
                    .bind(row.5)
                    .bind(row.6)
                    .bind(row.7)
                    .bind(row.8)
                    .bind(row.9)
                    .bind(row.10.as_ref().map(|id| id.as_bytes().as_slice()))
                    .bind(row.11)
                    .bind(row.12)
                    .bind(row.13)
            })
            .execute(&mut *db)
            .await?;
        }
        for part in subscriptions.chunks(values::MOST) {
            values::insert(db.engine(), WRITE_SUBSCRIPTIONS, part, OVER, |query, row| {
                query
                    .bind(row.0)
                    .bind(row.1)
                    .bind(row.2)
                    .bind(row.3)
                    .bind(row.4)
                    .bind(row.5)
                    .bind(row.6)
                    .bind(row.7)
                    .bind(row.8)
                    .bind(row.9)
                    .bind(row.10)
                    .bind(row.11.as_ref().map(|id| id.as_bytes().as_slice()))
                    .bind(now)
            })
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}

impl Held {
    fn empty(kind: TemplateKind) -> Self {
        Self {
            kind,
            account: Account::new(Subscription::default(), kind),
            last_entry: None,
            last_sent: None,
            touched: false,
            remarks: BTreeMap::new(),
        }
    }

    fn fill(&mut self, subscription: Subscription, last_entry: Option<i64>, last_sent: Option<Uuid>) {
        *self = Self {
            account: Account::new(subscription, self.kind),
            last_entry,
            last_sent,
            ..Self::empty(self.kind)
        };
    }
}

/// Reads the columns of a subscription from `status` on.
pub(crate) fn subscription(row: &Row, from: usize) -> Result<Subscription, StoreError> {
    Ok(Subscription {
        status: Status::try_from(row.try_get::<i16>(from)?)
            .map_err(|_| StoreError::Corrupt("subscription.status"))?,
        status_at: row.try_get(from + 1)?,
        balance: row.try_get(from + 2)?,
        known: row.try_get(from + 3)?,
        last_grant_at: row.try_get(from + 4)?,
        refused_at: row.try_get(from + 5)?,
        found_open: row.try_get(from + 6)?,
    })
}

/// A ledger entry as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// Its number; rises with time.
    pub id: i64,
    /// What it says.
    pub entry: Entry,
    /// A person's remark, where one made it.
    pub note: Option<String>,
    /// Who wrote it by hand.
    pub author: Option<String>,
}

/// The entries of one account, oldest first, by walking back from the newest.
pub(crate) async fn chain(db: &mut Db, newest: Option<i64>) -> Result<Vec<StoredEntry>, StoreError> {
    let Some(newest) = newest else { return Ok(Vec::new()) };
    db::query(CHAIN).bind(newest).fetch_all(db).await?.iter().map(stored_entry).collect()
}

pub(crate) fn stored_entry(row: &Row) -> Result<StoredEntry, StoreError> {
    let corrupt = |_| StoreError::Corrupt("ledger");
    Ok(StoredEntry {
        id: row.try_get(0)?,
        entry: Entry {
            kind: EntryKind::try_from(row.try_get::<i16>(1)?).map_err(corrupt)?,
            reason: Reason::try_from(row.try_get::<i16>(2)?).map_err(corrupt)?,
            delta: row.try_get(3)?,
            balance: row.try_get(4)?,
            act_at: row.try_get(5)?,
            written_at: row.try_get(6)?,
            reference: row.try_get::<Option<Vec<u8>>>(7)?.map(|bytes| uuid(&bytes)).transpose()?,
        },
        note: row.try_get(8)?,
        author: row.try_get("author")?,
    })
}
