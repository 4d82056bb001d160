//! PostgreSQL: the store; seeding and the reference by a connection of their own.

use std::sync::Arc;

use ::store::hot::append::{Appended, NewInboxRow};
use ::store::hot::apply::{Application, ToApply};
use ::store::hot::arm::Arm;
use ::store::hot::enqueue::Queue;
use ::store::hot::settle::Settlement;
use ::store::{MasterKey, OpenOptions, Role, Store};
use domain::{Lane, Millis, SeededEntropy, SystemClock};
use sqlx::{Connection, PgConnection};

use super::engine::Engine;
use super::seed::{APP, DATA, Subscriber, TEMPLATE, TEMPLATE_ID, Waiting};

pub(crate) struct Postgres {
    store: Store,
    plain: PgConnection,
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let master = MasterKey::generate(&SeededEntropy::new(1)).0;
        let options = OpenOptions::new(url, master, Role::Worker);
        let store = Store::open(options, Arc::new(SystemClock), Arc::new(SeededEntropy::new(2))).await?;
        let mut plain = PgConnection::connect(url).await?;
        sqlx::raw_sql("create table bare (id bigserial primary key, text text)").execute(&mut plain).await?;
        Ok(Self { store, plain })
    }
}

fn lane(lane: Lane) -> i16 {
    i16::try_from(lane.0).unwrap_or(0)
}

const MESSAGES: &str = "
with b as materialized (
    select * from unnest($1::bytea[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
        b (id, lane, openid, queue, due_at, expire_at)
), m as (
    insert into message (id, lane, app, template, openid, queue, data, version, lang, expire_at)
    select id, lane, 1, $7::bigint, openid, queue, $8, 'formal', 'zh_CN', expire_at from b
), s as (
    insert into message_state (id, lane, state, cancel_requested, linked, attempts, due_at)
    select id, lane, 2, false, false, 0, due_at from b
), r as (
    insert into ready (lane, queue, due_at, id, expire_at) select lane, queue, due_at, id, expire_at from b
)
insert into reserved (lane, template, openid, id) select lane, $7, openid, id from b";

impl Engine for Postgres {
    async fn seed_subscribers(&mut self, subscribers: &[Subscriber]) -> anyhow::Result<()> {
        sqlx::query("insert into template (id, app, template_id, title, kind, content, example, fields) values ($1, $2, $3, '', 2, '', '', '[]')")
            .bind(TEMPLATE)
            .bind(APP)
            .bind(TEMPLATE_ID)
            .execute(&mut self.plain)
            .await?;
        for part in subscribers.chunks(20_000) {
            sqlx::query(
                "insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open)
                 select lane, $3, openid, 1, $4, 1, true, $4, 0, 0 from unnest($1::smallint[], $2::text[]) b (lane, openid)",
            )
            .bind(part.iter().map(|s| lane(s.lane)).collect::<Vec<_>>())
            .bind(part.iter().map(|s| s.openid.as_str()).collect::<Vec<_>>())
            .bind(TEMPLATE)
            .bind(1_780_000_000_000i64)
            .execute(&mut self.plain)
            .await?;
        }
        Ok(())
    }

    async fn seed_messages(&mut self, messages: &[Waiting<'_>]) -> anyhow::Result<()> {
        for part in messages.chunks(20_000) {
            sqlx::query(MESSAGES)
                .bind(part.iter().map(|m| m.id.0.as_bytes().as_slice()).collect::<Vec<_>>())
                .bind(part.iter().map(|m| lane(m.lane)).collect::<Vec<_>>())
                .bind(part.iter().map(|m| m.openid).collect::<Vec<_>>())
                .bind(part.iter().map(|m| m.queue.0).collect::<Vec<_>>())
                .bind(part.iter().map(|m| m.due_at).collect::<Vec<_>>())
                .bind(part.iter().map(|m| m.expire_at).collect::<Vec<_>>())
                .bind(TEMPLATE)
                .bind(DATA)
                .execute(&mut self.plain)
                .await?;
        }
        Ok(())
    }

    async fn seeded(&mut self) -> anyhow::Result<()> {
        for statement in ["vacuum analyze", "checkpoint"] {
            sqlx::raw_sql(statement).execute(&mut self.plain).await?;
        }
        Ok(())
    }

    async fn own(&mut self) -> anyhow::Result<()> {
        self.store.take_all_lanes("bench".into(), i64::MAX).await?;
        Ok(())
    }

    async fn append(&mut self, rows: Vec<NewInboxRow>) -> anyhow::Result<usize> {
        let appended = self.store.append(rows).await?;
        Ok(appended.into_iter().filter(|one| *one == Appended::New).count())
    }

    async fn apply(&mut self, events: Vec<ToApply>) -> anyhow::Result<usize> {
        let applied = self.store.apply(events).await?;
        Ok(applied.into_iter().filter(|one| *one == Application::Done).count())
    }

    async fn arm(&mut self, attempts: Vec<Arm>) -> anyhow::Result<usize> {
        Ok(self.store.arm(attempts).await?.into_iter().filter(|armed| *armed).count())
    }

    async fn settle(&mut self, outcomes: Vec<Settlement>) -> anyhow::Result<usize> {
        Ok(self.store.settle(outcomes).await?.into_iter().filter(|counted| *counted).count())
    }

    async fn claim(&mut self, lane: Lane, queue: Queue, now: Millis, limit: i64) -> anyhow::Result<usize> {
        Ok(self.store.claim(lane, queue, now, limit).await?.len())
    }

    async fn bare(&mut self, rows: &[String]) -> anyhow::Result<()> {
        sqlx::query("insert into bare (text) select unnest($1::text[])")
            .bind(rows)
            .execute(&mut self.plain)
            .await?;
        Ok(())
    }
}
