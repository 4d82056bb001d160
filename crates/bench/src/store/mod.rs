//! The hot statements of the store, on SQLite through `Store` and on PostgreSQL through `PgHot`: one caller, batches
//! as the service makes them, one commit per batch, full sync. Beside each write stands a bare reference in the same
//! run: as many rows per commit into a two-column table of the same engine with the same sync.

mod engine;
mod forms;
mod postgres;
mod report;
mod rounds;
mod seed;
mod sqlite;

use ::store::testing::TempPostgres;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Subscribers in the database, and messages that wait in a paused queue.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// `auto` (a throw-away cluster where PostgreSQL is installed), the URL of an empty database, or `off`.
    #[arg(long, default_value = "auto")]
    postgres: String,
    /// One JSON object per figure instead of the table.
    #[arg(long)]
    json: bool,
}

/// What a server is usually given; the rest is as PostgreSQL comes. `fsync` and `synchronous_commit` are on.
const SERVER: [&str; 3] = ["shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min"];

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let world = seed::World::new(arguments.rows);
    let mut columns = Vec::new();
    {
        let directory = tempfile::tempdir()?;
        let mut engine = sqlite::Sqlite::open(directory.path()).await?;
        columns.push(rounds::run("sqlite", &mut engine, &world).await?);
    }
    let cluster = match arguments.postgres.as_str() {
        "auto" => TempPostgres::start(&SERVER)
            .inspect_err(|why| report::note(&format!("no PostgreSQL: {why}")))
            .ok(),
        _ => None,
    };
    let url = match (&cluster, arguments.postgres.as_str()) {
        (Some(cluster), _) => Some(cluster.url()),
        (None, "auto" | "off") => None,
        (None, url) => Some(url.to_owned()),
    };
    if let Some(url) = url {
        let mut engine = postgres::Postgres::open(&url).await?;
        columns.push(rounds::run("postgres", &mut engine, &world).await?);
        for (form, micros) in forms::run(&url).await? {
            report::note(&format!("PostgreSQL, a batch of 64 inbox rows as {form}: {micros:.1} µs a row"));
        }
    }
    report::print(&columns, arguments.json);
    Ok(())
}
