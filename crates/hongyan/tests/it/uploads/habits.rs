//! What spreadsheets do to data: recognised and named, never guessed.

use serde_json::{Value, json};

use super::{answer, errors, made, present, question, residents, uploaded};
use crate::world::{FEE, World};

fn error(row: u64, column: &str, code: &str) -> (u64, String, String) {
    (row, column.to_owned(), code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rewritten_keys_cannot_be_waved_through() {
    let world = World::new(true).await;
    residents(&world, 1, 1).await;
    for key in ["1.38E+10", "6222020200112230000"] {
        let sheet = format!("手机号,服务内容,备注\n{key},物业费,请缴纳\n13800138000,物业费,请缴纳\n");
        let found = uploaded(
            &world,
            "f.csv",
            sheet.as_bytes(),
            &json!({ "template_id": FEE, "errors": "leave_out" }),
        )
        .await;
        assert_eq!(errors(&found), [error(2, "手机号", "rewritten_key")], "{found}");
        let asked = question(&found, "rewritten_keys");
        assert_eq!((&asked["choices"], asked["chosen"].as_str()), (&json!([]), None));
        assert!(asked["detail"].as_str().unwrap().contains("文本"), "how to mend it: {asked}");
        assert_eq!(found["ready"], false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zeros_and_full_width_signs_are_offered() {
    let world = World::new(true).await;
    residents(&world, 3, 1).await;
    let sheet = "用户编号;服务内容;备注\n301;物业费;请缴纳\n0302;物业费;请缴纳\n００３０３;物业费;请缴纳\n";
    let found = uploaded(&world, "f.csv", sheet.as_bytes(), &json!({ "template_id": FEE })).await;
    assert_eq!(found["mapping"]["key"]["by"], "external_id", "{found}");
    assert_eq!((found["delimiter"].as_str(), found["encoding"].as_str()), (Some(";"), Some("UTF-8")));
    assert_eq!(question(&found, "lost_zeros")["rows"], json!([2]), "{found}");
    assert!(question(&found, "lost_zeros")["detail"].as_str().unwrap().contains("0301"));
    assert_eq!(question(&found, "full_width")["rows"], json!([4]));
    assert_eq!(found["unknown_recipients"]["count"], 2, "{found}");
    let mended = answer(&world, &found, json!({ "lost_zeros": "mend", "full_width": "mend" })).await;
    // 00303 read narrow is 0303 with a zero too many.
    assert_eq!(question(&mended, "lost_zeros")["rows"], json!([2, 4]), "{mended}");
    assert_eq!(
        (mended["ready"].as_bool(), mended["unknown_recipients"]["count"].as_u64()),
        (Some(true), Some(0)),
        "{mended}"
    );
    let kept = answer(&world, &found, json!({ "lost_zeros": "keep", "full_width": "keep" })).await;
    assert_eq!(
        (kept["ready"].as_bool(), kept["unknown_recipients"]["count"].as_u64()),
        (Some(true), Some(2)),
        "{kept}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_money_merges_and_faults() {
    if !present("dates and money") {
        return;
    }
    let world = World::new(true).await;
    residents(&world, 6, 1).await;
    let templates = json!([{ "id": "DUE", "title": "缴费提醒", "type": "one_time",
        "content": "项目:{{thing1.DATA}}\n金额:{{amount2.DATA}}\n截止日期:{{date3.DATA}}\n",
        "example": "项目:物业费\n金额:¥100\n截止日期:2026年11月30日\n" }]);
    world.tell_wechat(&json!({ "templates": templates }));
    assert_eq!(world.api("POST", "/templates/sync", &Value::Null).await.status, 200);
    let rows = json!([
        ["房号", "项目", "金额", "截止日期"],
        ["3-1201", "物业费", { "value": 1234.5, "format": "#,##0.00" }, { "date": "2026-11-30", "format": "m/d/yy" }],
        ["3-1202", "水费", 30, 46_356],
        ["3-1203", "电费", "三十元", "11 月底"],
        ["3-1204", { "formula": "#N/A" }, 6.222_020_200_112_23e18, { "date": "2026-11-30" }],
        [Value::Null, "燃气费", 20, { "date": "2026-11-30" }],
    ]);
    for kind in ["xlsx", "xls"] {
        let merges = if kind == "xlsx" { json!(["A5:A6"]) } else { json!([]) };
        let file = made(kind, json!({ "rows": rows, "merges": merges }));
        let found = uploaded(&world, "f", &file, &json!({ "template_id": "DUE" })).await;
        assert_eq!(found["format"], kind);
        assert_eq!(
            found["mapping"]["fields"],
            json!({ "thing1": "项目", "amount2": "金额|money", "date3": "截止日期|date" }),
            "{found}"
        );
        let key = if kind == "xlsx" { "merged_cell" } else { "missing_key" };
        let mut wanted = vec![
            error(3, "截止日期", "date_as_number"),
            error(4, "金额", "invalid_money"),
            error(4, "截止日期", "invalid_moment"),
            error(5, "金额", "rewritten_number"),
            error(6, "房号", key),
        ];
        let mut got = errors(&found);
        if kind == "xlsx" {
            wanted.insert(3, error(5, "项目", "formula_error"));
        } else {
            // xlwt writes it as words.
            got.retain(|(_, column, _)| column != "项目");
        }
        assert_eq!(got, wanted, "{kind} {found}");
        let said = found["errors"][0]["detail"].as_str().unwrap();
        assert!(said.contains("2026-11-30"), "{said}");
    }
}
