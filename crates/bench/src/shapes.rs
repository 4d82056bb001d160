//! The layouts that were compared before the schema was fixed (docs/adr/0001-the-shape-of-the-store.md): where
//! an inbox row lies, and whether the hot part of a message lies beside its text. SQLite, full sync, one commit
//! per batch, as the group commit does it.

use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::json;
use sqlx::{Connection, SqliteConnection};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows that stand in each table before the measurement.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Rows that are measured.
    #[arg(long, default_value_t = 51_200)]
    measured: u64,
}

const LANES: u64 = 64;

/// One layout of one table: its DDL, and the statement that takes a batch as JSON.
struct Shape {
    name: &'static str,
    ddl: &'static str,
    fill: &'static str,
    step: &'static str,
}

const INBOX: [Shape; 3] = [
    Shape {
        name: "inbox by (lane, id)",
        ddl: "create table t(lane int, id blob, at int, digest blob, body text, primary key(lane,id)) without rowid;
              create unique index d on t(lane, at, digest)",
        fill: APPEND,
        step: APPEND,
    },
    Shape {
        name: "inbox by id, in time order",
        ddl: "create table t(id blob primary key, lane int, at int, digest blob, body text) without rowid;
              create unique index d on t(at, lane, digest)",
        fill: APPEND,
        step: APPEND,
    },
    Shape {
        name: "inbox by id, bare random digest",
        ddl: "create table t(id blob primary key, lane int, at int, digest blob, body text) without rowid;
              create unique index d on t(digest)",
        fill: APPEND,
        step: APPEND,
    },
];
const APPEND: &str = "insert into t(lane,id,at,digest,body)
    select v->>0, unhex(v->>1), v->>2, unhex(v->>3), v->>4 from (select value v from json_each($1)) where true
    on conflict do nothing";

const MESSAGE: [Shape; 2] = [
    Shape {
        name: "outcome beside the text",
        ddl: "create table t(id blob primary key, lane int, text text, state int, attempt int, at int, code int, msgid int) without rowid",
        fill: "insert into t(id,lane,text,state,attempt) select unhex(v->>1), v->>0, v->>2, 2, 0 from (select value v from json_each($1))",
        step: OUTCOME,
    },
    Shape {
        name: "outcome in a row of its own",
        ddl: "create table t(id blob primary key, lane int, state int, attempt int, at int, code int, msgid int) without rowid",
        fill: "insert into t(id,lane,state,attempt) select unhex(v->>1), v->>0, 2, 0 from (select value v from json_each($1))",
        step: OUTCOME,
    },
];
const OUTCOME: &str = "update t set state=4, attempt=1, at=v->>1, code=0, msgid=v->>2
    from (select value v from json_each($1)) where t.id=unhex(v->>0)";

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(1);
    println!("| layout | batch | µs a row | WAL bytes a row |");
    println!("|---|---|---|---|");
    for page in [4096, 8192] {
        for shape in &INBOX {
            for batch in [16, 64, 256] {
                inbox(shape, page, batch, &arguments, &mut random).await?;
            }
        }
        for shape in &MESSAGE {
            for scattered in [false, true] {
                message(shape, page, scattered, &arguments, &mut random).await?;
            }
        }
    }
    Ok(())
}

async fn inbox(
    shape: &Shape,
    page: u32,
    batch: u64,
    arguments: &Arguments,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut db = open(directory.path(), page, shape.ddl).await?;
    let body = "x".repeat(420);
    let mut clock = 1_700_000_000_000u64;
    let mut row = |random: &mut StdRng| {
        clock += 1;
        let lane = random.random_range(0..LANES);
        let mut digest = [0u8; 16];
        random.fill_bytes(&mut digest);
        let id = format!("{:012x}7{lane:03x}8{:015x}", clock, random.next_u64() >> 4);
        json!([lane, id, clock / 1000 * 1000, hex::encode(digest), body])
    };
    fill(&mut db, shape.fill, arguments.rows / 4, || row(random)).await?;
    let started = Instant::now();
    let wal = measure(&mut db, directory.path(), shape.step, arguments.measured / batch, || {
        (0..batch).map(|_| row(random)).collect()
    })
    .await?;
    report(&format!("{}, page {page}", shape.name), &batch.to_string(), started, wal, arguments.measured);
    Ok(())
}

async fn message(
    shape: &Shape,
    page: u32,
    scattered: bool,
    arguments: &Arguments,
    random: &mut StdRng,
) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut db = open(directory.path(), page, shape.ddl).await?;
    let text = "x".repeat(320);
    let mut ids = Vec::new();
    let mut number = 0u64;
    fill(&mut db, shape.fill, arguments.rows, || {
        // A campaign is materialised lane by lane.
        let lane = number / (arguments.rows / LANES).max(1);
        let id = format!("{:012x}7{lane:03x}8{:015x}", 1_700_000_000_000u64 + number / 100, number);
        number += 1;
        ids.push(id.clone());
        json!([lane, id, text])
    })
    .await?;
    if scattered {
        ids.shuffle(random);
    }
    let mut next = 0;
    let batch = 256usize;
    let started = Instant::now();
    let wal = measure(&mut db, directory.path(), shape.step, arguments.measured / batch as u64, || {
        let chunk = ids[next..next + batch]
            .iter()
            .map(|id| json!([id, 1, 3_000_000_000_000_000_000i64 + next as i64]))
            .collect();
        next += batch;
        chunk
    })
    .await?;
    let order = if scattered { "256 scattered" } else { "256 of a lane" };
    report(&format!("{}, page {page}", shape.name), order, started, wal, arguments.measured);
    Ok(())
}

async fn open(directory: &std::path::Path, page: u32, ddl: &'static str) -> anyhow::Result<SqliteConnection> {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(directory.join("t.db"))
        .create_if_missing(true)
        .page_size(page)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
        .pragma("cache_size", "-65536");
    let mut db = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(ddl).execute(&mut db).await?;
    Ok(db)
}

async fn fill(
    db: &mut SqliteConnection,
    statement: &'static str,
    rows: u64,
    mut row: impl FnMut() -> serde_json::Value,
) -> anyhow::Result<()> {
    let mut transaction = db.begin().await?;
    for _ in 0..rows.div_ceil(5000) {
        let batch: Vec<_> = (0..5000).map(|_| row()).collect();
        sqlx::query(statement).bind(serde_json::to_string(&batch)?).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(db).await?;
    Ok(())
}

/// One commit per batch; gives the bytes that went to the WAL (checkpoints are left to SQLite, as in service).
async fn measure(
    db: &mut SqliteConnection,
    directory: &std::path::Path,
    statement: &'static str,
    batches: u64,
    mut rows: impl FnMut() -> Vec<serde_json::Value>,
) -> anyhow::Result<u64> {
    sqlx::raw_sql("pragma wal_autocheckpoint=0").execute(&mut *db).await?;
    for _ in 0..batches {
        sqlx::query(statement).bind(serde_json::to_string(&rows())?).execute(&mut *db).await?;
    }
    let bytes = std::fs::metadata(directory.join("t.db-wal"))?.len();
    sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(db).await?;
    Ok(bytes)
}

#[expect(clippy::print_stdout, reason = "the figures are what this is for")]
fn report(name: &str, batch: &str, started: Instant, wal: u64, rows: u64) {
    println!(
        "| {name} | {batch} | {:.1} | {} |",
        started.elapsed().as_micros() as f64 / rows as f64,
        wal / rows
    );
}
