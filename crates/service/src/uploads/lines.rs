//! One row after the other: what its cells hold, whom it means, and the lines of the list that it becomes.

use std::collections::{BTreeMap, HashMap};

use serde::ser::{Serialize, SerializeMap, Serializer};
use sheets::habits::{self, Habit};
use sheets::{Cell, SheetRow};
use store::campaigns::{ListKind, ListedRecipient};
use wechat::Lang;
use wechat::template::{self, FieldKind};

use super::asked::{Choice, Several};
use super::columns;
use super::reading::Reading;
use super::report::{Column, Words};
use crate::problem::Problem;
use crate::{Service, checks};

static EMPTY: Cell = Cell::EMPTY;
/// Zeros that spreadsheets take away, at most.
const ZEROS: usize = 3;

/// A row under way.
pub(super) struct Row {
    row: SheetRow,
    /// The key as it stands there.
    given: String,
    /// Whom it means, where that is not left to the campaign's start.
    people: Vec<String>,
    /// What is wrong with it, in a word.
    wrong: Option<String>,
    /// Fields and their texts.
    texts: Vec<(String, String)>,
}

/// The cells of a row under the names of their columns, in the order of the sheet.
struct Named<'r>(&'r [Column], &'r [Cell]);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, cell) in self.0.iter().zip(self.1) {
            if !cell.is_empty() {
                map.serialize_entry(&column.name, &cell.text)?;
            }
        }
        map.end()
    }
}

impl Reading<'_> {
    /// Checks the cells of a row.
    pub(super) fn checked(&mut self, row: SheetRow) -> Row {
        let errors = self.report.error_count;
        let given = self.key_of(&row);
        let texts = self.texts_of(&row);
        let wrong = (self.report.error_count > errors).then(|| {
            self.report
                .errors
                .last()
                .map_or_else(|| "invalid".to_owned(), |error| format!("{}: {}", error.column, error.code))
        });
        if wrong.is_some() {
            let cells = (0..self.columns.len()).map(|at| row.cells.get(at).unwrap_or(&EMPTY).text.as_str());
            self.report.show(row.number, cells);
        }
        Row { row, given, people: Vec::new(), wrong, texts }
    }

    fn key_of(&mut self, row: &SheetRow) -> String {
        let Some((at, key)) = &self.places.key else { return String::new() };
        let (at, by) = (*at, key.by.clone());
        let header = self.columns[at].header.clone();
        let cell = row.cells.get(at).unwrap_or(&EMPTY);
        if cell.is_empty() {
            let (code, words) = if self.covered.has(row.number, at) { merged() } else { missing_key() };
            self.report.error(row.number, &header, code, words);
            return String::new();
        }
        match habits::of_key(cell) {
            Some(Habit::Scientific | Habit::CutDigits) => {
                self.doubts.rewritten.add(row.number);
                self.report.error(row.number, &header, "rewritten_key", Words::new(
                    format!("“{}”已被表格软件改写，原号码无法还原；请将该列设为文本格式后重新填写。", cell.text),
                    format!("“{}” was rewritten by the spreadsheet and cannot be restored; format the column as Text and fill it in again.", cell.text),
                ));
            }
            Some(Habit::FullWidth(narrow)) => {
                self.doubts.full_width.add(row.number);
                if self.asked.full_width == Some(Choice::Mend) {
                    return narrow;
                }
            }
            Some(Habit::Fault) => {
                let (code, words) = fault(&cell.text);
                self.report.error(row.number, &header, code, words);
            }
            _ if by == "openid" && !checks::openid(&cell.text) => self.report.error(
                row.number,
                &header,
                "invalid_openid",
                Words::new(format!("“{}”不是 openid。", cell.text), format!("“{}” is no openid.", cell.text)),
            ),
            _ => {}
        }
        cell.text.clone()
    }

    /// The fields as they would stand on the card.
    fn texts_of(&mut self, row: &SheetRow) -> Vec<(String, String)> {
        let values = columns::values(&self.columns, row);
        let mut texts = Vec::with_capacity(self.places.fields.len());
        for place in &self.places.fields {
            let header = &self.columns[place.column].header;
            let cell = row.cells.get(place.column).unwrap_or(&EMPTY);
            let as_moment = matches!(place.field.kind, FieldKind::Date | FieldKind::Time);
            let found = if cell.is_empty() && self.covered.has(row.number, place.column) {
                Some(merged())
            } else {
                match habits::of_value(cell, as_moment) {
                    Some(Habit::Fault) => Some(fault(&cell.text)),
                    Some(Habit::DateSerial(date)) => Some((
                        "date_as_number",
                        Words::new(
                            format!(
                                "“{}”像是日期 {date} 的序号；请在表里把该单元格设为日期格式。",
                                cell.text
                            ),
                            format!(
                                "“{}” looks like the day number of {date}; format the cell as a date.",
                                cell.text
                            ),
                        ),
                    )),
                    Some(Habit::Scientific | Habit::CutDigits) => Some((
                        "rewritten_number",
                        Words::new(
                            format!("“{}”已被表格软件改写；请将单元格设为文本格式后重新填写。", cell.text),
                            format!(
                                "“{}” was rewritten by the spreadsheet; format the cell as Text and fill it in again.",
                                cell.text
                            ),
                        ),
                    )),
                    _ => None,
                }
            };
            if let Some((code, words)) = found {
                self.report.error(row.number, header, code, words);
                continue;
            }
            let text = match place.text.fill(|name| values.get(name).copied()) {
                Ok(text) => text,
                Err(error) => {
                    let (code, words) = unfilled(&error, &cell.text);
                    self.report.error(row.number, header, code, words);
                    continue;
                }
            };
            let data = BTreeMap::from([(place.field.key.clone(), text.clone())]);
            match template::check(std::slice::from_ref(&place.field), &data).first() {
                Some(problem) => {
                    let words = Words::new(problem.detail(Lang::Zh), problem.detail(Lang::En));
                    self.report.error(row.number, header, problem.code.as_str(), words);
                }
                None => texts.push((place.field.key.clone(), text)),
            }
        }
        texts
    }

    /// The lines that the rows become.
    pub(super) fn lines(&mut self, rows: Vec<Row>) -> Vec<ListedRecipient> {
        let by = self.places.key.as_ref().map(|(_, key)| key.by.clone()).unwrap_or_default();
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let vars = serde_json::to_string(&Named(&self.columns, &row.row.cells))
                .unwrap_or_else(|_| "{}".to_owned());
            let mut add = |kind: ListKind, given: &str, line: &mut i64| {
                *line += 1;
                lines.push(ListedRecipient {
                    row: *line,
                    sheet_row: Some(row.row.number.into()),
                    kind,
                    given: given.to_owned(),
                    vars: vars.clone(),
                });
            };
            if let Some(wrong) = row.wrong {
                add(ListKind::Wrong(wrong), &row.given, &mut self.line);
                continue;
            }
            self.report.valid += 1;
            if row.people.is_empty() {
                self.report.messages += 1;
                let kind = match by.as_str() {
                    "openid" => ListKind::Openid,
                    "external_id" => ListKind::ExternalId,
                    name => ListKind::Attribute(name.to_owned()),
                };
                add(kind, &row.given, &mut self.line);
            }
            for openid in &row.people {
                self.report.messages += 1;
                add(ListKind::Openid, openid, &mut self.line);
            }
        }
        lines
    }
}

impl Service {
    /// Finds out whom the rows mean.
    pub(super) async fn match_people(
        &self,
        reading: &mut Reading<'_>,
        rows: &mut [Row],
    ) -> Result<(), Problem> {
        let Some((_, key)) = &reading.places.key else { return Ok(()) };
        let by = key.by.clone();
        let asking = |row: &&mut Row| row.wrong.is_none() && !row.given.is_empty();
        if by == "openid" {
            for row in rows.iter_mut().filter(asking) {
                let openid = row.given.clone();
                note_again(reading, row, std::slice::from_ref(&openid));
            }
            return Ok(());
        }
        let keys: Vec<String> = rows.iter_mut().filter(asking).map(|row| row.given.clone()).collect();
        let mut known = self.found_people(reading.app, &by, &keys).await?;
        let others: Vec<String> =
            keys.iter().filter(|key| !known.contains_key(*key)).flat_map(|key| with_zeros(key)).collect();
        let others = if others.is_empty() {
            HashMap::new()
        } else {
            self.found_people(reading.app, &by, &others).await?
        };
        let mut meant: HashMap<u32, Vec<String>> = HashMap::new();
        for row in rows.iter_mut().filter(asking) {
            let number = row.row.number;
            let mut people = known.get(&row.given).cloned().unwrap_or_default();
            if people.is_empty()
                && let Some(other) =
                    with_zeros(&row.given).into_iter().find(|other| others.contains_key(other))
            {
                reading.doubts.zeros.add(number);
                reading.doubts.zeros_like.get_or_insert((row.given.clone(), other.clone()));
                if reading.asked.lost_zeros == Some(Choice::Mend) {
                    people = others.get(&other).cloned().unwrap_or_default();
                    row.people.clone_from(&people);
                }
            }
            match people.len() {
                0 => reading.report.unknown_recipients.add(number),
                1 => {}
                _ => {
                    reading.doubts.several.add(number);
                    match reading.asked.several {
                        Some(Several::LeaveOut) => row.wrong = Some("several_people".to_owned()),
                        Some(_) => row.people.clone_from(&people),
                        None => {}
                    }
                }
            }
            meant.insert(number, people);
        }
        known.clear();
        if reading.asked.several == Some(Several::MostRecent) {
            self.keep_most_recent(reading, rows, &mut meant).await?;
        }
        for row in rows.iter_mut().filter(asking) {
            let people = if row.people.is_empty() {
                meant.remove(&row.row.number).unwrap_or_default()
            } else {
                row.people.clone()
            };
            note_again(reading, row, &people);
        }
        Ok(())
    }

    /// Of several people whoever subscribed last.
    async fn keep_most_recent(
        &self,
        reading: &Reading<'_>,
        rows: &mut [Row],
        meant: &mut HashMap<u32, Vec<String>>,
    ) -> Result<(), Problem> {
        let several: Vec<String> =
            rows.iter().filter(|row| row.people.len() > 1).flat_map(|row| row.people.clone()).collect();
        if several.is_empty() {
            return Ok(());
        }
        let subscribed: HashMap<String, i64> = match &reading.template {
            Some(template) => {
                let members = self.store.members_of(template.number, &several).await?;
                members
                    .into_iter()
                    .map(|(openid, member)| {
                        (openid, member.subscription.last_grant_at.max(member.subscription.status_at))
                    })
                    .collect()
            }
            None => HashMap::new(),
        };
        let people = self.store.people_of(reading.app.number, &several).await?;
        for row in rows.iter_mut().filter(|row| row.people.len() > 1) {
            let latest = row
                .people
                .iter()
                .max_by_key(|openid| {
                    (
                        subscribed.get(*openid),
                        people.get(*openid).map(|person| person.updated_at),
                        std::cmp::Reverse(*openid),
                    )
                })
                .cloned();
            row.people = latest.into_iter().collect();
            meant.insert(row.row.number, row.people.clone());
        }
        Ok(())
    }

    /// Notes who was sent the same today.
    pub(super) async fn match_texts(
        &self,
        reading: &mut Reading<'_>,
        rows: &mut [Row],
    ) -> Result<(), Problem> {
        let Some(template) = reading.template.clone() else { return Ok(()) };
        if reading.places.fields.is_empty() {
            return Ok(());
        }
        let by = reading.places.key.as_ref().map(|(_, key)| key.by.clone()).unwrap_or_default();
        let keys: Vec<String> =
            rows.iter().filter(|row| row.wrong.is_none()).map(|row| row.given.clone()).collect();
        let found = match by.as_str() {
            "" => return Ok(()),
            "openid" => HashMap::new(),
            by => self.found_people(reading.app, by, &keys).await?,
        };
        let people = |row: &Row| -> Vec<String> {
            if !row.people.is_empty() {
                row.people.clone()
            } else if by == "openid" {
                vec![row.given.clone()]
            } else {
                found.get(&row.given).cloned().unwrap_or_default()
            }
        };
        let openids: Vec<String> = rows.iter().filter(|row| row.wrong.is_none()).flat_map(&people).collect();
        let sent = self.store.texts_since(template.number, &openids, self.midnight()).await?;
        if sent.is_empty() {
            return Ok(());
        }
        let mut texts: HashMap<String, Vec<BTreeMap<String, String>>> = HashMap::new();
        for (openid, data) in sent {
            texts.entry(openid).or_default().push(serde_json::from_str(&data).unwrap_or_default());
        }
        for row in rows.iter_mut().filter(|row| row.wrong.is_none()) {
            let same = |data: &BTreeMap<String, String>| {
                row.texts.iter().all(|(key, text)| data.get(key) == Some(text))
            };
            if people(row).iter().any(|openid| texts.get(openid).is_some_and(|sent| sent.iter().any(same))) {
                reading.doubts.same_today.add(row.row.number);
                if reading.asked.same_today == Some(Choice::LeaveOut) {
                    row.wrong = Some("same_today".to_owned());
                }
            }
        }
        Ok(())
    }
}

fn note_again(reading: &mut Reading<'_>, row: &Row, people: &[String]) {
    for openid in people {
        // Without texts the same person twice says nothing.
        if !row.texts.is_empty() && reading.is_again(openid, &row.texts) {
            reading.report.duplicates += 1;
            if reading.report.duplicate_rows.len() < super::report::ROWS {
                reading.report.duplicate_rows.push(row.row.number);
            }
        }
    }
}

/// What a number may have been before a spreadsheet took its zeros away, or somebody wrote them.
fn with_zeros(key: &str) -> Vec<String> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let mut others: Vec<String> = (1..=ZEROS).map(|zeros| format!("{}{key}", "0".repeat(zeros))).collect();
    let mut fewer = key;
    while let Some(bare) = fewer.strip_prefix('0').filter(|bare| !bare.is_empty()) {
        others.push(bare.to_owned());
        fewer = bare;
    }
    others
}

fn merged() -> (&'static str, Words) {
    (
        "merged_cell",
        Words::new(
            "这里是合并单元格，只有第一行有内容；请取消合并并在每一行填写。",
            "This cell is merged with the one above, which alone holds the text; take the merge away and fill in every row.",
        ),
    )
}

fn missing_key() -> (&'static str, Words) {
    ("missing_key", Words::new("这一行没有写收件人。", "The row does not say who."))
}

fn fault(text: &str) -> (&'static str, Words) {
    (
        "formula_error",
        Words::new(
            format!("公式出错（{text}），请先在表里修正。"),
            format!("The formula gave up ({text}); mend it in the sheet."),
        ),
    )
}

fn unfilled(error: &domain::placeholder::FillError, text: &str) -> (&'static str, Words) {
    use domain::placeholder::FillError;
    match error {
        FillError::Missing(_) => ("empty", Words::new("单元格是空的。", "The cell is empty.")),
        FillError::Money { .. } => (
            "invalid_money",
            Words::new(format!("“{text}”不是金额。"), format!("“{text}” is no amount of money.")),
        ),
        FillError::Moment { .. } => (
            "invalid_moment",
            Words::new(format!("“{text}”不是日期或时间。"), format!("“{text}” is no date or time.")),
        ),
    }
}
