//! A row of either engine, and what can be read from its columns.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type, TypeInfo, ValueRef};

/// A row.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A column, by number or name.
pub(crate) trait Column: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> {}
impl<T: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>> Column for T {}

/// What can be read from a column. Numbers of PostgreSQL may be narrower than what is asked for.
pub(crate) trait Get<'r>: Sized {
    fn sqlite(row: &'r SqliteRow, at: impl Column) -> Result<Self, sqlx::Error>;
    fn postgres(row: &'r PgRow, at: impl Column) -> Result<Self, sqlx::Error>;
}

impl Row {
    pub(crate) fn try_get<'r, T: Get<'r>>(&'r self, at: impl Column) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => T::sqlite(row, at),
            Self::Postgres(row) => T::postgres(row, at),
        }
    }
}

fn plain<'r, T>(row: &'r SqliteRow, at: impl Column) -> Result<T, sqlx::Error>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(at)
}

macro_rules! same {
    ($($type:ty),*) => {$(
        impl<'r> Get<'r> for $type {
            fn sqlite(row: &'r SqliteRow, at: impl Column) -> Result<Self, sqlx::Error> { plain(row, at) }
            fn postgres(row: &'r PgRow, at: impl Column) -> Result<Self, sqlx::Error> { row.try_get(at) }
        }
        impl<'r> Get<'r> for Option<$type> {
            fn sqlite(row: &'r SqliteRow, at: impl Column) -> Result<Self, sqlx::Error> { plain(row, at) }
            fn postgres(row: &'r PgRow, at: impl Column) -> Result<Self, sqlx::Error> { row.try_get(at) }
        }
    )*};
}
same!(String, Vec<u8>, bool, f64, &'r str, &'r [u8]);

macro_rules! number {
    ($($type:ty),*) => {$(
        impl<'r> Get<'r> for $type {
            fn sqlite(row: &'r SqliteRow, at: impl Column) -> Result<Self, sqlx::Error> { plain(row, at) }
            fn postgres(row: &'r PgRow, at: impl Column) -> Result<Self, sqlx::Error> {
                narrowed(integer(row, at)?.ok_or_else(null)?)
            }
        }
        impl<'r> Get<'r> for Option<$type> {
            fn sqlite(row: &'r SqliteRow, at: impl Column) -> Result<Self, sqlx::Error> { plain(row, at) }
            fn postgres(row: &'r PgRow, at: impl Column) -> Result<Self, sqlx::Error> {
                integer(row, at)?.map(narrowed).transpose()
            }
        }
    )*};
}
number!(i16, u16, i32, i64);

fn null() -> sqlx::Error {
    sqlx::Error::Decode("a null where a number was expected".into())
}

fn narrowed<T: TryFrom<i64>>(number: i64) -> Result<T, sqlx::Error> {
    T::try_from(number).map_err(|_| sqlx::Error::Decode("a number that is too large".into()))
}

fn integer(row: &PgRow, at: impl Column) -> Result<Option<i64>, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(None);
    }
    let width = value.type_info().name().to_owned();
    let read = match width.as_str() {
        "INT2" => i64::from(<i16 as Decode<'_, Postgres>>::decode(value).map_err(sqlx::Error::Decode)?),
        "INT4" => i64::from(<i32 as Decode<'_, Postgres>>::decode(value).map_err(sqlx::Error::Decode)?),
        "INT8" => <i64 as Decode<'_, Postgres>>::decode(value).map_err(sqlx::Error::Decode)?,
        other => return Err(sqlx::Error::Decode(format!("{other} where a number was expected").into())),
    };
    Ok(Some(read))
}

macro_rules! tuple {
    ($($name:ident $at:tt),*) => {
        impl<$($name: for<'r> Get<'r>),*> FromRow for ($($name,)*) {
            fn from_row(row: &Row) -> Result<Self, sqlx::Error> { Ok(($(row.try_get($at)?,)*)) }
        }
    };
}

/// What is read from several columns at once.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error>;
}
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
