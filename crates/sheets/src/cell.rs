//! One cell: what its reader sees, and what it holds.

/// What a cell holds beside what it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Nothing.
    Empty,
    /// Words.
    Text,
    /// A number that is shown as one.
    Number(f64),
    /// A number that is shown as a date, a time or both.
    Moment(f64),
    /// True or false.
    Truth(bool),
    /// What a formula gave up with: #N/A, #REF!
    Fault,
}

/// A cell as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What the reader of the sheet sees, without blanks around it.
    pub text: String,
    /// What it holds.
    pub value: Value,
}

impl Cell {
    /// An empty one.
    pub const EMPTY: Self = Self { text: String::new(), value: Value::Empty };

    /// Words, or nothing where they are blank.
    pub fn text(text: &str) -> Self {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}');
        let value = if text.is_empty() { Value::Empty } else { Value::Text };
        Self { text: text.to_owned(), value }
    }

    /// Whether nothing stands in it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// The letters above a column: 0 is A, 26 is AA.
pub fn column_name(mut at: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + u8::try_from(at % 26).unwrap_or(0)));
        if at < 26 {
            break;
        }
        at = at / 26 - 1;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        for (at, name) in [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")]
        {
            assert_eq!(column_name(at), name);
        }
    }

    #[test]
    fn blanks() {
        assert_eq!(Cell::text(" \u{3000}\t\u{feff}"), Cell::EMPTY);
        assert_eq!(Cell::text("\u{a0}3-1201 \n").text, "3-1201");
    }
}
