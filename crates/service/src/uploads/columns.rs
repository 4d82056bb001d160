//! The columns of a sheet: their names, which one says who, which ones fill the fields of a template.

use std::collections::{BTreeMap, HashSet};

use domain::placeholder::Text;
use sheets::{Cell, SheetRow, column_name};
use wechat::template::{Field, FieldKind};

use super::asked::{KeyColumn, Mapping};
use super::report::Column;
use crate::problem::FieldError;
use crate::{App, checks};

/// Rows that are shown, and by which a column of openids is known.
const SAMPLES: usize = 5;
/// Longest name of a column, in signs.
const LONGEST: usize = 60;
/// What columns of phone numbers and flats are called, by the attribute's name.
const ALIASES: [(&str, &[&str]); 5] = [
    ("openid", &["open_id", "微信openid", "用户openid"]),
    ("external_id", &["外部编号", "用户编号", "会员号", "工号", "学号", "编号"]),
    ("phone", &["手机", "手机号", "手机号码", "电话", "联系电话", "联系方式"]),
    ("room", &["房号", "房间", "房间号", "门牌号", "室号"]),
    ("name", &["姓名", "业主", "业主姓名", "客户"]),
];

/// The columns, named by a header or by their letters.
pub(super) fn named(header: Option<&SheetRow>, rows: &[SheetRow]) -> Vec<Column> {
    let width = rows.iter().chain(header).map(|row| row.cells.len()).max().unwrap_or(0);
    let mut taken = HashSet::new();
    (0..width)
        .map(|at| {
            let shown =
                header.and_then(|row| row.cells.get(at)).map(|cell| cell.text.clone()).unwrap_or_default();
            let fits = |c: &char| c.is_alphanumeric() || "_-. #（）()/".contains(*c);
            let plain: String = shown.chars().filter(fits).take(LONGEST).collect();
            let plain = plain.trim();
            let first = if plain.is_empty() { column_name(at) } else { plain.to_owned() };
            let mut name = first.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{first} {number}");
                number += 1;
            }
            let samples = rows.iter().filter_map(|row| row.cells.get(at)).filter(|cell| !cell.is_empty());
            Column {
                column: column_name(at),
                header: if shown.is_empty() { name.clone() } else { shown },
                name,
                samples: samples.take(SAMPLES).map(|cell| cell.text.clone()).collect(),
            }
        })
        .collect()
}

/// The mapping with what was found by the names where nothing was asked.
pub(super) fn mapped(app: &App, columns: &[Column], fields: &[Field], asked: &Mapping) -> Mapping {
    let mut mapping = asked.clone();
    if mapping.key.is_none() {
        mapping.key = key(app, columns);
    }
    let key = mapping.key.as_ref().map(|key| key.column.clone());
    if mapping.fields.is_empty() {
        for field in fields {
            let named = |column: &&Column| {
                let name = simple(&column.header);
                name == simple(&field.label) || name == field.key
            };
            if let Some(column) = columns.iter().find(named)
                && (Some(&column.name) != key.as_ref() || field.kind == FieldKind::PhoneNumber)
            {
                mapping
                    .fields
                    .insert(field.key.clone(), format!("{}{}", column.name, format_of(&field.kind)));
            }
        }
    }
    mapping
}

/// Amounts and dates are written as WeChat wants them; the operator sees that in the mapping and can take it away.
fn format_of(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Amount => "|money",
        FieldKind::Date => "|date",
        _ => "",
    }
}

fn simple(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

fn key(app: &App, columns: &[Column]) -> Option<KeyColumn> {
    let attributes =
        app.settings.attributes.iter().filter(|(_, kind)| kind.key).map(|(name, _)| name.as_str());
    let known = ["openid", "external_id"].into_iter().chain(attributes);
    let called = |by: &str| {
        let aliases = ALIASES.iter().find(|(name, _)| *name == by).map_or(&[][..], |(_, aliases)| aliases);
        columns.iter().enumerate().find(|(_, column)| {
            let name = simple(&column.header);
            name == simple(by) || aliases.iter().any(|alias| simple(alias) == name)
        })
    };
    // The fullest, and of those the first: a column of telephones may be filled in for a few only.
    let best = known
        .filter_map(|by| called(by).map(|(at, column)| (by, at, column)))
        .max_by_key(|(_, at, column)| (column.samples.len(), std::cmp::Reverse(*at)));
    if let Some((by, _, column)) = best {
        return Some(KeyColumn { column: column.name.clone(), by: by.to_owned() });
    }
    let openids = |column: &&Column| {
        !column.samples.is_empty()
            && column
                .samples
                .iter()
                .all(|sample| checks::openid(sample) && sample.len() == 28 && sample.starts_with('o'))
    };
    columns
        .iter()
        .find(openids)
        .map(|column| KeyColumn { column: column.name.clone(), by: "openid".to_owned() })
}

/// A mapping that can be used: places of columns instead of names.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) key: Option<(usize, KeyColumn)>,
    pub(super) fields: Vec<FieldPlace>,
}

/// A field and the text that fills it.
#[derive(Debug)]
pub(super) struct FieldPlace {
    pub(super) field: Field,
    pub(super) column: usize,
    pub(super) text: Text,
}

/// Looks up the columns of a mapping; what is wrong with it.
pub(super) fn places(
    app: &App,
    columns: &[Column],
    fields: Option<&[Field]>,
    mapping: &Mapping,
) -> Result<Places, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut place = |pointer: String, name: &str| {
        let name = name.trim();
        let found = columns
            .iter()
            .position(|column| column.name == name || column.header == name || column.column == name);
        if found.is_none() {
            let all: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            errors.push(FieldError::new(
                pointer,
                "unknown_column",
                format!("表里没有名为“{name}”的列。现有的列：{}。", all.join("、")),
                format!("The sheet has no column “{name}”. It has: {}.", all.join(", ")),
            ));
        }
        found
    };
    let key = mapping
        .key
        .as_ref()
        .and_then(|key| Some((place("/mapping/key/column".to_owned(), &key.column)?, key.clone())));
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for (field, how) in &mapping.fields {
        let pointer = format!("/mapping/fields/{}", field.replace('~', "~0").replace('/', "~1"));
        let column = how.split('|').next().unwrap_or_default();
        let Some(at) = place(pointer.clone(), column) else { continue };
        let known = fields.map(|fields| fields.iter().find(|known| known.key == *field));
        let field = match known {
            Some(Some(known)) => known.clone(),
            Some(None) => {
                wrong.push(FieldError::new(
                    pointer,
                    "unknown_field",
                    format!("模板没有字段 {field}。"),
                    format!("The template has no field {field}."),
                ));
                continue;
            }
            None => continue,
        };
        let format = how.split_once('|').map_or(String::new(), |(_, format)| format!("|{format}"));
        match Text::parse(&format!("{{{{{}{format}}}}}", columns[at].name)) {
            Ok(text) => found.push(FieldPlace { field, column: at, text }),
            Err(error) => wrong.push(FieldError::new(
                pointer,
                "invalid_format",
                format!("“{how}”的格式有误（{error}）。可用：列名、列名|money、列名|date、列名|time、列名|datetime。"),
                format!("“{how}” is wrong: {error}. It is COLUMN, COLUMN|money, COLUMN|date, COLUMN|time or COLUMN|datetime."),
            )),
        }
    }
    if let Some((_, key)) = &key {
        let known = matches!(key.by.as_str(), "openid" | "external_id")
            || app.settings.attributes.get(&key.by).is_some_and(|kind| kind.key);
        if !known {
            errors.push(FieldError::new(
                "/mapping/key/by",
                "no_key_attribute",
                format!("{} 不是 openid、external_id，也没有登记为可查找的属性（见应用设置 attributes）。", key.by),
                format!("{} is neither openid nor external_id nor an attribute registered as a key (the app's setting attributes).", key.by),
            ));
        }
    }
    errors.extend(wrong);
    // Errors are told in the order of the sheet.
    found.sort_by_key(|field| field.column);
    if errors.is_empty() { Ok(Places { key, fields: found }) } else { Err(errors) }
}

/// The values of a row by column.
pub(super) fn values<'r>(columns: &'r [Column], row: &'r SheetRow) -> BTreeMap<&'r str, &'r str> {
    let shown = |cell: &'r Cell| cell.text.as_str();
    columns.iter().map(|column| column.name.as_str()).zip(row.cells.iter().map(shown)).collect()
}
