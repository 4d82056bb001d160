//! Which message a receipt belongs to (architecture: Receipts). Messages of one subscriber and template that
//! may have reached WeChat are a chain, newest first (`subscription.last_sent`, `message_state.previous_sent`),
//! so the search touches only rows of that one person and needs no index over msgids.

use domain::message::{OutcomeKind, Position, Receipt, State};
use domain::{MessageId, Millis};
use uuid::Uuid;

use super::accounts::Key;
use super::{hex, json, uuid};
use crate::db::{self, Db, Row};
use crate::error::StoreError;

/// A message of the chain.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) id: MessageId,
    pub(crate) position: Position,
    pub(crate) msgid: Option<i64>,
    pub(crate) attempt_at: Millis,
    /// The campaign that sent it.
    pub(crate) campaign: Option<i64>,
}

/// How far back a receipt without a match is searched.
const DEPTH: i64 = 200;

const CHAIN: &str = "
with recursive chain (place, depth, id, state, outcome, receipt, cancel_requested, msgid, attempt_at, campaign, previous) as (
    select b.place, 1, s.id, s.state, s.outcome, s.receipt, s.cancel_requested, s.msgid, s.attempt_at, s.campaign, s.previous_sent
    from [$1: place int8, id id] b join message_state s on s.id = b.id{s.id}
    union all
    select c.place, c.depth + 1, s.id, s.state, s.outcome, s.receipt, s.cancel_requested, s.msgid, s.attempt_at, s.campaign, s.previous_sent
    from chain c join message_state s on s.id = c.previous{s} where c.depth < $2
)
select place, id, state, outcome, receipt, cancel_requested, msgid, attempt_at, campaign from chain order by place, depth";

const IN_FLIGHT: &str = "
select b.lane, b.template, b.openid from [$1: lane int2, template int8, openid text] b
where exists (select 1 from reserved r join in_flight f on f.lane = r.lane and f.id = r.id{f}
    where r.lane = b.lane and r.template = b.template and r.openid = b.openid{r})";

/// The chains that begin at `heads`, newest first; `deep` beyond the head itself.
pub(crate) async fn chains(
    db: &mut Db,
    heads: &[Option<Uuid>],
    deep: bool,
) -> Result<Vec<Vec<Sent>>, StoreError> {
    let rows: Vec<_> =
        heads.iter().enumerate().filter_map(|(at, head)| head.map(|head| (at, hex(head)))).collect();
    let mut found = vec![Vec::new(); heads.len()];
    if rows.is_empty() {
        return Ok(found);
    }
    let depth = if deep { DEPTH } else { 1 };
    for row in db::query(CHAIN).bind(json(&rows)?).bind(depth).fetch_all(db).await? {
        let at = usize::try_from(row.try_get::<i64>(0)?).map_err(|_| StoreError::Corrupt("a batch"))?;
        if let Some(chain) = found.get_mut(at) {
            chain.push(Sent {
                id: MessageId(uuid(&row.try_get::<Vec<u8>>(1)?)?),
                position: position(&row, 2)?,
                msgid: row.try_get(6)?,
                attempt_at: row.try_get::<Option<i64>>(7)?.unwrap_or(0),
                campaign: row.try_get(8)?,
            });
        }
    }
    Ok(found)
}

/// Those of `keys` that have a message in flight: a receipt that matches nothing yet may be its, so it waits
/// for the answer.
pub(crate) async fn in_flight(db: &mut Db, keys: &[&Key]) -> Result<Vec<Key>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    db::query(IN_FLIGHT)
        .bind(json(&keys.iter().map(|key| (key.lane, key.template, &key.openid)).collect::<Vec<_>>())?)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok(Key { lane: row.try_get(0)?, template: row.try_get(1)?, openid: row.try_get(2)? }))
        .collect()
}

/// Reads a message's position from four columns in a row.
pub(crate) fn position(row: &Row, from: usize) -> Result<Position, StoreError> {
    let corrupt = |_| StoreError::Corrupt("message_state");
    Ok(Position {
        state: State::try_from(row.try_get::<i16>(from)?).map_err(corrupt)?,
        outcome: row
            .try_get::<Option<i16>>(from + 1)?
            .map(OutcomeKind::try_from)
            .transpose()
            .map_err(corrupt)?,
        receipt: row.try_get::<Option<i16>>(from + 2)?.map(Receipt::try_from).transpose().map_err(corrupt)?,
        cancel_requested: row.try_get(from + 3)?,
    })
}

/// The message of a chain (newest first) that a receipt belongs to: the one with its msgid; else the oldest
/// accepted one that got no msgid and no receipt; else the oldest with an attempt of which nobody knows what became,
/// be it `unknown`, given up, or waiting for its next attempt.
pub(crate) fn owner(chain: &[Sent], msgid: Option<i64>) -> Option<usize> {
    if msgid.is_some()
        && let Some(at) = chain.iter().position(|sent| sent.msgid == msgid)
    {
        return Some(at);
    }
    // By the time of the attempt: one that was sent again keeps its place in the chain.
    let oldest = |fits: &dyn Fn(&Sent) -> bool| {
        let open =
            chain.iter().enumerate().rev().filter(|(_, sent)| sent.position.receipt.is_none() && fits(sent));
        open.min_by_key(|(_, sent)| sent.attempt_at).map(|(at, _)| at)
    };
    let nameless = |sent: &Sent| sent.msgid.is_none() || msgid.is_none();
    oldest(&|sent| sent.position.state == State::Accepted && nameless(sent))
        .or_else(|| oldest(&|sent| sent.position.is_ambiguous()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(state: State, msgid: Option<i64>) -> Sent {
        Sent {
            id: MessageId(Uuid::nil()),
            position: Position {
                state,
                outcome: match state {
                    State::Unknown | State::Queued | State::Failed => Some(OutcomeKind::Unknown),
                    _ => Some(OutcomeKind::Accepted),
                },
                receipt: (state == State::Delivered).then_some(Receipt::Delivered),
                cancel_requested: false,
            },
            msgid,
            attempt_at: 0,
            campaign: None,
        }
    }

    #[test]
    fn a_receipt_finds_its_message() {
        use State::{Accepted, Delivered, Unknown};
        let with_ids =
            [sent(Unknown, None), sent(Accepted, Some(2)), sent(Unknown, None), sent(Accepted, Some(1))];
        assert_eq!(owner(&with_ids, Some(1)), Some(3), "by its msgid");
        assert_eq!(owner(&with_ids, Some(9)), Some(2), "a stranger's msgid belongs to the oldest unknown");
        let without =
            [sent(Unknown, None), sent(Accepted, None), sent(Accepted, None), sent(Delivered, None)];
        assert_eq!(owner(&without, Some(9)), Some(2), "in send order");
        assert_eq!(owner(&[sent(Unknown, None), sent(Delivered, None)], Some(9)), Some(0), "the surplus");
        assert_eq!(owner(&[sent(Accepted, Some(1))], Some(9)), None, "another system's message");
        assert_eq!(owner(&[sent(State::Queued, None)], Some(9)), Some(0), "waits for its retry");
        assert_eq!(owner(&[sent(State::Failed, None)], Some(9)), Some(0), "given up");
        assert_eq!(owner(&[], Some(9)), None);
        let again = Sent { attempt_at: 20, ..sent(Accepted, None) };
        let between = Sent { attempt_at: 10, ..sent(Accepted, None) };
        assert_eq!(owner(&[between, again], Some(9)), Some(0), "sent before the resend of an older one");
    }
}
