//! The two migration folders: equal numbers, and tables that are equal in all but the engines' own types.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use store::testing::TempPostgres;

/// Column name, kind of type, nullability; in order.
type Columns = Vec<(String, &'static str, bool)>;
type Tables = BTreeMap<String, Columns>;

fn numbers(engine: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_folders_have_equal_numbers() {
    assert_eq!(numbers("sqlite"), numbers("postgres"));
    assert!(!numbers("sqlite").is_empty());
}

/// What a type holds, in words that both engines share.
fn kind(declared: &str) -> &'static str {
    match declared.to_ascii_lowercase().as_str() {
        "blob" | "bytea" => "bytes",
        "integer" | "smallint" | "bigint" => "number",
        "boolean" => "boolean",
        "text" => "text",
        other => panic!("a type that the test does not know: {other}"),
    }
}

async fn sqlite() -> Tables {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::migrate!("migrations/sqlite").run(&mut db).await.unwrap();
    let columns = "select t.name, c.name, c.type, c.\"notnull\" from sqlite_schema t join pragma_table_info(t.name) c
        where t.type = 'table' and t.name not like 'sqlite_%' and t.name not like '_sqlx%' order by t.name, c.cid";
    let mut tables = Tables::new();
    for row in sqlx::query(columns).fetch_all(&mut db).await.unwrap() {
        let columns = tables.entry(row.get(0)).or_default();
        columns.push((row.get(1), kind(row.get(2)), !row.get::<bool, _>(3)));
    }
    tables
}

async fn postgres(url: &str) -> Tables {
    let mut db = PgConnection::connect(url).await.unwrap();
    sqlx::migrate!("migrations/postgres").run(&mut db).await.unwrap();
    let columns = "select table_name::text, column_name::text, data_type::text, is_nullable = 'YES' from information_schema.columns
        where table_schema = 'public' and table_name not like '\\_sqlx%'
          and not (select relispartition from pg_class where oid = table_name::regclass) order by table_name, ordinal_position";
    let mut tables = Tables::new();
    for row in sqlx::query(columns).fetch_all(&mut db).await.unwrap() {
        let columns = tables.entry(row.get(0)).or_default();
        columns.push((row.get(1), kind(row.get(2)), row.get(3)));
    }
    tables
}

#[tokio::test]
async fn the_tables_are_equal() {
    let Some(cluster) = TempPostgres::for_test("the_tables_are_equal") else { return };
    let (sqlite, postgres) = (sqlite().await, postgres(&cluster.url()).await);
    assert_eq!(sqlite.keys().collect::<Vec<_>>(), postgres.keys().collect::<Vec<_>>());
    for (table, columns) in &sqlite {
        assert_eq!(columns, &postgres[table], "the columns of {table}");
    }
    assert!(sqlite.len() > 10);
}
