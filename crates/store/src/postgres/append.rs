//! Appending to the inbox. Any node may; nothing is fenced.

use std::collections::{HashMap, HashSet};

use sqlx::Row;

use super::{PgHot, bytes, column};
use crate::error::StoreError;
use crate::hot::append::{Appended, NewInboxRow, Verdict};
use crate::hot::hex;

pub(super) const APPEND: &str = "
with b as materialized (
    select * from unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::text[],
        $8::text[], $9::bigint[], $10::smallint[], $11::text[], $12::bigint[], $13::text[])
        b (id, lane, app, event_at, digest, received_at, kind, openid, pushes, verdict, reason, applied_at, body)
), d as (
    insert into identity (event_at, lane, digest, inbox)
    select event_at, lane, digest, id from b where verdict is distinct from 3 on conflict do nothing
    returning inbox
), u as (
    update inbox i set pushes = i.pushes + b.pushes
    from b join identity x on x.lane = b.lane and x.event_at = b.event_at and x.digest = b.digest
    where i.lane = b.lane and i.id = x.inbox and b.verdict is distinct from 3
)
insert into inbox (id, lane, app, event_at, digest, received_at, kind, openid, pushes, verdict, reason, applied_at, body)
select b.* from b where b.verdict = 3 or b.id in (select inbox from d)
returning id";

type Columns<'r> = (
    String,
    u16,
    i64,
    i64,
    String,
    i64,
    &'static str,
    &'r str,
    i64,
    Option<i16>,
    Option<&'r str>,
    Option<i64>,
    &'r str,
);

/// Rows of one batch that are the same event are folded into one that counts them.
fn fold(items: &[NewInboxRow]) -> Vec<Columns<'_>> {
    let mut seen: HashMap<_, usize> = HashMap::with_capacity(items.len());
    let mut rows: Vec<Columns<'_>> = Vec::with_capacity(items.len());
    for item in items {
        let lane = item.id.lane();
        let at = *seen.entry((lane, item.event_at, item.digest, item.verdict)).or_insert_with(|| {
            rows.push((
                hex(item.id.0),
                lane.0,
                item.app,
                item.event_at,
                hex::encode(item.digest),
                item.received_at,
                item.kind.as_str(),
                &item.openid,
                0,
                item.verdict.map(Verdict::code),
                item.reason.as_deref(),
                item.verdict.map(|_| item.received_at),
                &item.body,
            ));
            rows.len() - 1
        });
        rows[at].8 += 1;
    }
    rows
}

/// Who is new: a row whose own id came back from the database.
fn verdicts(items: &[NewInboxRow], written: &HashSet<Vec<u8>>) -> Vec<Appended> {
    items
        .iter()
        .map(|item| {
            if written.contains(item.id.0.as_bytes().as_slice()) { Appended::New } else { Appended::Repeated }
        })
        .collect()
}

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
            let mut batch = fold(&rows);
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
            Ok(verdicts(&rows, &written))
        })
        .await
    }
}
