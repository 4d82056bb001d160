//! Recipients become messages, a chunk per commit: the messages, their places in the queue, the accounts and the place
//! of the walk. Whoever comes with an old place (a second walker, one that lost its lane) writes nothing.

use domain::message::State;
use domain::{Lane, MessageId, Millis};
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hot::enqueue::Queue;
use crate::hot::tally::Tally;
use crate::hot::values;
use crate::hot::{epochs, hex, json};

/// A recipient as a message.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// The message's id; carries the lane of the openid.
    pub id: MessageId,
    /// To whom; empty where nobody was found.
    pub openid: String,
    /// The line of the list, where there is one.
    pub row: Option<i64>,
    /// The fields and their values as a JSON object.
    pub data: String,
    /// The page that the card opens.
    pub page: Option<String>,
    /// scheduled, queued, skipped or cancelled.
    pub state: State,
    /// Why it is not tried, where it is not.
    pub reason: Option<&'static str>,
    /// What exactly is wrong, where that says more.
    pub detail: Option<String>,
}

/// Where a walk stands, and where it will stand.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the subscriptions of a lane.
    Lane {
        /// Which.
        lane: Lane,
        /// The last one before; none before the first.
        from: Option<String>,
        /// The last one of this chunk.
        to: String,
        /// Whether that was the last of all.
        done: bool,
    },
    /// In the list; the accounts of what is to do stand in this lane.
    List {
        /// The lane of the accounts.
        home: Lane,
        /// The last row before.
        from: i64,
        /// The last row of this chunk.
        to: i64,
        /// Whether that was the last of all.
        done: bool,
    },
}

/// A chunk to be written.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The campaign.
    pub campaign: i64,
    /// The owner's epoch of the walk's lane (I7).
    pub epoch: i64,
    /// The app.
    pub app: i64,
    /// The template's number.
    pub template: i64,
    /// developer, trial or formal.
    pub version: String,
    /// The card's language.
    pub lang: String,
    /// Not before this.
    pub due_at: Millis,
    /// Not after this.
    pub expire_at: Millis,
    /// The walk.
    pub place: Place,
    /// Who.
    pub recipients: Vec<NewRecipient>,
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expanded {
    /// It is written.
    Written,
    /// Somebody else has gone on from that place, or owns the lane: nothing is written.
    Elsewhere,
}

const MESSAGES: &str =
    "insert into message (id, lane, app, template, openid, queue, data, page, version, lang, expire_at, row)";
const STATES: &str = "insert into message_state (id, lane, state, cancel_requested, linked, attempts, due_at, campaign, reason, errmsg)";
const READY: &str = "insert into ready (lane, queue, due_at, id, expire_at)";
const RESERVED: &str = "insert into reserved (lane, template, openid, id)";
const MOVE_LANE: &str = "
update campaign_lane set expanded_to = $4, expanded = $5
where campaign = $1 and lane = $2 and expanded_to is not distinct from $3 and not expanded";
const MOVE_LIST: &str = "
update campaign set expanded_to = $3, expanded = $4 where number = $1 and expanded_to = $2 and not expanded";
/// Those who were counted at the start and are no longer there, or came between: the account follows the walk.
const LEFT: &str = "select todo from campaign_lane where campaign = $1 and lane = $2";
/// Where the last lane is done, the campaign is.
const ALL_DONE: &str = "
update campaign set expanded = true where number = $1
    and not exists (select 1 from campaign_lane where campaign = $1 and not expanded)";
/// The same for a campaign whose lanes nobody wrote last; one with a list has its own end.
const CLOSE: &str = "
update campaign set expanded = true where number = $1 and list is null and not expanded
    and exists (select 1 from campaign_lane where campaign = $1)
    and not exists (select 1 from campaign_lane where campaign = $1 and not expanded)";
const IDS: &str = "
update campaign_lane as c set first_id = <<min|least>>(coalesce(c.first_id, b.lowest), b.lowest),
    last_id = <<max|greatest>>(coalesce(c.last_id, b.highest), b.highest)
from [$2: lane int2, lowest id, highest id] b where c.campaign = $1 and c.lane = b.lane";

impl Store {
    /// Writes a chunk of a campaign's recipients.
    ///
    /// # Errors
    /// Where the database is away: then nothing is written.
    pub async fn expand_campaign(&self, chunk: Chunk) -> Result<Expanded, StoreError> {
        let queue = Queue::of_campaign(chunk.campaign);
        let mut lanes: Vec<Lane> = chunk
            .recipients
            .iter()
            .filter(|recipient| recipient.state.is_open())
            .map(|recipient| recipient.id.lane())
            .collect();
        lanes.dedup();
        let done = self.writer.cold_bulk(move |db, _| Box::pin(write(db, chunk))).await?;
        if done == Expanded::Written {
            self.hints.queued(lanes.into_iter().map(|lane| (lane, queue)));
        }
        Ok(done)
    }
}

impl Store {
    /// Says that a campaign is expanded, where all of its lanes are: two that end at the same moment do not see each other.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn close_expansion(&self, number: i64) -> Result<(), StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    db::query(CLOSE).bind(number).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }
}

async fn write(db: &mut Db, mut chunk: Chunk) -> Result<Expanded, StoreError> {
    let count = i64::try_from(chunk.recipients.len()).unwrap_or(i64::MAX);
    let (home, done) = match &chunk.place {
        Place::Lane { lane, done, .. } => (*lane, *done),
        Place::List { home, done, .. } => (*home, *done),
    };
    db.in_lane(home.0);
    if epochs(db, std::iter::once(home.0)).await?.get(&home.0) != Some(&chunk.epoch) {
        return Ok(Expanded::Elsewhere);
    }
    let moved = match &chunk.place {
        Place::Lane { lane, from, to, done } => {
            let query = db::query(MOVE_LANE).bind(chunk.campaign).bind(lane.0);
            query.bind(from.as_deref()).bind(to).bind(done).execute(&mut *db).await?
        }
        Place::List { from, to, done, .. } => {
            let query = db::query(MOVE_LIST).bind(chunk.campaign).bind(from).bind(to).bind(done);
            query.execute(&mut *db).await?
        }
    };
    if moved.rows_affected() == 0 {
        return Ok(Expanded::Elsewhere);
    }
    let mut tally = Tally::default();
    let left: i64 = db::query_scalar(LEFT).bind(chunk.campaign).bind(home.0).fetch_one(&mut *db).await?;
    let left = left - count;
    let accounts = tally.of(chunk.campaign, home.0);
    accounts.todo -= count;
    if left < 0 || done {
        accounts.todo -= left;
        accounts.recipients -= left;
    }
    for recipient in &chunk.recipients {
        tally.born(recipient.id, chunk.campaign, recipient.state);
    }
    if matches!(chunk.place, Place::Lane { done: true, .. }) {
        db::query(ALL_DONE).bind(chunk.campaign).execute(&mut *db).await?;
    }
    chunk.recipients.sort_unstable_by_key(|recipient| recipient.id);
    ids(db, &chunk).await?;
    for part in chunk.recipients.chunks(values::MOST / 2) {
        insert(db, &chunk, part).await?;
    }
    // After the messages: what is told of them is read from them.
    tally.write(db).await?;
    Ok(Expanded::Written)
}

/// Widens the ranges in which the campaign's messages lie.
async fn ids(db: &mut Db, chunk: &Chunk) -> Result<(), StoreError> {
    let mut ranges: std::collections::BTreeMap<u16, (Uuid, Uuid)> = std::collections::BTreeMap::new();
    for recipient in &chunk.recipients {
        let id = recipient.id.0;
        let range = ranges.entry(recipient.id.lane().0).or_insert((id, id));
        *range = (range.0.min(id), range.1.max(id));
    }
    if ranges.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        ranges.into_iter().map(|(lane, (first, last))| (lane, hex(first), hex(last))).collect();
    db::query(IDS).bind(chunk.campaign).bind(json(&rows)?).execute(db).await?;
    Ok(())
}

/// Each table's rows in its own order.
async fn insert(db: &mut Db, chunk: &Chunk, by_id: &[NewRecipient]) -> Result<(), StoreError> {
    let queue = Queue::of_campaign(chunk.campaign).0;
    values::insert(db.engine(), MESSAGES, by_id, "", |query, new| {
        query
            .bind(new.id.0.as_bytes().as_slice())
            .bind(new.id.lane().0)
            .bind(chunk.app)
            .bind(chunk.template)
            .bind(new.openid.as_str())
            .bind(queue)
            .bind(new.data.as_str())
            .bind(new.page.as_deref())
            .bind(chunk.version.as_str())
            .bind(chunk.lang.as_str())
            .bind(chunk.expire_at)
            .bind(new.row)
    })
    .execute(&mut *db)
    .await?;
    values::insert(db.engine(), STATES, by_id, "", |query, new| {
        query
            .bind(new.id.0.as_bytes().as_slice())
            .bind(new.id.lane().0)
            .bind(new.state.code())
            .bind(false)
            .bind(false)
            .bind(0i64)
            .bind(chunk.due_at)
            .bind(chunk.campaign)
            .bind(new.reason)
            .bind(new.detail.as_deref())
    })
    .execute(&mut *db)
    .await?;
    let mut open: Vec<&NewRecipient> = by_id.iter().filter(|new| new.state.is_open()).collect();
    if open.is_empty() {
        return Ok(());
    }
    open.sort_unstable_by_key(|new| (new.id.lane(), new.id));
    values::insert(db.engine(), READY, &open, "", |query, new| {
        query
            .bind(new.id.lane().0)
            .bind(queue)
            .bind(chunk.due_at)
            .bind(new.id.0.as_bytes().as_slice())
            .bind(chunk.expire_at)
    })
    .execute(&mut *db)
    .await?;
    open.sort_unstable_by(|a, b| (a.id.lane(), &a.openid, a.id).cmp(&(b.id.lane(), &b.openid, b.id)));
    values::insert(db.engine(), RESERVED, &open, "", |query, new| {
        query
            .bind(new.id.lane().0)
            .bind(chunk.template)
            .bind(new.openid.as_str())
            .bind(new.id.0.as_bytes().as_slice())
    })
    .execute(db)
    .await?;
    Ok(())
}
