//! The tables that web systems call .xls: HTML, read token by token.

use std::cell::RefCell;

use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use crate::book::{Facts, Merge, SheetRow};
use crate::cell::Cell;

/// Letters at the start that tell.
const LOOK: usize = 4_096;

/// Whether a text is a page with a table, and not a CSV whose first cell holds a `<`.
pub(crate) fn is_html(text: &str) -> bool {
    let start: String = text.trim_start_matches('\u{feff}').trim_start().chars().take(LOOK).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with('<')
        && ["<html", "<table", "<meta", "<!doctype html", "<style"].iter().any(|tag| start.contains(tag))
}

/// Cells of earlier rows that reach down into this one.
struct Reaching {
    column: usize,
    width: usize,
    rows: u32,
}

struct Reader<'e> {
    each: &'e mut dyn FnMut(SheetRow) -> bool,
    more: bool,
    number: u32,
    row: Option<Vec<Cell>>,
    hidden: bool,
    cell: Option<String>,
    spans: (u32, u32),
    reaching: Vec<Reaching>,
    facts: Facts,
    /// A title or style holds no cells.
    silent: bool,
}

struct Sink<'e>(RefCell<Reader<'e>>);

/// Reads every table of a page as one sheet.
pub(crate) fn read(page: &str, each: &mut dyn FnMut(SheetRow) -> bool) -> Facts {
    let reader = Reader {
        each,
        more: true,
        number: 0,
        row: None,
        hidden: false,
        cell: None,
        spans: (1, 1),
        reaching: Vec::new(),
        facts: Facts::default(),
        silent: false,
    };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(page.into());
    // It stops at scripts and where a page names its encoding; neither matters here.
    while !queue.is_empty() {
        let _ = tokenizer.feed(&queue);
    }
    tokenizer.end();
    let mut reader = tokenizer.sink.0.into_inner();
    reader.end_row();
    reader.facts
}

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => reader.tag(&tag),
            Token::CharacterTokens(text) if !reader.silent => {
                if let Some(cell) = &mut reader.cell {
                    cell.push_str(&text);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Reader<'_> {
    fn tag(&mut self, tag: &Tag) {
        let opens = tag.kind == TagKind::StartTag;
        match &*tag.name {
            "style" | "script" | "title" => self.silent = opens,
            "tr" => {
                self.end_row();
                if opens && self.more {
                    self.row = Some(Vec::new());
                    let style =
                        attribute(tag, "style").unwrap_or_default().replace(' ', "").to_ascii_lowercase();
                    self.hidden = style.contains("display:none");
                }
            }
            "td" | "th" => {
                self.end_cell();
                if opens && self.row.is_some() {
                    self.cell = Some(String::new());
                    let span =
                        |name| attribute(tag, name).and_then(|text| text.trim().parse().ok()).unwrap_or(1);
                    self.spans = (span("colspan").clamp(1, 1_000), span("rowspan").clamp(1, 100_000));
                }
            }
            "table" => self.end_row(),
            "br" | "p" | "div" => {
                if let Some(cell) = &mut self.cell {
                    cell.push(' ');
                }
            }
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        let Some(text) = self.cell.take() else { return };
        let Some(mut row) = self.row.take() else { return };
        self.leave_room(&mut row);
        let column = row.len();
        let (width, height) = self.spans;
        row.push(Cell::text(&words(&text)));
        row.resize(column + width as usize, Cell::EMPTY);
        self.row = Some(row);
        if (width, height) != (1, 1) {
            let first = u32::try_from(column).unwrap_or(u32::MAX);
            self.facts.merges.push(Merge {
                rows: (self.number + 1, self.number + height),
                columns: (first, first + width - 1),
            });
            if height > 1 {
                self.reaching.push(Reaching { column, width: width as usize, rows: height });
            }
        }
    }

    /// Cells from above take their place.
    fn leave_room(&self, row: &mut Vec<Cell>) {
        while let Some(above) = self.reaching.iter().find(|above| above.column == row.len()) {
            row.resize(row.len() + above.width, Cell::EMPTY);
        }
    }

    fn end_row(&mut self) {
        self.end_cell();
        let Some(cells) = self.row.take() else { return };
        self.number += 1;
        for above in &mut self.reaching {
            above.rows -= 1;
        }
        self.reaching.retain(|above| above.rows > 0);
        if self.more {
            self.more = (self.each)(SheetRow { number: self.number, hidden: self.hidden, cells });
        }
    }
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    tag.attrs
        .iter()
        .find(|attribute| &*attribute.name.local == name)
        .map(|attribute| attribute.value.to_string())
}

/// Blanks and line ends of the source are one blank on the page.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_some_web_system() {
        let page = "<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><head><meta charset=gbk><style>td{color:red}</style>\
            <title>导出</title></head><body><table><tr><th>房号</th><th colspan=2>费用 &amp; 说明</th></tr>\
            <tr><td rowspan=2>3-1201</td><td>物业费<br>11 月</td><td>&yen;200</td></tr><tr style='display: none'><td>水费<td>30</table>";
        assert!(is_html(page));
        let mut rows = Vec::new();
        let facts = read(page, &mut |row| {
            rows.push((
                row.number,
                row.hidden,
                row.cells.into_iter().map(|cell| cell.text).collect::<Vec<_>>().join("|"),
            ));
            true
        });
        let wanted =
            [(1, false, "房号|费用 & 说明|"), (2, false, "3-1201|物业费 11 月|¥200"), (3, true, "|水费|30")];
        assert_eq!(rows, wanted.map(|(number, hidden, text)| (number, hidden, text.to_owned())));
        assert_eq!(
            facts.merges,
            [Merge { rows: (1, 1), columns: (1, 2) }, Merge { rows: (2, 3), columns: (0, 0) }]
        );
    }

    #[test]
    fn no_page() {
        assert!(!is_html("<3,b\n1,2"));
        assert!(!is_html("a,<table>\n"));
    }
}
