//! The accounts of a batch on PostgreSQL: reading them into a [`Book`], and the part of a fenced statement that
//! writes them back.

use domain::ledger::{Change, Entry, EntryKind, Reason, Status, Subscription, TemplateKind};
use domain::{LedgerIds, Millis};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use super::column;
use crate::error::StoreError;
use crate::hot::accounts::{Book, EntryColumns, Key, SubscriptionColumns};
use crate::hot::uuid;

pub(super) const LOAD: &str = "
select b.at, s.status, s.status_at, s.balance, s.known, s.last_grant_at, s.refused_at, s.found_open, s.last_entry, s.last_sent
from unnest($1::integer[], $2::smallint[], $3::bigint[], $4::text[]) b (at, lane, template, openid)
join subscription s on s.lane = b.lane and s.template = b.template and s.openid = b.openid";

pub(super) const CHAIN: &str = "
with recursive chain (id, kind, reason, delta, balance, act_at, written_at, reference, previous) as (
    select id, kind, reason, delta, balance, act_at, written_at, reference, previous
    from ledger where lane = $1::smallint and id = $2::bigint
    union all
    select l.id, l.kind, l.reason, l.delta, l.balance, l.act_at, l.written_at, l.reference, l.previous
    from chain c join ledger l on l.lane = $1::smallint and l.id = c.previous
)
select kind, reason, delta, balance, act_at, written_at, reference from chain order by id";

/// Follows [`fence!`](super::fence::fence); takes `$4` to `$27`.
macro_rules! write_accounts {
    () => {
        ", entries as (
    insert into ledger (id, lane, template, openid, kind, reason, delta, balance, act_at, written_at, reference, previous)
    select * from unnest($4::bigint[], $5::smallint[], $6::bigint[], $7::text[], $8::smallint[], $9::smallint[],
        $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bytea[], $15::bigint[])
        e (id, lane, template, openid, kind, reason, delta, balance, act_at, written_at, reference, previous)
    where e.lane = any (array(select id from g))
), accounts as (
    insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at,
        found_open, last_entry, last_sent)
    select * from unnest($16::smallint[], $17::bigint[], $18::text[], $19::smallint[], $20::bigint[], $21::bigint[],
        $22::boolean[], $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bytea[])
        a (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open, last_entry, last_sent)
    where a.lane = any (array(select id from g))
    on conflict (lane, template, openid) do update set status = excluded.status, status_at = excluded.status_at,
        balance = excluded.balance, known = excluded.known, last_grant_at = excluded.last_grant_at,
        refused_at = excluded.refused_at, found_open = excluded.found_open, last_entry = excluded.last_entry,
        last_sent = excluded.last_sent
)"
    };
}
pub(super) use write_accounts;

/// Reads the accounts of `keys`; those without a row begin empty.
pub(super) async fn load(
    db: &mut PgConnection,
    mut keys: Vec<(Key, TemplateKind)>,
) -> Result<Book, StoreError> {
    keys.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    keys.dedup_by(|a, b| a.0 == b.0);
    let mut book = Book::default();
    if keys.is_empty() {
        return Ok(book);
    }
    let rows = sqlx::query(LOAD)
        .bind((0..).take(keys.len()).collect::<Vec<i32>>())
        .bind(column!(keys, |(key, _)| super::lane(key.lane)))
        .bind(column!(keys, |(key, _)| key.template))
        .bind(column!(keys, |(key, _)| key.openid.as_str()))
        .fetch_all(db)
        .await?;
    let mut found: Vec<_> = keys.iter().map(|_| None).collect();
    for row in rows {
        let at = usize::try_from(row.try_get::<i32, _>(0)?).unwrap_or(usize::MAX);
        if let Some(slot) = found.get_mut(at) {
            *slot = stored(&row, 1)?;
        }
    }
    for ((key, kind), found) in keys.into_iter().zip(found) {
        book.insert(key, kind, found);
    }
    Ok(book)
}

/// A stored subscription, its newest ledger entry and the newest message that was sent under it.
pub(super) type Stored = (Subscription, Option<i64>, Option<Uuid>);

/// Reads the columns of a subscription from `status` to `last_sent`; `None` where a left join found none.
pub(super) fn stored(row: &PgRow, from: usize) -> Result<Option<Stored>, StoreError> {
    let Some(status) = row.try_get::<Option<i16>, _>(from)? else { return Ok(None) };
    let subscription = Subscription {
        status: Status::try_from(status).map_err(|_| StoreError::Corrupt("subscription.status"))?,
        status_at: row.try_get(from + 1)?,
        balance: row.try_get(from + 2)?,
        known: row.try_get(from + 3)?,
        last_grant_at: row.try_get(from + 4)?,
        refused_at: row.try_get(from + 5)?,
        found_open: i32::try_from(row.try_get::<i64, _>(from + 6)?)
            .map_err(|_| StoreError::Corrupt("subscription.found_open"))?,
    };
    let last_sent = row.try_get::<Option<&[u8]>, _>(from + 8)?.map(uuid).transpose()?;
    Ok(Some((subscription, row.try_get(from + 7)?, last_sent)))
}

/// Applies one act; reads the account's past first where the rule needs it.
pub(super) async fn apply(
    book: &mut Book,
    db: &mut PgConnection,
    key: &Key,
    change: Change,
    written_at: Millis,
    reference: Uuid,
) -> Result<(), StoreError> {
    if let Some(newest) = book.needs_past(key, &change) {
        let past = sqlx::query(CHAIN).bind(super::lane(key.lane)).bind(newest).fetch_all(db).await?;
        book.load_past(key, past.iter().map(entry).collect::<Result<_, _>>()?);
    }
    let done = book.apply_without_past(key, change, written_at, Some(reference));
    if done { Ok(()) } else { Err(StoreError::Corrupt("ledger")) }
}

fn entry(row: &PgRow) -> Result<Entry, StoreError> {
    let corrupt = |_| StoreError::Corrupt("ledger");
    Ok(Entry {
        kind: EntryKind::try_from(row.try_get::<i16, _>(0)?).map_err(corrupt)?,
        reason: Reason::try_from(row.try_get::<i16, _>(1)?).map_err(corrupt)?,
        delta: row.try_get(2)?,
        balance: row.try_get(3)?,
        act_at: row.try_get(4)?,
        written_at: row.try_get(5)?,
        reference: row.try_get::<Option<&[u8]>, _>(6)?.map(uuid).transpose()?,
    })
}

/// Binds the parameters of [`write_accounts!`].
pub(super) fn bind<'q>(
    query: Query<'q, Postgres, PgArguments>,
    book: &mut Book,
    ids: &LedgerIds,
    now: Millis,
) -> Result<Query<'q, Postgres, PgArguments>, StoreError> {
    let (entries, accounts) = book.rows(ids, now);
    bind_accounts(bind_entries(query, &entries)?, &accounts)
}

fn bind_entries<'q>(
    query: Query<'q, Postgres, PgArguments>,
    entries: &[EntryColumns<'_>],
) -> Result<Query<'q, Postgres, PgArguments>, StoreError> {
    let references = column!(entries, |e| e.10.map(|id| id.as_bytes().to_vec()));
    Ok(query
        .bind(column!(entries, |e| e.0))
        .bind(column!(entries, |e| super::lane(e.1)))
        .bind(column!(entries, |e| e.2))
        .bind(column!(entries, |e| e.3))
        .bind(column!(entries, |e| e.4))
        .bind(column!(entries, |e| e.5))
        .bind(column!(entries, |e| e.6))
        .bind(column!(entries, |e| e.7))
        .bind(column!(entries, |e| e.8))
        .bind(column!(entries, |e| e.9))
        .bind(references)
        .bind(column!(entries, |e| e.12)))
}

fn bind_accounts<'q>(
    query: Query<'q, Postgres, PgArguments>,
    accounts: &[SubscriptionColumns<'_>],
) -> Result<Query<'q, Postgres, PgArguments>, StoreError> {
    let last_sent = column!(accounts, |a| a.11.map(|id| id.as_bytes().to_vec()));
    Ok(query
        .bind(column!(accounts, |a| super::lane(a.0)))
        .bind(column!(accounts, |a| a.1))
        .bind(column!(accounts, |a| a.2))
        .bind(column!(accounts, |a| a.3))
        .bind(column!(accounts, |a| a.4))
        .bind(column!(accounts, |a| a.5))
        .bind(column!(accounts, |a| a.6))
        .bind(column!(accounts, |a| a.7))
        .bind(column!(accounts, |a| a.8))
        .bind(column!(accounts, |a| i64::from(a.9)))
        .bind(column!(accounts, |a| a.10))
        .bind(last_sent))
}
