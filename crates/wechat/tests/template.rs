//! Field kinds, good and bad values, and the check of a whole message.

use std::collections::BTreeMap;

use wechat::Lang;
use wechat::template::ProblemCode::{self, *};
use wechat::template::{Field, FieldKind, TemplateType, check, check_value, parse_content};

fn codes(kind: &FieldKind, value: &str) -> Vec<ProblemCode> {
    let listed = ["红色".to_owned(), "绿色".to_owned()];
    check_value(kind, value, &listed).into_iter().map(|problem| problem.code).collect()
}

fn fits(kind: &FieldKind, values: &[&str]) {
    for value in values {
        assert_eq!(codes(kind, value), [], "{kind} {value:?}");
    }
}

fn wrong(kind: &FieldKind, code: ProblemCode, values: &[&str]) {
    for value in values {
        assert_eq!(codes(kind, value), [code], "{kind} {value:?}");
    }
}

fn long(unit: &str, count: usize) -> String {
    unit.repeat(count)
}

#[test]
fn thing() {
    let kind = FieldKind::Thing;
    fits(&kind, &["物业费", "a", " ", "12。！😀", &long("字", 20), &long("😀", 10)]);
    wrong(&kind, TooLong, &[&long("字", 21), &long("a", 21), &long("😀", 11)]);
    wrong(&kind, Empty, &[""]);
    wrong(&kind, ControlCharacter, &["a\nb", "\t", "a\u{2028}b", "\u{7f}"]);
    assert_eq!(codes(&kind, &format!("{}\n", long("字", 25))), [ControlCharacter, TooLong]);
}

#[test]
fn number() {
    let kind = FieldKind::Number;
    fits(&kind, &["0", "12.50", "-3", &long("9", 32)]);
    wrong(&kind, WrongKind, &["1,000", "1.", ".5", "1.2.3", "十", "１", "1e3", "+1", " 1", "12元"]);
    wrong(&kind, TooLong, &[&long("9", 33)]);
}

#[test]
fn letter_symbol_string() {
    fits(&FieldKind::Letter, &["abcXYZ", &long("a", 32)]);
    wrong(&FieldKind::Letter, WrongKind, &["a1", "字", "a b", "é"]);
    wrong(&FieldKind::Letter, TooLong, &[&long("a", 33)]);
    fits(&FieldKind::Symbol, &["!@#$%", "——", "。"]);
    wrong(&FieldKind::Symbol, WrongKind, &["a", "1", "字"]);
    wrong(&FieldKind::Symbol, TooLong, &["!!!!!!"]);
    fits(&FieldKind::CharacterString, &["A-12/b_3，", &long("x", 32)]);
    wrong(&FieldKind::CharacterString, WrongKind, &["编号12"]);
    wrong(&FieldKind::CharacterString, TooLong, &[&long("x", 33)]);
}

#[test]
fn time() {
    let kind = FieldKind::Time;
    fits(
        &kind,
        &[
            "15:01",
            "9:05",
            "15:01:30",
            "24:00",
            "2019年10月1日 15:01",
            "2008年02月08日 01:01",
            "2021-05-19 10:00:00",
            "2021-05-19 10:00",
            "2021/5/9 10:00",
            "10月1日15:01",
            "15:01~16:02",
            "2019年10月1日 15:01~2019年10月2日 15:01",
            "2019-10-01 15:01 ~ 16:00",
        ],
    );
    wrong(
        &kind,
        WrongKind,
        &[
            "2019-10-01",
            "2019年10月1日",
            "25:00",
            "24:01",
            "15:60",
            "15:1",
            "15",
            "15：01",
            "15:01~",
            "~",
            "下午三点",
            "2019-13-01 15:01",
            "2019-10-01T15:01",
            "15:01:01:01",
            "15:01~16:00~17:00",
        ],
    );
}

#[test]
fn date() {
    let kind = FieldKind::Date;
    fits(
        &kind,
        &[
            "2019年10月1日",
            "2019年10月",
            "10月1日",
            "2018-01-01",
            "2018/1/1",
            "2018.01.01",
            "2018-01",
            "01-01",
            "2019-12-25 09:42",
            "2019年10月1日 15:01",
            "2019-10-01~2019-10-05",
            "2019-10-01 15:01~16:00",
        ],
    );
    wrong(
        &kind,
        WrongKind,
        &[
            "15:01",
            "2019年",
            "10月",
            "2019-10-32",
            "2019-00-01",
            "20191001",
            "19-10-01",
            "2019-10/01",
            "明天",
            "2019-10-01 下午",
            "2019-10-01~",
            "日",
            "年月日",
            "2019-10-01-02",
        ],
    );
}

#[test]
fn amount() {
    let kind = FieldKind::Amount;
    fits(&kind, &["0.01", "888.88", "¥85.50", "￥1234567890", "85.5元", "¥85.5元", "$3", "€1", "100"]);
    wrong(&kind, WrongKind, &["1,000", "¥", "元", "十元", "¥¥1", "1.元", "-1", "¥ 1", "1 元", "RMB1"]);
    wrong(&kind, TooLong, &["¥12345678901", "12345678901.00元"]);
    let problem = check_value(&kind, "12345678901.5", &[])[0];
    assert_eq!((problem.limit, problem.length), (Some(10), Some(11)));
}

#[test]
fn phone_car_name_phrase_enum() {
    fits(&FieldKind::PhoneNumber, &["+86-0766-66888866", "13800138000", "(010) 1234 5678"]);
    wrong(&FieldKind::PhoneNumber, WrongKind, &["1380013800a", "电话138", "--"]);
    wrong(&FieldKind::PhoneNumber, TooLong, &[&long("1", 18)]);

    fits(&FieldKind::CarNumber, &["粤A8Z888挂", "粤BD12345", "A", "学"]);
    wrong(&FieldKind::CarNumber, WrongKind, &["粤A·8888", "粤A警888", "粤A 8888"]);
    wrong(&FieldKind::CarNumber, TooLong, &["粤A8Z8888挂"]);

    fits(&FieldKind::Name, &["张三", "Jean-Luc Picard", &long("张", 10), &long("a", 20), "爱新觉罗·溥仪"]);
    wrong(&FieldKind::Name, WrongKind, &["张3", "R2D2"]);
    wrong(&FieldKind::Name, TooLong, &[&long("张", 11), &long("a", 21), "张aaaaaaaaaa"]);

    fits(&FieldKind::Phrase, &["已完成", "五个汉字字", "二〇二四"]);
    wrong(&FieldKind::Phrase, WrongKind, &["已完成!", "ok", "1"]);
    wrong(&FieldKind::Phrase, TooLong, &["六个汉字字字"]);

    fits(&FieldKind::Enum, &["红色", "绿色"]);
    wrong(&FieldKind::Enum, NotInEnum, &["蓝色", "红"]);
    assert_eq!(check_value(&FieldKind::Enum, "蓝色", &[]), []);

    fits(&FieldKind::Other("site".into()), &[&long("字", 100)]);
    wrong(&FieldKind::Other("site".into()), ControlCharacter, &["a\n"]);
}

#[test]
fn keys_tell_the_kind() {
    for (key, kind, number) in [
        ("thing8", FieldKind::Thing, 8),
        ("character_string13", FieldKind::CharacterString, 13),
        ("phone_number3", FieldKind::PhoneNumber, 3),
        ("enum_string2", FieldKind::Enum, 2),
        ("enum1", FieldKind::Enum, 1),
        ("site01", FieldKind::Other("site".into()), 1),
        ("first", FieldKind::Other("first".into()), 0),
        ("thing99999999999", FieldKind::Thing, 0),
        ("", FieldKind::Other(String::new()), 0),
    ] {
        assert_eq!(FieldKind::from_key(key), (kind, number), "{key}");
    }
    for kind in FieldKind::KNOWN {
        assert_eq!(FieldKind::from_key(&format!("{kind}7")), (kind.clone(), 7));
        assert!(
            !kind.zh().is_empty() && kind.en().is_ascii() && kind.rule(Lang::En).is_ascii()
                || kind == FieldKind::Amount
        );
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<FieldKind>(&json).unwrap(), kind);
    }
}

/// The repair order of the write-up.
fn repair_order() -> Vec<Field> {
    parse_content(
        "公司名称:{{thing1.DATA}}\n地址:{{thing4.DATA}}\n用户姓名:{{name2.DATA}}\n联系方式:{{phone_number3.DATA}}\n报修原因:{{thing19.DATA}}\n",
        "",
        &BTreeMap::new(),
    )
}

fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_right_message_has_no_problems() {
    let good = data(&[
        ("thing1", "幸福物业"),
        ("thing4", "3-1201"),
        ("name2", "张三"),
        ("phone_number3", "13800138000"),
        ("thing19", "水管漏水"),
    ]);
    assert_eq!(check(&repair_order(), &good), []);
}

#[test]
fn every_problem_is_told_at_once_in_template_order() {
    let bad = data(&[
        ("thing4", ""),
        ("name2", "张3"),
        ("phone_number3", "12345678901234567890"),
        ("thing19", "水\n管"),
        ("thing7", "幸福物业"),
        ("color", "x"),
    ]);
    let problems = check(&repair_order(), &bad);
    let seen: Vec<_> = problems.iter().map(|p| (&*p.key, p.code, p.suggestion.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("thing1", Missing, None),
            ("thing4", Empty, None),
            ("name2", WrongKind, None),
            ("phone_number3", TooLong, None),
            ("thing19", ControlCharacter, None),
            ("color", UnknownField, None),
            ("thing7", UnknownField, Some("thing1")),
        ]
    );
    assert_eq!((problems[3].limit, problems[3].length), (Some(17), Some(20)));
}

#[test]
fn unknown_keys_find_their_label_before_their_kind() {
    let problems = check(
        &repair_order(),
        &data(&[
            ("thing2", "x"),
            ("公司名称", "幸福物业"),
            ("NAME2", "张三"),
            ("phone_number3", "1"),
            ("thing19", "x"),
        ]),
    );
    let suggested: Vec<_> = problems
        .iter()
        .filter(|p| p.code == UnknownField)
        .map(|p| (&*p.key, p.suggestion.as_deref()))
        .collect();
    assert_eq!(
        suggested,
        [("NAME2", Some("name2")), ("thing2", Some("thing4")), ("公司名称", Some("thing1"))]
    );
}

#[test]
fn details_say_where_what_and_what_to_do() {
    let enums = BTreeMap::from([("enum1".to_owned(), vec!["红".to_owned(), "绿".to_owned()])]);
    let fields =
        parse_content("服务内容:{{thing8.DATA}}\n金额:{{amount2.DATA}}\n颜色:{{enum1.DATA}}", "", &enums);
    let problems = check(
        &fields,
        &data(&[("thing8", &long("秘", 25)), ("amount2", "x"), ("enum1", "蓝"), ("thing9", "y")]),
    );
    let zh: Vec<_> = problems.iter().map(|p| p.detail(Lang::Zh)).collect();
    let en: Vec<_> = problems.iter().map(|p| p.detail(Lang::En)).collect();
    assert_eq!(zh[0], "服务内容 thing8：事物最多 20 个字符，现在有 25 个。请删去 5 个。");
    assert_eq!(en[0], "服务内容 thing8: at most 20 characters fit (text), the value has 25. Take 5 away.");
    assert!(zh[1].starts_with("金额 amount2：内容不符合“金额”的格式。"), "{}", zh[1]);
    assert_eq!(zh[2], "颜色 enum1：内容不在枚举值之内。请改为其中之一：红、绿。");
    assert_eq!(en[3], "thing9: the template has no such field. Take it away.");
    let swapped = check(&fields, &data(&[("thing5", "y")]));
    let last = swapped.last().unwrap();
    assert_eq!(last.detail(Lang::Zh), "字段 thing5：模板没有这个字段。请改为 thing8。");
    // No text repeats a value.
    assert!(zh.iter().chain(&en).all(|text| !text.contains('秘') && !text.contains('蓝')));
}

#[test]
fn codes_and_types_have_stable_words() {
    for code in [Missing, Empty, TooLong, WrongKind, ControlCharacter, UnknownField, NotInEnum] {
        assert_eq!(serde_json::to_string(&code).unwrap(), format!("\"{}\"", code.as_str()));
    }
    for (number, kind, word) in [
        (2, TemplateType::OneTime, "one_time"),
        (3, TemplateType::LongTerm, "long_term"),
        (0, TemplateType::OneTime, "one_time"),
    ] {
        assert_eq!(TemplateType::from_wechat(number), kind);
        assert_eq!((serde_json::to_string(&kind).unwrap(), kind.as_str()), (format!("\"{word}\""), word));
    }
}

#[test]
fn a_flood_of_unknown_keys_is_told_of_in_part() {
    let fields = parse_content("服务内容:{{thing8.DATA}}", "", &BTreeMap::new());
    let data: BTreeMap<String, String> =
        (0..100_000).map(|n| (format!("key{n:06}"), "x".to_owned())).collect();
    let problems = check(&fields, &data);
    assert_eq!(problems.len(), 1 + wechat::template::MAX_UNKNOWN_KEYS);
    assert_eq!(problems[0].code, ProblemCode::Missing);
    assert!(problems[1..].iter().all(|problem| problem.code == ProblemCode::UnknownField));
}
