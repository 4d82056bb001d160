//! A process that got SIGSTOP inside a transaction, as far as the database can tell.

use sqlx::PgPool;

use crate::db::{Db, Session};
use crate::error::StoreError;
use crate::postgres::transaction;

/// An owner's transaction that has taken its turn and goes no further.
pub struct StandingStill(Db);

impl StandingStill {
    pub(crate) async fn begin(pool: &PgPool, lane: u16) -> Result<Self, StoreError> {
        let session: Session = transaction::begin(pool, Some(lane)).await?;
        let mut db = Db::Postgres(session);
        transaction::turn_and_epoch(&mut db, lane).await?;
        Ok(Self(db))
    }

    /// Tries to commit.
    ///
    /// # Errors
    /// Where the transaction has been ended meanwhile.
    pub async fn go_on(mut self) -> Result<(), StoreError> {
        if let Db::Postgres(session) = &mut self.0 {
            session.commit().await?;
        }
        Ok(())
    }
}
