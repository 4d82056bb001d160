//! Applying the inbox: what a verified event changes in ledgers, statuses and messages, in arrival order, by the
//! lane's owner. The event's row is marked in the same commit, so it counts once (I1, I2, I8).

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::ledger::Change;
use domain::message::{Event, OutcomeKind, Receipt, State, transition};
use domain::{InboxId, Millis};
use serde_json::{Value, json as object};

use super::accounts::{Book, Key};
use super::append::Verdict;
pub use super::pending::Pending;
use super::receipts::{self, Sent};
use super::settle::{RELEASE, UNQUEUE};
use super::tally::Tally;
use super::{hex, json, uuid};
use crate::db::{self, Db};
use crate::erasure::{self, NewErasure};
use crate::error::StoreError;
use crate::happened::{Happened, What};
use crate::webhooks;
use crate::writing::Batch;
use crate::writing::Context;

/// An inbox row with what its event says.
#[derive(Debug, Clone)]
pub struct ToApply {
    /// Which row; carries the lane.
    pub id: InboxId,
    /// The owner's epoch: an older one applies nothing (I7).
    pub epoch: i64,
    /// The app.
    pub app: i64,
    /// Whom it is about.
    pub openid: String,
    /// Now.
    pub at: Millis,
    /// What it says.
    pub acts: Vec<Act>,
    /// Set where it has no effect, and why.
    pub set_aside: Option<(Verdict, String)>,
    /// Set where it demands that a person be erased: person and text of the row go in the same commit.
    pub erase: Option<NewErasure>,
}

impl ToApply {
    /// Whether it is the mini program's word, not WeChat's.
    fn is_report(&self) -> bool {
        self.acts
            .iter()
            .any(|act| matches!(act.kind, ActKind::Report { .. } | ActKind::ReportedReject { .. }))
    }
}

/// One thing that an event says about one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// WeChat's template id.
    pub template_id: String,
    /// What.
    pub kind: ActKind,
}

/// What an event can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActKind {
    /// The user accepted in the popup.
    Grant {
        /// CreateTime.
        at: Millis,
    },
    /// The user rejected in the popup.
    PopupReject {
        /// CreateTime.
        at: Millis,
    },
    /// The user switched the template off.
    ChangeReject {
        /// CreateTime.
        at: Millis,
    },
    /// The mini program says that the user accepted: provisional until the event comes.
    Report {
        /// When, as far as the report tells.
        at: Millis,
    },
    /// The mini program says that the user rejected.
    ReportedReject {
        /// When, as far as the report tells.
        at: Millis,
    },
    /// A message arrived, or did not.
    Receipt {
        /// WeChat's number of the message.
        msgid: Option<u64>,
        /// 0 where it arrived.
        code: i64,
        /// WeChat's word.
        status: String,
        /// When the receipt came.
        at: Millis,
    },
}

/// What became of an inbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// It took effect (or was set aside) and is marked.
    Done,
    /// A receipt whose message is still in flight: it stays pending until the answer is in.
    Waits,
    /// Somebody else owns the lane, or the row was marked already.
    NotOurs,
}

/// An event takes effect as the row that took its identity (I2), if it still waits.
const IDENTIFY: &str = "
insert into identity (event_at, lane, digest, inbox)
select event_at, lane, digest, id from inbox
where {inbox.id in $1} and verdict is null order by 1, 2, 3
on conflict do nothing";
/// The rows that wait, and whose identity they have.
const WAITING: &str = "
select i.id, d.inbox from inbox i join identity d on d.event_at = i.event_at and d.lane = i.lane and d.digest = i.digest{d}
where {i.id in $1} and i.verdict is null";
const COUNT_UP: &str = "
update inbox set pushes = pushes + 1 where {inbox.id in $1}";
const MARK: &str = "
update inbox set verdict = b.verdict, reason = b.reason, effects = b.effects, applied_at = b.applied_at
from [$1: id id, verdict int2, reason text, effects text, applied_at int8] b where inbox.id = b.id{inbox.id}";
/// Reports may come late and out of order.
const REPORTED: &str = "
insert into reported (lane, template, openid, accepted, at)
select b.lane, b.template, b.openid, b.accepted, b.at
from [$1: lane int2, template int8, openid text, accepted boolean, at int8] b where true
on conflict (lane, template, openid) do update set accepted = excluded.accepted, at = excluded.at where excluded.at >= reported.at";
const RECEIVE: &str = "
update message_state as s set state = b.state, outcome = b.outcome, receipt = b.receipt, receipt_at = b.at, receipt_code = b.code,
    receipt_status = b.status, msgid = coalesce(s.msgid, b.msgid)
from [$1: id id, state int2, outcome int2, receipt int2, at int8, code int8, status text, msgid int8] b where s.id = b.id{s.id}";

pub(crate) struct Apply;

impl Batch for Apply {
    type Item = ToApply;
    type Outcome = Application;
    const OWNED: bool = true;

    fn lane(item: &ToApply) -> u16 {
        item.id.lane().0
    }

    async fn run(db: &mut Db, items: &[ToApply], context: &Context) -> Result<Vec<Application>, StoreError> {
        let mut ours = ours(db, items).await?;
        let effective: Vec<&ToApply> = items
            .iter()
            .filter(|item| item.set_aside.is_none() && ours.get(&(item.id, item.epoch)) == Some(&item.id))
            .collect();
        let mut pass = Pass::prepare(db, &effective, context).await?;
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            let outcome = match ours.get(&(item.id, item.epoch)) {
                None => Application::NotOurs,
                Some(first) if *first == item.id || item.set_aside.is_some() => pass.item(db, item).await?,
                Some(first) => {
                    pass.duplicate(item, *first);
                    pass.blank(item);
                    Application::Done
                }
            };
            // A row that stands twice in a batch is applied once.
            if outcome == Application::Done {
                ours.remove(&(item.id, item.epoch));
            }
            outcomes.push(outcome);
        }
        pass.write(db, context).await?;
        Ok(outcomes)
    }
}

/// Rows that wait, by id and epoch, and whose event each is.
type Ours = HashMap<(InboxId, i64), InboxId>;

/// The rows that wait, in lanes that are ours (I7), each with the row whose event it is: itself, or an earlier one.
/// Nearly always each is itself; then the number of identities taken says so, and no row is read.
async fn ours(db: &mut Db, items: &[ToApply]) -> Result<Ours, StoreError> {
    let epochs = super::epochs(db, items.iter().map(|item| item.id.lane().0)).await?;
    let asked: BTreeMap<InboxId, i64> = items
        .iter()
        .filter(|item| epochs.get(&item.id.lane().0) == Some(&item.epoch))
        .map(|item| (item.id, item.epoch))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let batch = json(&asked.keys().map(|id| hex(id.0)).collect::<Vec<_>>())?;
    let taken = db::query(IDENTIFY).bind(&batch).execute(&mut *db).await?;
    if taken.rows_affected() == asked.len() as u64 {
        return Ok(asked.into_iter().map(|(id, epoch)| ((id, epoch), id)).collect());
    }
    let mut ours = HashMap::with_capacity(asked.len());
    for row in db::query(WAITING).bind(&batch).fetch_all(&mut *db).await? {
        let id = |column| Ok::<_, StoreError>(InboxId(uuid(row.try_get(column)?)?));
        let (row, first) = (id(0)?, id(1)?);
        ours.extend(asked.get(&row).map(|epoch| ((row, *epoch), first)));
    }
    let firsts: Vec<String> =
        ours.iter().filter(|((id, _), first)| id != *first).map(|(_, first)| hex(first.0)).collect();
    if !firsts.is_empty() {
        db::query(COUNT_UP).bind(json(&firsts)?).execute(db).await?;
    }
    Ok(ours)
}

/// Columns of [`MARK`].
type MarkRow = (String, i16, Option<String>, Option<String>, i64);
/// Columns of [`RECEIVE`].
type ReceivedRow = (String, i16, Option<i16>, Option<i16>, i64, i64, String, Option<i64>);
/// What a receipt says: its msgid, code, word and time.
type Word<'a> = (Option<i64>, i64, &'a str, Millis);

/// One pass over a batch: everything is read first, decided in memory, written last.
struct Pass {
    templates: HashMap<(i64, String), i64>,
    book: Book,
    /// Per person and template: the sent messages, newest first.
    chains: HashMap<Key, Vec<Sent>>,
    in_flight: HashSet<Key>,
    marks: Vec<MarkRow>,
    /// By message: a second receipt of the same batch takes the place of the first.
    received: BTreeMap<String, ReceivedRow>,
    released: Vec<(u16, i64, String, String)>,
    unqueued: Vec<(i64, String)>,
    erasures: Vec<erasure::Columns>,
    blanked: Vec<String>,
    /// The latest word of each person and template.
    reported: BTreeMap<(u16, i64, String), (bool, Millis)>,
    tally: Tally,
    happened: Happened,
    /// Whether anybody wants to be told, and what.
    listened: bool,
    told: Vec<(i64, String, String)>,
    now: Millis,
}

impl Pass {
    async fn prepare(db: &mut Db, items: &[&ToApply], context: &Context) -> Result<Self, StoreError> {
        let now = items.iter().map(|item| item.at).max().unwrap_or(0);
        let mut wanted = Vec::new();
        for item in items {
            wanted.extend(item.acts.iter().map(|act| (item.app, act.template_id.clone())));
        }
        let templates = context.templates.ensure(db, wanted).await?;
        let mut pass = Self {
            templates,
            book: Book::default(),
            chains: HashMap::new(),
            in_flight: HashSet::new(),
            marks: Vec::with_capacity(items.len()),
            received: BTreeMap::new(),
            released: Vec::new(),
            unqueued: Vec::new(),
            erasures: Vec::new(),
            blanked: Vec::new(),
            reported: BTreeMap::new(),
            tally: Tally::counting(now),
            happened: Happened::default(),
            listened: webhooks::anybody(db).await?,
            told: Vec::new(),
            now,
        };
        let mut keys = Vec::new();
        for item in items {
            keys.extend(item.acts.iter().filter_map(|act| pass.key(item, act)));
        }
        let keys = keys
            .into_iter()
            .map(|key| (context.templates.kind(key.template), key))
            .map(|(kind, key)| (key, kind));
        pass.book = Book::load(db, keys).await?;
        pass.load_chains(db, items).await?;
        Ok(pass)
    }

    fn key(&self, item: &ToApply, act: &Act) -> Option<Key> {
        let template = *self.templates.get(&(item.app, act.template_id.clone()))?;
        Some(Key { lane: item.id.lane().0, template, openid: item.openid.clone() })
    }

    /// Receipts nearly always belong to the newest message of their person; only the others walk further back.
    async fn load_chains(&mut self, db: &mut Db, items: &[&ToApply]) -> Result<(), StoreError> {
        let mut wanted: HashMap<Key, Vec<Option<i64>>> = HashMap::new();
        for item in items {
            for act in &item.acts {
                if let (ActKind::Receipt { msgid, .. }, Some(key)) = (&act.kind, self.key(item, act)) {
                    wanted.entry(key).or_default().push(msgid.map(super::stored_msgid));
                }
            }
        }
        for deep in [false, true] {
            let keys: Vec<&Key> = wanted.keys().collect();
            let heads: Vec<_> = keys.iter().map(|key| self.book.last_sent(key)).collect();
            let found = receipts::chains(db, &heads, deep).await?;
            let keys: Vec<Key> = keys.into_iter().cloned().collect();
            self.chains.extend(keys.into_iter().zip(found));
            wanted.retain(|key, msgids| {
                let chain = self.chains.get(key).map_or(&[][..], Vec::as_slice);
                msgids.len() > 1
                    || msgids
                        .iter()
                        .any(|msgid| msgid.is_none() || !chain.iter().any(|sent| sent.msgid == *msgid))
            });
            if wanted.is_empty() {
                return Ok(());
            }
        }
        let keys: Vec<&Key> = wanted.keys().collect();
        self.in_flight = receipts::in_flight(db, &keys).await?.into_iter().collect();
        Ok(())
    }

    async fn item(&mut self, db: &mut Db, item: &ToApply) -> Result<Application, StoreError> {
        if item.set_aside.is_none() && item.acts.iter().any(|act| self.waits(item, act)) {
            return Ok(Application::Waits);
        }
        let mut effects = Vec::new();
        let acts = if item.set_aside.is_none() { item.acts.as_slice() } else { &[] };
        for act in acts {
            let Some(key) = self.key(item, act) else { continue };
            let change = match &act.kind {
                ActKind::Grant { at } => Change::Grant { at: *at },
                ActKind::PopupReject { at } => Change::PopupReject { at: *at },
                ActKind::ChangeReject { at } => Change::ChangeReject { at: *at },
                ActKind::Report { at } => {
                    self.reported(&key, true, *at);
                    Change::Report { at: *at }
                }
                ActKind::ReportedReject { at } => {
                    self.reported(&key, false, *at);
                    effects.push(object!({ "template_id": act.template_id, "reported": "reject" }));
                    continue;
                }
                ActKind::Receipt { msgid, code, status, at } => {
                    let msgid = msgid.map(super::stored_msgid);
                    let chain = self.chains.get(&key).map_or(&[][..], Vec::as_slice);
                    let found = receipts::owner(chain, msgid);
                    effects.push(self.receive(db, &key, found, (msgid, *code, status, *at), item.id).await?);
                    continue;
                }
            };
            let before = self.book.subscription(&key).map_or(0, |subscription| subscription.balance);
            self.book.apply(db, &key, change, item.at, Some(item.id.0)).await?;
            if let Some(after) = self.book.subscription(&key) {
                // What a report says is told and counted when WeChat says it.
                let happened = match &act.kind {
                    ActKind::Grant { .. } => Some(("subscription.accepted", What::Accept)),
                    ActKind::PopupReject { .. } => Some(("subscription.rejected", What::Reject)),
                    ActKind::ChangeReject { .. } => Some(("subscription.refused", What::SwitchOff)),
                    _ => None,
                };
                if let Some((_, counted)) = happened {
                    self.happened.add(item.app, key.template, counted);
                }
                if let Some((what, _)) = happened.filter(|_| self.listened) {
                    let told = object!({ "to": item.openid, "template_id": act.template_id,
                        "status": after.status.as_str(), "balance": after.balance });
                    self.told.push((item.app, what.to_owned(), told.to_string()));
                }
                effects.push(object!({
                    "template_id": act.template_id, "delta": after.balance - before, "balance": after.balance,
                    "status": after.status.as_str(),
                }));
            }
        }
        if let Some(erasure) = item.erase.as_ref().filter(|_| item.set_aside.is_none()) {
            self.erasures.push(erasure::of_event(item.id, item.app, erasure, item.at));
            self.blank(item);
        }
        let (verdict, reason) =
            item.set_aside.clone().map_or((Verdict::Applied, None), |(verdict, why)| (verdict, Some(why)));
        let effects = (!effects.is_empty()).then(|| Value::Array(effects).to_string());
        if !item.is_report() {
            self.happened.callback(item.app, verdict, item.id.created_at());
        }
        self.marks.push((hex(item.id.0), verdict.code(), reason, effects, item.at));
        Ok(Application::Done)
    }

    fn reported(&mut self, key: &Key, accepted: bool, at: Millis) {
        let place = (key.lane, key.template, key.openid.clone());
        let word = self.reported.entry(place).or_insert((accepted, at));
        if at >= word.1 {
            *word = (accepted, at);
        }
    }

    /// Marks a row whose event came before.
    fn duplicate(&mut self, item: &ToApply, first: InboxId) {
        if !item.is_report() {
            self.happened.callback(item.app, Verdict::Duplicate, item.id.created_at());
        }
        self.marks.push((hex(item.id.0), Verdict::Duplicate.code(), Some(first.to_string()), None, item.at));
    }

    /// The row of an event that demands an erasure keeps neither person nor text.
    fn blank(&mut self, item: &ToApply) {
        if item.erase.is_some() {
            self.blanked.push(hex(item.id.0));
        }
    }

    /// By its own msgid a receipt's message is certain; anything less waits for the answer of the call under way.
    fn waits(&self, item: &ToApply, act: &Act) -> bool {
        let (ActKind::Receipt { msgid, .. }, Some(key)) = (&act.kind, self.key(item, act)) else {
            return false;
        };
        let msgid = msgid.map(super::stored_msgid);
        let chain = self.chains.get(&key).map_or(&[][..], Vec::as_slice);
        let certain = msgid.is_some() && chain.iter().any(|sent| sent.msgid == msgid);
        !certain && self.in_flight.contains(&key)
    }

    /// Puts a receipt on its message; resolves an `unknown` that it proves to have been accepted.
    async fn receive(
        &mut self,
        db: &mut Db,
        key: &Key,
        found: Option<usize>,
        (msgid, code, status, at): Word<'_>,
        reference: InboxId,
    ) -> Result<Value, StoreError> {
        let Some(sent) = found.and_then(|at| self.chains.get_mut(key)?.get_mut(at)) else {
            return Ok(object!({ "receipt": status, "message": null }));
        };
        let receipt = if code == 0 { Receipt::Delivered } else { Receipt::Undelivered };
        let effect = object!({ "receipt": status, "message": sent.id.to_string() });
        let Ok(after) = transition(&sent.position, &Event::ReceiptArrived(receipt)) else {
            return Ok(effect);
        };
        // `Delivered` stands against a later receipt that says otherwise.
        if after.receipt != Some(receipt) {
            return Ok(effect);
        }
        // A receipt proves that WeChat accepted; where no answer said so before, the grant is taken now.
        let newly_accepted =
            sent.position.outcome != Some(OutcomeKind::Accepted) && sent.position.receipt.is_none();
        let was_open = sent.position.state.is_open();
        let was_queued = sent.position.state == State::Queued;
        self.tally.moved(sent.id, sent.campaign, sent.id.lane().0, sent.position.state, after.state);
        sent.position = after;
        sent.msgid = sent.msgid.or(msgid);
        let (id, attempt_at) = (sent.id, sent.attempt_at);
        let row = (
            hex(id.0),
            after.state.code(),
            after.outcome.map(OutcomeKind::code),
            after.receipt.map(Receipt::code),
            at,
            code,
            status.to_owned(),
            sent.msgid,
        );
        self.received.insert(hex(id.0), row);
        if was_open && !after.state.is_open() {
            self.released.push((key.lane, key.template, key.openid.clone(), hex(id.0)));
        }
        if was_queued {
            self.unqueued.push((0, hex(id.0)));
        }
        if newly_accepted {
            self.book.apply(db, key, Change::Accepted { attempt_at }, self.now, Some(reference.0)).await?;
        }
        Ok(effect)
    }

    async fn write(mut self, db: &mut Db, context: &Context) -> Result<(), StoreError> {
        self.book.write(db, &context.ledger_ids, self.now).await?;
        let received: Vec<ReceivedRow> = self.received.into_values().collect();
        let reported: Vec<_> = self
            .reported
            .into_iter()
            .map(|((lane, template, openid), (accepted, at))| (lane, template, openid, accepted, at))
            .collect();
        let writes = [
            (UNQUEUE, json(&self.unqueued)?),
            (RECEIVE, json(&received)?),
            (RELEASE, json(&self.released)?),
            (REPORTED, json(&reported)?),
            (MARK, json(&self.marks)?),
        ];
        for (statement, rows) in writes {
            if rows != "[]" {
                db::query(statement).bind(rows).execute(&mut *db).await?;
            }
        }
        self.tally.write(db).await?;
        self.happened.write(db, self.now).await?;
        webhooks::note(db, &self.told).await?;
        erasure::ask(db, &self.erasures, &self.blanked).await
    }
}
