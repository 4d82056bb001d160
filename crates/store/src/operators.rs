//! Operators (who has a console login), their sessions, and the code that claims a fresh installation. Passwords come here as
//! hashes, session tokens as digests. Used by the service.

use domain::Millis;
use secrecy::SecretString;

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;

/// An operator.
#[derive(Clone)]
pub struct StoredOperator {
    /// Its number.
    pub number: i64,
    /// The name that it signs in with.
    pub name: String,
    /// The password's hash, as a PHC string.
    pub password: String,
    /// Roles as JSON, by AppID; `*` is every app.
    pub roles: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
    /// When it last signed in.
    pub signed_in_at: Option<Millis>,
}

impl std::fmt::Debug for StoredOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredOperator")
            .field("number", &self.number)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

const READ: &str = "select o.number, o.name, o.password, o.roles, o.created_by, o.created_at, o.signed_in_at from operator o";
pub(crate) const SETUP_CODE: &str = "setup_code";
/// A session's last use is written at most so often.
const SEEN: Millis = domain::clock::MINUTE;

impl Store {
    /// Adds an operator; none where the name is taken.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn insert_operator(&self, operator: StoredOperator) -> Result<Option<i64>, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    Ok(db::query_scalar(
                        "insert into operator (name, password, roles, created_by, created_at) values ($1, $2, $3, $4, $5)
                         on conflict do nothing returning number",
                    )
                    .bind(operator.name)
                    .bind(operator.password)
                    .bind(operator.roles)
                    .bind(operator.created_by)
                    .bind(operator.created_at)
                    .fetch_optional(db)
                    .await?)
                })
            })
            .await
    }

    /// As [`Self::insert_operator`], only where there is none yet: who comes second claims nothing.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn insert_first_operator(&self, operator: StoredOperator) -> Result<Option<i64>, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    // First, so that of two at the same moment the second waits here for the first.
                    db::query("delete from meta where key = $1").bind(SETUP_CODE).execute(&mut *db).await?;
                    let number = db::query_scalar(
                        "insert into operator (name, password, roles, created_by, created_at)
                         select $1, $2, $3, $4, $5 where not exists (select 1 from operator) returning number",
                    )
                    .bind(operator.name)
                    .bind(operator.password)
                    .bind(operator.roles)
                    .bind(operator.created_by)
                    .bind(operator.created_at)
                    .fetch_optional(&mut *db)
                    .await?;
                    Ok(number)
                })
            })
            .await
    }

    /// Changes an operator's password or roles; every session of it ends.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn change_operator(
        &self,
        number: i64,
        password: Option<String>,
        roles: Option<String>,
    ) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "update operator set password = coalesce($2, password), roles = coalesce($3, roles) where number = $1",
                    )
                    .bind(number)
                    .bind(password)
                    .bind(roles)
                    .execute(&mut *db)
                    .await?;
                    db::query("delete from session where operator = $1").bind(number).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Removes an operator with its sessions.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_operator(&self, number: i64) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    // An operator before its sessions, everywhere: two that wait for each other would both fail.
                    db::query("delete from operator where number = $1")
                        .bind(number)
                        .execute(&mut *db)
                        .await?;
                    db::query("delete from session where operator = $1").bind(number).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// All operators, by name.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn operators(&self) -> Result<Vec<StoredOperator>, StoreError> {
        let query = db::query(format!("{READ} order by o.name"));
        query.fetch_all(&self.readers).await?.iter().map(operator).collect()
    }

    /// Whether there is an operator.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn has_operators(&self) -> Result<bool, StoreError> {
        Ok(db::query_scalar("select exists (select 1 from operator)").fetch_one(&self.readers).await?)
    }

    /// Opens a session; those that are over go.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn open_session(
        &self,
        digest: [u8; 32],
        operator: i64,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("update operator set signed_in_at = $2 where number = $1")
                        .bind(operator)
                        .bind(now)
                        .execute(&mut *db)
                        .await?;
                    db::query("delete from session where expires_at <= $1")
                        .bind(now)
                        .execute(&mut *db)
                        .await?;
                    db::query(
                        "insert into session (digest, operator, created_at, seen_at, expires_at) values ($1, $2, $3, $3, $4)",
                    )
                    .bind(digest.as_slice())
                    .bind(operator)
                    .bind(now)
                    .bind(expires_at)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Whose session this is: it must not be over, nor unused for longer than `idle`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn session(
        &self,
        digest: [u8; 32],
        now: Millis,
        idle: Millis,
    ) -> Result<Option<StoredOperator>, StoreError> {
        let statement = READ.replace(" from ", ", s.seen_at from session s join ").replace(
            "operator o",
            "operator o on o.number = s.operator where s.digest = $1 and s.expires_at > $2 and s.seen_at > $3",
        );
        let row = db::query(statement)
            .bind(digest.as_slice())
            .bind(now)
            .bind(now - idle)
            .fetch_optional(&self.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<Millis>(7)? < now - SEEN {
            self.writer
                .cold_bulk(move |db, _| {
                    Box::pin(async move {
                        db::query("update session set seen_at = $2 where digest = $1")
                            .bind(digest.as_slice())
                            .bind(now)
                            .execute(db)
                            .await?;
                        Ok(())
                    })
                })
                .await?;
        }
        operator(&row).map(Some)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn close_session(&self, digest: [u8; 32]) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("delete from session where digest = $1")
                        .bind(digest.as_slice())
                        .execute(db)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// The code that claims the installation: the one that stands, or `fresh`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn setup_code(&self, fresh: SecretString) -> Result<SecretString, StoreError> {
        let sealed = hex::encode(self.master.seal(&fresh, SETUP_CODE, &*self.entropy));
        let kept: String = self
            .writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("insert into meta (key, value) values ($1, $2) on conflict do nothing")
                        .bind(SETUP_CODE)
                        .bind(sealed)
                        .execute(&mut *db)
                        .await?;
                    Ok(db::query_scalar("select value from meta where key = $1")
                        .bind(SETUP_CODE)
                        .fetch_one(db)
                        .await?)
                })
            })
            .await?;
        let sealed = hex::decode(kept).map_err(|_| StoreError::Corrupt("meta.setup_code"))?;
        self.master.open(&sealed, SETUP_CODE)
    }
}

fn operator(row: &Row) -> Result<StoredOperator, StoreError> {
    Ok(StoredOperator {
        number: row.try_get(0)?,
        name: row.try_get(1)?,
        password: row.try_get(2)?,
        roles: row.try_get(3)?,
        created_by: row.try_get(4)?,
        created_at: row.try_get(5)?,
        signed_in_at: row.try_get(6)?,
    })
}
