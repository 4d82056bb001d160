//! Backup under load and its restore elsewhere; export, import and release beside a running server.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::{Clock, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, SAMPLE_OPENID};

use super::{Serve, envelope, ready};
use crate::http::{call, try_call};
use crate::program::{Server, free_address, ok, run};
use crate::world::{FEE, REPAIR, until};

fn json_of(directory: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(directory, &[arguments, &["--json"]].concat())).unwrap()
}

fn fails(directory: &Path, arguments: &[&str], part: &str) {
    let output = run(directory, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains(part), "{arguments:?}: {text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_under_load_is_restored_elsewhere_and_sends_nothing_twice() {
    if crate::database::only_a_file() {
        return;
    }
    let serve = Serve::start().await;
    let path = serve.path();
    ok(path, &["templates", "sync", SAMPLE_APPID]);
    let over = Arc::new(AtomicBool::new(false));
    let (pushed, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|worker| {
            let (over, pushed, sent) = (Arc::clone(&over), Arc::clone(&pushed), Arc::clone(&sent));
            let (address, bearer) = (serve.address.clone(), serve.bearer.clone());
            tokio::spawn(async move {
                let entropy = SystemEntropy::new().unwrap();
                let mut mine = 0;
                while !over.load(Ordering::Relaxed) {
                    let openid = format!("oBackup{worker:0>2}{mine:0>19}");
                    let event = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid,
                        "CreateTime": SystemClock.now() / 1_000, "MsgType": "event", "Event": "subscribe_msg_popup_event",
                        "List": [{ "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": FEE }] });
                    let (query, body) = envelope(&entropy, &event);
                    let url = format!("http://{address}/callback/{SAMPLE_APPID}?{query}");
                    assert_eq!(try_call("POST", &url, &[], body).await.unwrap().status, 200);
                    pushed.fetch_add(1, Ordering::Relaxed);
                    let body = json!({ "to": openid, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
                    let headers = [("authorization", bearer.as_str()), ("connection", "close")];
                    let url = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}/messages");
                    assert_eq!(call("POST", &url, &headers, body.to_string()).await.status, 202);
                    sent.fetch_add(1, Ordering::Relaxed);
                    mine += 1;
                }
            })
        })
        .collect();
    until("some load", || async { (sent.load(Ordering::Relaxed) > 40).then_some(()) }).await;
    // One that waits whatever happens.
    let soon = jiff::Timestamp::from_millisecond(SystemClock.now() + 3_000).unwrap().to_string();
    let waits = serve
        .api(
            "POST",
            &format!("/apps/{SAMPLE_APPID}/messages"),
            &json!({ "to": SAMPLE_OPENID, "template_id": FEE,
            "data": { "thing8": "等待", "thing5": "等待" }, "send_at": soon }),
        )
        .await;
    assert_eq!(waits.status, 202, "{}", waits.text);
    let waits = waits.json()["id"].as_str().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    let file = copy.to_str().unwrap();
    let before = (pushed.load(Ordering::Relaxed), sent.load(Ordering::Relaxed));
    let told = json_of(path, &["backup", file]);
    let meanwhile = sent.load(Ordering::Relaxed) - before.1;
    fails(path, &["backup", file], "--force");
    let rows = &told["backup"]["rows"];
    println!("backup beside {meanwhile} sends: {told}");
    assert!(rows["callbacks"].as_u64() >= Some(before.0 as u64), "{told} {before:?}");
    assert!(rows["messages"].as_u64() >= Some(before.1 as u64), "{told} {before:?}");
    over.store(true, Ordering::Relaxed);
    for one in load {
        one.await.unwrap();
    }
    let log = serve.log();
    assert!(!log.contains("ERROR") && !log.contains("locked"), "{log}");
    // Refused where the server runs, and without the key.
    fails(path, &["restore", file, "--force"], "already serving");
    fails(elsewhere.path(), &["restore", file], told["backup"]["master_key"].as_str().unwrap());
    assert!(!elsewhere.path().join("master.key").exists(), "no other key is made");
    std::fs::copy(path.join("master.key"), elsewhere.path().join("master.key")).unwrap();
    // By then its time has come: whether it was sent since, the copy cannot know.
    until("it sent by the first", || async {
        let message =
            serve.api("GET", &format!("/apps/{SAMPLE_APPID}/messages/{waits}"), &Value::Null).await.json();
        (message["state"] != "scheduled" && message["state"] != "queued" && message["state"] != "sending")
            .then_some(())
    })
    .await;
    let restored = json_of(elsewhere.path(), &["restore", file]);
    assert!(restored["restored"]["unknown"].as_u64() >= Some(1), "{restored}");
    assert_eq!(restored["restored"]["apps"], 1);
    fails(elsewhere.path(), &["restore", file], "--force");
    let calls = || serve.sim.counters(SAMPLE_APPID).unwrap().send_calls;
    let address = free_address();
    let mut server = Server::start(elsewhere.path(), &address);
    until("the restored server", || ready(&address)).await;
    let settled = calls();
    let get = async |what: String| {
        let headers =
            [("authorization", serve.bearer.as_str()), ("connection", "close"), ("accept-language", "en")];
        call("GET", &format!("http://{address}/api/v1/apps/{SAMPLE_APPID}{what}"), &headers, "").await.json()
    };
    let message = get(format!("/messages/{waits}")).await;
    assert_eq!(message["state"], "unknown", "{message}");
    // What is asked for now waits as well, and says why.
    let headers =
        [("authorization", serve.bearer.as_str()), ("connection", "close"), ("accept-language", "en")];
    let body =
        json!({ "to": SAMPLE_OPENID, "template_id": FEE, "data": { "thing8": "新的", "thing5": "新的" } });
    let url = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}/messages");
    let new = call("POST", &url, &headers, body.to_string()).await.json();
    let held = get(format!("/messages/{}", new["id"].as_str().unwrap())).await;
    assert!(held["explanation"].as_str().unwrap().contains("restored"), "{held}");
    let doctor = get("/doctor".to_owned()).await.to_string();
    assert!(doctor.contains("restored"), "{doctor}");
    let listed = json_of(elsewhere.path(), &["release", "--all"]);
    assert_eq!((&listed["released"], &listed["apps"][0]["app_id"]), (&json!(false), &json!(SAMPLE_APPID)));
    assert_eq!(calls(), settled, "nothing was sent");
    json_of(elsewhere.path(), &["release", SAMPLE_APPID, "--yes"]);
    until("the new one sent", || async { (calls() == settled + 1).then_some(()) }).await;
    let message = get(format!("/messages/{waits}")).await;
    assert_eq!(message["state"], "unknown", "only a person sends it again: {message}");
    assert!(json_of(elsewhere.path(), &["release", "--all"])["apps"].as_array().unwrap().is_empty());
    assert!(server.stop());
    // The accounts of what is served now.
    let again = elsewhere.path().join("again.db");
    let checked = json_of(elsewhere.path(), &["backup", again.to_str().unwrap()]);
    assert!(checked["backup"]["accounts"].as_u64() > Some(0), "{checked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_taken_over_once_and_a_person_exported() {
    let serve = Serve::start().await;
    let path = serve.path();
    ok(path, &["templates", "sync", SAMPLE_APPID]);
    let person = |n: usize| format!("oImport{n:0>21}");
    let mut table = String::from(
        "id,to_user_name,from_user_name,create_time,msg_type,event,subscribe_status,tmpl_id,备注\n",
    );
    for n in 0..2_500 {
        let status = if n % 10 == 0 { "reject" } else { "accept" };
        table.push_str(&format!(
            "{n},,{},{},event,subscribe_msg_popup_event,{status},{FEE},住户\n",
            person(n),
            1_686_131_943 + n
        ));
    }
    table.push_str("x,,short,1686131943,event,subscribe_msg_popup_event,accept,no,\n");
    table.push_str(&format!(
        "y,,{},1686131943,event,subscribe_msg_popup_event,accept,nosuchtemplate,\n",
        person(3)
    ));
    let file = path.join("subs.csv");
    let (gb, _, _) = encoding_rs::GB18030.encode(&table);
    std::fs::write(&file, &gb).unwrap();
    let import = ["import", "subs", SAMPLE_APPID, file.to_str().unwrap()];
    let dry = json_of(path, &import);
    assert_eq!(
        (
            &dry["rows"],
            &dry["imported"],
            &dry["not_accepted"],
            &dry["bad"],
            &dry["applied"],
            &dry["encoding"]
        ),
        (&json!(2_502), &json!(2_250), &json!(250), &json!(2), &json!(false), &json!("GB18030"))
    );
    assert_eq!((&dry["errors"][0]["row"], &dry["errors"][1]["row"]), (&json!(2_502), &json!(2_503)));
    assert_eq!(dry["errors"][0]["code"], "invalid_openid");
    let subscriptions = |n: usize| format!("/apps/{SAMPLE_APPID}/subscriptions?openid={}", person(n));
    assert_eq!(
        serve.api("GET", &subscriptions(1), &Value::Null).await.json()["items"],
        json!([]),
        "nothing written"
    );
    let applied = run(path, &[&import[..], &["--apply", "--json"]].concat());
    assert_eq!(applied.status.code(), Some(1), "two rows were not taken");
    let applied: Value = serde_json::from_slice(&applied.stdout).unwrap();
    assert_eq!((&applied["imported"], &applied["grants"]), (&json!(2_250), &json!(2_250)));
    let again: Value =
        serde_json::from_slice(&run(path, &[&import[..], &["--apply", "--json"]].concat()).stdout).unwrap();
    assert_eq!((&again["imported"], &again["already_counted"]), (&json!(0), &json!(2_250)));
    let found = serve.api("GET", &subscriptions(1), &Value::Null).await.json();
    assert_eq!(
        (&found["items"][0]["balance"], &found["items"][0]["certainty"]),
        (&json!(1), &json!("unverified"))
    );
    // Other heads, a template for all.
    std::fs::write(&file, format!("用户\n{}\n", person(9_000))).unwrap();
    fails(path, &[&import[..], &["--column", "openid=用户"]].concat(), "tmpl_id");
    let other = json_of(path, &[&import[..], &["--column", "openid=用户", "--template", REPAIR]].concat());
    assert_eq!((&other["imported"], &other["by_template"][REPAIR]), (&json!(1), &json!(1)));

    let exported = json_of(path, &["people", "export", SAMPLE_APPID, &person(1)]);
    let entry = &exported["ledger"][0];
    assert_eq!((&entry["kind"], &entry["delta"]), (&json!("import"), &json!(1)));
    assert!(entry["note"].as_str().unwrap().starts_with("subs.csv #3 2023-06-07T17:59:04"), "{entry}");
    let by_api = serve
        .api("GET", &format!("/apps/{SAMPLE_APPID}/subscribers/{}/export", person(1)), &Value::Null)
        .await;
    assert_eq!(by_api.status, 200, "{}", by_api.text);
    assert_eq!(by_api.json()["operation_log"].as_array().unwrap().len(), 1, "the export before is noted");
    let read = ok(path, &["key", "create", "--name", "r", "--all-apps", "--scope", "read"]);
    let refused = serve
        .api_as(
            &format!("Bearer {}", read.trim()),
            "GET",
            &format!("/apps/{SAMPLE_APPID}/subscribers/{}/export", person(1)),
            &Value::Null,
        )
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    fails(path, &["people", "export", SAMPLE_APPID, "short"], "openid");
}
