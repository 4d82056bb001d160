//! Gates: why an app sends nothing at the moment. A closed gate is one row, never an update of waiting messages.

use domain::Millis;

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;

/// A closed gate of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The app.
    pub app: i64,
    /// `configuration` or `quota`.
    pub reason: String,
    /// WeChat's errcode.
    pub errcode: i64,
    /// WeChat's errmsg.
    pub detail: String,
    /// Since when.
    pub closed_at: Millis,
    /// When one message tries again.
    pub retry_at: Millis,
}

impl Store {
    /// Closes an app's gate, or renews it.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn close_gate(&self, gate: Gate) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into gate (app, reason, errcode, detail, closed_at, retry_at) values ($1, $2, $3, $4, $5, $6)
                         on conflict (app) do update set reason = excluded.reason, errcode = excluded.errcode,
                             detail = excluded.detail, retry_at = excluded.retry_at",
                    )
                    .bind(gate.app)
                    .bind(gate.reason)
                    .bind(gate.errcode)
                    .bind(gate.detail)
                    .bind(gate.closed_at)
                    .bind(gate.retry_at)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Opens an app's gate.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn open_gate(&self, app: i64) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("delete from gate where app = $1").bind(app).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Every closed gate.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        db::query("select app, reason, errcode, detail, closed_at, retry_at from gate order by app")
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(gate)
            .collect()
    }

    /// The closed gate of an app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn gate(&self, app: i64) -> Result<Option<Gate>, StoreError> {
        db::query("select app, reason, errcode, detail, closed_at, retry_at from gate where app = $1")
            .bind(app)
            .fetch_optional(&self.readers)
            .await?
            .as_ref()
            .map(gate)
            .transpose()
    }
}

fn gate(row: &Row) -> Result<Gate, StoreError> {
    Ok(Gate {
        app: row.try_get(0)?,
        reason: row.try_get(1)?,
        errcode: row.try_get(2)?,
        detail: row.try_get(3)?,
        closed_at: row.try_get(4)?,
        retry_at: row.try_get(5)?,
    })
}
