//! The fence of a batch: which lanes it writes, and under which epoch of this owner's.

use std::collections::BTreeMap;

use domain::Lane;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

/// The head of every fenced statement; takes `$1` (lanes), `$2` (their epochs) and `$3` (the owner). Lanes are locked
/// in order, as they are when somebody takes them over.
macro_rules! fence {
    () => {
        "
with g as materialized (
    select l.id from unnest($1::smallint[], $2::bigint[]) f (lane, epoch)
    join lane l on l.id = f.lane and l.owner = $3::text and (f.epoch is null or l.epoch = f.epoch)
    order by l.id for share of l
)"
    };
}
pub(super) use fence;

/// The lanes of a batch with the epoch that must still be theirs; `None` where owning the lane is enough.
#[derive(Debug, Default)]
pub(super) struct Fence(BTreeMap<i16, Option<i64>>);

impl Fence {
    /// Of two epochs of one lane only the later can be valid.
    pub(super) fn add(&mut self, lane: Lane, epoch: Option<i64>) {
        let held = self.0.entry(super::lane(lane.0)).or_default();
        *held = (*held).max(epoch);
    }

    /// Whether what was armed or read under `epoch` may be written.
    pub(super) fn allows(&self, lane: Lane, epoch: i64) -> bool {
        self.0.get(&super::lane(lane.0)).is_some_and(|held| *held == Some(epoch))
    }

    /// The lanes, in order.
    pub(super) fn lanes(&self) -> impl Iterator<Item = i16> {
        self.0.keys().copied()
    }

    /// Binds the three parameters of [`fence!`].
    pub(super) fn bind<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
        owner: &str,
    ) -> Query<'q, Postgres, PgArguments> {
        let lanes: Vec<i16> = self.lanes().collect();
        let epochs: Vec<Option<i64>> = self.0.values().copied().collect();
        query.bind(lanes).bind(epochs).bind(owner)
    }
}
