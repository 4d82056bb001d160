//! Excel since 2007. Read here and not by calamine, because an operator's sheet is more than its values: which rows a filter
//! hides, which cells are merged, and how a number is shown (docs/adr/0005-uploads.md). Rows are read as they come; only the
//! shared strings are in memory.

mod sheet;
mod strings;
pub(crate) mod styles;

use std::collections::HashMap;
use std::io::{BufReader, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use crate::book::{Facts, Limits, SheetName, SheetRow};
use crate::error::SheetError;

type Xml<'z> = Reader<BufReader<Box<dyn Read + 'z>>>;

pub(crate) struct Workbook<'f> {
    zip: ZipArchive<Cursor<&'f [u8]>>,
    limits: Limits,
    sheets: Vec<Sheet>,
    strings: strings::Strings,
    styles: styles::Styles,
}

struct Sheet {
    name: String,
    hidden: bool,
    path: String,
}

impl std::fmt::Debug for Workbook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workbook").field("sheets", &self.sheets.len()).finish_non_exhaustive()
    }
}

impl<'f> Workbook<'f> {
    pub(crate) fn open(bytes: &'f [u8], limits: Limits) -> Result<Self, SheetError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| SheetError::damaged(&error))?;
        let mut book = Self {
            zip,
            limits,
            sheets: Vec::new(),
            strings: strings::Strings::default(),
            styles: styles::Styles::default(),
        };
        if !book.has("xl/workbook.xml") {
            return Err(if book.has("content.xml") {
                SheetError::Unsupported("OpenDocument")
            } else if book.has("word/document.xml") {
                SheetError::Unsupported("Word")
            } else if book.has("xl/workbook.bin") {
                SheetError::Unsupported("XLSB")
            } else {
                SheetError::Unsupported("ZIP")
            });
        }
        let targets = book.part("xl/_rels/workbook.xml.rels", relations)?.unwrap_or_default();
        let (sheets, since_1904) = book.part("xl/workbook.xml", sheets)?.unwrap_or_default();
        book.sheets = sheets
            .into_iter()
            .filter_map(|(name, hidden, id)| Some(Sheet { name, hidden, path: targets.get(&id)?.clone() }))
            // Charts are sheets too.
            .filter(|sheet| sheet.path.contains("worksheets/"))
            .collect();
        book.strings = book.part("xl/sharedStrings.xml", strings::Strings::read)?.unwrap_or_default();
        book.styles = book.part("xl/styles.xml", styles::Styles::read)?.unwrap_or_default();
        book.styles.since_1904 = since_1904;
        Ok(book)
    }

    pub(crate) fn sheets(&self) -> Vec<SheetName> {
        self.sheets.iter().map(|sheet| SheetName { name: sheet.name.clone(), hidden: sheet.hidden }).collect()
    }

    pub(crate) fn read(
        &mut self,
        at: usize,
        each: &mut dyn FnMut(SheetRow) -> bool,
    ) -> Result<Facts, SheetError> {
        let path = self.sheets[at].path.clone();
        let (strings, styles) = (std::mem::take(&mut self.strings), std::mem::take(&mut self.styles));
        let facts = self.part(&path, |xml| sheet::read(xml, &strings, &styles, each));
        (self.strings, self.styles) = (strings, styles);
        facts?.ok_or_else(|| SheetError::damaged(&path))
    }

    fn has(&self, path: &str) -> bool {
        self.zip.index_for_name(path).is_some()
    }

    /// Reads one part of the file, no further than the limit; none where it is not there.
    fn part<T>(
        &mut self,
        path: &str,
        read: impl FnOnce(&mut Xml<'_>) -> Result<T, SheetError>,
    ) -> Result<Option<T>, SheetError> {
        let limit = self.limits.unpacked;
        let Some(at) = self.zip.index_for_name(path) else { return Ok(None) };
        let file = self.zip.by_index(at).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(what) if what.contains("assword") => {
                SheetError::Encrypted
            }
            error => SheetError::damaged(&error),
        })?;
        if file.size() > limit {
            return Err(SheetError::TooLarge(limit));
        }
        // What the directory says of the size need not be true.
        let over = std::cell::Cell::new(false);
        let limited = Limited { inner: file, left: limit, over: &over };
        let mut xml =
            Reader::from_reader(BufReader::with_capacity(1 << 16, Box::new(limited) as Box<dyn Read + '_>));
        let outcome = read(&mut xml);
        drop(xml);
        if over.get() {
            return Err(SheetError::TooLarge(limit));
        }
        outcome.map(Some)
    }
}

/// A part of which no more than so many bytes are read.
struct Limited<'o, R> {
    inner: R,
    left: u64,
    over: &'o std::cell::Cell<bool>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.over.set(true);
                Err(std::io::Error::other("too large"))
            }
        }
    }
}

/// An attribute without its prefix, its entities resolved.
fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    start
        .attributes()
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)
        .and_then(|attribute| {
            quick_xml::escape::unescape(&attribute.value).ok().map(std::borrow::Cow::into_owned)
        })
}

fn is_true(value: Option<&str>) -> bool {
    matches!(value, Some("1" | "true"))
}

/// A text of the file, with whatever stands for a sign in it. Excel writes control signs as `_x000D_`.
fn push(text: &mut String, event: &Event<'_>) -> Result<(), SheetError> {
    match event {
        Event::Text(part) => text.push_str(part),
        Event::CData(part) => text.push_str(part),
        Event::GeneralRef(name) => {
            let resolved = name.resolve_char_ref().map_err(|error| SheetError::damaged(&error))?;
            match resolved {
                Some(sign) => text.push(sign),
                None => text.push_str(quick_xml::escape::resolve_predefined_entity(name).unwrap_or_default()),
            }
        }
        _ => {}
    }
    Ok(())
}

/// The next event; none at the end.
fn next<'b>(xml: &mut Xml<'_>, buffer: &'b mut Vec<u8>) -> Result<Option<Event<'b>>, SheetError> {
    buffer.clear();
    match xml.read_event_into(buffer) {
        Ok(Event::Eof) => Ok(None),
        Ok(event) => Ok(Some(event)),
        Err(error) => Err(SheetError::damaged(&error)),
    }
}

fn relations(xml: &mut Xml<'_>) -> Result<HashMap<String, String>, SheetError> {
    let (mut targets, mut buffer) = (HashMap::new(), Vec::new());
    while let Some(event) = next(xml, &mut buffer)? {
        if let Event::Start(start) | Event::Empty(start) = &event
            && start.local_name().as_ref() == "Relationship"
            && let (Some(id), Some(target)) = (attribute(start, "Id"), attribute(start, "Target"))
        {
            let path = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
            targets.insert(id, path);
        }
    }
    Ok(targets)
}

type Listed = (Vec<(String, bool, String)>, bool);

fn sheets(xml: &mut Xml<'_>) -> Result<Listed, SheetError> {
    let (mut sheets, mut since_1904, mut buffer) = (Vec::new(), false, Vec::new());
    while let Some(event) = next(xml, &mut buffer)? {
        let (Event::Start(start) | Event::Empty(start)) = &event else { continue };
        match start.local_name().as_ref() {
            "workbookPr" => since_1904 = is_true(attribute(start, "date1904").as_deref()),
            "sheet" => {
                let hidden = attribute(start, "state").is_some_and(|state| state != "visible");
                if let (Some(name), Some(id)) = (attribute(start, "name"), attribute(start, "id")) {
                    sheets.push((name, hidden, id));
                }
            }
            _ => {}
        }
    }
    Ok((sheets, since_1904))
}
