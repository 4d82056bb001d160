//! Outcomes. The attempt (message, number, epoch) must still be in flight and the lane still this owner's; then the
//! attempt lands, the state, the account and its entries are written, all in one fenced statement.

use std::collections::HashSet;

use domain::ledger::Change;
use domain::message::{OutcomeKind, Position, Receipt, State, transition};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::accounts::{self, write_accounts};
use super::client::Inner;
use super::fence::{Fence, fence};
use super::{PgHot, bytes, column};
use crate::error::StoreError;
use crate::hot::accounts::{Book, Key};
use crate::hot::json;
use crate::hot::settle::{Settled, Settlement, Writes, event};

pub(super) const READ: &str = "
select b.at, s.state, s.outcome, s.receipt, s.cancel_requested, s.linked,
    u.status, u.status_at, u.balance, u.known, u.last_grant_at, u.refused_at, u.found_open, u.last_entry, u.last_sent
from unnest($1::integer[], $2::smallint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
    b (at, lane, id, attempt, epoch, template, openid)
join in_flight f on f.lane = b.lane and f.id = b.id and f.attempt = b.attempt and f.epoch = b.epoch
join message_state s on s.lane = b.lane and s.id = b.id
left join subscription u on u.lane = b.lane and u.template = b.template and u.openid = b.openid";

/// Attempts that are kept and messages that go back into their queue are rare: they travel as JSON.
pub(super) const SETTLE: &str = concat!(
    fence!(),
    write_accounts!(),
    ", landed as (
    delete from in_flight f using unnest($28::smallint[], $29::bytea[]) b (lane, id)
    where f.lane = b.lane and f.id = b.id and b.lane = any (array(select id from g))
), released as (
    delete from reserved r using unnest($30::smallint[], $31::bigint[], $32::text[], $33::bytea[]) b (lane, template, openid, id)
    where r.lane = b.lane and r.template = b.template and r.openid = b.openid and r.id = b.id
        and b.lane = any (array(select id from g))
), kept as (
    insert into attempt (lane, message, number, at, errcode, errmsg, ambiguous)
    select (v->>0)::smallint, decode(v->>1, 'hex'), (v->>2)::bigint, (v->>3)::bigint, (v->>4)::bigint, v->>5, (v->>6)::boolean
    from json_array_elements($34::json) v where (v->>0)::smallint = any (array(select id from g))
    on conflict do nothing
), requeued as (
    insert into ready (lane, queue, due_at, id, expire_at)
    select (v->>0)::smallint, (v->>1)::bigint, (v->>2)::bigint, decode(v->>3, 'hex'), (v->>4)::bigint
    from json_array_elements($35::json) v where (v->>0)::smallint = any (array(select id from g))
)
update message_state s set state = b.state, outcome = b.outcome, errcode = b.errcode, errmsg = b.errmsg,
    msgid = coalesce(b.msgid, s.msgid), linked = s.linked or b.linked, attempts = b.attempts,
    due_at = coalesce(b.due_at, s.due_at), previous_sent = coalesce(b.previous_sent, s.previous_sent)
from unnest($28::smallint[], $29::bytea[], $36::smallint[], $37::smallint[], $38::bigint[], $39::text[], $40::bigint[],
    $41::boolean[], $42::bigint[], $43::bigint[], $44::bytea[])
    b (lane, id, state, outcome, errcode, errmsg, msgid, linked, attempts, due_at, previous_sent)
where s.lane = b.lane and s.id = b.id and b.lane = any (array(select id from g))
returning s.id"
);

/// A settlement whose attempt is in flight.
struct Landing<'a> {
    item: &'a Settlement,
    key: Key,
    position: Position,
    linked: bool,
}

impl PgHot {
    /// Keeps the outcomes of attempts; tells which of them counted.
    ///
    /// # Errors
    /// Where the database is away: then they must be kept and given again.
    pub async fn settle(&self, outcomes: Vec<Settlement>) -> Result<Vec<bool>, StoreError> {
        self.detached(|inner| async move {
            let mut fence = Fence::default();
            for item in &outcomes {
                // What an earlier owner left is settled by whoever owns the lane now.
                let lost = item.result == Settled::OwnerLost;
                fence.add(item.lane, (!lost).then_some(item.epoch));
            }
            let valid: Vec<&Settlement> = outcomes
                .iter()
                .filter(|item| item.result == Settled::OwnerLost || fence.allows(item.lane, item.epoch))
                .collect();
            let _held = inner.hold(&fence).await;
            let mut db = inner.acquire().await?;
            let (mut landing, mut book) = read(&inner, &mut db, &valid).await?;
            // In the order in which they were handed in.
            let mut seen = HashSet::new();
            landing.retain(|landing| seen.insert(landing.item.id));
            let counted = if landing.is_empty() {
                HashSet::new()
            } else {
                write(&inner, &mut db, &fence, &landing, &mut book).await?
            };
            let mut left = counted;
            Ok(outcomes.iter().map(|item| left.remove(item.id.0.as_bytes().as_slice())).collect())
        })
        .await
    }
}

async fn read<'a>(
    inner: &Inner,
    db: &mut PgConnection,
    items: &[&'a Settlement],
) -> Result<(Vec<Landing<'a>>, Book), StoreError> {
    let rows = sqlx::query(READ)
        .bind((0..).take(items.len()).collect::<Vec<i32>>())
        .bind(column!(items, |item| super::lane(item.lane.0)))
        .bind(column!(items, |item| item.id.0.as_bytes().as_slice()))
        .bind(column!(items, |item| item.attempt))
        .bind(column!(items, |item| item.epoch))
        .bind(column!(items, |item| item.template))
        .bind(column!(items, |item| item.openid.as_str()))
        .fetch_all(db)
        .await?;
    let mut book = Book::default();
    let mut landing: Vec<(usize, Landing<'a>)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let at = usize::try_from(row.try_get::<i32, _>(0)?).unwrap_or(usize::MAX);
        let Some(&item) = items.get(at) else { continue };
        let key = Key { lane: item.lane.0, template: item.template, openid: item.openid.clone() };
        book.insert(key.clone(), inner.templates.kind(item.template), accounts::stored(row, 6)?);
        landing.push((at, Landing { item, key, position: position(row)?, linked: row.try_get(5)? }));
    }
    landing.sort_unstable_by_key(|(at, _)| *at);
    Ok((landing.into_iter().map(|(_, landing)| landing).collect(), book))
}

fn position(row: &PgRow) -> Result<Position, StoreError> {
    let corrupt = |_| StoreError::Corrupt("message_state");
    let outcome = row.try_get::<Option<i16>, _>(2)?.map(OutcomeKind::try_from);
    Ok(Position {
        state: State::try_from(row.try_get::<i16, _>(1)?).map_err(corrupt)?,
        outcome: outcome.transpose().map_err(corrupt)?,
        receipt: row.try_get::<Option<i16>, _>(3)?.map(Receipt::try_from).transpose().map_err(corrupt)?,
        cancel_requested: row.try_get(4)?,
    })
}

/// Decides what each outcome changes, as the transition table and the ledger's rules have it.
async fn decide<'a>(
    db: &mut PgConnection,
    landing: &[Landing<'a>],
    book: &mut Book,
) -> Result<Writes<'a>, StoreError> {
    let mut writes = Writes::default();
    for Landing { item, key, position: before, linked } in landing {
        let after = transition(before, &event(item)).unwrap_or_else(|refusal| {
            tracing::error!(message = %item.id, %refusal, "an outcome does not fit the message's state");
            *before
        });
        let mut link = None;
        if let Some(outcome) = after.outcome.filter(|outcome| before.outcome != Some(*outcome)) {
            let change = match outcome {
                // A receipt that came first has taken the grant already.
                OutcomeKind::Accepted if before.receipt.is_none() => {
                    Some(Change::Accepted { attempt_at: item.attempt_at })
                }
                OutcomeKind::Refused => Some(Change::Refused43101 { attempt_at: item.attempt_at }),
                OutcomeKind::Accepted | OutcomeKind::Failed | OutcomeKind::Unknown => None,
            };
            if let Some(change) = change {
                accounts::apply(book, db, key, change, item.at, item.id.0).await?;
            }
            if matches!(outcome, OutcomeKind::Accepted | OutcomeKind::Unknown) && !linked {
                link = Some(book.link_sent(key, item.id.0));
            }
        }
        writes.add(item, after, link);
    }
    Ok(writes)
}

async fn write(
    inner: &Inner,
    db: &mut PgConnection,
    fence: &Fence,
    landing: &[Landing<'_>],
    book: &mut Book,
) -> Result<HashSet<Vec<u8>>, StoreError> {
    let Writes { mut states, attempts, mut released, requeued } = decide(db, landing, book).await?;
    let now = landing.iter().map(|landing| landing.item.at).max().unwrap_or(0);
    released.sort_unstable();
    // An id carries its lane.
    let lane_of = |id: &str| u16::from_str_radix(id.get(13..16).unwrap_or_default(), 16).unwrap_or(0);
    states.sort_unstable_by(|a, b| (lane_of(&a.0), &a.0).cmp(&(lane_of(&b.0), &b.0)));
    let ids = states.iter().map(|row| bytes(&row.0)).collect::<Result<Vec<_>, _>>()?;
    let released_ids = released.iter().map(|row| bytes(&row.3)).collect::<Result<Vec<_>, _>>()?;
    let previous =
        states.iter().map(|row| row.9.as_deref().map(bytes).transpose()).collect::<Result<Vec<_>, _>>()?;
    let query = fence.bind(sqlx::query(SETTLE), &inner.owner);
    accounts::bind(query, book, &inner.ids, now)?
        .bind(column!(states, |row| super::lane(lane_of(&row.0))))
        .bind(ids)
        .bind(column!(released, |row| super::lane(row.0)))
        .bind(column!(released, |row| row.1))
        .bind(column!(released, |row| row.2))
        .bind(released_ids)
        .bind(json(&attempts)?)
        .bind(json(&requeued)?)
        .bind(column!(states, |row| row.1))
        .bind(column!(states, |row| row.2))
        .bind(column!(states, |row| row.3))
        .bind(column!(states, |row| row.4))
        .bind(column!(states, |row| row.5))
        .bind(column!(states, |row| row.6))
        .bind(column!(states, |row| row.7))
        .bind(column!(states, |row| row.8))
        .bind(previous)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok(row.try_get(0)?))
        .collect()
}
