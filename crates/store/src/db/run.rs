//! Connections and pools of either engine, and running statements on them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::value::RawValue;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Connection, PgPool, Postgres, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool};

use super::value::Kind;
use super::{Engine, Query, Row, Value, text};
use crate::postgres::fault;

/// How long a reading of PostgreSQL may take: a link that swallows what is sent never says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that runs statements. Its futures are boxed: there are hundreds of places that wait for one, and each would carry
/// (and the compiler would build into it) all that either engine's driver does.
pub(crate) trait Runs: Sized + Send {
    fn rows<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<Vec<Row>, sqlx::Error>>
    where
        Self: 'a;
    fn row<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<Option<Row>, sqlx::Error>>
    where
        Self: 'a;
    fn execute<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<u64, sqlx::Error>>
    where
        Self: 'a;
}

/// A connection that writes, or one that was taken to read several times.
pub(crate) enum Db {
    Sqlite(SqliteConnection),
    SqliteReader(PoolConnection<Sqlite>),
    Postgres(Session),
}

/// A connection to PostgreSQL, and what its transaction stands on.
pub(crate) struct Session {
    /// None once it is known to be useless.
    pub(crate) connection: Option<PoolConnection<Postgres>>,
    /// The lane of the batch under way.
    pub(crate) lane: Option<u16>,
    /// The epochs that were read in this transaction: they must still stand when it commits (I7).
    pub(crate) epochs: BTreeMap<u16, i64>,
    /// Whether a transaction is open.
    pub(crate) open: bool,
}

/// A task that panics, or a future that is dropped, must not leave its transaction to the next one.
impl Drop for Session {
    fn drop(&mut self) {
        if self.open {
            self.give_up();
        }
    }
}

impl Db {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) | Self::SqliteReader(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// What follows is about this lane.
    pub(crate) fn in_lane(&mut self, lane: u16) -> &mut Self {
        if let Self::Postgres(session) = self {
            session.lane = Some(lane);
        }
        self
    }

    /// The lane that statements are about.
    pub(crate) fn lane(&self) -> Option<u16> {
        match self {
            Self::Postgres(session) => session.lane,
            Self::Sqlite(_) | Self::SqliteReader(_) => None,
        }
    }

    /// Closes the connection; on SQLite the last one leaves one file on the disk.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(db) => db.close().await,
            Self::SqliteReader(_) | Self::Postgres(_) => Ok(()),
        }
    }
}

impl Runs for &mut Db {
    fn rows<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<Vec<Row>, sqlx::Error>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            match self {
                Db::Sqlite(db) => sqlite_rows(db, query).await,
                Db::SqliteReader(db) => sqlite_rows(db, query).await,
                Db::Postgres(session) => session.rows(query).await,
            }
        })
    }

    fn row<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<Option<Row>, sqlx::Error>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            match self {
                Db::Sqlite(db) => sqlite_row(db, query).await,
                Db::SqliteReader(db) => sqlite_row(db, query).await,
                Db::Postgres(session) => Ok(session.rows(query).await?.into_iter().next()),
            }
        })
    }

    fn execute<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<u64, sqlx::Error>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            match self {
                Db::Sqlite(db) => Ok(sqlite(&query).execute(db).await?.rows_affected()),
                Db::SqliteReader(db) => Ok(sqlite(&query).execute(&mut **db).await?.rows_affected()),
                Db::Postgres(session) => session.execute(query).await,
            }
        })
    }
}

impl Session {
    pub(crate) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection: Some(connection), lane: None, epochs: BTreeMap::new(), open: false }
    }

    fn connection(&mut self) -> Result<&mut PoolConnection<Postgres>, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    async fn rows(&mut self, query: Query<'_>) -> Result<Vec<Row>, sqlx::Error> {
        let lane = self.lane;
        let rows = postgres(&query, lane)?.fetch_all(&mut **self.connection()?).await;
        Ok(self.checked(rows)?.into_iter().map(Row::Postgres).collect())
    }

    async fn execute(&mut self, query: Query<'_>) -> Result<u64, sqlx::Error> {
        let lane = self.lane;
        let done = postgres(&query, lane)?.execute(&mut **self.connection()?).await;
        Ok(self.checked(done)?.rows_affected())
    }

    /// Statements without values, in one message.
    pub(crate) async fn raw(&mut self, sql: impl Into<Cow<'static, str>>) -> Result<(), sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut **self.connection()?).await;
        self.checked(done).map(|_| ())
    }

    fn checked<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if result.as_ref().is_err_and(fault::is_lost) {
            self.give_up();
        }
        result
    }

    /// The connection is not given back: nobody knows in what state it is.
    pub(crate) fn give_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// Connections that read.
#[derive(Clone)]
pub(crate) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Readers {
    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// A connection for several readings in a row.
    pub(crate) async fn acquire(&self) -> Result<Db, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Db::SqliteReader(pool.acquire().await?),
            Self::Postgres(pool) => Db::Postgres(Session::new(pool.acquire().await?)),
        })
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Runs for &Readers {
    fn rows<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<Vec<Row>, sqlx::Error>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            match self {
                Readers::Sqlite(pool) => {
                    let rows = sqlite(&query).fetch_all(pool).await?;
                    Ok(rows.into_iter().map(Row::Sqlite).collect())
                }
                Readers::Postgres(pool) => {
                    let mut session = Session::new(pool.acquire().await?);
                    patiently(&mut session, query).await
                }
            }
        })
    }

    fn row<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<Option<Row>, sqlx::Error>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            match self {
                Readers::Sqlite(pool) => Ok(sqlite(&query).fetch_optional(pool).await?.map(Row::Sqlite)),
                Readers::Postgres(_) => Ok(self.rows(query).await?.into_iter().next()),
            }
        })
    }

    fn execute<'a>(self, query: Query<'a>) -> BoxFuture<'a, Result<u64, sqlx::Error>>
    where
        Self: 'a,
    {
        Box::pin(async move { Ok(self.rows(query).await?.len() as u64) })
    }
}

async fn patiently(session: &mut Session, query: Query<'_>) -> Result<Vec<Row>, sqlx::Error> {
    match tokio::time::timeout(PATIENCE, session.rows(query)).await {
        Ok(done) => done,
        Err(_) => {
            session.give_up();
            Err(fault::silent())
        }
    }
}

async fn sqlite_rows(db: &mut SqliteConnection, query: Query<'_>) -> Result<Vec<Row>, sqlx::Error> {
    Ok(sqlite(&query).fetch_all(db).await?.into_iter().map(Row::Sqlite).collect())
}

async fn sqlite_row(db: &mut SqliteConnection, query: Query<'_>) -> Result<Option<Row>, sqlx::Error> {
    Ok(sqlite(&query).fetch_optional(db).await?.map(Row::Sqlite))
}

/// Text that the database takes: what is fixed in the program as it is.
fn safe(text: Cow<'static, text::Text>) -> sqlx::SqlStr {
    match text {
        Cow::Borrowed(text) => match &text.sql {
            Cow::Borrowed(sql) => (*sql).into_sql_str(),
            Cow::Owned(sql) => {
                let sql: &'static str = sql;
                sql.into_sql_str()
            }
        },
        Cow::Owned(text) => AssertSqlSafe(text.sql.into_owned()).into_sql_str(),
    }
}

fn sqlite<'q>(query: &'q Query<'_>) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    let mut built = sqlx::query(safe(text::of(Engine::Sqlite, &query.sql)));
    for value in &query.values {
        built = match value {
            Value::Null(_) => built.bind(None::<i64>),
            Value::Small(it) => built.bind(i64::from(*it)),
            Value::Int(it) => built.bind(*it),
            Value::Bool(it) => built.bind(*it),
            Value::Float(it) => built.bind(*it),
            Value::Text(it) => built.bind(&**it),
            Value::Bytes(it) => built.bind(&**it),
            // Columns are PostgreSQL's.
            Value::Smalls(_) | Value::Ints(_) | Value::Bools(_) | Value::Texts(_) | Value::Blobs(_) => built,
        };
    }
    built
}

fn postgres<'q>(
    query: &'q Query<'_>,
    lane: Option<u16>,
) -> Result<sqlx::query::Query<'q, Postgres, PgArguments>, sqlx::Error> {
    let text = text::of(Engine::Postgres, &query.sql);
    let (wants_lane, wants_ids, takes_json) = (text.wants_lane, text.wants_ids, text.takes_json);
    let mut built = sqlx::query(safe(text));
    for value in &query.values {
        built = match value {
            Value::Null(Kind::Small) => built.bind(None::<i16>),
            Value::Null(Kind::Int) => built.bind(None::<i64>),
            Value::Null(Kind::Bool) => built.bind(None::<bool>),
            Value::Null(Kind::Float) => built.bind(None::<f64>),
            Value::Null(Kind::Text) => built.bind(None::<&str>),
            Value::Null(Kind::Bytes) => built.bind(None::<&[u8]>),
            Value::Small(it) => built.bind(*it),
            Value::Int(it) => built.bind(*it),
            Value::Bool(it) => built.bind(*it),
            Value::Float(it) => built.bind(*it),
            Value::Text(it) => built.bind(readable(it, takes_json)),
            Value::Bytes(it) => built.bind(&**it),
            Value::Smalls(it) => built.bind(it),
            Value::Ints(it) => built.bind(it),
            Value::Bools(it) => built.bind(it),
            Value::Texts(it) => built.bind(it),
            Value::Blobs(it) => built.bind(it),
        };
    }
    if wants_lane {
        let lane = lane.ok_or_else(|| sqlx::Error::Protocol("a statement of one lane, without it".into()))?;
        built = built.bind(i16::try_from(lane).unwrap_or(i16::MAX));
    }
    if let Some(place) = wants_ids {
        built = built.bind(ids(query.values.first(), place)?);
    }
    Ok(built)
}

/// The ids that a batch names.
fn ids(batch: Option<&Value<'_>>, place: Option<usize>) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    let Some(Value::Text(batch)) = batch else { return Ok(Vec::new()) };
    let wrong = |error| sqlx::Error::Encode(Box::new(error));
    let values: Vec<&RawValue> = match place {
        Some(at) => {
            let rows: Vec<Vec<&RawValue>> = serde_json::from_str(batch).map_err(wrong)?;
            rows.iter().filter_map(|row| row.get(at).copied()).collect()
        }
        None => serde_json::from_str(batch).map_err(wrong)?,
    };
    // One that cannot be read would leave its row out without a word.
    values
        .into_iter()
        .map(|value| {
            hex::decode(value.get().trim_matches('"')).map_err(|error| sqlx::Error::Encode(Box::new(error)))
        })
        .collect()
}

/// PostgreSQL keeps no NUL in a text, neither as it is nor as JSON writes it.
pub(crate) fn readable(text: &str, json: bool) -> Cow<'_, str> {
    let text =
        if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) };
    if !json || !text.contains("\\u0000") {
        return text;
    }
    // A backslash that is escaped itself does not begin an escape.
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let taken = if rest[at..].starts_with("\\u0000") {
            out.push_str("\\ufffd");
            6
        } else {
            let end = rest[at + 1..].chars().next().map_or(1, |next| 1 + next.len_utf8());
            out.push_str(&rest[at..at + end]);
            end
        };
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_nul_is_shown_as_what_it_is() {
        assert_eq!(readable("plain", true), "plain");
        assert_eq!(readable("a\0b", false), "a\u{fffd}b");
        assert_eq!(readable(r"a\u0000", false), r"a\u0000", "an escape in a text is only text");
        assert_eq!(
            readable(r#"["a\u0000b","\\u0000","\\\u0000"]"#, true),
            r#"["a\ufffdb","\\u0000","\\\ufffd"]"#
        );
        assert_eq!(readable("\\", true), "\\");
    }
}
