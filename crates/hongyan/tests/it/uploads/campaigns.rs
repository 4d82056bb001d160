//! From a sheet to its closing lists.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{answer, made, present, question, residents, seen, upload, uploaded};
use crate::campaigns::{act, calls, campaign, draft, lines};
use crate::http::call;
use crate::world::{FEE, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sheet_of_fees_goes_out_and_comes_back() {
    if !present("a sheet of fees") {
        return;
    }
    let world = World::new(true).await;
    let people = residents(&world, 4, 2).await;
    let file = made(
        "xlsx",
        json!({ "sheet": "十一月", "hidden": [6], "rows": [
        ["幸福物业 2026 年 11 月收费表"],
        [],
        ["房号", "服务内容", "备注", "电话", "金额"],
        ["3-1201", "物业费", "请月底前缴纳", "13800138000", { "value": 1234.5, "format": "¥#,##0.00" }],
        ["3-1202", "水费", "请月底前缴纳", 13_800_138_001_i64, { "value": 30, "format": "#,##0.00" }],
        ["3-1203", "隐藏的行", "请月底前缴纳", "", 1],
        ["9-999", "物业费", "请月底前缴纳", "", 5],
        ["3-1204", "这一项的名称超过了微信允许的二十个字的上限了", "请月底前缴纳", "", 6],
        ["合计", Value::Null, Value::Null, Value::Null, 1276.5],
    ] }),
    );
    let first = uploaded(&world, "收费表.xlsx", &file, &json!({ "template_id": FEE })).await;
    assert_eq!((first["header_row"].as_u64(), first["sheet"].as_str()), (Some(3), Some("十一月")), "{first}");
    assert_eq!(first["mapping"]["key"], json!({ "column": "房号", "by": "room" }), "{first}");
    assert_eq!(first["mapping"]["fields"], json!({ "thing5": "备注", "thing8": "服务内容" }), "{first}");
    assert_eq!(super::errors(&first)[0], (8, "服务内容".to_owned(), "too_long".to_owned()), "{first}");
    assert_eq!(question(&first, "hidden_rows")["rows"], json!([6]));
    assert_eq!(question(&first, "total_rows")["rows"], json!([9]));
    assert_eq!(first["ready"], false);

    // Nothing goes out while anything is open.
    let audience = json!({ "audience": { "kind": "upload", "upload_id": first["upload_id"] }, "data": {} });
    let early = draft(&world, audience.clone()).await;
    assert_eq!(
        (early.status, early.json()["errors"][0]["code"].as_str()),
        (422, Some("upload_not_ready")),
        "{}",
        early.text
    );

    let ready = answer(
        &world,
        &first,
        json!({ "hidden_rows": "leave_out", "total_rows": "leave_out", "errors": "leave_out" }),
    )
    .await;
    assert_eq!(ready["ready"], true, "{ready}");
    assert_eq!((ready["rows"].as_u64(), ready["valid"].as_u64()), (Some(4), Some(3)), "{ready}");
    assert_eq!(ready["unknown_recipients"], json!({ "count": 1, "rows": [7] }), "{ready}");
    let drafted = draft(&world, audience).await;
    assert_eq!(drafted.status, 201, "{}", drafted.text);
    assert_eq!(drafted.json()["data"], json!({ "thing5": "{{备注}}", "thing8": "{{服务内容}}" }));
    assert_eq!(drafted.json()["counts"]["recipients"], 4);
    let path = format!("/campaigns/{}", drafted.json()["id"].as_str().unwrap());
    let forecast = world.api("POST", &format!("{path}/forecast"), &Value::Null).await.json();
    assert_eq!(
        (forecast["reachable"].as_i64(), forecast["invalid"].as_i64(), forecast["no_record"].as_i64()),
        (Some(2), Some(1), Some(1)),
        "{forecast}"
    );
    assert_eq!(act(&world, &path, "start").await.status, 200);
    campaign(&world, &path, "finished").await;
    assert_eq!(calls(&world), 2);

    let sent = lines(&world, &path, "sent").await;
    assert_eq!(
        sent.iter().map(|line| line["row"].as_i64().unwrap()).collect::<Vec<_>>(),
        [4, 5],
        "the sheet's own numbers"
    );
    assert_eq!(sent[0]["to"], people[0]);
    assert_eq!(sent[0]["vars"]["金额"], "¥1,234.50");
    let not_sent = lines(&world, &path, "not_sent").await;
    let told: Vec<(i64, &str)> = not_sent
        .iter()
        .map(|line| (line["row"].as_i64().unwrap(), line["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [(7, "unknown_recipient"), (8, "invalid: 服务内容: too_long")]);

    // The list as XLSX: every column in the sheet's order, phones as text.
    let url = format!("{}/api/v1/apps/{SAMPLE_APPID}{path}/results", world.url);
    let bearer = format!("Bearer {}", world.key);
    let accept = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    let reply =
        call("GET", &url, &[("authorization", &bearer), ("accept", accept), ("connection", "close")], "")
            .await;
    assert_eq!(reply.status, 200);
    let table = seen(&reply.bytes);
    assert_eq!(table["texts"], true, "{table}");
    assert_eq!(table["formats"], json!(["@"]), "{table}");
    assert_eq!(
        table["rows"][0],
        json!([
            "row",
            "房号",
            "服务内容",
            "备注",
            "电话",
            "金额",
            "to",
            "external_id",
            "state",
            "reason",
            "errcode",
            "at"
        ])
    );
    assert_eq!((&table["rows"][1][4], &table["rows"][2][4]), (&json!("13800138000"), &json!("13800138001")));
    assert_eq!(table["rows"].as_array().unwrap().len(), 5);
    let csv =
        call("GET", &url, &[("authorization", &bearer), ("accept", "text/csv"), ("connection", "close")], "")
            .await;
    assert!(csv.text.starts_with("\u{feff}row,房号,服务内容,备注,电话,金额,to,"), "{}", csv.text);

    // The same sheet once more: who got the same text today is named.
    let again = uploaded(
        &world,
        "收费表.xlsx",
        &file,
        &json!({ "template_id": FEE, "hidden_rows": "leave_out",
        "total_rows": "leave_out", "errors": "leave_out" }),
    )
    .await;
    assert_eq!(question(&again, "same_today")["rows"], json!([4, 5]), "{again}");
    let left = answer(&world, &again, json!({ "same_today": "leave_out" })).await;
    assert_eq!((left["ready"].as_bool(), left["valid"].as_u64()), (Some(true), Some(1)), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_may_mean_several_people() {
    let world = World::new(true).await;
    let people = residents(&world, 3, 2).await;
    // The second moves in with the first, and subscribes once more.
    let moved = json!({ "external_id": "0302", "attributes": { "room": "3-1201" } });
    assert_eq!(world.api("PUT", &format!("/subscribers/{}", people[1]), &moved).await.status, 200);
    world.clock.advance(5_000);
    assert_eq!(world.push(&world.popup_event(&people[1], FEE, "accept"), 0).await.status, 200);
    crate::world::until("the grant", || async {
        world.service().store().oldest_pending().await.unwrap().is_none().then_some(())
    })
    .await;
    let sheet = "房号,服务内容,备注\n3-1201,物业费,请缴纳\n3-1203,物业费,请缴纳\n3-1203,水费,请缴纳\n3-1203,水费,请缴纳\n";
    let first = uploaded(&world, "fees.csv", sheet.as_bytes(), &json!({ "template_id": FEE })).await;
    assert_eq!(question(&first, "several")["rows"], json!([2]), "{first}");
    assert_eq!((first["duplicates"].as_u64(), &first["duplicate_rows"]), (Some(1), &json!([5])), "{first}");
    let all = answer(&world, &first, json!({ "several": "all" })).await;
    assert_eq!((all["ready"].as_bool(), all["messages"].as_u64()), (Some(true), Some(5)), "{all}");
    let last = answer(&world, &first, json!({ "several": "most_recent" })).await;
    assert_eq!((last["ready"].as_bool(), last["messages"].as_u64()), (Some(true), Some(4)), "{last}");

    let body = json!({ "audience": { "kind": "upload", "upload_id": last["upload_id"] }, "data": {} });
    let path = format!("/campaigns/{}", draft(&world, body).await.json()["id"].as_str().unwrap());
    // What becomes of the upload afterwards does not change the campaign.
    answer(&world, &last, json!({ "several": "leave_out" })).await;
    let removed =
        world.api("DELETE", &format!("/uploads/{}", last["upload_id"].as_str().unwrap()), &Value::Null).await;
    assert_eq!(removed.status, 204);
    assert_eq!(act(&world, &path, "start").await.status, 200);
    campaign(&world, &path, "finished").await;
    let sent = lines(&world, &path, "sent").await;
    let told: Vec<(i64, &str)> =
        sent.iter().map(|line| (line["row"].as_i64().unwrap(), line["to"].as_str().unwrap())).collect();
    // Several rows of one person: a message and a grant each; the same text twice is one message.
    assert_eq!(told, [(2, people[1].as_str()), (3, people[2].as_str()), (4, people[2].as_str())]);
    assert_eq!(lines(&world, &path, "not_sent").await[0]["reason"], "duplicate");
    let gone = upload(&world, "x.csv", b"", &json!({})).await;
    assert_eq!((gone.status, gone.json()["code"].as_str()), (422, Some("empty_file")));
}
