//! Access tokens, kept sealed across restarts and replaced only by compare and swap (I11).

use domain::Millis;
use secrecy::SecretString;

use crate::Store;
use crate::db::{self};
use crate::error::StoreError;

/// An app's access token.
#[derive(Debug, Clone)]
pub struct StoredToken {
    /// The token.
    pub token: SecretString,
    /// Rises with every replacement: what a compare and swap compares.
    pub version: i64,
    /// When it was obtained.
    pub obtained_at: Millis,
    /// When WeChat said it ends.
    pub expires_at: Millis,
    /// The ration of forced refreshes.
    pub forced: Forced,
}

/// Forced refreshes are rationed by WeChat: 20 a day, 30 s apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forced {
    /// When the last one was made.
    pub at: Millis,
    /// The day (number of days in Asia/Shanghai) that `count` belongs to.
    pub day: i64,
    /// How many that day.
    pub count: i64,
}

const SWAP: &str = "
insert into access_token (app, token, version, obtained_at, expires_at, forced_at, forced_day, forced_count)
select $1, $2, $3 + 1, $4, $5, $6, $7, $8
where $3 = 0 or exists (select 1 from access_token where app = $1)
on conflict (app) do update set token = excluded.token, version = excluded.version, obtained_at = excluded.obtained_at,
    expires_at = excluded.expires_at, forced_at = excluded.forced_at, forced_day = excluded.forced_day,
    forced_count = excluded.forced_count
    where access_token.version = $3";

impl Store {
    /// The app's token, valid or not.
    ///
    /// # Errors
    /// Where the database is away, or the token does not open.
    pub async fn token(&self, app: i64) -> Result<Option<StoredToken>, StoreError> {
        let row = db::query(
            "select token, version, obtained_at, expires_at, forced_at, forced_day, forced_count from access_token where app = $1",
        )
        .bind(app)
        .fetch_optional(&self.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(StoredToken {
            token: self.master.open(&row.try_get::<Vec<u8>>(0)?, &context(app))?,
            version: row.try_get(1)?,
            obtained_at: row.try_get(2)?,
            expires_at: row.try_get(3)?,
            forced: Forced { at: row.try_get(4)?, day: row.try_get(5)?, count: row.try_get(6)? },
        }))
    }

    /// Replaces the token that has `version` (0 where there is none yet); false where somebody was faster.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn swap_token(
        &self,
        app: i64,
        version: i64,
        token: &SecretString,
        obtained_at: Millis,
        expires_at: Millis,
        forced: Forced,
    ) -> Result<bool, StoreError> {
        let sealed = self.master.seal(token, &context(app), &*self.entropy);
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query(SWAP)
                        .bind(app)
                        .bind(sealed)
                        .bind(version)
                        .bind(obtained_at)
                        .bind(expires_at)
                        .bind(forced.at)
                        .bind(forced.day)
                        .bind(forced.count)
                        .execute(db)
                        .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }
}

pub(crate) fn context(app: i64) -> String {
    format!("access_token {app}")
}
