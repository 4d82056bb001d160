//! Who owns the lanes. On the embedded engine the one worker takes them all; on a shared database each node holds some by a
//! lease, counted on the database's clock. Each take-over raises the epoch, so that what an earlier owner left in flight is
//! told from one's own.

use domain::{Lane, MessageId, Millis};

use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hints::Told;
use crate::hot::settle::{Settled, Settlement};
use crate::hot::uuid;
use crate::postgres::NOW;

/// A lane that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Which.
    pub lane: Lane,
    /// The epoch under which it is held.
    pub epoch: i64,
}

/// Lanes that are held, by their number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Epochs(Vec<Holding>);

impl Epochs {
    /// The epoch under which a lane is held; 0 where it is not.
    pub fn of(&self, lane: Lane) -> i64 {
        self.0.binary_search_by_key(&lane, |holding| holding.lane).map_or(0, |at| self.0[at].epoch)
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Holding> {
        self.0.iter().copied()
    }
}

/// A lane as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    /// Which.
    pub lane: Lane,
    /// Whose it is; nobody's where empty.
    pub owner: String,
    /// How often it was taken.
    pub epoch: i64,
    /// Until when it is the owner's, on the database's clock.
    pub lease_until: Millis,
}

/// Since when something waits in a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// The oldest callback that is not applied.
    pub inbox: Option<Millis>,
    /// The first message that should have left.
    pub queue: Option<Millis>,
}

const TAKE_ALL: &str = "
insert into lane (id, owner, epoch, lease_until) select b.id, $2, 1, $3 from [$1 each: id int2] b where true
on conflict (id) do update set owner = excluded.owner, epoch = lane.epoch + 1, lease_until = excluded.lease_until
returning id, epoch";
const MAKE: &str = "
insert into lane (id, owner, epoch, lease_until) select b.id, '', 0, 0 from [$1 each: id int2] b where true on conflict do nothing";
const MAKE_TURNS: &str =
    "insert into lane_turn (id) select b.id from [$1 each: id int2] b where true on conflict do nothing";
/// Whoever commits under the epoch that stands (see `postgres::transaction`) is waited for.
const TAKE: &str = "
with free as (select id from lane where id = $1 and (owner = '' or owner = $2 or lease_until < $4) for update)
update lane set owner = $2, epoch = lane.epoch + 1, lease_until = $4 + $3 from free where lane.id = free.id
returning lane.epoch";
const RENEW: &str = "update lane set lease_until = $3 where id = $1 and owner = $2 returning epoch";
const GIVE_BACK: &str =
    "update lane set owner = '', lease_until = 0 where id = $1 and owner = $2 and epoch = $3";
const NEWEST_ENTRY: &str = "select max(id) from ledger where lane = $1";
const INBOX_LAG: &str = "
select received_at from inbox where lane = $1 and verdict is null order by id limit 1";
/// A file's index of what waits knows no lanes.
const INBOX_LAG_OF_FILE: &str = "
select received_at from (select received_at, lane from inbox where verdict is null order by id limit 1000) where lane = $1 limit 1";
const ORPHANS: &str = "
select f.lane, f.id, f.attempt, f.epoch, m.template, m.openid, s.attempt_at
from in_flight f join message m on m.lane = f.lane and m.id = f.id join message_state s on s.lane = f.lane and s.id = f.id
where f.lane = $1 and f.epoch < $2 order by f.id limit $3";

impl Store {
    /// Takes every lane for `owner` (a name that is random per start), from whomever: only where no other worker can be.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn take_all_lanes(&self, owner: String, lease_until: Millis) -> Result<Epochs, StoreError> {
        self.make_lanes().await?;
        let lanes = self.lane_numbers()?;
        self.writer
            .cold_bulk(move |db, context| {
                Box::pin(async move {
                    let query = db::query(TAKE_ALL).bind(lanes).bind(owner).bind(lease_until);
                    let mut held = Vec::new();
                    for row in query.fetch_all(&mut *db).await? {
                        held.push(Holding { lane: Lane(row.try_get(0)?), epoch: row.try_get(1)? });
                    }
                    held.sort_unstable_by_key(|holding| holding.lane);
                    for holding in &held {
                        lift(db, &context.ledger_ids, holding.lane).await?;
                    }
                    Ok(Epochs(held))
                })
            })
            .await
    }

    /// Makes the rows of lanes where there are none yet; on a file they are made when they are taken.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn make_lanes(&self) -> Result<(), StoreError> {
        if !self.is_shared() {
            return Ok(());
        }
        let lanes = self.lane_numbers()?;
        let made: i64 = db::query_scalar("select count(*) from lane_turn").fetch_one(&self.readers).await?;
        if made >= i64::from(self.lanes().count()) {
            return Ok(());
        }
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    db::query(MAKE).bind(&lanes).execute(&mut *db).await?;
                    db::query(MAKE_TURNS).bind(&lanes).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    fn lane_numbers(&self) -> Result<String, StoreError> {
        crate::hot::json(&self.lanes().iter().map(|lane| lane.0).collect::<Vec<_>>())
    }

    /// Takes those of these lanes that are nobody's, for so many milliseconds.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn take_lanes(
        &self,
        owner: &str,
        lanes: Vec<Lane>,
        lease: Millis,
    ) -> Result<Vec<Holding>, StoreError> {
        let owner = owner.to_owned();
        let mut taken = Vec::new();
        for lane in lanes {
            let owner = owner.clone();
            let epoch = self
                .writer
                .cold_bulk(move |db, context| {
                    Box::pin(async move {
                        let now: Millis = db::query_scalar(NOW).fetch_one(&mut *db).await?;
                        let query = db::query_scalar(TAKE).bind(lane.0).bind(owner).bind(lease).bind(now);
                        let epoch: Option<i64> = query.fetch_optional(&mut *db).await?;
                        if epoch.is_some() {
                            lift(db, &context.ledger_ids, lane).await?;
                        }
                        Ok(epoch)
                    })
                })
                .await?;
            taken.extend(epoch.map(|epoch| Holding { lane, epoch }));
        }
        Ok(taken)
    }

    /// Holds lanes for so many milliseconds more; gives those that are still the owner's.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn renew_lanes(
        &self,
        owner: &str,
        lanes: Vec<Lane>,
        lease: Millis,
    ) -> Result<Vec<Holding>, StoreError> {
        let owner = owner.to_owned();
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let now: Millis = db::query_scalar(NOW).fetch_one(&mut *db).await?;
                    let mut held = Vec::new();
                    // In ascending order, as everybody takes them.
                    for lane in lanes {
                        let query = db::query_scalar(RENEW).bind(lane.0).bind(&owner).bind(now + lease);
                        let epoch: Option<i64> = query.fetch_optional(&mut *db).await?;
                        held.extend(epoch.map(|epoch| Holding { lane, epoch }));
                    }
                    Ok(held)
                })
            })
            .await
    }

    /// Gives lanes back, so that others need not wait for the leases' end, and tells them.
    ///
    /// # Errors
    /// Where the database is away: then the leases end by themselves.
    pub async fn give_back_lanes(&self, owner: &str, held: Vec<Holding>) -> Result<(), StoreError> {
        let owner = owner.to_owned();
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    for Holding { lane, epoch } in held {
                        let query = db::query(GIVE_BACK).bind(lane.0).bind(&owner).bind(epoch);
                        query.execute(&mut *db).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        self.hints.others(Told::Lanes);
        Ok(())
    }

    /// All lanes.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn lane_rows(&self) -> Result<Vec<LaneRow>, StoreError> {
        let rows = db::query("select id, owner, epoch, lease_until from lane order by id");
        rows.fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(LaneRow {
                    lane: Lane(row.try_get(0)?),
                    owner: row.try_get(1)?,
                    epoch: row.try_get(2)?,
                    lease_until: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// The database's time; on a file the clock's.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn now(&self) -> Result<Millis, StoreError> {
        if self.is_shared() {
            Ok(db::query_scalar(NOW).fetch_one(&self.readers).await?)
        } else {
            Ok(self.clock.now())
        }
    }

    /// Since when the oldest callback of a lane waits to be applied.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn inbox_lag(&self, lane: Lane) -> Result<Option<Millis>, StoreError> {
        let inbox = if self.is_shared() { INBOX_LAG } else { INBOX_LAG_OF_FILE };
        Ok(db::query_scalar(inbox).bind(lane.0).fetch_optional(&self.readers).await?)
    }

    /// Since when the oldest callback of a lane waits to be applied, and the first message of its queues to leave.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn lane_lag(&self, lane: Lane) -> Result<Lag, StoreError> {
        let inbox = self.inbox_lag(lane).await?;
        let waiting = crate::hot::claim::queues(&self.readers, Some(lane)).await?;
        let queue =
            waiting.iter().filter(|waiting| !waiting.queue.is_unknown()).map(|waiting| waiting.due_at);
        Ok(Lag { inbox, queue: queue.min() })
    }

    /// Attempts that an earlier owner of a lane left without an answer, ready to be settled as such (I5).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn orphans(
        &self,
        held: Holding,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<Settlement>, StoreError> {
        db::query(ORPHANS)
            .bind(held.lane.0)
            .bind(held.epoch)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(Settlement {
                    lane: Lane(row.try_get(0)?),
                    id: MessageId(uuid(&row.try_get::<Vec<u8>>(1)?)?),
                    attempt: row.try_get(2)?,
                    epoch: row.try_get(3)?,
                    template: row.try_get(4)?,
                    openid: row.try_get(5)?,
                    attempt_at: row.try_get::<Option<i64>>(6)?.unwrap_or(0),
                    at: now,
                    result: Settled::OwnerLost,
                    errcode: None,
                    errmsg: None,
                })
            })
            .collect()
    }
}

/// New numbers of the ledger lie above those of the lane's owner before.
async fn lift(db: &mut Db, ids: &domain::LedgerIds, lane: Lane) -> Result<(), StoreError> {
    if db.engine() == db::Engine::Postgres {
        let newest: Option<i64> = db::query_scalar(NEWEST_ENTRY).bind(lane.0).fetch_one(db).await?;
        // The next millisecond's: within one, numbers of several makers may mix.
        ids.lift(newest.unwrap_or(0).saturating_add(1 << 20));
    }
    Ok(())
}
