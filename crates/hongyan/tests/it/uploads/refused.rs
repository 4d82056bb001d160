//! Files and parameters that cannot be taken.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{answer, residents, upload, uploaded};
use crate::world::{FEE, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_none() {
    let world = World::new(true).await;
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty.csv", b"", "empty_file"),
        ("blank.csv", b" \n\n", "empty_file"),
        ("bill.pdf", b"%PDF-1.7", "unsupported_file"),
        ("x.xml", b"<?xml version=\"1.0\"?><Workbook/>", "unsupported_file"),
        ("broken.xlsx", b"PK\x03\x04 and no more", "damaged_file"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and no more", "damaged_file"),
        ("odd.csv", b"a,b\n1,\xff\xff\xff\n", "unknown_encoding"),
    ];
    for (name, bytes, code) in cases {
        let reply = upload(&world, name, bytes, &json!({})).await;
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (422, Some(code)),
            "{name}: {}",
            reply.text
        );
    }
    assert_eq!(world.get("/uploads").await["items"], json!([]), "nothing was kept");
}

/// 600 MiB of nothing in a few hundred kilobytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sheet_that_blows_up_is_stopped() {
    let world = World::new(true).await;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let parts = [
        (
            "xl/workbook.xml",
            r#"<workbook xmlns:r="r"><sheets><sheet name="a" r:id="r1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
    ];
    for (name, text) in parts {
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.start_file("xl/worksheets/sheet1.xml", options).unwrap();
    zip.write_all(b"<worksheet><sheetData>").unwrap();
    let blank = vec![b' '; 1 << 20];
    for _ in 0..600 {
        zip.write_all(&blank).unwrap();
    }
    let file = zip.finish().unwrap().into_inner();
    let reply = upload(&world, "bomb.xlsx", &file, &json!({})).await;
    assert_eq!(
        (reply.status, reply.json()["code"].as_str()),
        (422, Some("file_too_large")),
        "{}",
        reply.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_named() {
    let world = World::new(true).await;
    residents(&world, 1, 1).await;
    let sheet = "房号,服务内容,备注\n3-1201,物业费,请缴纳\n".as_bytes();
    let cases = [
        (json!({ "template_id": "nope" }), "/template_id", "unknown_template"),
        (json!({ "sheet": "十二月" }), "/sheet", "unknown_sheet"),
        (json!({ "header_row": "9" }), "/header_row", "unknown_row"),
        (json!({ "header_row": "first" }), "/header_row", "invalid_row"),
        (json!({ "mapping": "{" }), "/mapping", "invalid_json"),
        (
            json!({ "mapping": { "key": { "column": "手机", "by": "room" } } }),
            "/mapping/key/column",
            "unknown_column",
        ),
        (
            json!({ "mapping": { "key": { "column": "房号", "by": "floor" } } }),
            "/mapping/key/by",
            "no_key_attribute",
        ),
        (
            json!({ "template_id": FEE, "mapping": { "fields": { "thing9": "备注" } } }),
            "/mapping/fields/thing9",
            "unknown_field",
        ),
        (
            json!({ "template_id": FEE, "mapping": { "fields": { "thing8": "备注|cash" } } }),
            "/mapping/fields/thing8",
            "invalid_format",
        ),
    ];
    for (fields, pointer, code) in cases {
        let reply = upload(&world, "f.csv", sheet, &fields).await;
        let error = reply.json()["errors"][0].clone();
        assert_eq!(
            (reply.status, error["pointer"].as_str(), error["code"].as_str()),
            (422, Some(pointer), Some(code)),
            "{fields}: {}",
            reply.text
        );
    }
    let odd = upload(&world, "f.csv", sheet, &json!({ "colour": "red" })).await;
    assert_eq!((odd.status, odd.json()["code"].as_str()), (422, Some("invalid_body")), "{}", odd.text);
    let no_form = world.api("POST", "/uploads", &json!({})).await;
    assert_eq!((no_form.status, no_form.json()["code"].as_str()), (400, Some("no_form")), "{}", no_form.text);
    for path in ["/uploads/x", "/uploads/0190a1b2-0000-7000-8000-000000000000"] {
        assert_eq!(world.api("GET", path, &Value::Null).await.json()["code"], "upload_not_found");
    }

    // Without any recipient column it is asked, not refused; a wrong answer answers nothing.
    let found =
        uploaded(&world, "f.csv", "甲,乙\n物业费,水费\n".as_bytes(), &json!({ "errors": "keep" })).await;
    assert_eq!(
        (&found["questions"][0]["code"], &found["ready"]),
        (&json!("key_column"), &json!(false)),
        "{found}"
    );
    let named =
        answer(&world, &found, json!({ "mapping": { "key": { "column": "甲", "by": "room" } } })).await;
    assert_eq!(
        (named["ready"].as_bool(), named["unknown_recipients"]["count"].as_u64()),
        (Some(true), Some(1)),
        "{named}"
    );
}
