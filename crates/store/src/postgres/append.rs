//! Appending to the inbox. Any node may; nothing is fenced.

use std::collections::HashSet;

use sqlx::Row;

use super::{PgHot, bytes, column};
use crate::error::StoreError;
use crate::hot::append::{self, Appended, NewInboxRow};

pub(super) const APPEND: &str = "
insert into inbox (id, lane, app, event_at, digest, received_at, kind, openid, pushes, verdict, reason, applied_at, body)
select * from unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::text[],
    $8::text[], $9::bigint[], $10::smallint[], $11::text[], $12::bigint[], $13::text[])
on conflict (lane, event_at, digest) do update set pushes = inbox.pushes + excluded.pushes
returning id";

impl PgHot {
    /// Appends verified callbacks; returns when they are durable. A re-pushed event only counts up (I2).
    ///
    /// # Errors
    /// Where the database is away: then WeChat must be answered 503, so that it pushes again.
    pub async fn append(&self, rows: Vec<NewInboxRow>) -> Result<Vec<Appended>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.detached(|inner| async move {
            let mut batch = append::fold(&rows);
            // Two nodes that append the same events lock them in the same order.
            batch.sort_unstable_by(|a, b| (a.1, a.3, &a.4).cmp(&(b.1, b.3, &b.4)));
            let ids = batch.iter().map(|row| bytes(&row.0)).collect::<Result<Vec<_>, _>>()?;
            let digests = batch.iter().map(|row| bytes(&row.4)).collect::<Result<Vec<_>, _>>()?;
            let mut db = inner.acquire().await?;
            let written = sqlx::query(APPEND)
                .bind(ids)
                .bind(column!(batch, |row| super::lane(row.1)))
                .bind(column!(batch, |row| row.2))
                .bind(column!(batch, |row| row.3))
                .bind(digests)
                .bind(column!(batch, |row| row.5))
                .bind(column!(batch, |row| row.6))
                .bind(column!(batch, |row| row.7))
                .bind(column!(batch, |row| row.8))
                .bind(column!(batch, |row| row.9))
                .bind(column!(batch, |row| row.10))
                .bind(column!(batch, |row| row.11))
                .bind(column!(batch, |row| row.12))
                .fetch_all(&mut *db)
                .await?
                .iter()
                .map(|row| row.try_get(0))
                .collect::<Result<HashSet<Vec<u8>>, _>>()?;
            drop(batch);
            Ok(append::verdicts(&rows, &written))
        })
        .await
    }
}
