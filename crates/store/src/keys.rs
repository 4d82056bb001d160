//! API keys: only a digest is kept, so that a key can be checked but never shown again.

use domain::Millis;

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its number.
    pub number: i64,
    /// What it is for.
    pub name: String,
    /// The one app that it sees, or all.
    pub app: Option<i64>,
    /// Comma-separated scopes.
    pub scopes: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
}

const COLUMNS: &str = "id, name, app, scopes, created_at, revoked_at";

impl Store {
    /// Keeps a new key's digest.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn insert_key(
        &self,
        name: String,
        digest: [u8; 32],
        app: Option<i64>,
        scopes: String,
        now: Millis,
    ) -> Result<i64, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    Ok(db::query_scalar(
                        "insert into api_key (name, digest, app, scopes, created_at) values ($1, $2, $3, $4, $5) returning id",
                    )
                    .bind(name)
                    .bind(digest.as_slice())
                    .bind(app)
                    .bind(scopes)
                    .bind(now)
                    .fetch_one(db)
                    .await?)
                })
            })
            .await
    }

    /// Revokes a key; gives false where there is no such valid one.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn revoke_key(&self, number: i64, now: Millis) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done =
                        db::query("update api_key set revoked_at = $2 where id = $1 and revoked_at is null")
                            .bind(number)
                            .bind(now)
                            .execute(db)
                            .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }

    /// The valid key with this digest.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn key_by_digest(&self, digest: [u8; 32]) -> Result<Option<StoredKey>, StoreError> {
        let statement = format!("select {COLUMNS} from api_key where digest = $1 and revoked_at is null");
        let row = db::query(statement).bind(digest.as_slice()).fetch_optional(&self.readers).await?;
        row.as_ref().map(stored).transpose()
    }

    /// Every key, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let statement = format!("select {COLUMNS} from api_key order by id");
        db::query(statement).fetch_all(&self.readers).await?.iter().map(stored).collect()
    }
}

fn stored(row: &Row) -> Result<StoredKey, StoreError> {
    Ok(StoredKey {
        number: row.try_get(0)?,
        name: row.try_get(1)?,
        app: row.try_get(2)?,
        scopes: row.try_get(3)?,
        created_at: row.try_get(4)?,
        revoked_at: row.try_get(5)?,
    })
}
