//! Partitions of what is finished some day, by its time-ordered id: four weeks each, made ahead, so that old data can be dropped
//! instead of deleted. What no partition is there for goes to the default one.

use domain::Millis;
use domain::clock::DAY;
use sqlx::{AssertSqlSafe, PgPool};

use crate::messages::first_id_of;

/// Of each.
pub(crate) const WIDTH: Millis = 28 * DAY;
/// How many are made ahead of the present one.
const AHEAD: i64 = 2;

/// Each table with its storage: states change in place, and what changes often is looked after early.
const TABLES: [(&str, &str); 4] = [
    ("inbox", "autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05"),
    ("message", "autovacuum_analyze_scale_factor = 0.05"),
    (
        "message_state",
        "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05",
    ),
    ("attempt", "autovacuum_analyze_scale_factor = 0.05"),
];

/// The partitions of this stretch of time and the next that are not there, and the default ones that hold rows.
pub(crate) async fn state(pool: &PgPool, now: Millis) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
    let present = now.div_euclid(WIDTH);
    let (mut missing, mut filled) = (Vec::new(), Vec::new());
    for (table, _) in TABLES {
        for number in present..=present + 1 {
            let name = format!("{table}_p{number}");
            let there: bool =
                sqlx::query_scalar("select to_regclass($1) is not null").bind(&name).fetch_one(pool).await?;
            if !there {
                missing.push(name);
            }
        }
        let name = format!("{table}_default");
        let question = sqlx::AssertSqlSafe(format!("select exists (select 1 from {name})"));
        if sqlx::query_scalar::<_, bool>(question).fetch_one(pool).await? {
            filled.push(name);
        }
    }
    Ok((missing, filled))
}

/// Makes the partitions around a moment that are not there. Where the default one holds rows of that time already, they
/// stay there, and so does what is like them.
pub(crate) async fn make(pool: &PgPool, now: Millis) -> Result<(), sqlx::Error> {
    let present = now.div_euclid(WIDTH);
    for number in present..=present + AHEAD {
        for (table, storage) in TABLES {
            let name = format!("{table}_p{number}");
            let there: bool =
                sqlx::query_scalar("select to_regclass($1) is not null").bind(&name).fetch_one(pool).await?;
            if there {
                continue;
            }
            let (from, to) = (first_id_of(number * WIDTH), first_id_of((number + 1) * WIDTH));
            let made = sqlx::raw_sql(AssertSqlSafe(format!(
                "create table if not exists {name} partition of {table}
                 for values from ('\\x{}') to ('\\x{}') with ({storage})",
                hex::encode(from),
                hex::encode(to)
            )))
            .execute(pool)
            .await;
            match made {
                Ok(_) => {}
                Err(sqlx::Error::Database(error)) => {
                    // Another node made it at this moment (unique_violation, duplicate_table), or the default partition
                    // holds such rows (check_violation).
                    let code = error.code().unwrap_or_default();
                    if !matches!(&*code, "23505" | "42P07" | "23514") {
                        return Err(sqlx::Error::Database(error));
                    }
                    tracing::debug!(name, %error, "the partition was not made");
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// How long a change of partitions waits for a table: whoever else wants it waits behind it.
const LOCK: &str = "set local lock_timeout = '200ms'; set local statement_timeout = '5s'";

/// Drops partitions of callbacks and of messages all of whose rows are older than these moments; gives their names. What is still
/// under way moves to the default partition in the same transaction. Where the tables are busy, nothing is dropped this time.
pub(crate) async fn drop_old(
    pool: &PgPool,
    callbacks: Option<Millis>,
    messages: Option<Millis>,
) -> Result<Vec<String>, sqlx::Error> {
    let mut dropped = Vec::new();
    for (first, before, tables, keep) in [
        ("inbox", callbacks, &["inbox"][..], "old.verdict is null"),
        ("message_state", messages, &["message", "message_state", "attempt"][..], ""),
    ] {
        let Some(before) = before else { continue };
        for number in numbers(pool, first).await? {
            if (number + 1) * WIDTH > before {
                continue;
            }
            if !drop_one(pool, number, tables, keep).await? {
                tracing::debug!(
                    first,
                    number,
                    "the tables are busy: the old partition is dropped another time"
                );
                return Ok(dropped);
            }
            dropped.extend(tables.iter().map(|table| format!("{table}_p{number}")));
        }
    }
    Ok(dropped)
}

/// The partitions of a table, the oldest first.
async fn numbers(pool: &PgPool, table: &str) -> Result<Vec<i64>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass($1)",
    )
    .bind(table)
    .fetch_all(pool)
    .await?;
    let prefix = format!("{table}_p");
    let mut numbers: Vec<i64> =
        names.iter().filter_map(|name| name.strip_prefix(&prefix)?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Drops one, with those beside it; false where somebody else was in the way.
async fn drop_one(pool: &PgPool, number: i64, tables: &[&str], keep: &str) -> Result<bool, sqlx::Error> {
    let mut sql = format!("begin; {LOCK};");
    let mut there = Vec::new();
    for table in tables {
        let name = format!("{table}_p{number}");
        let exists: bool =
            sqlx::query_scalar("select to_regclass($1) is not null").bind(&name).fetch_one(pool).await?;
        if exists {
            sql.push_str(&format!("alter table {table} detach partition {name};"));
            there.push((*table, name));
        }
    }
    let (from, to) =
        (hex::encode(first_id_of(number * WIDTH)), hex::encode(first_id_of((number + 1) * WIDTH)));
    for (table, name) in &there {
        let id = if *table == "attempt" { "message" } else { "id" };
        // Every message that is not over has its place in the small table of reservations.
        let kept = if keep.is_empty() {
            format!(
                "(old.lane, old.{id}) in (select r.lane, r.id from reserved r where r.id >= '\\x{from}' and r.id < '\\x{to}')"
            )
        } else {
            keep.to_owned()
        };
        sql.push_str(&format!(
            "insert into {table} select old.* from {name} old where {kept}; drop table {name};"
        ));
    }
    sql.push_str("commit");
    let mut db = pool.acquire().await?;
    let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *db).await else { return Ok(true) };
    // An unfinished transaction must not go back to the pool.
    let _ = sqlx::raw_sql("rollback").execute(&mut *db).await;
    match &error {
        // lock_not_available, query_canceled, deadlock_detected.
        sqlx::Error::Database(said)
            if matches!(said.code().as_deref(), Some("55P03" | "57014" | "40P01")) =>
        {
            Ok(false)
        }
        _ => Err(error),
    }
}
