//! Partitions of what is finished some day, by its time-ordered id: four weeks each, made ahead, so that old data can be dropped
//! instead of deleted. What no partition is there for goes to the default one.

use domain::Millis;
use domain::clock::DAY;
use sqlx::PgPool;

use crate::messages::first_id_of;

const WIDTH: Millis = 28 * DAY;
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
            let made = sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
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
