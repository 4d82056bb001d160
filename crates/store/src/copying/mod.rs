//! Moving an installation to another database, of the other engine or of the same: table by table in the order of its key, a
//! page per commit, with the place noted in the same commit, so that a copy that was cut off goes on where it was. At the
//! end rows and balances are compared. Used by `hongyan copy`.

mod tables;

use domain::Millis;

use self::tables::{TABLES, Table};
use crate::Store;
use crate::db::{self, Engine, Kind, Row, Runs, Value};
use crate::error::StoreError;
use crate::hot::values;
use crate::meta::{COPY_DONE, COPY_FROM};

/// A node that was heard of so lately is taken for alive.
const ALIVE: Millis = 15_000;

/// Why a copy cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Somebody works on one of the two.
    #[error(
        "{0} is being served; stop every node first, so that nothing changes while it is copied. \
         {0} 正在被使用：请先停止所有节点再复制。"
    )]
    Served(String),
    /// The target holds something that is not of this copy.
    #[error(
        "the target database holds data already, and not of an earlier copy of the same source: give an empty one. \
         目标数据库已有数据，且不是同一来源的未完成复制：请换一个空的数据库。"
    )]
    NotEmpty,
    /// The two have other numbers of lanes.
    #[error(
        "the databases have {from} and {to} lanes; they must have the same number. 两个数据库的分片数不同。"
    )]
    Lanes {
        /// Of the source.
        from: u16,
        /// Of the target.
        to: u16,
    },
    /// One of the databases.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Something that both databases were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// A table, or what was added up.
    pub what: String,
    /// In the source.
    pub from: i64,
    /// In the target.
    pub to: i64,
}

/// What is added up besides the rows: balances and entries (I8), open accounts of campaigns (I9).
const SUMS: [(&str, &str); 3] = [
    ("sum(subscription.balance)", "select cast(coalesce(sum(balance), 0) as bigint) from subscription"),
    ("sum(ledger.delta)", "select cast(coalesce(sum(delta), 0) as bigint) from ledger"),
    (
        "sum(campaign_lane.recipients)",
        "select cast(coalesce(sum(recipients), 0) as bigint) from campaign_lane",
    ),
];

/// Copies everything of `from` into `to`; `told` hears of each page (table, rows so far). Gives what was compared at the
/// end: the copy is whole where each pair is equal, and may be served then.
///
/// # Errors
/// See [`CopyError`]. What was copied until then is kept, and the same call goes on from there.
pub async fn copy(
    from: &Store,
    to: &Store,
    mut told: impl FnMut(&str, u64) + Send,
) -> Result<Vec<Compared>, CopyError> {
    if from.lanes() != to.lanes() {
        return Err(CopyError::Lanes { from: from.lanes().count(), to: to.lanes().count() });
    }
    for (store, what) in [(from, "--from"), (to, "--to")] {
        let nodes =
            if store.is_shared() { store.nodes(store.now().await? - ALIVE).await? } else { Vec::new() };
        if !nodes.is_empty() {
            return Err(CopyError::Served(what.to_owned()));
        }
    }
    begin(from, to).await?;
    for table in &TABLES {
        one(from, to, table, &mut told).await?;
        numbers(from, to, table).await?;
    }
    lanes(from, to).await?;
    let compared = compare(from, to).await?;
    if compared.iter().all(|pair| pair.from == pair.to) {
        note(to, COPY_DONE, "yes".to_owned()).await?;
    }
    Ok(compared)
}

/// Notes whose copy the target is to be; one that holds something else is left alone.
async fn begin(from: &Store, to: &Store) -> Result<(), CopyError> {
    let source = format!("{} {}", meta(from, "created_at").await?, meta(from, "master_key").await?);
    match meta_if(to, COPY_FROM).await? {
        Some(earlier) if earlier == source => return Ok(()),
        Some(_) => return Err(CopyError::NotEmpty),
        None => {}
    }
    for table in &TABLES {
        let any = db::query_scalar(format!("select exists (select 1 from {})", table.name));
        if any.fetch_one(&to.readers).await? {
            return Err(CopyError::NotEmpty);
        }
    }
    note(to, "created_at", meta(from, "created_at").await?).await?;
    if let Some(code) = meta_if(from, "setup_code").await? {
        note(to, "setup_code", code).await?;
    }
    Ok(note(to, COPY_FROM, source).await?)
}

async fn meta_if(store: &Store, key: &str) -> Result<Option<String>, StoreError> {
    let query = db::query_scalar("select value from meta where key = $1").bind(key.to_owned());
    Ok(query.fetch_optional(&store.readers).await?)
}

async fn meta(store: &Store, key: &str) -> Result<String, StoreError> {
    Ok(meta_if(store, key).await?.unwrap_or_default())
}

const NOTE: &str =
    "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value";

async fn note(to: &Store, key: &'static str, value: String) -> Result<(), StoreError> {
    to.writer
        .cold_bulk(move |db, _| {
            Box::pin(async move {
                db::query(NOTE).bind(key).bind(value).execute(db).await?;
                Ok(())
            })
        })
        .await
}

/// A column and what its values are.
type Column = (String, Kind);

/// The columns of a table, in the source's order.
async fn columns(store: &Store, table: &str) -> Result<Vec<Column>, StoreError> {
    let query = match store.readers.engine() {
        Engine::Sqlite => db::query("select name, lower(type) from pragma_table_info($1) order by cid"),
        Engine::Postgres => db::query(
            "select cast(column_name as text), cast(data_type as text) from information_schema.columns
             where table_schema = current_schema() and table_name = $1 order by ordinal_position",
        ),
    };
    let rows = query.bind(table.to_owned()).fetch_all(&store.readers).await?;
    rows.iter()
        .map(|row| {
            let (name, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let kind = match kind.as_str() {
                "blob" | "bytea" => Kind::Bytes,
                "boolean" => Kind::Bool,
                "text" => Kind::Text,
                "smallint" | "integer" | "bigint" => Kind::Int,
                _ => return Err(StoreError::Corrupt("the schema")),
            };
            Ok((name, kind))
        })
        .collect()
}

fn read(row: &Row, at: usize, kind: Kind) -> Result<Value<'static>, sqlx::Error> {
    Ok(match kind {
        Kind::Bytes => row.try_get::<Option<Vec<u8>>>(at)?.into(),
        Kind::Bool => row.try_get::<Option<bool>>(at)?.into(),
        Kind::Text => row.try_get::<Option<String>>(at)?.into(),
        Kind::Small | Kind::Int | Kind::Float => row.try_get::<Option<i64>>(at)?.into(),
    })
}

/// A place in a table as it is noted: its key, bytes in hex.
fn place(key: &[Value<'static>]) -> String {
    let shown: Vec<serde_json::Value> = key
        .iter()
        .map(|value| match value {
            Value::Text(text) => text.as_ref().into(),
            Value::Bytes(bytes) => hex::encode(bytes).into(),
            Value::Int(number) => (*number).into(),
            Value::Bool(yes) => (*yes).into(),
            _ => serde_json::Value::Null,
        })
        .collect();
    serde_json::Value::Array(shown).to_string()
}

fn noted(text: &str, kinds: &[Kind]) -> Result<Vec<Value<'static>>, StoreError> {
    let corrupt = || StoreError::Corrupt("meta.copy");
    let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| corrupt())?;
    values
        .into_iter()
        .zip(kinds)
        .map(|(value, kind)| match kind {
            Kind::Text => Ok(value.as_str().ok_or_else(corrupt)?.to_owned().into()),
            Kind::Bytes => {
                Ok(hex::decode(value.as_str().ok_or_else(corrupt)?).map_err(|_| corrupt())?.into())
            }
            Kind::Bool => Ok(value.as_bool().ok_or_else(corrupt)?.into()),
            Kind::Small | Kind::Int | Kind::Float => Ok(value.as_i64().ok_or_else(corrupt)?.into()),
        })
        .collect()
}

const DONE: &str = "done";

async fn one(
    from: &Store,
    to: &Store,
    table: &Table,
    told: &mut (impl FnMut(&str, u64) + Send),
) -> Result<(), CopyError> {
    let progress = format!("copy:{}", table.name);
    let columns = columns(from, table.name).await?;
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let key = table.key(from.readers.engine());
    let places: Vec<usize> =
        key.iter().filter_map(|column| names.iter().position(|name| name == column)).collect();
    let kinds: Vec<Kind> = places.iter().filter_map(|at| columns.get(*at)).map(|(_, kind)| *kind).collect();
    let mut after = match meta_if(to, &progress).await? {
        Some(word) if word == DONE => return Ok(()),
        Some(text) => Some(noted(&text, &kinds)?),
        None => None,
    };
    let list = names.join(", ");
    let order = key.join(", ");
    let marks: Vec<String> = (1..=key.len()).map(|at| format!("${at}")).collect();
    let mut copied = 0;
    loop {
        let mut page = match &after {
            None => {
                db::query(format!("select {list} from {} order by {order} limit {}", table.name, table.page))
            }
            Some(_) => db::query(format!(
                "select {list} from {} where ({order}) > ({}) order by {order} limit {}",
                table.name,
                marks.join(", "),
                table.page
            )),
        };
        page.values.extend(after.iter().flatten().cloned());
        let read_rows = (&from.readers).rows(page).await?;
        let rows = read_rows
            .iter()
            .map(|row| columns.iter().enumerate().map(|(at, (_, kind))| read(row, at, *kind)).collect())
            .collect::<Result<Vec<Vec<Value<'static>>>, sqlx::Error>>()?;
        let more = i64::try_from(rows.len()).unwrap_or(0) == table.page;
        let last: Option<Vec<Value<'static>>> =
            rows.last().map(|row| places.iter().filter_map(|at| row.get(*at)).cloned().collect());
        copied += rows.len() as u64;
        let word = match &last {
            Some(last) if more => place(last),
            _ => DONE.to_owned(),
        };
        let (head, progress) = (format!("insert into {} ({list})", table.name), progress.clone());
        to.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    if !rows.is_empty() {
                        values::insert(
                            db.engine(),
                            &head,
                            &rows,
                            "on conflict do nothing",
                            |mut query, row| {
                                query.values.extend(row.iter().cloned());
                                query
                            },
                        )
                        .execute(&mut *db)
                        .await?;
                    }
                    db::query(NOTE).bind(progress).bind(word).execute(db).await?;
                    Ok(())
                })
            })
            .await?;
        told(table.name, copied);
        if !more {
            return Ok(());
        }
        after = last;
    }
}

/// Numbers go on above the highest that was ever given.
async fn numbers(from: &Store, to: &Store, table: &Table) -> Result<(), CopyError> {
    let Some(column) = table.numbers else { return Ok(()) };
    let highest: Option<i64> = match from.readers.engine() {
        Engine::Sqlite => {
            db::query_scalar("select seq from sqlite_sequence where name = $1")
                .bind(table.name)
                .fetch_optional(&from.readers)
                .await?
        }
        Engine::Postgres => {
            db::query_scalar(format!(
                "select last_value from pg_sequences where schemaname || '.' || sequencename = pg_get_serial_sequence('{}', '{column}')",
                table.name
            ))
            .fetch_one(&from.readers)
            .await?
        }
    };
    let (name, highest) = (table.name, highest.unwrap_or(0));
    to.writer
        .cold_bulk(move |db, _| {
            Box::pin(async move {
                if db.engine() == Engine::Postgres {
                    db::query(format!(
                        "select setval(pg_get_serial_sequence('{name}', '{column}'),
                         greatest($1, (select coalesce(max({column}), 0) from {name}), 1))"
                    ))
                    .bind(highest)
                    .fetch_one(db)
                    .await?;
                } else {
                    let query = "update sqlite_sequence set seq = max(seq, $2) where name = $1";
                    db::query(query).bind(name).bind(highest).execute(db).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

const EPOCHS: &str = "
insert into lane (id, owner, epoch, lease_until) select b.id, '', b.epoch, 0 from [$1: id int2, epoch int8] b where true
on conflict (id) do update set epoch = <<max|greatest>>(lane.epoch, excluded.epoch)";

/// Epochs go on too: what the source left in flight must be an earlier owner's.
async fn lanes(from: &Store, to: &Store) -> Result<(), CopyError> {
    to.make_lanes().await?;
    let rows: Vec<(u16, i64)> =
        from.lane_rows().await?.into_iter().map(|row| (row.lane.0, row.epoch)).collect();
    let batch = crate::hot::json(&rows)?;
    to.writer
        .cold_bulk(move |db, _| {
            Box::pin(async move {
                db::query(EPOCHS).bind(batch).execute(db).await?;
                Ok(())
            })
        })
        .await?;
    Ok(())
}

async fn compare(from: &Store, to: &Store) -> Result<Vec<Compared>, CopyError> {
    let mut compared = Vec::new();
    for table in &TABLES {
        let count = format!("select count(*) from {}", table.name);
        let (from, to) = (count_of(from, count.clone()).await?, count_of(to, count).await?);
        compared.push(Compared { what: table.name.to_owned(), from, to });
    }
    for (what, sum) in SUMS {
        let (from, to) = (count_of(from, sum.to_owned()).await?, count_of(to, sum.to_owned()).await?);
        compared.push(Compared { what: what.to_owned(), from, to });
    }
    Ok(compared)
}

async fn count_of(store: &Store, sql: String) -> Result<i64, StoreError> {
    Ok(db::query_scalar(sql).fetch_one(&store.readers).await?)
}

#[cfg(test)]
mod tests {
    use super::TABLES;

    /// A table that a migration adds must be thought of here.
    #[test]
    fn every_table_is_copied_or_left_out_on_purpose() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
        let mut made = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let tables =
                text.split("create table ").skip(1).filter_map(|rest| rest.split_whitespace().next());
            made.extend(tables.map(str::to_owned));
        }
        for kept in ["meta", "lane", "lane_turn", "node", "duty"] {
            assert!(made.remove(kept), "{kept}");
        }
        let copied: std::collections::BTreeSet<String> =
            TABLES.iter().map(|table| table.name.to_owned()).collect();
        assert_eq!(copied, made);
    }
}
