//! One way to talk to either engine. A statement is written once, in SQLite's words plus three marks that `text` turns into
//! what each engine reads; values and rows are told by their kinds. Used by every module that holds SQL.

mod get;
mod run;
mod text;
mod value;

pub(crate) use get::{FromRow, Get, Row};
pub(crate) use run::{Db, Readers, Runs, Session};
pub(crate) use text::Engine;
pub(crate) use value::{Kind, Value};

use std::borrow::Cow;
use std::marker::PhantomData;

/// A statement with its values.
pub(crate) struct Query<'q> {
    pub(crate) sql: Cow<'static, str>,
    pub(crate) values: Vec<Value<'q>>,
}

/// A statement; `text` says what may stand in it.
pub(crate) fn query<'q>(sql: impl Into<Cow<'static, str>>) -> Query<'q> {
    Query { sql: sql.into(), values: Vec::new() }
}

/// A statement of which the first column of the first row is wanted.
pub(crate) fn query_scalar<'q, T>(sql: impl Into<Cow<'static, str>>) -> Scalar<'q, T> {
    Scalar(query(sql), PhantomData)
}

/// What a statement did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done(u64);

impl Done {
    pub(crate) fn rows_affected(self) -> u64 {
        self.0
    }
}

impl<'q> Query<'q> {
    pub(crate) fn bind(mut self, value: impl Into<Value<'q>>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(crate) async fn execute(self, on: impl Runs) -> Result<Done, sqlx::Error> {
        on.execute(self).await.map(Done)
    }

    pub(crate) async fn fetch_all(self, on: impl Runs) -> Result<Vec<Row>, sqlx::Error> {
        on.rows(self).await
    }

    pub(crate) async fn fetch_optional(self, on: impl Runs) -> Result<Option<Row>, sqlx::Error> {
        on.row(self).await
    }

    pub(crate) async fn fetch_one(self, on: impl Runs) -> Result<Row, sqlx::Error> {
        on.row(self).await?.ok_or(sqlx::Error::RowNotFound)
    }
}

/// A statement that asks for one value.
pub(crate) struct Scalar<'q, T>(Query<'q>, PhantomData<fn() -> T>);

impl<'q, T: for<'r> Get<'r>> Scalar<'q, T> {
    pub(crate) fn bind(self, value: impl Into<Value<'q>>) -> Self {
        Self(self.0.bind(value), PhantomData)
    }

    pub(crate) async fn fetch_all(self, on: impl Runs) -> Result<Vec<T>, sqlx::Error> {
        self.0.fetch_all(on).await?.iter().map(|row| row.try_get(0)).collect()
    }

    pub(crate) async fn fetch_optional(self, on: impl Runs) -> Result<Option<T>, sqlx::Error> {
        self.0.fetch_optional(on).await?.map(|row| row.try_get(0)).transpose()
    }

    pub(crate) async fn fetch_one(self, on: impl Runs) -> Result<T, sqlx::Error> {
        self.0.fetch_one(on).await?.try_get(0)
    }
}

/// A statement of which several columns are wanted at once.
pub(crate) struct As<'q, T>(Query<'q>, PhantomData<fn() -> T>);

/// A statement of which every row is a tuple.
pub(crate) fn query_as<'q, T>(sql: impl Into<Cow<'static, str>>) -> As<'q, T> {
    As(query(sql), PhantomData)
}

impl<'q, T: FromRow> As<'q, T> {
    pub(crate) fn bind(self, value: impl Into<Value<'q>>) -> Self {
        Self(self.0.bind(value), PhantomData)
    }

    pub(crate) async fn fetch_all(self, on: impl Runs) -> Result<Vec<T>, sqlx::Error> {
        self.0.fetch_all(on).await?.iter().map(T::from_row).collect()
    }

    pub(crate) async fn fetch_optional(self, on: impl Runs) -> Result<Option<T>, sqlx::Error> {
        self.0.fetch_optional(on).await?.as_ref().map(T::from_row).transpose()
    }

    pub(crate) async fn fetch_one(self, on: impl Runs) -> Result<T, sqlx::Error> {
        T::from_row(&self.0.fetch_one(on).await?)
    }
}
