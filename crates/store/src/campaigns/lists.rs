//! Given lists of recipients: written once, in chunks, and read in order.

use uuid::Uuid;

use crate::Store;
use crate::db::{self, Db};
use crate::error::StoreError;
use crate::hot::values;

/// Rows of one commit.
const CHUNK: usize = 1_024;

/// How a recipient is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind {
    /// By the openid.
    Openid,
    /// By the team's own number.
    ExternalId,
    /// By an attribute of this name.
    Attribute(String),
    /// Not at all: what is wrong with the line, in a word. It ends without an attempt.
    Wrong(String),
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRecipient {
    /// The line, from 1.
    pub row: i64,
    /// The number of its row in the sheet, where that differs.
    pub sheet_row: Option<i64>,
    /// How the recipient is named.
    pub kind: ListKind,
    /// The name.
    pub given: String,
    /// Values for placeholders, as a JSON object.
    pub vars: String,
}

impl ListKind {
    fn word(&self) -> String {
        match self {
            Self::Openid => "openid".to_owned(),
            Self::ExternalId => "external_id".to_owned(),
            Self::Attribute(name) => format!("attribute:{name}"),
            Self::Wrong(what) => format!("wrong:{what}"),
        }
    }

    fn of(word: &str) -> Result<Self, StoreError> {
        Ok(match word {
            "openid" => Self::Openid,
            "external_id" => Self::ExternalId,
            _ => match word.split_once(':') {
                Some(("attribute", name)) => Self::Attribute(name.to_owned()),
                Some(("wrong", what)) => Self::Wrong(what.to_owned()),
                _ => return Err(StoreError::Corrupt("recipient.kind")),
            },
        })
    }
}

const INSERT: &str = "insert into recipient (list, row, sheet_row, kind, given, vars)";
const READ: &str = "select row, sheet_row, kind, given, vars from recipient where list = $1 and row > $2 order by row limit $3";

impl Store {
    /// Keeps a list. One that is given up half-way is nobody's, and goes with [`Store::remove_list`].
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn add_list(&self, list: Uuid, rows: Vec<ListedRecipient>) -> Result<(), StoreError> {
        let mut rows = rows.into_iter();
        loop {
            let chunk: Vec<ListedRecipient> = rows.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            self.writer.cold_bulk(move |db, _| Box::pin(insert(db, list, chunk))).await?;
        }
    }

    /// The next lines of a list.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn listed(
        &self,
        list: Uuid,
        after: i64,
        limit: i64,
    ) -> Result<Vec<ListedRecipient>, StoreError> {
        let query = db::query(READ).bind(list.as_bytes().to_vec()).bind(after).bind(limit);
        query
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                Ok(ListedRecipient {
                    row: row.try_get(0)?,
                    sheet_row: row.try_get(1)?,
                    kind: ListKind::of(row.try_get(2)?)?,
                    given: row.try_get(3)?,
                    vars: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// How many lines a list has.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn count_list(&self, list: Uuid) -> Result<i64, StoreError> {
        let query = db::query_scalar("select count(*) from recipient where list = $1");
        Ok(query.bind(list.as_bytes().to_vec()).fetch_one(&self.readers).await?)
    }

    /// Forgets a list that no campaign and no upload has.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_list(&self, list: Uuid) -> Result<(), StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "delete from recipient where list = $1 and not exists (select 1 from campaign where list = $1)
                             and not exists (select 1 from upload where list = $1)",
                    )
                    .bind(list.as_bytes().to_vec())
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

async fn insert(db: &mut Db, list: Uuid, rows: Vec<ListedRecipient>) -> Result<(), StoreError> {
    let rows: Vec<_> = rows.into_iter().map(|row| (row.kind.word(), row)).collect();
    values::insert(db.engine(), INSERT, &rows, "", |query, (kind, row)| {
        query
            .bind(list.as_bytes().as_slice())
            .bind(row.row)
            .bind(row.sheet_row)
            .bind(kind.as_str())
            .bind(row.given.as_str())
            .bind(row.vars.as_str())
    })
    .execute(db)
    .await?;
    Ok(())
}
