//! What people and keys did, one row each. Written by the service for the console, the API and the command line.

use domain::Millis;

use crate::Store;
use crate::db::{self};
use crate::error::StoreError;

/// Something that somebody did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Its number, once it is kept.
    pub number: i64,
    /// When.
    pub at: Millis,
    /// Who: `operator:NAME`, `key:NUMBER NAME`, `cli:USER`.
    pub principal: String,
    /// In which app; none where it was none's.
    pub app: Option<i64>,
    /// What, in the interface's words: `campaigns.start`.
    pub act: String,
    /// To what.
    pub target: Option<String>,
}

impl Store {
    /// Keeps a deed.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn note_deed(&self, deed: Deed) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into audit (at, principal, app, act, target) values ($1, $2, $3, $4, $5)",
                    )
                    .bind(deed.at)
                    .bind(deed.principal)
                    .bind(deed.app)
                    .bind(deed.act)
                    .bind(deed.target)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Deeds, newest first, of before a number; of one app, or of all.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn deeds(
        &self,
        app: Option<i64>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Deed>, StoreError> {
        let rows = db::query(
            "select number, at, principal, app, act, target from audit
             where number < $1 and ($2 is null or app = $2) order by number desc limit $3",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(app)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Deed {
                    number: row.try_get(0)?,
                    at: row.try_get(1)?,
                    principal: row.try_get(2)?,
                    app: row.try_get(3)?,
                    act: row.try_get(4)?,
                    target: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// Forgets deeds of before a moment; gives how many.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_deeds(&self, before: Millis, limit: i64) -> Result<u64, StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    let gone = db::query(
                        "delete from audit where number in (select number from audit order by number limit $2) and at < $1",
                    )
                    .bind(before)
                    .bind(limit)
                    .execute(db)
                    .await?;
                    Ok(gone.rows_affected())
                })
            })
            .await
    }
}
