//! Whatever bytes come, nothing panics, and what was written is read again.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use sheets::write::Writer;
use sheets::{Book, Limits, SheetRow};

fn read(bytes: &[u8]) -> Option<Vec<SheetRow>> {
    let limits = Limits { unpacked: 1 << 20, rows: 1_000, columns: 50 };
    let mut book = Book::open(bytes, limits).ok()?;
    let mut rows = Vec::new();
    for sheet in 0..book.sheets().len() {
        book.read(sheet, &mut |row| {
            rows.push(row);
            true
        })
        .ok()?;
    }
    Some(rows)
}

fn written(rows: &[Vec<String>]) -> Vec<u8> {
    let directory = std::env::temp_dir();
    let mut writer = Writer::new("表", vec!["甲".into(), "乙".into(), "丙".into()], &directory).unwrap();
    for row in rows {
        writer.row(row.iter().map(String::as_str)).unwrap();
    }
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,400}", start in "(<table>|<html><tr><td>|sep=;\n|PK|)") {
        let _ = read(format!("{start}{text}").as_bytes());
    }

    #[test]
    fn what_was_written_is_read(rows in proptest::collection::vec(proptest::collection::vec("[a-z0-9\u{4e00}-\u{4e20}<&\"' ]{0,12}", 3), 0..20)) {
        let found = read(&written(&rows)).unwrap();
        let texts = |row: &SheetRow| row.cells.iter().map(|cell| cell.text.clone()).collect::<Vec<_>>();
        let mut wanted: Vec<Vec<String>> = Vec::new();
        for row in &rows {
            let mut row: Vec<String> = row.iter().map(|cell| cell.trim().to_owned()).collect();
            while row.last().is_some_and(String::is_empty) {
                row.pop();
            }
            if !row.is_empty() {
                wanted.push(row);
            }
        }
        prop_assert_eq!(found.iter().skip(1).map(texts).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_broken_file(at in 0usize..4_000, byte in any::<u8>()) {
        let mut file = written(&[vec!["a".into(), "b".into(), "c".into()]]);
        let place = at % file.len();
        file[place] = byte;
        let _ = read(&file);
        file.truncate(place);
        let _ = read(&file);
    }
}
