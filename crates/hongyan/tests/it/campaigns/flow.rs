//! From the draft to the closing lists.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{act, campaign, drafted, lines, people};
use crate::world::{FEE, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_gets_one_and_the_lists_add_up() {
    let world = World::new(true).await;
    let openids = people(&world, 120, 1).await;
    let path = drafted(&world, json!({})).await;
    let forecast = act(&world, &path, "forecast").await.json();
    assert_eq!((forecast["recipients"].as_i64(), forecast["reachable"].as_i64()), (Some(120), Some(120)));
    assert_eq!(forecast["left_without_grant"], 120);

    let started = act(&world, &path, "start").await;
    assert_eq!(started.status, 200, "{}", started.text);
    assert_eq!(started.json()["counts"]["recipients"], 120, "frozen at the start");
    let finished = campaign(&world, &path, "finished").await;
    let counts = &finished["counts"];
    assert_eq!(
        counts["accepted"].as_i64().unwrap() + counts["delivered"].as_i64().unwrap(),
        120,
        "{finished}"
    );

    let sent = lines(&world, &path, "sent").await;
    let mut to: Vec<&str> = sent.iter().map(|line| line["to"].as_str().unwrap()).collect();
    to.sort_unstable();
    assert_eq!(to, openids, "each once");
    assert_eq!(lines(&world, &path, "not_sent").await.len() + lines(&world, &path, "unknown").await.len(), 0);
    let taken = world.sim.sends(SAMPLE_APPID, None, 1_000).unwrap();
    assert_eq!(taken.len(), 120, "one call each");

    // The grants are spent: another campaign reaches nobody, and says so before.
    let path = drafted(&world, json!({})).await;
    let forecast = act(&world, &path, "forecast").await.json();
    assert_eq!(
        (forecast["reachable"].as_i64(), forecast["spent"].as_i64()),
        (Some(0), Some(120)),
        "{forecast}"
    );
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 120, "{finished}");
    assert_eq!(lines(&world, &path, "not_sent").await[0]["reason"], "no_grant");
    assert_eq!(world.sim.sends(SAMPLE_APPID, None, 1_000).unwrap().len(), 120, "no call was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_fills_its_placeholders_and_names_what_is_wrong_by_row() {
    let world = World::new(true).await;
    let openids = people(&world, 3, 2).await;
    let recipients = json!([
        { "to": openids[0], "vars": { "房号": "3-1201", "fee": 85.5, "day": "2026-11-30" } },
        { "to": openids[1], "vars": { "房号": "3-1202", "fee": "￥1,200", "day": "2026/12/1" } },
        { "to": openids[0], "vars": { "房号": "3-1203", "fee": "12", "day": "2026-11-30" } },
        { "to": openids[0], "vars": { "房号": "3-1201", "fee": "85.50", "day": "2026-11-30" } },
        { "to": "13800138000", "vars": { "房号": "3-1204", "fee": "1", "day": "2026-11-30" } },
        { "to": openids[2], "vars": { "房号": "3-1205", "fee": "1.38E+10", "day": "2026-11-30" } },
        { "to": openids[2], "vars": { "房号": "三栋一二零五室东边那一户人家的车位管理费用", "fee": "1", "day": "2026-11-30" } },
        { "to": openids[2], "vars": { "fee": "1", "day": "2026-11-30" } },
        { "to": "oStranger_000000_abcdefghij", "vars": { "房号": "9-9", "fee": "1", "day": "2026-11-30" } },
    ]);
    let path = drafted(
        &world,
        json!({
            "data": { "thing8": "{{房号}}物业费{{fee|money}}元", "thing5": "{{day|date}}前缴纳" },
            "page": "/pages/bill?room={{房号}}",
            "audience": { "kind": "recipients", "recipients": recipients },
        }),
    )
    .await;
    assert_eq!(world.get(&path).await["counts"]["recipients"], 9);
    let forecast = act(&world, &path, "forecast").await.json();
    let expected =
        json!({ "recipients": 9, "reachable": 3, "duplicates": 1, "invalid": 4, "no_record": 1, "spent": 0 });
    for (class, count) in expected.as_object().unwrap() {
        assert_eq!(&forecast[class], count, "{class}: {forecast}");
    }
    let dry = act(&world, &path, "dry-run").await.json();
    assert_eq!(dry["samples"][0]["data"]["thing8"], "3-1201物业费85.50元");
    assert_eq!(
        dry["samples"][1]["data"],
        json!({ "thing8": "3-1202物业费1200.00元", "thing5": "2026年12月1日前缴纳" })
    );
    assert_eq!(dry["samples"][0]["page"], "pages/bill?room=3-1201");
    assert_eq!(super::calls(&world), 0, "a dry run calls nobody");

    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 6, "{finished}");
    let all = lines(&world, &path, "").await;
    let rows: Vec<i64> = all.iter().map(|line| line["row"].as_i64().unwrap()).collect();
    assert_eq!(rows, (1..=9).collect::<Vec<_>>(), "in the order of the sheet");
    let reasons: Vec<&str> = all.iter().map(|line| line["reason"].as_str().unwrap_or("")).collect();
    assert_eq!(reasons[3], "duplicate");
    assert_eq!(reasons[4], "invalid: to: invalid_openid");
    assert!(reasons[5].starts_with("invalid: thing8"), "{}", reasons[5]);
    assert!(reasons[6].starts_with("invalid: thing8"), "{}", reasons[6]);
    assert!(reasons[7].contains("房号"), "{}", reasons[7]);
    assert_eq!(reasons[8], "no_grant");

    let table = world
        .api_with("GET", &format!("{path}/results?list=not_sent"), &[("accept", "text/csv")], &Value::Null)
        .await;
    let mut table = table.text.trim_start_matches('\u{feff}').lines();
    let head = table.next().unwrap();
    assert!(head.starts_with("row,") && head.ends_with("to,external_id,state,reason,errcode,at"), "{head}");
    assert!(["房号", "fee", "day"].iter().all(|column| head.contains(column)), "{head}");
    assert_eq!(table.count(), 6);
    let sent = world.sim.sends(SAMPLE_APPID, Some(&openids[0]), 10).unwrap();
    assert_eq!(sent.len(), 2, "one owner of two flats gets two notices");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_audience_finishes_at_once_and_a_campaign_survives_a_restart() {
    let mut world = World::new(true).await;
    let path = drafted(&world, json!({ "audience": { "kind": "recipients", "recipients": [] } })).await;
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["recipients"], 0);
    assert_eq!(lines(&world, &path, "sent").await.len(), 0);

    people(&world, 40, 1).await;
    // Nothing leaves while it stops and starts: the engine of the second start does all of it.
    world.restart(false).await;
    let path = drafted(&world, json!({})).await;
    act(&world, &path, "start").await;
    let waiting = world.get(&path).await;
    assert_eq!((waiting["state"].as_str(), waiting["counts"]["todo"].as_i64()), (Some("running"), Some(40)));
    world.restart(true).await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 0, "{finished}");
    assert_eq!(world.sim.sends(SAMPLE_APPID, None, 1_000).unwrap().len(), 40);
    let of_one = world.get(&format!("/messages?campaign_id={}", finished["id"].as_str().unwrap())).await;
    assert_eq!(of_one["items"].as_array().unwrap().len(), 40);
    assert_eq!(of_one["items"][0]["template_id"], FEE);
}
