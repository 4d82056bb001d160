//! Rows as bound values: cheaper than JSON where a batch is only inserted. On SQLite as one row of placeholders each, whose
//! number is rounded up to a power of two, so that few statements stay prepared; what is added is null and filtered out. On
//! PostgreSQL as one array per column.

use std::borrow::Cow;

use crate::db::{Engine, Kind, Query, Value, query};

/// Rows of one statement at most: 14 columns of them stay below SQLite's limit of bound values.
pub(crate) const MOST: usize = 1_024;

/// `head select … tail` for `rows`, of which there must be some; `bind` gives the columns of a row.
pub(crate) fn insert<'q, T>(
    engine: Engine,
    head: &str,
    rows: &'q [T],
    tail: &str,
    mut bind: impl FnMut(Query<'q>, &'q T) -> Query<'q>,
) -> Query<'q> {
    let mut all = query("");
    all.values.reserve(rows.len() * 14);
    for row in rows {
        all = bind(all, row);
    }
    let columns = all.values.len() / rows.len().max(1);
    match engine {
        Engine::Sqlite => placeholders(all.values, columns, rows.len(), head, tail),
        Engine::Postgres => arrays(all.values, columns, rows.len(), head, tail),
    }
}

fn placeholders<'q>(
    mut values: Vec<Value<'q>>,
    columns: usize,
    rows: usize,
    head: &str,
    tail: &str,
) -> Query<'q> {
    let mut row = String::with_capacity(2 * columns + 3);
    row.push_str("(?");
    row.extend(std::iter::repeat_n(",?", columns.saturating_sub(1)));
    row.push_str("),");
    let rounded = rows.next_power_of_two();
    let mut text = row.repeat(rounded);
    text.pop();
    values.extend(std::iter::repeat_n(Value::Null(Kind::Int), (rounded - rows) * columns));
    Query {
        sql: Cow::Owned(format!("{head} select * from (values {text}) where column1 is not null {tail}")),
        values,
    }
}

fn arrays<'q>(values: Vec<Value<'q>>, columns: usize, rows: usize, head: &str, tail: &str) -> Query<'q> {
    let mut sql = format!("{head} select * from unnest(");
    for column in 1..=columns {
        sql.push_str(if column == 1 { "$" } else { ", $" });
        sql.push_str(&column.to_string());
    }
    sql.push_str(") ");
    sql.push_str(tail);
    let mut arrays: Vec<Value<'q>> =
        values.iter().take(columns).map(|value| Value::column(value.kind(), rows)).collect();
    for (at, value) in values.into_iter().enumerate() {
        arrays[at % columns].push(value);
    }
    Query { sql: Cow::Owned(sql), values: arrays }
}
