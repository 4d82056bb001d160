//! Reads a template's content into its fields: used after the template list was fetched.
//!
//! Source: official page "获取已有的模板列表" (gettemplate): `content` has one line `标签:{{thing1.DATA}}` per field, and
//! `example` the same lines with examples in place of the placeholders.

use std::collections::BTreeMap;

use super::{Field, FieldKind, MAX_FIELDS};

/// Gives the fields of a template, in the order of its content.
///
/// `enums` are the listed values by key (`keywordEnumValueList`); the key may end in `.DATA`, as WeChat writes it. Text
/// that is no placeholder is skipped; a key that occurs twice counts once; at most [`MAX_FIELDS`](super::MAX_FIELDS) are
/// read.
pub fn parse_content(content: &str, example: &str, enums: &BTreeMap<String, Vec<String>>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut examples: Vec<Option<&str>> = example.lines().map(Some).collect();
    for (index, line) in content.lines().enumerate() {
        let mut rest = line;
        while let Some((before, key, after)) = placeholder(rest) {
            rest = after;
            if fields.len() == MAX_FIELDS {
                return fields;
            }
            if fields.iter().any(|field| field.key == key) {
                continue;
            }
            let label = label(before);
            let (kind, number) = FieldKind::from_key(key);
            let listed = enums.get(key).or_else(|| enums.get(&format!("{key}.DATA")));
            fields.push(Field {
                key: key.to_owned(),
                kind,
                number,
                example: example_for(&mut examples, index, label).to_owned(),
                label: label.to_owned(),
                enum_values: listed.cloned().unwrap_or_default(),
            });
        }
    }
    fields
}

/// Finds the next `{{key.DATA}}`: what stands before it, its key, what stands after it.
///
/// From the closing braces backwards, so that no text is looked through twice, however many braces it opens.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let close = from + text.get(from..)?.find("}}")?;
        if let Some((before, inside)) = text.get(from..close)?.rsplit_once("{{") {
            let key = inside.trim().strip_suffix(".DATA").unwrap_or_default();
            if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Some((text.get(..from + before.len())?, key, text.get(close + 2..)?));
            }
        }
        from = close + 2;
    }
}

/// The label without its colon, half or full width.
fn label(before: &str) -> &str {
    before.trim().trim_end_matches([':', '：']).trim_end()
}

/// The example of a field: the first unused line with its label, else the line of the same number if that has no label.
fn example_for<'e>(lines: &mut [Option<&'e str>], index: usize, label: &str) -> &'e str {
    let labelled = |line: &'e str| -> Option<&'e str> {
        let value = line.trim_start().strip_prefix(label)?.trim_start();
        Some(value.strip_prefix([':', '：'])?.trim())
    };
    if !label.is_empty() {
        for line in lines.iter_mut() {
            if let Some(value) = line.and_then(labelled) {
                *line = None;
                return value;
            }
        }
        return "";
    }
    lines.get_mut(index).and_then(Option::take).map_or("", str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_fee_notice() {
        let fields = parse_content(
            "服务内容:{{thing8.DATA}}\n备注：{{thing5.DATA}}\n",
            "服务内容:物业费 3:00\n备注：请及时缴纳\n",
            &BTreeMap::new(),
        );
        let seen: Vec<_> = fields.iter().map(|f| (&*f.key, f.number, &*f.label, &*f.example)).collect();
        assert_eq!(seen, [("thing8", 8, "服务内容", "物业费 3:00"), ("thing5", 5, "备注", "请及时缴纳")]);
        assert!(fields.iter().all(|f| f.kind == FieldKind::Thing));
    }

    #[test]
    fn enum_values_come_under_the_bare_key_or_with_data() {
        for key in ["enum_string2", "enum_string2.DATA"] {
            let enums = BTreeMap::from([(key.to_owned(), vec!["红".to_owned(), "绿".to_owned()])]);
            let fields = parse_content("颜色:{{enum_string2.DATA}}", "", &enums);
            assert_eq!(fields[0].kind, FieldKind::Enum);
            assert_eq!(fields[0].enum_values, ["红", "绿"]);
        }
    }

    #[test]
    fn odd_contents_are_read_as_far_as_they_go() {
        let keys = |content: &str| -> Vec<String> {
            parse_content(content, "", &BTreeMap::new()).into_iter().map(|f| f.key).collect()
        };
        assert_eq!(keys("甲:{{thing1.DATA}} 乙:{{date2.DATA}}"), ["thing1", "date2"]);
        assert_eq!(keys("{{first.DATA}}\r\n{{ site01.DATA }}"), ["first", "site01"]);
        assert_eq!(keys("{{{{thing1.DATA}}}}"), ["thing1"]);
        assert_eq!(keys("{{{thing1.DATA}}} }} {{x{{thing2.DATA}}"), ["thing1", "thing2"]);
        assert_eq!(keys("{{thing1}} {{.DATA}} {{a b.DATA}} {{thing2.DATA"), [""; 0]);
        assert_eq!(keys("a:{{thing1.DATA}}\nb:{{thing1.DATA}}"), ["thing1"]);
        assert_eq!(keys(""), [""; 0]);
    }

    #[test]
    fn large_contents_are_read_once_over() {
        // With a look back for each brace, or at each field for each field, these take minutes.
        let mib = 4 << 20;
        let read = |content: &str| parse_content(content, content, &BTreeMap::new()).len();
        assert_eq!(read(&"{".repeat(mib)), 0);
        assert_eq!(read(&format!("{}}}}}", "{{ ".repeat(mib / 3))), 0);
        assert_eq!(read(&"}}".repeat(mib / 2)), 0);
        assert_eq!(read(&"{{x}}\n".repeat(mib / 6)), 0);
        let many: String = (0..mib / 20).map(|n| format!("a:{{{{thing{n}.DATA}}}}\n")).collect();
        assert_eq!(read(&many), MAX_FIELDS);
    }

    #[test]
    fn equal_labels_take_their_examples_in_order() {
        let fields = parse_content(
            "时间:{{time1.DATA}}\n时间:{{time2.DATA}}\n{{thing3.DATA}}",
            "时间:15:01\n时间:16:01\n好",
            &BTreeMap::new(),
        );
        let examples: Vec<_> = fields.iter().map(|f| &*f.example).collect();
        assert_eq!(examples, ["15:01", "16:01", "好"]);
    }
}
