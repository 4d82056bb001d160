//! What mini programs call: sessions, `/ask`, `/report`; and what somebody who has taken one apart can do with it.

use domain::clock::{DAY, HOUR, MINUTE, SECOND};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use crate::http::{Reply, call};
use crate::world::{FEE, REPAIR, USER, World, until};

const OTHER: &str = "oOther_0001_abcdefghijklmnop";

/// A user's mini program.
struct Phone<'w> {
    world: &'w World,
    session: String,
}

impl<'w> Phone<'w> {
    async fn of(world: &'w World, openid: &str) -> Self {
        let made = world.api("POST", "/mp-sessions", &json!({ "openid": openid })).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let made = made.json();
        assert!((60..=86_400).contains(&made["expires_in"].as_i64().unwrap()), "{made}");
        Self { world, session: made["session"].as_str().unwrap().to_owned() }
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        mp(self.world, method, path, &self.session, body).await
    }

    async fn ask(&self) -> Value {
        let asked = self.call("GET", "/ask", &Value::Null).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        asked.json()
    }

    async fn report(&self, act: &str, results: &Value) -> Reply {
        self.call("POST", "/report", &json!({ "act_id": act, "results": results })).await
    }
}

async fn mp(world: &World, method: &str, path: &str, session: &str, body: &Value) -> Reply {
    let authorization = format!("Bearer {session}");
    let headers =
        [("authorization", authorization.as_str()), ("accept-language", "en"), ("connection", "close")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(method, &format!("{}/mp/{SAMPLE_APPID}{path}", world.url), &headers, body).await
}

async fn synced() -> World {
    let world = World::new(true).await;
    assert_eq!(world.api("POST", "/templates/sync", &Value::Null).await.status, 200);
    world
}

async fn balance_of(world: &World, openid: &str, template: &str) -> i64 {
    let all = world.get(&format!("/subscriptions?openid={openid}&template_id={template}")).await;
    all["items"][0]["balance"].as_i64().unwrap_or(0)
}

/// Every report and event has its verdict.
async fn settled(world: &World, rows: usize) -> Vec<Value> {
    until("every row of the inbox, decided", || async {
        let page = world.get("/callbacks").await;
        let items = page["items"].as_array().unwrap().clone();
        (items.len() >= rows && items.iter().all(|row| !row["verdict"].is_null())).then_some(items)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_names_what_to_ask_for_and_stops_when_there_is_enough() {
    let world = synced().await;
    let phone = Phone::of(&world, USER).await;
    let asked = phone.ask().await;
    assert_eq!(asked["template_ids"].as_array().unwrap().len(), 2, "{asked}");
    assert_eq!(asked["report"], true, "no event has come yet");
    assert_eq!(asked["templates"][0]["reason"], "never", "{asked}");

    world.popup(&json!({ FEE: "accept", REPAIR: "reject" }));
    let asked = until("the event, applied", || async {
        let asked = phone.ask().await;
        (asked["report"] == false && asked["template_ids"] == json!([])).then_some(asked)
    })
    .await;
    let reason = |asked: &Value, id: &str| {
        let all = asked["templates"].as_array().unwrap();
        all.iter().find(|one| one["template_id"] == id).map(|one| one["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(reason(&asked, FEE).as_deref(), Some("enough"));
    assert_eq!(reason(&asked, REPAIR).as_deref(), Some("cool_down"));

    // The grant is spent: it is asked for again, and the refused one after its time.
    let sent = world.send_fee(json!({}), &[("prefer", "wait=5")]).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let asked = phone.ask().await;
    assert_eq!((&asked["template_ids"], reason(&asked, FEE).as_deref()), (&json!([FEE]), Some("spent")));
    world.clock.advance(72 * HOUR);
    let phone = Phone::of(&world, USER).await;
    assert_eq!(phone.ask().await["template_ids"].as_array().unwrap().len(), 2);

    // The team's rules: which ones, and in which order; a page asks only for its own.
    let rules = json!({ "settings": { "template_aliases": { "repair": REPAIR },
        "ask": { FEE: { "priority": 1 }, "repair": { "priority": 5 } } } });
    assert_eq!(world.api("PATCH", "", &rules).await.status, 200);
    assert_eq!(phone.ask().await["template_ids"], json!([REPAIR, FEE]));
    let only = phone.call("GET", "/ask?template_ids=repair,unknown", &Value::Null).await.json();
    assert_eq!(only["template_ids"], json!([REPAIR]));
    let rules = json!({ "settings": { "ask": { FEE: { "keep": 3 } } } });
    assert_eq!(world.api("PATCH", "", &rules).await.status, 200);
    world.popup(&json!({ FEE: "accept" }));
    until("the event, applied", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    let asked = phone.ask().await;
    assert_eq!((&asked["template_ids"], reason(&asked, FEE).as_deref()), (&json!([FEE]), Some("more")));
    assert_eq!(reason(&asked, REPAIR), None, "not named in the rules");
    for wrong in [json!({ FEE: { "keep": 0 } }), json!({ FEE: { "cool_down_hours": 9000 } })] {
        assert_eq!(world.api("PATCH", "", &json!({ "settings": { "ask": wrong } })).await.status, 422);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_an_act_that_is_reported_counts_once_whatever_comes_first() {
    let world = synced().await;
    let phone = Phone::of(&world, USER).await;
    // Told three times, and applied with WeChat's own event of the same act, in either order.
    for _ in 0..3 {
        assert_eq!(phone.report("act-1", &json!({ FEE: "accept", REPAIR: "reject" })).await.status, 200);
    }
    until("the report, applied", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    world.clock.advance(5 * SECOND);
    world.popup(&json!({ FEE: "accept", REPAIR: "reject" }));
    settled(&world, 2).await;
    assert_eq!(world.balance(FEE).await, 1);
    world.clock.advance(10 * MINUTE);
    world.popup(&json!({ FEE: "accept" }));
    settled(&world, 3).await;
    world.clock.advance(5 * SECOND);
    assert_eq!(phone.report("act-2", &json!({ FEE: "acceptWithAudio" })).await.status, 200);
    settled(&world, 4).await;
    assert_eq!(world.balance(FEE).await, 2, "two acts");
    // The ledger explains it, and adds up.
    let ledger = world.get(&format!("/ledger?openid={USER}&template_id={FEE}")).await;
    let entries = ledger["items"].as_array().unwrap();
    let sum: i64 = entries.iter().map(|entry| entry["delta"].as_i64().unwrap()).sum();
    assert_eq!(sum, 2, "{ledger}");
    // A phone that was off line tells an act of an hour ago: the event of then is its own.
    world.clock.advance(HOUR);
    let late = json!({ "act_id": "act-3", "results": { FEE: "accept" }, "age_seconds": 3605 });
    assert_eq!(phone.call("POST", "/report", &late).await.status, 200);
    settled(&world, 5).await;
    assert_eq!(world.balance(FEE).await, 3, "both events have their reports: this is a third act");
    let late = json!({ "act_id": "act-2", "results": { FEE: "accept" }, "age_seconds": 3605 });
    assert_eq!(phone.call("POST", "/report", &late).await.status, 200);
    assert_eq!(world.balance(FEE).await, 3);
    let inbox = settled(&world, 5).await;
    let report = inbox.iter().find(|row| row["kind"] == "report").unwrap();
    assert_eq!(report["openid"], USER);
    assert!(report["event_at"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_about_its_own_user_and_a_refusal_is_remembered() {
    let world = synced().await;
    let (mine, other) = (Phone::of(&world, USER).await, Phone::of(&world, OTHER).await);
    assert_eq!(mine.report("act", &json!({ FEE: "accept" })).await.status, 200);
    // The same name is another person's other act.
    assert_eq!(other.report("act", &json!({ FEE: "reject", REPAIR: "ban" })).await.status, 200);
    until("both, applied", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    settled(&world, 2).await;
    let asked = other.ask().await;
    assert_eq!(asked["template_ids"], json!([REPAIR]), "refused just now: {asked}");
    assert_eq!(asked["report"], true);
    assert_eq!(balance_of(&world, OTHER, FEE).await, 0);
    // No status: a phone's word is no proof.
    let all = world.get(&format!("/subscriptions?openid={OTHER}")).await;
    assert!(all["items"].as_array().unwrap().iter().all(|one| one["status"] != "reject"), "{all}");

    // Later words stand against earlier ones, in whatever order they come.
    let earlier = json!({ "act_id": "early", "results": { FEE: "accept" }, "age_seconds": 3600 });
    assert_eq!(other.call("POST", "/report", &earlier).await.status, 200);
    until("the late report, applied", || async { (balance_of(&world, OTHER, FEE).await == 1).then_some(()) })
        .await;
    let seed = serde_json::from_value(json!({ "openids": [OTHER], "grants": { FEE: 1 } })).unwrap();
    world.sim.seed(SAMPLE_APPID, &seed).unwrap();
    let spend =
        json!({ "to": OTHER, "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
    let sent = world.api_with("POST", "/messages", &[("prefer", "wait=5")], &spend).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    until("the grant, spent", || async { (balance_of(&world, OTHER, FEE).await == 0).then_some(()) }).await;
    let asked = other.ask().await;
    assert_eq!(asked["template_ids"], json!([REPAIR]), "refused since: {asked}");
    let erased = world.api("DELETE", &format!("/subscribers/{OTHER}"), &Value::Null).await;
    assert!((200..300).contains(&erased.status), "{}", erased.text);
    until("nothing of them left", || async {
        world.clock.advance(100);
        let all = world.get(&format!("/subscriptions?openid={OTHER}")).await;
        all["items"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(other.ask().await["template_ids"].as_array().unwrap().len(), 2, "nothing is known any more");

    // Where the team says so, reports are evidence only.
    assert_eq!(world.api("PATCH", "", &json!({ "settings": { "reports": "ignore" } })).await.status, 200);
    let before = world.balance(REPAIR).await;
    assert_eq!(mine.ask().await["report"], false);
    assert_eq!(mine.report("act-9", &json!({ REPAIR: "accept" })).await.status, 200);
    let inbox = settled(&world, 4).await;
    assert!(inbox.iter().any(|row| row["reason"] == "reports_are_ignored" && row["verdict"] == "ignored"));
    assert_eq!(world.balance(REPAIR).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_stale_and_wrong_calls_change_nothing() {
    let world = synced().await;
    let phone = Phone::of(&world, USER).await;
    let accept = json!({ "act_id": "a", "results": { FEE: "accept" } });
    let mut damaged = phone.session.clone();
    let last = damaged.pop().unwrap();
    damaged.push(if last == 'A' { 'B' } else { 'A' });
    let mut half = phone.session.clone();
    half.truncate(40);
    for forged in ["", "x", damaged.as_str(), half.as_str(), world.key.as_str(), &"A".repeat(5000)] {
        let refused = mp(&world, "POST", "/report", forged, &accept).await;
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (401, Some("invalid_session")),
            "{forged:?}"
        );
        assert_eq!(mp(&world, "GET", "/ask", forged, &Value::Null).await.status, 401);
    }
    let bare =
        call("GET", &format!("{}/mp/{SAMPLE_APPID}/ask", world.url), &[("connection", "close")], "").await;
    assert_eq!(bare.status, 401);
    // A session of one app is nothing at another, and no key.
    let other_app = json!({ "name": "b", "secret": "0123456789abcdef0123456789abcdef", "callback_token": "otherToken1",
        "aes_key": crate::world::AES_KEY, "api_base_url": world.sim_url });
    let headers = [("authorization", format!("Bearer {}", world.key)), ("connection", "close".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let url = format!("{}/api/v1/apps/wx00000000000000bb", world.url);
    assert_eq!(call("PUT", &url, &headers, other_app.to_string()).await.status, 201);
    let session = format!("Bearer {}", phone.session);
    let with_session = [("authorization", session.as_str()), ("connection", "close")];
    let elsewhere = format!("{}/mp/wx00000000000000bb/ask", world.url);
    assert_eq!(call("GET", &elsewhere, &with_session, "").await.status, 401);
    assert_eq!(call("GET", &format!("{}/mp/wxnothere/ask", world.url), &with_session, "").await.status, 404);
    assert_eq!(call("GET", &format!("{}/api/v1/apps", world.url), &with_session, "").await.status, 401);

    for (body, pointer) in [
        (json!({ "act_id": "", "results": { FEE: "accept" } }), "/act_id"),
        (json!({ "act_id": "a b", "results": { FEE: "accept" } }), "/act_id"),
        (json!({ "act_id": "x".repeat(65), "results": { FEE: "accept" } }), "/act_id"),
        (json!({ "act_id": "a", "results": {} }), "/results"),
        (json!({ "act_id": "a", "results": { "no/such": "accept" } }), "/results/no~1such"),
        (json!({ "act_id": "a", "results": { FEE: "" } }), &*format!("/results/{FEE}")),
        (json!({ "act_id": "a", "results": { FEE: "x".repeat(33) } }), &*format!("/results/{FEE}")),
    ] {
        let refused = phone.call("POST", "/report", &body).await;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{}", refused.text);
    }
    for body in
        [json!({ "act_id": "a" }), json!({ "act_id": "a", "results": [], "openid": OTHER }), json!([])]
    {
        assert_eq!(phone.call("POST", "/report", &body).await.status, 422);
    }
    assert_eq!(mp(&world, "POST", "/report", &phone.session, &json!("x".repeat(20_000))).await.status, 400);
    assert_eq!(world.api("POST", "/mp-sessions", &json!({ "openid": "short" })).await.status, 422);

    // Over after two hours.
    world.clock.advance(2 * HOUR);
    let over = phone.report("a", &json!({ FEE: "accept" })).await;
    assert_eq!((over.status, over.json()["code"].as_str()), (401, Some("session_expired")));
    // One who reports without end is told to wait; nobody else is.
    let phone = Phone::of(&world, OTHER).await;
    let mut last = phone.report("b", &json!({ FEE: "later" })).await;
    for _ in 0..40 {
        last = phone.report("b", &json!({ FEE: "later" })).await;
    }
    assert_eq!((last.status, last.json()["code"].as_str()), (429, Some("too_many_calls")));
    assert_eq!(last.headers["retry-after"], "60");
    let mine = Phone::of(&world, USER).await;
    assert_eq!(mine.report("c", &json!({ FEE: "later" })).await.status, 200);
    assert_eq!((world.balance(FEE).await, balance_of(&world, OTHER, FEE).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_spends_a_code_once_and_rests_when_wechat_fails() {
    let world = synced().await;
    world.popup(&json!({ FEE: "accept" }));
    let login = |code: String| {
        let world = &world;
        async move { mp(world, "POST", "/login", "", &json!({ "code": code })).await }
    };
    let code = world.sim.login(SAMPLE_APPID, USER).unwrap();
    let made = login(code.clone()).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(made.headers["cache-control"], "no-store");
    assert!(!made.text.contains("session_key") && !made.text.contains(USER), "{}", made.text);
    let session = made.json()["session"].as_str().unwrap().to_owned();
    assert_eq!(mp(&world, "GET", "/ask", &session, &Value::Null).await.status, 200);
    for wrong in [code, "never".to_owned(), String::new(), "x".repeat(300), "a\nb".to_owned()] {
        let refused = login(wrong).await;
        assert_eq!(
            (refused.status, refused.json()["errors"][0]["code"].as_str()),
            (422, Some("invalid_code"))
        );
    }
    // WeChat limits the calls: the next ones are not even made.
    let faults = json!({ "rules": [{ "on": "jscode2session", "fault": "errcode", "errcode": 45011 }] });
    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(faults).unwrap()).unwrap();
    let limited = login(world.sim.login(SAMPLE_APPID, USER).unwrap()).await;
    assert_eq!(limited.status, 502, "{}", limited.text);
    let happened = || world.sim.counters(SAMPLE_APPID).unwrap().faults.values().sum::<u64>();
    let before = happened();
    let resting = login(world.sim.login(SAMPLE_APPID, USER).unwrap()).await;
    assert_eq!((resting.status, resting.json()["code"].as_str()), (503, Some("login_paused")));
    assert!(resting.headers.contains_key("retry-after"));
    assert_eq!(happened(), before);
    world.sim.set_faults(SAMPLE_APPID, serde_json::from_value(json!({ "rules": [] })).unwrap()).unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(login(world.sim.login(SAMPLE_APPID, USER).unwrap()).await.status, 200);
    // By address.
    let mut last = login("never".to_owned()).await;
    for _ in 0..130 {
        last = login("never".to_owned()).await;
    }
    assert_eq!(last.status, 429, "{}", last.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_survives_a_crash_and_any_origin_may_call() {
    let mut world = synced().await;
    world.restart(false).await;
    let phone = Phone::of(&world, USER).await;
    assert_eq!(phone.report("kept", &json!({ FEE: "accept" })).await.status, 200);
    let session = phone.session.clone();
    assert_eq!(world.balance(FEE).await, 0, "nobody applies yet");
    world.restart(true).await;
    until("the report, applied by the next start", || async {
        (world.balance(FEE).await == 1).then_some(())
    })
    .await;
    world.clock.advance(DAY / 24);
    assert_eq!(
        mp(&world, "GET", "/ask", &session, &Value::Null).await.status,
        200,
        "sessions outlive a restart"
    );

    let origin = [
        ("origin", "http://127.0.0.1:5173"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
        ("connection", "close"),
    ];
    let url = format!("{}/mp/{SAMPLE_APPID}/report", world.url);
    let preflight = call("OPTIONS", &url, &origin, "").await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    let elsewhere = call("OPTIONS", &format!("{}/api/v1/apps", world.url), &origin, "").await;
    assert!(!elsewhere.headers.contains_key("access-control-allow-origin"), "only /mp");
    let kit = call("GET", &format!("{}/kit/hongyan.js", world.url), &[("connection", "close")], "").await;
    assert_eq!(kit.headers["content-type"], "text/javascript; charset=utf-8");
    assert!(kit.text.contains("module.exports"));

    let code = world.get(&format!("/templates/{FEE}/snippets")).await;
    for part in ["native", "uni_app", "bare"] {
        assert!(code[part].as_str().unwrap().contains(FEE), "{part}");
    }
    assert!(code["session"].as_str().unwrap().contains(SAMPLE_APPID));
    assert_eq!(world.api("GET", "/templates/none/snippets", &Value::Null).await.status, 404);
}
