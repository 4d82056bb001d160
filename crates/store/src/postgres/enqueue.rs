//! Accepting messages: the message, its state, its place in the queue and its reservation in one statement. Any
//! node may; nothing is fenced. Idempotency keys and the check of grants are not written for PostgreSQL yet.

use super::{PgHot, column};
use crate::error::StoreError;
use crate::hot::enqueue::NewMessage;

pub(super) const ENQUEUE: &str = "
with b as materialized (
    select * from unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bigint[], $12::smallint[], $13::bigint[])
        b (id, lane, app, template, openid, queue, data, page, version, lang, expire_at, state, due_at)
), m as (
    insert into message (id, lane, app, template, openid, queue, data, page, version, lang, expire_at)
    select id, lane, app, template, openid, queue, data, page, version, lang, expire_at from b
), s as (
    insert into message_state (id, lane, state, cancel_requested, linked, attempts, due_at)
    select id, lane, state, false, false, 0, due_at from b
), r as (
    insert into ready (lane, queue, due_at, id, expire_at) select lane, queue, due_at, id, expire_at from b
)
insert into reserved (lane, template, openid, id) select lane, template, openid, id from b";

impl PgHot {
    /// Keeps messages; returns when they are durable. Leaves their idempotency keys and `needs_grant` unheeded.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn enqueue(&self, mut messages: Vec<NewMessage>) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        messages.sort_unstable_by_key(|message| (message.id.lane(), message.id));
        self.detached(|inner| async move {
            let mut db = inner.acquire().await?;
            sqlx::query(ENQUEUE)
                .bind(column!(messages, |m| m.id.0.as_bytes().as_slice()))
                .bind(column!(messages, |m| super::lane(m.id.lane().0)))
                .bind(column!(messages, |m| m.app))
                .bind(column!(messages, |m| m.template))
                .bind(column!(messages, |m| m.openid.as_str()))
                .bind(column!(messages, |m| m.queue.0))
                .bind(column!(messages, |m| m.data.as_str()))
                .bind(column!(messages, |m| m.page.as_deref()))
                .bind(column!(messages, |m| m.version.as_str()))
                .bind(column!(messages, |m| m.lang.as_str()))
                .bind(column!(messages, |m| m.expire_at))
                .bind(column!(messages, |m| m.state.code()))
                .bind(column!(messages, |m| m.due_at))
                .execute(&mut *db)
                .await?;
            Ok(())
        })
        .await
    }
}
