//! From a file to its lines: the file is unpacked on a thread of its own, a thousand rows at a time are matched with people,
//! checked and kept.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use sheets::{Book, Limits, SheetRow, Source};
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::asked::{Choice, UploadRequest};
use super::columns::{self, Places};
use super::lines::Row;
use super::peek::{Covered, Peek, peek, unreadable};
use super::report::{Column, Counted, Question, Report, Words};
use crate::problem::{FieldError, Problem};
use crate::templates::TemplateView;
use crate::{App, Service};

/// Rows that are matched and kept at once.
const BATCH: usize = 1_000;
/// Batches between the two threads.
const AHEAD: usize = 2;

/// Sheets that are unpacked at the same time: each may take half a gigabyte of memory (docs/UPLOADS.md), others wait their turn.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What one reading collects.
pub(super) struct Reading<'a> {
    pub(super) app: &'a App,
    pub(super) asked: &'a UploadRequest,
    pub(super) template: Option<Arc<TemplateView>>,
    pub(super) columns: Vec<Column>,
    pub(super) places: Places,
    pub(super) covered: Covered,
    pub(super) list: Uuid,
    /// The next line of the list.
    pub(super) line: i64,
    pub(super) report: Report,
    pub(super) doubts: Doubts,
    pub(super) seen: HashSet<u64>,
}

/// Rows of each kind that is asked about.
#[derive(Default)]
pub(super) struct Doubts {
    pub(super) hidden: Counted,
    pub(super) totals: Counted,
    pub(super) several: Counted,
    pub(super) zeros: Counted,
    pub(super) full_width: Counted,
    pub(super) same_today: Counted,
    pub(super) rewritten: Counted,
    /// An example of a key with its zeros.
    pub(super) zeros_like: Option<(String, String)>,
}

impl Service {
    /// Reads a sheet into a list and says what was found.
    pub(super) async fn read_sheet(
        &self,
        app: &App,
        file: Arc<[u8]>,
        asked: &UploadRequest,
        list: Uuid,
    ) -> Result<Report, Problem> {
        let template = match &asked.template_id {
            Some(id) => Some(self.template(app, id).await?.ok_or_else(|| no_template(id))?),
            None => None,
        };
        let _turn = AT_ONCE.acquire().await;
        let looked = {
            let (file, asked) = (Arc::clone(&file), asked.clone());
            blocking(move || peek(&file, &asked)).await??
        };
        let mut reading = start(app, asked, template, looked, list)?;
        let header = reading.report.header_row.unwrap_or(0);
        let sheet = reading.report.sheets.iter().position(|name| *name == reading.report.sheet).unwrap_or(0);
        let (batches, mut rows) = mpsc::channel::<Vec<SheetRow>>(AHEAD);
        let parsing = tokio::task::spawn_blocking(move || parse(&file, sheet, header, &batches));
        while let Some(batch) = rows.recv().await {
            self.keep_rows(&mut reading, batch).await?;
        }
        parsing.await.map_err(|_| store::StoreError::Corrupt("a sheet"))??;
        Ok(finish(reading))
    }

    async fn keep_rows(&self, reading: &mut Reading<'_>, rows: Vec<SheetRow>) -> Result<(), Problem> {
        let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
        for row in rows {
            if row.hidden {
                reading.doubts.hidden.add(row.number);
                // What is only asked about is not found wrong as well.
                if reading.asked.hidden_rows != Some(Choice::Keep) {
                    continue;
                }
            }
            if sheets::habits::is_total(&row) {
                reading.doubts.totals.add(row.number);
                if reading.asked.total_rows != Some(Choice::Keep) {
                    continue;
                }
            }
            reading.report.rows += 1;
            kept.push(reading.checked(row));
        }
        self.match_people(reading, &mut kept).await?;
        self.match_texts(reading, &mut kept).await?;
        let lines = reading.lines(kept);
        Ok(self.store.add_list(reading.list, lines).await?)
    }
}

impl Reading<'_> {
    /// Whether the same person gets the same text again.
    pub(super) fn is_again(&mut self, openid: &str, texts: &[(String, String)]) -> bool {
        let mut hasher = DefaultHasher::new();
        (openid, texts).hash(&mut hasher);
        !self.seen.insert(hasher.finish())
    }
}

fn parse(
    file: &[u8],
    sheet: usize,
    header: u32,
    batches: &mpsc::Sender<Vec<SheetRow>>,
) -> Result<(), Problem> {
    let mut book = Book::open(file, Limits::default()).map_err(|error| unreadable(&error))?;
    let mut batch = Vec::with_capacity(BATCH);
    book.read(sheet, &mut |row| {
        // What stands above the header is a title.
        if row.number <= header {
            return true;
        }
        batch.push(row);
        // Where nobody listens any more, the reason is known there.
        batch.len() < BATCH
            || batches.blocking_send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_ok()
    })
    .map_err(|error| unreadable(&error))?;
    if !batch.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| store::StoreError::Corrupt("a sheet").into())
}

fn start<'a>(
    app: &'a App,
    asked: &'a UploadRequest,
    template: Option<Arc<TemplateView>>,
    looked: Peek,
    list: Uuid,
) -> Result<Reading<'a>, Problem> {
    let header = looked.header.as_ref();
    let below: Vec<SheetRow> =
        looked.first.iter().filter(|row| row.number > header.map_or(0, |row| row.number)).cloned().collect();
    let columns = columns::named(header, &below);
    let fields = template.as_ref().map(|template| template.fields.as_slice());
    let mapping = columns::mapped(app, &columns, fields.unwrap_or_default(), &asked.mapping);
    let places = columns::places(app, &columns, fields, &mapping).map_err(Problem::fields)?;
    let (format, encoding, delimiter) = match &looked.source {
        Source::Xlsx => ("xlsx", None, None),
        Source::Xls => ("xls", None, None),
        Source::Html { encoding } => ("html", Some((*encoding).to_owned()), None),
        Source::Text { encoding, delimiter } => {
            ("text", Some((*encoding).to_owned()), Some(delimiter.to_string()))
        }
    };
    let report = Report {
        format: format.to_owned(),
        encoding,
        delimiter,
        sheet: looked.sheets[looked.sheet].clone(),
        sheets: looked.sheets,
        header_row: header.map(|row| row.number),
        columns: columns.clone(),
        mapping,
        ..Report::default()
    };
    Ok(Reading {
        app,
        asked,
        template,
        columns,
        places,
        covered: looked.covered,
        list,
        line: 0,
        report,
        doubts: Doubts::default(),
        seen: HashSet::new(),
    })
}

/// What is asked once all rows are known.
fn finish(reading: Reading<'_>) -> Report {
    let Reading { mut report, doubts, asked, places, .. } = reading;
    let mut questions = Vec::new();
    let mut ask =
        |code: &str, counted: Counted, choices: &[&str], chosen: Option<&str>, zh: String, en: String| {
            questions.push(Question {
                code: code.to_owned(),
                count: counted.count,
                rows: counted.rows,
                choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
                // Another answer's word answers nothing here.
                chosen: chosen.filter(|chosen| choices.contains(chosen)).map(str::to_owned),
                detail: Words::new(zh, en),
            });
        };
    let word = |choice: Option<Choice>| choice.map(Choice::word);
    if places.key.is_none() {
        ask("key_column", Counted::default(), &[], None,
            "没有认出哪一列是收件人，请在 mapping.key 中指定（列名，以及它是 openid、external_id 还是某个属性）。".to_owned(),
            "No column was recognised that says who; name it in mapping.key (the column, and whether it is openid, external_id or an attribute).".to_owned());
    }
    if doubts.rewritten.count > 0 {
        let n = doubts.rewritten.count;
        ask(
            "rewritten_keys",
            doubts.rewritten,
            &[],
            None,
            format!(
                "收件人列有 {n} 行的号码已被表格软件改写（如 1.38E+10，或第 15 位以后变成 0），原来的号码已经丢失，无法猜出。请在原表中把该列设为“文本”格式后重新填写或导入，再上传。"
            ),
            format!(
                "In {n} rows the key was rewritten by the spreadsheet (1.38E+10, or zeros after the 15th digit): the number is lost and cannot be guessed. Format the column as Text in the original, fill it in again, and upload it."
            ),
        );
    }
    if doubts.hidden.count > 0 {
        let n = doubts.hidden.count;
        ask(
            "hidden_rows",
            doubts.hidden,
            &["leave_out", "keep"],
            word(asked.hidden_rows),
            format!("有 {n} 行被筛选或隐藏，要发送吗？"),
            format!("{n} rows are hidden or filtered out: are they meant too?"),
        );
    }
    if doubts.totals.count > 0 {
        let n = doubts.totals.count;
        ask(
            "total_rows",
            doubts.totals,
            &["leave_out", "keep"],
            word(asked.total_rows),
            format!("有 {n} 行像是合计行。"),
            format!("{n} rows look like totals."),
        );
    }
    if doubts.several.count > 0 {
        let n = doubts.several.count;
        ask(
            "several",
            doubts.several,
            &["all", "most_recent", "leave_out"],
            asked.several.map(super::Several::word),
            format!("有 {n} 行对应多个人。发给所有人，还是只发给最近订阅的一位？"),
            format!("{n} rows stand for several people: all of them, or whoever subscribed last?"),
        );
    }
    if let Some((given, meant)) = doubts.zeros_like {
        let n = doubts.zeros.count;
        ask(
            "lost_zeros",
            doubts.zeros,
            &["mend", "keep"],
            word(asked.lost_zeros),
            format!(
                "有 {n} 行的编号与登记的相差开头的 0（例如表里是 {given}，登记的是 {meant}）。要按登记的认吗？"
            ),
            format!(
                "In {n} rows the key differs from a known one by zeros in front ({given} in the sheet, {meant} known). Is that one meant?"
            ),
        );
    }
    if doubts.full_width.count > 0 {
        let n = doubts.full_width.count;
        ask(
            "full_width",
            doubts.full_width,
            &["mend", "keep"],
            word(asked.full_width),
            format!("有 {n} 行的收件人用了全角字符，要按半角查找吗？"),
            format!("In {n} rows the key has full-width signs: shall it be read narrow?"),
        );
    }
    if doubts.same_today.count > 0 {
        let n = doubts.same_today.count;
        ask(
            "same_today",
            doubts.same_today,
            &["leave_out", "keep"],
            word(asked.same_today),
            format!("有 {n} 行的人今天已收到过同样内容。"),
            format!("{n} rows are of people who got the same text today."),
        );
    }
    if report.error_count > 0 {
        let n = report.error_count;
        let rows = Counted {
            count: n,
            rows: report.errors.iter().map(|error| error.row).take(super::report::ROWS).collect(),
        };
        ask(
            "errors",
            rows,
            &["leave_out"],
            word(asked.errors),
            format!("有 {n} 处单元格有误。改好后重新上传，或选择不发送这些行（会列入“未发送”名单）。"),
            format!(
                "{n} cells are wrong. Mend the sheet, or leave those rows out (they will be listed as not sent)."
            ),
        );
    }
    report.ready = report.rows > 0 && questions.iter().all(|question| question.chosen.is_some());
    report.questions = questions;
    report
}

fn no_template(id: &str) -> FieldError {
    FieldError::new(
        "/template_id",
        "unknown_template",
        format!("没有模板 {id}，请先同步模板。"),
        format!("There is no template {id}; sync the templates first."),
    )
}
