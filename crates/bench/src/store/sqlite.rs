//! SQLite: the store as the service holds it; seeding and the reference by connections of their own.

use std::path::Path;
use std::sync::Arc;

use ::store::hot::append::{Appended, NewInboxRow};
use ::store::hot::apply::{Application, ToApply};
use ::store::hot::arm::Arm;
use ::store::hot::enqueue::Queue;
use ::store::hot::settle::Settlement;
use ::store::{MasterKey, OpenOptions, Role, Store};
use domain::{Lane, Millis, SeededEntropy, SystemClock};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::engine::Engine;
use super::seed::{APP, DATA, Subscriber, TEMPLATE, TEMPLATE_ID, Waiting};

pub(crate) struct Sqlite {
    store: Store,
    seed: SqliteConnection,
    bare: SqliteConnection,
}

impl Sqlite {
    pub(crate) async fn open(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("hongyan.db");
        let master = MasterKey::generate(&SeededEntropy::new(1)).0;
        let options = OpenOptions::new(format!("sqlite:{}", path.display()), master, Role::Worker);
        let store = Store::open(options, Arc::new(SystemClock), Arc::new(SeededEntropy::new(2))).await?;
        let plain = |path: &Path, sync| {
            SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .page_size(4096)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(sync)
                .pragma("cache_size", "-65536")
        };
        let seed = plain(&path, SqliteSynchronous::Off).pragma("cache_size", "-1000000").connect().await?;
        let mut bare = plain(&directory.join("bare.db"), SqliteSynchronous::Full).connect().await?;
        sqlx::raw_sql("create table bare (id integer primary key, text text)").execute(&mut bare).await?;
        Ok(Self { store, seed, bare })
    }

    async fn insert(
        &mut self,
        statements: &[&'static str],
        rows: &[serde_json::Value],
    ) -> anyhow::Result<()> {
        sqlx::raw_sql("begin immediate").execute(&mut self.seed).await?;
        for chunk in rows.chunks(5_000) {
            let chunk = serde_json::to_string(chunk)?;
            for statement in statements {
                sqlx::query(*statement).bind(&chunk).execute(&mut self.seed).await?;
            }
        }
        sqlx::raw_sql("commit").execute(&mut self.seed).await?;
        Ok(())
    }
}

const SUBSCRIBERS: &str = "
insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open)
select v->>0, v->>1, v->>2, 1, v->>3, 1, true, v->>3, 0, 0 from (select value v from json_each($1))";
const MESSAGES: [&str; 4] = [
    "insert into message (id, lane, app, template, openid, queue, data, version, lang, expire_at)
     select unhex(v->>0), v->>1, 1, v->>2, v->>3, v->>4, v->>7, 'formal', 'zh_CN', v->>6 from (select value v from json_each($1))",
    "insert into message_state (id, lane, state, cancel_requested, linked, attempts, due_at)
     select unhex(v->>0), v->>1, 2, false, false, 0, v->>5 from (select value v from json_each($1))",
    "insert into ready (lane, queue, due_at, id, expire_at)
     select v->>1, v->>4, v->>5, unhex(v->>0), v->>6 from (select value v from json_each($1))",
    "insert into reserved (lane, template, openid, id)
     select v->>1, v->>2, v->>3, unhex(v->>0) from (select value v from json_each($1))",
];

impl Engine for Sqlite {
    async fn seed_subscribers(&mut self, subscribers: &[Subscriber]) -> anyhow::Result<()> {
        sqlx::query("insert into template (id, app, template_id, title, kind, content, example, fields) values ($1, $2, $3, '', 2, '', '', '[]')")
            .bind(TEMPLATE)
            .bind(APP)
            .bind(TEMPLATE_ID)
            .execute(&mut self.seed)
            .await?;
        for part in subscribers.chunks(100_000) {
            let rows: Vec<_> =
                part.iter().map(|s| json!([s.lane.0, TEMPLATE, s.openid, 1_780_000_000_000i64])).collect();
            self.insert(&[SUBSCRIBERS], &rows).await?;
        }
        Ok(())
    }

    async fn seed_messages(&mut self, messages: &[Waiting<'_>]) -> anyhow::Result<()> {
        for part in messages.chunks(100_000) {
            let rows: Vec<_> = part
                .iter()
                .map(|m| {
                    let id = m.id.0.simple().to_string();
                    json!([id, m.lane.0, TEMPLATE, m.openid, m.queue.0, m.due_at, m.expire_at, DATA])
                })
                .collect();
            self.insert(&MESSAGES, &rows).await?;
        }
        Ok(())
    }

    async fn seeded(&mut self) -> anyhow::Result<()> {
        sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(&mut self.seed).await?;
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
        sqlx::query("insert into bare (text) select value from json_each($1)")
            .bind(serde_json::to_string(rows)?)
            .execute(&mut self.bare)
            .await?;
        Ok(())
    }
}
