//! Transactions of a session: begun, fenced and committed, or given up.

use std::time::Duration;

use sqlx::PgPool;

use super::fault;
use crate::db::{self, Db, Session};
use crate::error::StoreError;

/// How long a connection may take to say anything at all.
const BEGINNING: Duration = Duration::from_secs(3);

/// A session in a transaction.
pub(crate) async fn begin(pool: &PgPool, lane: Option<u16>) -> Result<Session, sqlx::Error> {
    let mut session = Session::new(pool.acquire().await?);
    session.lane = lane;
    session.open = true;
    match tokio::time::timeout(BEGINNING, session.raw("begin")).await {
        Ok(begun) => begun.map(|()| session),
        Err(_) => Err(fault::silent()),
    }
}

impl Session {
    /// Commits, if every epoch that the transaction stood on still stands. The lanes are locked against a take-over by the
    /// statement before the commit, in the same message.
    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        if self.epochs.is_empty() {
            let done = self.raw("commit").await;
            self.open = done.is_err();
            return done;
        }
        let mut sql = String::new();
        for (lane, epoch) in std::mem::take(&mut self.epochs) {
            use std::fmt::Write as _;
            // No row: a division by zero, which ends the transaction.
            let _ = write!(
                sql,
                "select 1 / count(*) from (select 1 from lane where id = {lane} and epoch = {epoch} for key share) held; "
            );
        }
        sql.push_str("commit");
        let done = self.raw(sql).await;
        match &done {
            Ok(()) => self.open = false,
            Err(_) => self.rollback().await,
        }
        done
    }

    /// Ends the transaction without effect; a connection that cannot even do that is given up.
    pub(crate) async fn rollback(&mut self) {
        self.epochs.clear();
        if self.connection.is_some() && self.raw("rollback").await.is_err() {
            self.give_up();
        }
        self.open = false;
    }
}

/// Runs `work` in a transaction, under a time limit after which the connection is given up: a link that swallows what is
/// sent never says so, and a transaction that nobody ends holds what it has locked.
pub(crate) async fn within<T>(
    pool: &PgPool,
    lane: Option<u16>,
    patience: Duration,
    work: impl AsyncFnOnce(&mut Db) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut db = Db::Postgres(begin(pool, lane).await?);
    let done = tokio::time::timeout(patience, async {
        let done = work(&mut db).await;
        let Db::Postgres(session) = &mut db else { return done };
        match done {
            Ok(done) => session.commit().await.map(|()| done).map_err(StoreError::from),
            Err(error) => {
                session.rollback().await;
                Err(error)
            }
        }
    })
    .await;
    in_time(db, done)
}

/// Runs `work`, of one statement, which is a transaction by itself: a third of the messages.
pub(crate) async fn alone<T>(
    pool: &PgPool,
    lane: Option<u16>,
    patience: Duration,
    work: impl AsyncFnOnce(&mut Db) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut session = Session::new(pool.acquire().await?);
    session.lane = lane;
    // Until its answer is in, nobody else may have the connection.
    session.open = true;
    let mut db = Db::Postgres(session);
    let done = tokio::time::timeout(patience, work(&mut db)).await;
    if let (Db::Postgres(session), Ok(_)) = (&mut db, &done) {
        session.open = false;
    }
    in_time(db, done)
}

/// A connection on which nothing was said in time is given up.
fn in_time<T>(
    mut db: Db,
    done: Result<Result<T, StoreError>, tokio::time::error::Elapsed>,
) -> Result<T, StoreError> {
    done.unwrap_or_else(|_| {
        if let Db::Postgres(session) = &mut db {
            session.give_up();
        }
        Err(fault::silent().into())
    })
}

const TURN: &str = "select id from lane_turn where id = $1 for no key update";
const TURN_AND_EPOCH: &str = "
select l.epoch from lane_turn t join lane l on l.id = t.id where t.id = $1 for no key update of t";

/// Waits for the lane's turn, which the transaction keeps to its end; the database may have another engine, which has one
/// writer and no turns.
pub(crate) async fn turn(db: &mut Db, lane: u16) -> Result<(), StoreError> {
    if matches!(db, Db::Postgres(_)) {
        db::query(TURN).bind(lane).fetch_optional(&mut *db).await?;
    }
    Ok(())
}

/// The lane's turn, and its epoch, on which the transaction stands from now on.
pub(crate) async fn turn_and_epoch(db: &mut Db, lane: u16) -> Result<Option<i64>, StoreError> {
    let epoch: Option<i64> = db::query_scalar(TURN_AND_EPOCH).bind(lane).fetch_optional(&mut *db).await?;
    if let (Db::Postgres(session), Some(epoch)) = (db, epoch) {
        session.epochs.insert(lane, epoch);
    }
    Ok(epoch)
}
