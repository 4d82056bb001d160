//! Rows of such a table: reading them on a thread of their own, and what each says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Seek};

use domain::Millis;
use domain::clock::DAY;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use store::imports::ImportedGrant;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use super::{Mapping, SubsRequest, unreadable};
use crate::problem::{FieldError, Problem};
use crate::view::time;
use crate::{App, checks};

/// The longest head that is looked at for its separator.
const HEAD: usize = 64 * 1024;
/// Grants of one row at most.
const MOST: u32 = 1_000;

/// A row as it stands in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// As a spreadsheet counts: the head is row 1.
    pub(super) number: usize,
    openid: String,
    template: Option<String>,
    time: String,
    status: Option<String>,
    event: String,
    app: String,
    count: String,
}

/// A row that is an accept.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) template_id: String,
    openid: String,
    count: u32,
    accepted_at: Option<Millis>,
    note: String,
    reference: Uuid,
}

impl Checked {
    pub(super) fn grant(self, template: i64) -> ImportedGrant {
        ImportedGrant {
            openid: self.openid,
            template,
            count: self.count,
            accepted_at: self.accepted_at,
            reference: self.reference,
            note: self.note,
        }
    }
}

/// Reads the file in chunks; gives how it was encoded.
pub(super) fn read(
    file: impl Read + Seek,
    named: &BTreeMap<String, String>,
    has_template: bool,
    size: usize,
    chunks: &Sender<Vec<Row>>,
) -> Result<&'static str, Problem> {
    let (text, encoding) = sheets::stream::utf8(file).map_err(unreadable)?;
    let mut text = BufReader::with_capacity(HEAD, text);
    let delimiter = delimiter(text.fill_buf().map_err(unreadable)?);
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let heads: Vec<String> =
        reader.headers().map_err(unreadable)?.iter().map(|head| head.trim().to_owned()).collect();
    let mapping = Mapping::find(&heads, named, has_template)?;
    let mut chunk = Vec::with_capacity(size);
    let mut record = csv::StringRecord::new();
    let mut number = 1;
    while reader.read_record(&mut record).map_err(unreadable)? {
        number += 1;
        let cell = |field: &str| mapping.cell(field, &record).unwrap_or_default().to_owned();
        let given = |field: &str| mapping.cell(field, &record).map(str::to_owned);
        chunk.push(Row {
            number,
            openid: cell("openid"),
            template: given("template"),
            time: cell("time"),
            status: given("status"),
            event: cell("event"),
            app: cell("app"),
            count: cell("count"),
        });
        if chunk.len() == size
            && chunks.blocking_send(std::mem::replace(&mut chunk, Vec::with_capacity(size))).is_err()
        {
            // Nobody wants the rest.
            return Ok(encoding);
        }
    }
    if !chunk.is_empty() {
        let _ = chunks.blocking_send(chunk);
    }
    Ok(encoding)
}

/// What stands most often in the first line.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |of: u8| line.iter().filter(|byte| **byte == of).count();
    [b',', b'\t', b';'].into_iter().max_by_key(|of| (count(*of), *of == b',')).unwrap_or(b',')
}

/// What rows are checked against.
pub(super) struct Check {
    original_id: Option<String>,
    template_id: Option<String>,
    zone: TimeZone,
    now: Millis,
    name: String,
}

impl Check {
    pub(super) fn new(app: &App, request: &SubsRequest, now: Millis) -> Result<Self, Problem> {
        let zone = request.time_zone.as_deref().unwrap_or("Asia/Shanghai");
        let zone = jiff::tz::db().get(zone).map_err(|_| {
            FieldError::new(
                "/time_zone",
                "invalid_value",
                format!("没有时区 {zone}。"),
                format!("There is no time zone {zone}."),
            )
        })?;
        Ok(Self {
            original_id: app.original_id.clone(),
            template_id: request.template_id.clone(),
            zone,
            now,
            name: request.name.chars().take(100).collect(),
        })
    }

    /// The row as a grant; nothing where it is none.
    pub(super) fn row(&self, row: Row) -> Result<Option<Checked>, FieldError> {
        if !checks::openid(&row.openid) {
            return Err(crate::people::not_an_openid("/openid"));
        }
        if let Some(original_id) = &self.original_id
            && !row.app.is_empty()
            && row.app != *original_id
        {
            return Err(FieldError::new(
                "/app",
                "other_app",
                format!("这一行属于另一个小程序（{}），当前是 {original_id}。", row.app),
                format!("The row is of another mini program ({}), this is {original_id}.", row.app),
            ));
        }
        // Only words that begin with accept are accepts; a sent event has overwritten the accept that it spent.
        let accepted =
            row.status.as_deref().is_none_or(|status| status.to_ascii_lowercase().starts_with("accept"));
        if !accepted || row.event.eq_ignore_ascii_case("subscribe_msg_sent_event") {
            return Ok(None);
        }
        let template_id = row.template.filter(|id| !id.is_empty()).or_else(|| self.template_id.clone());
        let template_id = template_id.ok_or_else(|| {
            FieldError::new("/template", "missing_value", "模板 ID 为空。", "There is no template id.")
        })?;
        let count = match row.count.as_str() {
            "" => 1,
            text => text.parse().ok().filter(|count| *count <= MOST).ok_or_else(|| {
                FieldError::new(
                    "/count",
                    "invalid_value",
                    format!("次数应为 0 到 {MOST} 的整数，不是“{text}”。"),
                    format!("A count is a whole number from 0 to {MOST}, not \"{text}\"."),
                )
            })?,
        };
        if count == 0 {
            return Ok(None);
        }
        let accepted_at = self.moment(&row.time)?;
        let mut digest = Sha256::new();
        for part in [&row.openid, &template_id, &accepted_at.map_or_else(String::new, |at| at.to_string())] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut reference = [0; 16];
        reference.copy_from_slice(&digest[..16]);
        let mut note = format!("{} #{}", self.name, row.number);
        if let Some(at) = accepted_at {
            note.push(' ');
            note.push_str(&time(at));
        }
        Ok(Some(Checked {
            template_id,
            openid: row.openid,
            count,
            accepted_at,
            note,
            reference: Uuid::from_bytes(reference),
        }))
    }

    /// Seconds, milliseconds, or a time as databases write it.
    fn moment(&self, text: &str) -> Result<Option<Millis>, FieldError> {
        if text.is_empty() || text == "0" || text.eq_ignore_ascii_case("null") {
            return Ok(None);
        }
        let moment = match text.parse::<i64>() {
            Ok(number) if number >= 100_000_000_000 => Some(number),
            Ok(number) => number.checked_mul(1_000),
            Err(_) => self.written(text),
        };
        // WeChat has had these messages since 2019.
        moment.filter(|at| (1_546_300_800_000..self.now + DAY).contains(at)).map(Some).ok_or_else(|| {
            FieldError::new(
                "/time",
                "invalid_time",
                format!("时间“{text}”无法识别，或不在 2019 年至今之间。"),
                format!("\"{text}\" is no time, or none between 2019 and now."),
            )
        })
    }

    fn written(&self, text: &str) -> Option<Millis> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(moment.as_millisecond());
        }
        let civil: DateTime = text.replace('/', "-").replacen(' ', "T", 1).parse().ok()?;
        Some(civil.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond())
    }
}

pub(super) fn nothing_to_count() -> FieldError {
    FieldError::new(
        "/template",
        "nothing_to_count",
        "长期订阅模板没有次数可以导入。",
        "A long-term template has no grants to import.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENID: &str = "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s";

    fn check() -> Check {
        Check {
            original_id: Some("gh_ea84a199bf81".to_owned()),
            template_id: None,
            zone: jiff::tz::db().get("Asia/Shanghai").unwrap(),
            now: 1_795_406_400_000,
            name: "subs.csv".to_owned(),
        }
    }

    fn row(time: &str, status: &str) -> Row {
        Row {
            number: 2,
            openid: OPENID.to_owned(),
            template: Some("t".to_owned()),
            time: time.to_owned(),
            status: Some(status.to_owned()),
            ..Row::default()
        }
    }

    #[test]
    fn times_are_read_as_databases_write_them() {
        for text in [
            "1686131943",
            "1686131943000",
            "2023-06-07 17:59:03",
            "2023/06/07 17:59:03",
            "2023-06-07T17:59:03+08:00",
        ] {
            let checked = check().row(row(text, "accept")).unwrap().unwrap();
            assert_eq!(checked.accepted_at, Some(1_686_131_943_000), "{text}");
        }
        for text in ["yesterday", "12", "9999999999999"] {
            assert_eq!(check().row(row(text, "accept")).unwrap_err().code, "invalid_time", "{text}");
        }
        assert_eq!(check().row(row("", "accept")).unwrap().unwrap().accepted_at, None);
    }

    #[test]
    fn only_accepts_of_this_app_count() {
        for status in ["reject", "ban", "", "filter"] {
            assert!(check().row(row("", status)).unwrap().is_none(), "{status}");
        }
        assert!(check().row(row("", "acceptWithAudio")).unwrap().is_some());
        let sent = Row { event: "subscribe_msg_sent_event".to_owned(), ..row("", "accept") };
        assert!(check().row(sent).unwrap().is_none());
        let other = Row { app: "gh_other".to_owned(), ..row("", "accept") };
        assert_eq!(check().row(other).unwrap_err().code, "other_app");
        let nobody = Row { openid: "o1".to_owned(), ..row("", "accept") };
        assert_eq!(check().row(nobody).unwrap_err().code, "invalid_openid");
    }

    #[test]
    fn one_act_has_one_reference() {
        let of = |time: &str| check().row(row(time, "accept")).unwrap().unwrap().reference;
        assert_eq!(of("1686131943"), of("2023-06-07 17:59:03"));
        assert_ne!(of("1686131943"), of("1686131944"));
    }
}
