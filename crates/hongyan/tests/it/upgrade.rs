//! The steps of docs/UPGRADE.md, from the schema of the version before: its database, filled, is brought to this version by the program
//! with everything in it as it was, and a copy of before leads back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use simulator::SAMPLE_APPID;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};

use crate::chaos::ready;
use crate::http::call;
use crate::program::{Server, free_address, ok, register, run};
use crate::world::{FEE, USER, until};

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap()
}

fn migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/migrations/sqlite");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn tables(db: &mut SqliteConnection, schema: &str) -> Vec<String> {
    let named = format!(
        "select name from {schema}.sqlite_schema where type = 'table' and name not like 'sqlite_%' and name not like '_sqlx%'"
    );
    let rows = sqlx::query(AssertSqlSafe(named)).fetch_all(db).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn columns(db: &mut SqliteConnection, schema: &str, table: &str) -> Vec<String> {
    let named = format!("select name from pragma_table_info('{table}', '{schema}')");
    let rows = sqlx::query(AssertSqlSafe(named)).fetch_all(db).await.unwrap();
    rows.iter().map(|row| format!("\"{}\"", row.get::<String, _>(0))).collect()
}

/// A database of the version before: its schema, and what this version's database `now` holds of its tables and columns.
async fn make_older(file: &Path, now: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let files = migrations();
    for migration in &files[..files.len() - 1] {
        std::fs::copy(migration, folder.path().join(migration.file_name().unwrap())).unwrap();
    }
    let mut db = open(file).await;
    Migrator::new(folder.path()).await.unwrap().run(&mut db).await.unwrap();
    sqlx::query("attach database ? as now").bind(now.to_str().unwrap()).execute(&mut db).await.unwrap();
    let newer = tables(&mut db, "now").await;
    for table in tables(&mut db, "main").await {
        assert!(newer.contains(&table), "{table} is gone, one version after the other");
        let there = columns(&mut db, "now", &table).await;
        let both: Vec<String> =
            columns(&mut db, "main", &table).await.into_iter().filter(|name| there.contains(name)).collect();
        let both = both.join(", ");
        let copy = format!(
            "delete from main.\"{table}\"; insert into main.\"{table}\" ({both}) select {both} from now.\"{table}\""
        );
        sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut db).await.unwrap();
    }
    sqlx::Connection::close(db).await.unwrap();
}

/// Every row of every table, as text, of the columns that an older schema has.
async fn contents(file: &Path, older: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    let mut db = open(file).await;
    let mut all = BTreeMap::new();
    for (table, columns) in older {
        let texts: Vec<String> = columns.iter().map(|name| format!("quote({name})")).collect();
        let select = format!("select {} from \"{table}\" order by 1", texts.join(" || ',' || "));
        let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut db).await.unwrap();
        all.insert(table.clone(), rows.iter().map(|row| row.get(0)).collect());
    }
    sqlx::Connection::close(db).await.unwrap();
    all
}

fn pending(directory: &Path) -> usize {
    let said = ok(directory, &["migrate", "--dry-run"]);
    if said.contains("already") { 0 } else { said.lines().count() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_version_before_and_back() {
    if crate::database::only_a_file() {
        return;
    }
    // What an installation holds: an app with its secrets, a key, grants with their ledger.
    let source = tempfile::tempdir().unwrap();
    let (_sim, wechat) = crate::beside_serve::wechat("127.0.0.1:9").await;
    let bearer = register(source.path(), &wechat, &["--alias", "/user"]);
    for (delta, note) in [("3", "taken over"), ("-1", "counted twice")] {
        ok(source.path(), &["ledger", "adjust", SAMPLE_APPID, USER, FEE, "--delta", delta, "--note", note]);
    }
    let ledger = ["ledger", "show", SAMPLE_APPID, USER, FEE];
    let before = ok(source.path(), &ledger);

    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("data");
    std::fs::create_dir(&path).unwrap();
    let file = path.join("hongyan.db");
    std::fs::copy(source.path().join("master.key"), path.join("master.key")).unwrap();
    make_older(&file, &source.path().join("hongyan.db")).await;
    let mut shape = BTreeMap::new();
    let mut db = open(&file).await;
    for table in tables(&mut db, "main").await {
        let columns = columns(&mut db, "main", &table).await;
        shape.insert(table, columns);
    }
    sqlx::Connection::close(db).await.unwrap();
    let held = contents(&file, &shape).await;
    assert!(held["app"].len() == 1 && !held["ledger"].is_empty(), "{:?}", held.keys());

    // The copy of before; then the upgrade, by starting the new program.
    let copied = home.path().join("before");
    let copy = |from: &Path, to: &Path| {
        let done = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(done.success());
    };
    copy(&path, &copied);
    assert_eq!(pending(&path), 1, "only the last migration is missing");
    {
        let address = free_address();
        let mut server = Server::start(&path, &address);
        until("the server", || ready(&address)).await;
        let url = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}/subscriptions?openid={USER}");
        let grants = call("GET", &url, &[("authorization", &bearer)], "").await.json();
        assert_eq!(grants["items"][0]["balance"], 2, "the key of before is valid: {grants}");
        assert!(server.stop());
    }
    assert_eq!(pending(&path), 0);
    let after = contents(&file, &shape).await;
    for (table, rows) in &held {
        // What the service itself keeps of its runs.
        let of_runs = ["lane", "meta", "setup", "token", "duty", "node", "gate"].contains(&table.as_str());
        assert!(of_runs || after[table] == *rows, "{table}\n{rows:?}\n{:?}", after[table]);
    }
    assert_eq!(ok(&path, &ledger), before, "the ledger says what it said");

    // On with the new version, and back: what came since is gone, what was before is as it was.
    ok(&path, &["ledger", "adjust", SAMPLE_APPID, USER, FEE, "--delta", "5", "--note", "since"]);
    std::fs::remove_dir_all(&path).unwrap();
    copy(&copied, &path);
    assert_eq!(pending(&path), 1, "the schema of before");
    assert_eq!(contents(&file, &shape).await, held);
    // Forward once more, as with a mended version.
    ok(&path, &["migrate"]);
    assert_eq!(ok(&path, &ledger), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_program_leaves_a_newer_file_alone() {
    if crate::database::only_a_file() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    ok(directory.path(), &["key", "create", "--name", "x", "--all-apps", "--scope", "read"]);
    let file = directory.path().join("hongyan.db");
    let mut db = open(&file).await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'later', true, x'00', 0)",
    )
    .execute(&mut db)
    .await
    .unwrap();
    sqlx::Connection::close(db).await.unwrap();
    let refused = run(directory.path(), &["serve", "--listen", &free_address()]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("newer"), "{said}");
}
