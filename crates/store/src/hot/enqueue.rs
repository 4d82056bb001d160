//! Accepting messages: the idempotency key first, then the message, its state, its place in the queue and its
//! reservation, all durable before the caller gets the id (I4, I10).

use std::collections::{HashMap, HashSet};

use domain::clock::HOUR;
use domain::message::State;
use domain::{Lane, MessageId, Millis};

use super::{hex, json, uuid, values};
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::writing::Batch;
use crate::writing::Context;

/// How long an idempotency key answers the same message (I10).
pub const IDEMPOTENCY_LIFE: Millis = 24 * HOUR;

/// A queue: the single messages of one app and priority, or a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue(pub i64);

/// The number beside those of the priorities.
const UNKNOWN: i64 = 3;
/// The queues of campaigns begin here, above those of all apps.
const CAMPAIGNS: i64 = 1 << 40;

/// How soon a message wants to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Passes everything else.
    Urgent,
    /// The default.
    Normal,
    /// May wait.
    Bulk,
}

impl Queue {
    /// The queue of an app's single messages of one priority.
    pub fn single(app: i64, priority: Priority) -> Self {
        Self(app * 4 + priority as i64)
    }

    /// Where an app's messages stand that stayed `unknown`, until its policy is asked. Nothing is sent from here.
    pub fn unknown(app: i64) -> Self {
        Self(app * 4 + UNKNOWN)
    }

    /// Whether it is such a queue.
    pub fn is_unknown(self) -> bool {
        self.0 < CAMPAIGNS && self.0 % 4 == UNKNOWN
    }

    /// The queue of a campaign, by its number.
    pub fn of_campaign(number: i64) -> Self {
        Self(CAMPAIGNS + number)
    }

    /// The number of the campaign whose queue it is.
    pub fn campaign(self) -> Option<i64> {
        (self.0 >= CAMPAIGNS).then(|| self.0 - CAMPAIGNS)
    }

    /// The app and priority of a queue of single messages (or of unknown ones).
    pub fn app_and_priority(self) -> (i64, Priority) {
        let priority = match self.0 % 4 {
            0 => Priority::Urgent,
            1 => Priority::Normal,
            _ => Priority::Bulk,
        };
        (self.0 / 4, priority)
    }
}

/// A message to be kept and sent.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id; carries the lane of the openid.
    pub id: MessageId,
    /// The app that sends it.
    pub app: i64,
    /// The template's number.
    pub template: i64,
    /// To whom.
    pub openid: String,
    /// Where it waits.
    pub queue: Queue,
    /// The fields and their values as a JSON object.
    pub data: String,
    /// The page that the card opens.
    pub page: Option<String>,
    /// developer, trial or formal.
    pub version: String,
    /// zh_CN, en_US, zh_HK, zh_TW.
    pub lang: String,
    /// Not before this.
    pub due_at: Millis,
    /// Not after this.
    pub expire_at: Millis,
    /// Whether it is due now (`queued`) or later (`scheduled`).
    pub state: State,
    /// The caller's idempotency key, and a digest of what was asked with it.
    pub idempotency: Option<Idempotency>,
    /// Refused where fewer than this many grants would be left over for it (`on_empty_balance: refuse`).
    pub needs_grant: bool,
}

/// An idempotency key of the caller's.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// The lane of the key: hash of app and key.
    pub lane: Lane,
    /// As the caller gave it.
    pub key: String,
    /// Digest of the request's body.
    pub digest: [u8; 32],
}

/// What became of a message that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is kept and will be sent.
    Accepted,
    /// The key was used before with the same body: this is that message.
    Replayed(MessageId),
    /// The key was used before with another body.
    KeyReused,
    /// There is no grant for it.
    NoGrant,
}

pub(crate) const RESERVE_KEYS: &str = "
insert into idempotency (lane, app, key, message, digest, created_at)
select b.lane, b.app, b.key, b.message, b.digest, b.created_at
from [$1: lane int2, app int8, key text, message id, digest bytes, created_at int8] b where true
on conflict (lane, app, key) do update
    set message = excluded.message, digest = excluded.digest, created_at = excluded.created_at
    where idempotency.created_at <= excluded.created_at - $2";

pub(crate) const READ_KEYS: &str = "
select i.lane, i.app, i.key, i.message, i.digest from [$1: lane int2, app int8, key text] b
join idempotency i on i.lane = b.lane and i.app = b.app and i.key = b.key";

/// An uncertain balance of 0 refuses nobody: only trying tells.
pub(crate) const AVAILABLE: &str = "
select b.place, coalesce((select case when s.known or s.balance > 0 then s.balance else 1000000000 end
        from subscription s where s.lane = b.lane and s.template = b.template and s.openid = b.openid), 0),
    (select count(*) from reserved r where r.lane = b.lane and r.template = b.template and r.openid = b.openid)
from [$1: place int8, lane int2, template int8, openid text] b";

const KEPT: &str = "select id from message where {message.id in $1}";
const INSERT_MESSAGES: &str =
    "insert into message (id, lane, app, template, openid, queue, data, page, version, lang, expire_at)";
const INSERT_STATES: &str =
    "insert into message_state (id, lane, state, cancel_requested, linked, attempts, due_at)";
const INSERT_READY: &str = "insert into ready (lane, queue, due_at, id, expire_at)";
const INSERT_RESERVED: &str = "insert into reserved (lane, template, openid, id)";

pub(crate) struct Enqueue;

impl Batch for Enqueue {
    type Item = NewMessage;
    type Outcome = Enqueued;
    const OWNED: bool = false;

    fn lane(item: &NewMessage) -> u16 {
        item.id.lane().0
    }

    async fn run(db: &mut Db, items: &[NewMessage], _context: &Context) -> Result<Vec<Enqueued>, StoreError> {
        let mut outcomes = reserve_keys(db, items).await?;
        check_grants(db, items, &mut outcomes).await?;
        let mut rows: Vec<&NewMessage> = items
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == Enqueued::Accepted)
            .map(|(message, _)| message)
            .collect();
        rows.sort_unstable_by_key(|message| message.id);
        for part in rows.chunks(values::MOST) {
            insert(db, part).await?;
        }
        Ok(outcomes)
    }

    /// A message that is there was kept, whatever has become of it since.
    async fn run_again(
        db: &mut Db,
        items: &[NewMessage],
        context: &Context,
    ) -> Result<Vec<Enqueued>, StoreError> {
        super::run_missing::<Self>(db, items, context, (KEPT, |message| message.id.0), Enqueued::Accepted)
            .await
    }
}

/// Each table's rows in its own order: pages are then written once, one after the other.
async fn insert(db: &mut Db, by_id: &[&NewMessage]) -> Result<(), StoreError> {
    let _count = by_id.len();
    let id = |message: &&NewMessage| message.id;
    values::insert(db.engine(), INSERT_MESSAGES, by_id, "", |query, m| {
        query
            .bind(m.id.0.as_bytes().as_slice())
            .bind(m.id.lane().0)
            .bind(m.app)
            .bind(m.template)
            .bind(m.openid.as_str())
            .bind(m.queue.0)
            .bind(m.data.as_str())
            .bind(m.page.as_deref())
            .bind(m.version.as_str())
            .bind(m.lang.as_str())
            .bind(m.expire_at)
    })
    .execute(&mut *db)
    .await?;
    values::insert(db.engine(), INSERT_STATES, by_id, "", |query, m| {
        query
            .bind(m.id.0.as_bytes().as_slice())
            .bind(m.id.lane().0)
            .bind(m.state.code())
            .bind(false)
            .bind(false)
            .bind(0i64)
            .bind(m.due_at)
    })
    .execute(&mut *db)
    .await?;
    let mut by_queue = by_id.to_vec();
    by_queue.sort_unstable_by_key(|m| (m.id.lane(), m.queue, m.due_at, id(m)));
    values::insert(db.engine(), INSERT_READY, &by_queue, "", |query, m| {
        query
            .bind(m.id.lane().0)
            .bind(m.queue.0)
            .bind(m.due_at)
            .bind(m.id.0.as_bytes().as_slice())
            .bind(m.expire_at)
    })
    .execute(&mut *db)
    .await?;
    let mut by_person = by_queue;
    by_person.sort_unstable_by(|a, b| {
        (a.id.lane(), a.template, &a.openid, a.id).cmp(&(b.id.lane(), b.template, &b.openid, b.id))
    });
    values::insert(db.engine(), INSERT_RESERVED, &by_person, "", |query, m| {
        query.bind(m.id.lane().0).bind(m.template).bind(m.openid.as_str()).bind(m.id.0.as_bytes().as_slice())
    })
    .execute(db)
    .await?;
    Ok(())
}

/// Reserves one key for something that is no message: `id` is what it answers from now on, or the earlier one is told.
pub(crate) async fn reserve_key(
    db: &mut Db,
    (app, key): (i64, &Idempotency),
    id: MessageId,
    now: Millis,
) -> Result<Enqueued, StoreError> {
    let rows = json(&[(key.lane.0, app, &key.key, hex(id.0), hex::encode(key.digest), now)])?;
    db::query(RESERVE_KEYS).bind(&rows).bind(IDEMPOTENCY_LIFE).execute(&mut *db).await?;
    let row = db::query(READ_KEYS).bind(&rows).fetch_one(db).await?;
    let holder = MessageId(uuid(&row.try_get::<Vec<u8>>(3)?)?);
    Ok(match row.try_get::<Vec<u8>>(4)? {
        _ if holder == id => Enqueued::Accepted,
        digest if digest.as_slice() == key.digest => Enqueued::Replayed(holder),
        _ => Enqueued::KeyReused,
    })
}

/// Reserves the keys of a batch and reads back whose message each now names.
async fn reserve_keys(db: &mut Db, items: &[NewMessage]) -> Result<Vec<Enqueued>, StoreError> {
    let mut wanted: HashMap<(u16, i64, &str), (MessageId, [u8; 32])> = HashMap::new();
    for message in items {
        if let Some(key) = &message.idempotency {
            // Two calls with one key in the same batch: the first has it.
            wanted.entry((key.lane.0, message.app, &key.key)).or_insert((message.id, key.digest));
        }
    }
    let mut outcomes = vec![Enqueued::Accepted; items.len()];
    if wanted.is_empty() {
        return Ok(outcomes);
    }
    let mut rows: Vec<_> = wanted
        .iter()
        .map(|(&(lane, app, key), (id, digest))| {
            (lane, app, key, hex(id.0), hex::encode(digest), id.created_at())
        })
        .collect();
    rows.sort_unstable();
    let rows = json(&rows)?;
    db::query(RESERVE_KEYS).bind(&rows).bind(IDEMPOTENCY_LIFE).execute(&mut *db).await?;
    let mut holders = HashMap::new();
    for row in db::query(READ_KEYS).bind(&rows).fetch_all(&mut *db).await? {
        let key: (i64, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let message = MessageId(uuid(&row.try_get::<Vec<u8>>(3)?)?);
        holders.insert(key, (message, row.try_get::<Vec<u8>>(4)?));
    }
    for (message, outcome) in items.iter().zip(&mut outcomes) {
        let Some(key) = &message.idempotency else { continue };
        match holders.get(&(i64::from(key.lane.0), message.app, key.key.clone())) {
            Some((holder, _)) if *holder == message.id => {}
            Some((holder, digest)) if digest.as_slice() == key.digest => {
                *outcome = Enqueued::Replayed(*holder)
            }
            _ => *outcome = Enqueued::KeyReused,
        }
    }
    Ok(outcomes)
}

/// `on_empty_balance: refuse`: the balance less what is already under way, the earlier ones of this batch too.
async fn check_grants(
    db: &mut Db,
    items: &[NewMessage],
    outcomes: &mut [Enqueued],
) -> Result<(), StoreError> {
    let asking: Vec<_> = items
        .iter()
        .enumerate()
        .filter(|(at, message)| message.needs_grant && outcomes[*at] == Enqueued::Accepted)
        .map(|(at, message)| (at, message.id.lane().0, message.template, &message.openid))
        .collect();
    if asking.is_empty() {
        return Ok(());
    }
    let mut available = HashMap::new();
    for row in db::query(AVAILABLE).bind(json(&asking)?).fetch_all(&mut *db).await? {
        let at: i64 = row.try_get(0)?;
        available.insert(
            usize::try_from(at).unwrap_or(usize::MAX),
            row.try_get::<i64>(1)? - row.try_get::<i64>(2)?,
        );
    }
    let mut taken: HashMap<(i64, &str), i64> = HashMap::new();
    let mut released = Vec::new();
    let mut refused = HashSet::new();
    for (at, message) in items.iter().enumerate() {
        match outcomes[at] {
            Enqueued::Accepted => {}
            // The other call with this key was refused a moment ago: so is this one.
            Enqueued::Replayed(first) if refused.contains(&first) => {
                outcomes[at] = Enqueued::NoGrant;
                continue;
            }
            _ => continue,
        }
        let taken = taken.entry((message.template, &message.openid)).or_default();
        if !message.needs_grant || available.get(&at).copied().unwrap_or(0) > *taken {
            *taken += 1;
        } else {
            outcomes[at] = Enqueued::NoGrant;
            refused.insert(message.id);
            released.extend(message.idempotency.as_ref().map(|key| (key.lane.0, message.app, &key.key)));
        }
    }
    // A refused message must not hold its key: asked again after a new grant, it is a new attempt.
    if !released.is_empty() {
        db::query("delete from idempotency where (lane, app, key) in (select b.lane, b.app, b.key from [$1: lane int2, app int8, key text] b)")
            .bind(json(&released)?)
            .execute(db)
            .await?;
    }
    Ok(())
}
