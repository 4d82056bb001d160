//! Taking over the table that teams have already (`tbl_wechat_sub`: one row per user, the last event overwriting the one before), as
//! CSV of any size. By default nothing is written, and the report says what would be. Each grant becomes an entry of the ledger with
//! its row as evidence; the balances are unverified, since such a table counts nothing. Used by the command line.

mod columns;
mod rows;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek};

use serde::Serialize;
use store::imports::{Imported, ImportedGrant};
use wechat::Lang;

pub use self::columns::{FIELDS, Mapping};
use self::rows::{Checked, Row};
use crate::people::RowError;
use crate::problem::{Kind, Problem};
use crate::{App, Service};

/// Rows that are read, checked and written together.
const CHUNK: usize = 1_000;
/// Rows with mistakes that are listed; all are counted.
const LISTED: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct SubsRequest {
    /// What the file is called, for the evidence.
    pub name: String,
    /// Which column holds what, where the heads are not the usual ones.
    pub columns: BTreeMap<String, String>,
    /// The template of every row, where the table has no column of it.
    pub template_id: Option<String>,
    /// In which zone times without an offset are meant; Asia/Shanghai unless given.
    pub time_zone: Option<String>,
    /// Whether anything is written.
    pub apply: bool,
}

/// What became of the rows, or would.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SubsReport {
    /// Whether it was written.
    pub applied: bool,
    /// How the file was encoded.
    pub encoding: &'static str,
    /// Rows of the file.
    pub rows: u64,
    /// Rows that count.
    pub imported: u64,
    /// The grants of these.
    pub grants: u64,
    /// Counted before: imported, or seen by Hongyan itself.
    pub already_counted: u64,
    /// The person refused, or had nothing left, after this accept.
    pub superseded: u64,
    /// No accept: a refusal, or an event that grants nothing.
    pub not_accepted: u64,
    /// Rows with a mistake.
    pub bad: u64,
    /// Those by template.
    pub by_template: BTreeMap<String, u64>,
    /// The first thousand of those with a mistake.
    pub errors: Vec<RowError>,
}

impl Service {
    /// Takes the rows of a table over; `told` hears how many were looked at.
    ///
    /// # Errors
    /// `invalid_csv`, `missing_column`; where the database is away, what was written until then stays, and the same call goes on.
    pub async fn import_subs(
        &self,
        app: &App,
        file: impl Read + Seek + Send + 'static,
        request: SubsRequest,
        (by, lang): (&str, Lang),
        mut told: impl FnMut(u64),
    ) -> Result<SubsReport, Problem> {
        let (sender, mut chunks) = tokio::sync::mpsc::channel(2);
        let columns = request.columns.clone();
        let has_template = request.template_id.is_some();
        let reading =
            tokio::task::spawn_blocking(move || rows::read(file, &columns, has_template, CHUNK, &sender));
        let mut report = SubsReport { applied: request.apply, ..SubsReport::default() };
        let check = rows::Check::new(app, &request, self.now())?;
        let mut templates = HashMap::new();
        while let Some(chunk) = chunks.recv().await {
            report.rows += chunk.len() as u64;
            self.subs_chunk(app, &check, &mut templates, chunk, (by, lang), &mut report).await?;
            told(report.rows);
        }
        match reading.await {
            Ok(read) => report.encoding = read?,
            Err(_) => return Err(unreadable("the reader ended")),
        }
        Ok(report)
    }

    async fn subs_chunk(
        &self,
        app: &App,
        check: &rows::Check,
        templates: &mut HashMap<String, Option<(i64, bool)>>,
        chunk: Vec<Row>,
        (by, lang): (&str, Lang),
        report: &mut SubsReport,
    ) -> Result<(), Problem> {
        let mut good: Vec<(ImportedGrant, String)> = Vec::new();
        for row in chunk {
            let number = row.number;
            let checked = match check.row(row) {
                Ok(Some(checked)) => self.with_template(app, templates, checked).await?,
                Ok(None) => {
                    report.not_accepted += 1;
                    continue;
                }
                Err(error) => Err(error),
            };
            match checked {
                Ok((grant, template_id)) => good.push((grant, template_id)),
                Err(error) => {
                    report.bad += 1;
                    if report.errors.len() < LISTED {
                        let detail = format!("{}: {}", error.pointer, error.detail(lang));
                        report.errors.push(RowError { row: number, code: error.code.to_owned(), detail });
                    }
                }
            }
        }
        if good.is_empty() {
            return Ok(());
        }
        let (grants, ids): (Vec<_>, Vec<_>) = good.into_iter().unzip();
        let counts: Vec<u32> = grants.iter().map(|grant| grant.count).collect();
        let verdicts = self.store.import_grants(grants, (by.to_owned(), self.now()), report.applied).await?;
        for ((verdict, count), template_id) in verdicts.into_iter().zip(counts).zip(ids) {
            match verdict {
                Imported::New => {
                    report.imported += 1;
                    report.grants += u64::from(count);
                    *report.by_template.entry(template_id).or_default() += 1;
                }
                Imported::Counted => report.already_counted += 1,
                Imported::Gone => report.superseded += 1,
            }
        }
        Ok(())
    }

    /// The row as the store takes it, once its template is known to be one that counts.
    async fn with_template(
        &self,
        app: &App,
        templates: &mut HashMap<String, Option<(i64, bool)>>,
        checked: Checked,
    ) -> Result<Result<(ImportedGrant, String), crate::problem::FieldError>, Problem> {
        let id = &checked.template_id;
        let known = match templates.get(id) {
            Some(known) => *known,
            None => {
                let found = self.template(app, id).await?;
                let known =
                    found.map(|found| (found.number, found.kind == domain::ledger::TemplateKind::OneTime));
                templates.insert(id.clone(), known);
                known
            }
        };
        Ok(match known {
            None => Err(crate::messages::unknown_template(app, id)),
            Some((_, false)) => Err(rows::nothing_to_count()),
            Some((number, true)) => {
                let template_id = checked.template_id.clone();
                Ok((checked.grant(number), template_id))
            }
        })
    }
}

fn unreadable(why: impl std::fmt::Display) -> Problem {
    Problem::new(
        Kind::Malformed,
        "invalid_csv",
        format!("读取 CSV 失败：{why}"),
        format!("The CSV cannot be read: {why}"),
    )
}
