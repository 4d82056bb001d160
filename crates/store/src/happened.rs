//! What happened, counted by hour, app and template in the commit in which it happened: pages that show totals count nothing
//! themselves. Written by the hot path, read by the service.

use std::collections::BTreeMap;

use domain::Millis;
use domain::clock::HOUR;
pub use domain::happening::Happening as What;

use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hot::append::Verdict;
use crate::hot::json;

/// In place of a template: what is counted for the app.
pub const OF_APP: i64 = 0;
/// In place of an hour: not a count, but the moment of the latest.
const LATEST: i64 = 0;
/// Who counts: one process on SQLite; on PostgreSQL each lane has rows of its own, so that none waits for another.
fn shard(db: &Db) -> u16 {
    db.lane().unwrap_or(0)
}

fn of_callback(verdict: Verdict) -> What {
    match verdict {
        Verdict::Applied => What::CallbackApplied,
        Verdict::Duplicate => What::CallbackDuplicate,
        Verdict::Ignored => What::CallbackIgnored,
        Verdict::Quarantined => What::CallbackQuarantined,
    }
}

/// Counts of a batch.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    counts: BTreeMap<(i64, i64, i16), i64>,
    callbacks: BTreeMap<i64, Millis>,
}

const ADD: &str = "
insert into happened (app, hour, template, what, shard, n)
select b.app, $2, b.template, b.what, $3, b.n from [$1: app int8, template int8, what int2, n int8] b where true
on conflict (app, hour, template, what, shard) do update set n = happened.n + excluded.n";
const ADD_MESSAGES: &str = "
insert into happened (app, hour, template, what, shard, n)
select m.app, $2, m.template, b.what, $3, count(*) from [$1: id id, what int2] b
join message m on m.id = b.id{m.id} where true group by m.app, m.template, b.what
on conflict (app, hour, template, what, shard) do update set n = happened.n + excluded.n";
const LATER: &str = "
insert into happened (app, hour, template, what, shard, n)
select b.app, $2, $3, $4, $5, b.n from [$1: app int8, n int8] b where true
on conflict (app, hour, template, what, shard) do update set n = <<max|greatest>>(happened.n, excluded.n)";

impl Happened {
    pub(crate) fn add(&mut self, app: i64, template: i64, what: What) {
        *self.counts.entry((app, template, what.code())).or_default() += 1;
    }

    /// A callback came in, and got its verdict.
    pub(crate) fn callback(&mut self, app: i64, verdict: Verdict, at: Millis) {
        self.add(app, OF_APP, of_callback(verdict));
        let latest = self.callbacks.entry(app).or_default();
        *latest = at.max(*latest);
    }

    pub(crate) async fn write(self, db: &mut Db, at: Millis) -> Result<(), StoreError> {
        if !self.counts.is_empty() {
            let rows: Vec<_> =
                self.counts.into_iter().map(|((app, template, what), n)| (app, template, what, n)).collect();
            db::query(ADD).bind(json(&rows)?).bind(at / HOUR).bind(shard(db)).execute(&mut *db).await?;
        }
        if !self.callbacks.is_empty() {
            let rows: Vec<_> = self.callbacks.into_iter().collect();
            let query = db::query(LATER).bind(json(&rows)?).bind(LATEST).bind(OF_APP);
            query.bind(What::CallbackApplied.code()).bind(shard(db)).execute(db).await?;
        }
        Ok(())
    }
}

/// Counts what became of messages: id in hex, what.
pub(crate) async fn count_messages(
    db: &mut Db,
    at: Millis,
    moves: &[(String, What)],
) -> Result<(), StoreError> {
    if moves.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = moves.iter().map(|(id, what)| (id, what.code())).collect();
    db::query(ADD_MESSAGES).bind(json(&rows)?).bind(at / HOUR).bind(shard(db)).execute(db).await?;
    Ok(())
}

/// A count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The hour's beginning.
    pub hour: Millis,
    /// The template's number; [`OF_APP`] for what is the app's.
    pub template: i64,
    /// What.
    pub what: What,
    /// How often.
    pub n: i64,
}

impl Store {
    /// An app's counts of the hours that begin at `since` or later and before `until`, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn happened(&self, app: i64, since: Millis, until: Millis) -> Result<Vec<Count>, StoreError> {
        let rows = db::query(
            "select hour, template, what, cast(sum(n) as bigint) from happened where app = $1 and hour >= $2 and hour < $3
             group by hour, template, what order by hour, template, what",
        )
        .bind(app)
        .bind(since.div_euclid(HOUR).max(1))
        .bind(until.div_euclid(HOUR))
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Count {
                    hour: row.try_get::<i64>(0)? * HOUR,
                    template: row.try_get(1)?,
                    what: What::try_from(row.try_get::<i16>(2)?)
                        .map_err(|_| StoreError::Corrupt("happened.what"))?,
                    n: row.try_get(3)?,
                })
            })
            .collect()
    }

    /// Whether WeChat told of anybody's decision in a popup since a moment.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn popups_since(&self, app: i64, since: Millis) -> Result<bool, StoreError> {
        let query = db::query_scalar(
            "select exists (select 1 from happened where app = $1 and hour >= $2 and what in ($3, $4))",
        );
        let query = query.bind(app).bind(since.div_euclid(HOUR).max(1));
        Ok(query.bind(What::Accept.code()).bind(What::Reject.code()).fetch_one(&self.readers).await?)
    }

    /// When the latest callback of an app came.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn last_callback(&self, app: i64) -> Result<Option<Millis>, StoreError> {
        let query =
            db::query_scalar("select max(n) from happened where app = $1 and hour = $2 and what = $3");
        let code = What::CallbackApplied.code();
        Ok(query.bind(app).bind(LATEST).bind(code).fetch_one(&self.readers).await?)
    }
}
