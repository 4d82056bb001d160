//! Outcomes: what the send call answered, decided by whoever armed the attempt and by nobody else. The row in
//! `in_flight` (message, attempt, epoch) is the fence: where it is gone, the answer changes nothing here.

use std::collections::{HashMap, HashSet};

use domain::ledger::Change;
use domain::message::{Event, Outcome, OutcomeKind, Position, Receipt, State, transition};
use domain::{Lane, MessageId, Millis};
use uuid::Uuid;

use super::accounts::{Book, Key};
use super::enqueue::Queue;
use super::tally::Tally;
use super::{hex, json, receipts, unknown, uuid};
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::writing::Batch;
use crate::writing::Context;

/// What became of one attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The lane and the epoch under which the attempt was armed.
    pub lane: Lane,
    /// That epoch.
    pub epoch: i64,
    /// Which message.
    pub id: MessageId,
    /// Which attempt.
    pub attempt: i64,
    /// The template's number.
    pub template: i64,
    /// To whom.
    pub openid: String,
    /// When the attempt began.
    pub attempt_at: Millis,
    /// Now.
    pub at: Millis,
    /// What to do.
    pub result: Settled,
    /// WeChat's errcode, where it answered.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, or why there was no answer.
    pub errmsg: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// With an outcome.
    Outcome(Outcome),
    /// It is tried again.
    Again {
        /// Its queue.
        queue: Queue,
        /// Not before this.
        due_at: Millis,
        /// Not after this.
        expire_at: Millis,
        /// Whether this attempt may have been sent.
        ambiguous: bool,
    },
    /// The call was not started.
    GivenBack {
        /// Its queue.
        queue: Queue,
        /// As before.
        due_at: Millis,
        /// As before.
        expire_at: Millis,
    },
    /// The owner of the attempt is gone and nobody knows.
    OwnerLost,
    /// The attempt was settled as `unknown`, and now its answer is here after all. It resolves that attempt and nothing
    /// else: where the message has gone on, or is known by other evidence, it does not count.
    Late(Outcome),
}

/// How many of these attempts are in flight.
const FLYING: &str = "
select count(*) from [$1: lane int2, id id, attempt int8, epoch int8] b
join in_flight f on f.lane = b.lane and f.id = b.id and f.attempt = b.attempt and f.epoch = b.epoch{f}";
const LAND: &str = "
delete from in_flight where (lane, id, attempt, epoch) in
    (select b.lane, b.id, b.attempt, b.epoch from [$1: lane int2, id id, attempt int8, epoch int8] b){in_flight}";
const AND_TELL: &str = " returning id, attempt, epoch";
/// A late answer counts where its attempt is still the last one, and the person was not erased meanwhile.
const LATE: &str = "
select s.id, s.state, s.outcome, s.receipt, s.cancel_requested from [$1: lane int2, id id, attempt int8] b
join message_state s on s.id = b.id and s.attempts = b.attempt{s.id}
join message m on m.id = s.id and m.openid <> ''{m.id}
where not exists (select 1 from in_flight f where f.lane = b.lane and f.id = s.id{f})";
const POSITIONS: &str = "
select <<json_group_array(json_array(hex(s.id), s.state, s.outcome, s.receipt, s.cancel_requested, s.linked, s.campaign))
|cast(coalesce(json_agg(json_build_array(encode(s.id, 'hex'), s.state, s.outcome, s.receipt,
    cast(s.cancel_requested as int), cast(s.linked as int), s.campaign)), '[]') as text)>>
from [$1 each: id id] b join message_state s on s.id = b.id{s.id}";
type PositionRow = (String, i16, Option<i16>, Option<i16>, i64, i64, Option<i64>);
const WRITE: &str = "
update message_state as s set state = b.state, outcome = b.outcome, errcode = case when b.silent then s.errcode else b.errcode end,
    errmsg = case when b.silent then s.errmsg else b.errmsg end, msgid = coalesce(b.msgid, s.msgid),
    linked = s.linked or b.linked, attempts = b.attempts, due_at = coalesce(b.due_at, s.due_at),
    previous_sent = coalesce(b.previous, s.previous_sent)
from [$1: id id, state int2, outcome int2, errcode int8, errmsg text, msgid int8, linked boolean, attempts int8, due_at int8,
    previous id, silent boolean] b where s.id = b.id{s.id}";
const KEEP_ATTEMPTS: &str = "
insert into attempt (lane, message, number, at, errcode, errmsg, ambiguous)
select b.lane, b.message, b.number, b.at, b.errcode, b.errmsg, b.ambiguous
from [$1: lane int2, message id, number int8, at int8, errcode int8, errmsg text, ambiguous boolean] b where true
on conflict do nothing";
pub(crate) const RELEASE: &str = "
delete from reserved where (lane, template, openid, id) in
    (select b.lane, b.template, b.openid, b.id from [$1: lane int2, template int8, openid text, id id] b){reserved}";
/// Takes messages out of the queue that they wait in: known to have arrived, or to be taken, by an attempt before.
pub(crate) const UNQUEUE: &str = "
delete from ready where (lane, queue, due_at, id) in
    (select s.lane, m.queue, s.due_at, s.id from [$1: lane int2, id id] b
     join message_state s on s.id = b.id{s.id} join message m on m.id = s.id{m.id}){ready}";
const REQUEUE: &str = "
insert into ready (lane, queue, due_at, id, expire_at)
select b.lane, b.queue, b.due_at, b.id, b.expire_at from [$1: lane int2, queue int8, due_at int8, id id, expire_at int8] b";

pub(crate) struct Settle;

impl Batch for Settle {
    type Item = Settlement;
    type Outcome = bool;
    const OWNED: bool = true;

    fn lane(item: &Settlement) -> u16 {
        item.lane.0
    }

    async fn run(db: &mut Db, items: &[Settlement], context: &Context) -> Result<Vec<bool>, StoreError> {
        let mut lanes: Vec<u16> = items.iter().map(|item| item.lane.0).collect();
        lanes.dedup();
        for lane in lanes {
            super::turn(db, lane).await?;
        }
        let requeued = items.iter().filter(|item| item.result.requeues());
        let epochs = super::epochs(db, requeued.map(|item| item.lane.0)).await?;
        // What WeChat answered is evidence from whoever asked; only the present owner puts back into a queue (I7).
        let may =
            |item: &Settlement| !item.result.requeues() || epochs.get(&item.lane.0) == Some(&item.epoch);
        let mut landed = land(db, items.iter().filter(|item| may(item) && !item.result.is_late())).await?;
        if items.iter().any(|item| item.result.is_late()) {
            landed.extend(late(db, items.iter().filter(|item| item.result.is_late())).await?);
        }
        // An attempt that two callers of one commit settle is settled once: it is taken out of the set.
        let counted: Vec<bool> = items
            .iter()
            .map(|item| may(item) && landed.remove(&(item.id.0, item.attempt, item.epoch)))
            .collect();
        let valid: Vec<&Settlement> =
            items.iter().zip(&counted).filter(|(_, counted)| **counted).map(|(item, _)| item).collect();
        if !valid.is_empty() {
            settle(db, &valid, context).await?;
        }
        Ok(counted)
    }
}

impl Settled {
    fn requeues(self) -> bool {
        matches!(self, Self::Again { .. } | Self::GivenBack { .. })
    }

    fn is_late(self) -> bool {
        matches!(self, Self::Late(_))
    }
}

/// Takes the attempts out of flight; those of another epoch or attempt stay.
async fn land(
    db: &mut Db,
    items: impl Iterator<Item = &Settlement>,
) -> Result<HashSet<(Uuid, i64, i64)>, StoreError> {
    let mut rows: Vec<_> = Vec::new();
    let asked: HashSet<(Uuid, i64, i64)> = items
        .map(|item| {
            rows.push((item.lane.0, hex(item.id.0), item.attempt, item.epoch));
            (item.id.0, item.attempt, item.epoch)
        })
        .collect();
    if asked.is_empty() {
        return Ok(asked);
    }
    rows.sort_unstable();
    let batch = json(&rows)?;
    let flying: i64 = db::query_scalar(FLYING).bind(&batch).fetch_one(&mut *db).await?;
    // Nearly always all of them: then they need not be told one by one.
    if usize::try_from(flying).ok() == Some(asked.len()) {
        db::query(LAND).bind(&batch).execute(db).await?;
        return Ok(asked);
    }
    db::query(format!("{LAND}{AND_TELL}"))
        .bind(&batch)
        .fetch_all(db)
        .await?
        .iter()
        .map(|row| Ok((uuid(&row.try_get::<Vec<u8>>(0)?)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}

/// The late answers that still find their attempt unresolved: it is the message's last one, it is not in flight, and the
/// transition table lets the answer speak. Of a person who is erased nothing is written any more (I17).
async fn late(
    db: &mut Db,
    items: impl Iterator<Item = &Settlement>,
) -> Result<HashSet<(Uuid, i64, i64)>, StoreError> {
    let items: HashMap<Uuid, &Settlement> = items.map(|item| (item.id.0, item)).collect();
    let rows: Vec<_> =
        items.values().map(|item| (item.lane.0, hex(item.id.0), item.attempt, &item.openid)).collect();
    let mut found = HashSet::new();
    for row in db::query(LATE).bind(json(&rows)?).fetch_all(db).await? {
        let id = uuid(&row.try_get::<Vec<u8>>(0)?)?;
        let before = receipts::position(&row, 1)?;
        found.extend(
            items
                .get(&id)
                .filter(|item| transition(&before, &event(item)).is_ok())
                .map(|item| (id, item.attempt, item.epoch)),
        );
    }
    Ok(found)
}

/// Columns of [`WRITE`].
pub(crate) type StateRow<'a> = (
    String,
    i16,
    Option<i16>,
    Option<i64>,
    Option<&'a str>,
    Option<i64>,
    bool,
    i64,
    Option<i64>,
    Option<String>,
    bool,
);
/// Columns of [`KEEP_ATTEMPTS`].
pub(crate) type AttemptRow<'a> = (u16, String, i64, i64, Option<i64>, Option<&'a str>, bool);

/// The rows that a batch of settlements writes besides the ledger.
#[derive(Default)]
pub(crate) struct Writes<'a> {
    pub(crate) states: Vec<StateRow<'a>>,
    pub(crate) attempts: Vec<AttemptRow<'a>>,
    pub(crate) released: Vec<(u16, i64, &'a str, String)>,
    pub(crate) requeued: Vec<(u16, i64, i64, String, i64)>,
}

async fn settle(db: &mut Db, items: &[&Settlement], context: &Context) -> Result<(), StoreError> {
    let positions = positions(db, items).await?;
    let key =
        |item: &Settlement| Key { lane: item.lane.0, template: item.template, openid: item.openid.clone() };
    let touching = items.iter().filter(|item| {
        !matches!(item.result, Settled::GivenBack { .. } | Settled::Again { ambiguous: false, .. })
    });
    context.templates.load_kinds(db, items.iter().map(|item| item.template)).await?;
    let keys = touching.map(|item| (key(item), context.templates.kind(item.template)));
    let mut book = Book::load(db, keys).await?;
    let mut writes = Writes::default();
    let now = items.iter().map(|item| item.at).max().unwrap_or(0);
    let (mut unresolved, mut unqueued, mut tally) = (Vec::new(), Vec::new(), Tally::counting(now));
    for item in items {
        let Some((before, linked, campaign)) = positions.get(&item.id.0) else { continue };
        let after = transition(before, &event(item)).unwrap_or_else(|refusal| {
            tracing::error!(message = %item.id, %refusal, "an outcome does not fit the message's state");
            *before
        });
        let mut link = None;
        if let Some(outcome) = after.outcome.filter(|outcome| before.outcome != Some(*outcome)) {
            let key = key(item);
            let change = match outcome {
                // A receipt that came first has taken the grant already.
                OutcomeKind::Accepted if before.receipt.is_none() => {
                    Some(Change::Accepted { attempt_at: item.attempt_at })
                }
                OutcomeKind::Refused => Some(Change::Refused43101 { attempt_at: item.attempt_at }),
                OutcomeKind::Accepted | OutcomeKind::Failed | OutcomeKind::Unknown => None,
            };
            if let Some(change) = change {
                book.apply(db, &key, change, item.at, Some(item.id.0)).await?;
            }
            if matches!(outcome, OutcomeKind::Accepted | OutcomeKind::Unknown) && !linked {
                link = Some(book.link_sent(&key, item.id.0));
            }
        }
        tally.moved(item.id, *campaign, item.lane.0, before.state, after.state);
        if after.state == State::Unknown && before.state != State::Unknown {
            unresolved.push((hex(item.id.0), item.at));
        }
        if before.state == State::Queued {
            unqueued.push((item.lane.0, hex(item.id.0)));
        }
        writes.add(item, after, link);
    }
    book.write(db, &context.ledger_ids, now).await?;
    if !unqueued.is_empty() {
        db::query(UNQUEUE).bind(json(&unqueued)?).execute(&mut *db).await?;
    }
    writes.write(db).await?;
    tally.write(db).await?;
    unknown::watch(db, &unresolved).await
}

pub(crate) fn event(item: &Settlement) -> Event {
    match item.result {
        Settled::Outcome(outcome) => Event::Answered(outcome),
        Settled::Again { ambiguous: true, .. } => Event::RetryAmbiguous,
        Settled::Again { ambiguous: false, .. } => Event::RetryLater,
        Settled::GivenBack { .. } => Event::GivenBack,
        Settled::OwnerLost => Event::OwnerLost,
        Settled::Late(outcome) => Event::LateAnswer(outcome),
    }
}

async fn positions(
    db: &mut Db,
    items: &[&Settlement],
) -> Result<HashMap<Uuid, (Position, bool, Option<i64>)>, StoreError> {
    let ids: Vec<_> = items.iter().map(|item| hex(item.id.0)).collect();
    let read: String = db::query_scalar(POSITIONS).bind(json(&ids)?).fetch_one(db).await?;
    let corrupt = || StoreError::Corrupt("message_state");
    let rows: Vec<PositionRow> = serde_json::from_str(&read).map_err(|_| corrupt())?;
    rows.into_iter()
        .map(|(id, state, outcome, receipt, cancel_requested, linked, campaign)| {
            let position = Position {
                state: State::try_from(state).map_err(|_| corrupt())?,
                outcome: outcome.map(OutcomeKind::try_from).transpose().map_err(|_| corrupt())?,
                receipt: receipt.map(Receipt::try_from).transpose().map_err(|_| corrupt())?,
                cancel_requested: cancel_requested != 0,
            };
            Ok((Uuid::try_parse(&id).map_err(|_| corrupt())?, (position, linked != 0, campaign)))
        })
        .collect()
}

impl<'a> Writes<'a> {
    /// `link`: set where the message joins the chain of its person; the message before it, where there is one.
    pub(crate) fn add(&mut self, item: &'a Settlement, after: Position, link: Option<Option<Uuid>>) {
        let id = hex(item.id.0);
        let msgid = match item.result {
            Settled::Outcome(Outcome::Accepted { msgid }) | Settled::Late(Outcome::Accepted { msgid }) => {
                msgid.map(super::stored_msgid)
            }
            _ => None,
        };
        let (mut attempts, mut due_at) = (item.attempt, None);
        if after.state == State::Queued
            && let Settled::Again { queue, due_at: due, expire_at, .. }
            | Settled::GivenBack { queue, due_at: due, expire_at } = item.result
        {
            due_at = Some(due);
            self.requeued.push((item.lane.0, queue.0, due, id.clone(), expire_at));
        }
        match item.result {
            Settled::GivenBack { .. } => attempts -= 1,
            Settled::Again { ambiguous, .. } => self.attempts.push((
                item.lane.0,
                id.clone(),
                item.attempt,
                item.attempt_at,
                item.errcode,
                item.errmsg.as_deref(),
                ambiguous,
            )),
            Settled::Outcome(_) | Settled::OwnerLost | Settled::Late(_) => {}
        }
        if !after.state.is_open() {
            self.released.push((item.lane.0, item.template, &item.openid, id.clone()));
        }
        self.states.push((
            id,
            after.state.code(),
            after.outcome.map(OutcomeKind::code),
            item.errcode,
            item.errmsg.as_deref(),
            msgid,
            link.is_some(),
            attempts,
            due_at,
            link.flatten().map(hex),
            // A call that was never made says nothing new.
            matches!(item.result, Settled::GivenBack { .. }),
        ));
    }

    async fn write(mut self, db: &mut Db) -> Result<(), StoreError> {
        self.states.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.released.sort_unstable();
        db::query(WRITE).bind(json(&self.states)?).execute(&mut *db).await?;
        if !self.attempts.is_empty() {
            db::query(KEEP_ATTEMPTS).bind(json(&self.attempts)?).execute(&mut *db).await?;
        }
        if !self.released.is_empty() {
            db::query(RELEASE).bind(json(&self.released)?).execute(&mut *db).await?;
        }
        if !self.requeued.is_empty() {
            db::query(REQUEUE).bind(json(&self.requeued)?).execute(db).await?;
        }
        Ok(())
    }
}
