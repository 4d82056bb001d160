//! Callback keys in change: what a change replaced stays valid for a while, and no longer (I3).

use domain::Clock;
use serde_json::{Value, json};
use wechat::callback::{Format, Mode};

use crate::http::call;
use crate::pushes::{Sealing, accept, chat};
use crate::world::{FEE, TOKEN, World, until};

const HOUR: i64 = 3_600_000;
const NEW_TOKEN: &str = "newToken2026";
const NEW_KEY: &str = "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210abcdefg";

fn new() -> Sealing {
    Sealing { token: NEW_TOKEN, aes_key: NEW_KEY, ..Sealing::registered() }
}

async fn patched(world: &World, change: Value) -> Value {
    let reply = world.api("PATCH", "", &change).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()
}

async fn verified(world: &World, sealing: &Sealing) -> u16 {
    let url = format!("{}/callback/{}?{}", world.url, simulator::SAMPLE_APPID, sealing.verification(world));
    call("GET", &url, &[("connection", "close")], "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_before_stay_valid_for_a_day() {
    let mut world = World::new(true).await;
    let before = Sealing::registered();
    let app =
        patched(&world, json!({ "callback_token": NEW_TOKEN, "aes_key": NEW_KEY, "callback_format": "xml" }))
            .await;
    let until_when: jiff::Timestamp =
        app["previous_keys"][0]["valid_until"].as_str().unwrap().parse().unwrap();
    assert_eq!(until_when.as_millisecond(), world.clock.now() + 24 * HOUR);
    assert!(!app.to_string().contains(TOKEN), "{app}");

    // WeChat's console still has the old ones: verification, events in every mode that is strong enough, chats.
    for sealing in [&before, &new()] {
        assert_eq!(verified(&world, sealing).await, 200);
        for format in [Format::Json, Format::Xml] {
            world.clock.advance(1_000);
            let sealing = Sealing { format, ..sealing.clone() };
            let taken = sealing.send(&world, &accept(&world, FEE)).await;
            assert_eq!((taken.status, taken.text.as_str()), (200, "success"), "{format}");
        }
        let answer = sealing.send(&world, &chat(&world, "水管漏了")).await;
        let transfer = sealing.read(&answer).unwrap().to_string();
        assert!(
            transfer.contains("transfer_customer_service"),
            "with the keys that it came with: {transfer}"
        );
    }
    until("four grants", || async { (world.balance(FEE).await == 4).then_some(()) }).await;

    // It survives a restart, and ends in time.
    world.restart(true).await;
    assert_eq!(before.send(&world, &accept(&world, FEE)).await.status, 200);
    world.clock.advance(24 * HOUR);
    for (sealing, verification, push) in [(before, 403, 403), (new(), 200, 200)] {
        assert_eq!(verified(&world, &sealing).await, verification);
        assert_eq!(sealing.send(&world, &accept(&world, FEE)).await.status, push);
    }
    assert_eq!(world.get("").await["previous_keys"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previous_keys_can_be_ended_at_once_or_never_kept() {
    let world = World::new(false).await;
    let before = Sealing::registered();
    patched(&world, json!({ "callback_token": NEW_TOKEN })).await;
    assert_eq!(before.send(&world, &accept(&world, FEE)).await.status, 200);
    let app = patched(&world, json!({ "end_previous_keys": true })).await;
    assert_eq!(app["previous_keys"], json!([]));
    assert_eq!(before.send(&world, &accept(&world, FEE)).await.status, 403);
    // A key that leaked: nothing of it is kept.
    let app =
        patched(&world, json!({ "callback_token": "thirdToken", "settings": { "previous_keys_hours": 0 } }))
            .await;
    assert_eq!(app["previous_keys"], json!([]));
    let second = Sealing { token: NEW_TOKEN, ..Sealing::registered() };
    assert_eq!(second.send(&world, &accept(&world, FEE)).await.status, 403);
    // The same keys once more are no change.
    patched(&world, json!({ "settings": { "previous_keys_hours": 2 } })).await;
    let app = patched(&world, json!({ "callback_token": "thirdToken", "callback_mode": "safe" })).await;
    assert_eq!(app["previous_keys"], json!([]));
    let app = patched(&world, json!({ "callback_token": "fourthToken" })).await;
    assert_eq!(app["previous_keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i3_a_weaker_mode_is_taken_only_while_it_was_the_mode_of_before() {
    let world = World::new(false).await;
    let in_mode = |mode| Sealing { mode, ..Sealing::registered() };
    assert_eq!(in_mode(Mode::Plain).send(&world, &accept(&world, FEE)).await.status, 403);
    // From plain to safe: WeChat's console is changed a little later.
    patched(&world, json!({ "callback_mode": "plain", "settings": { "previous_keys_hours": 0 } })).await;
    assert_eq!(in_mode(Mode::Plain).send(&world, &accept(&world, FEE)).await.status, 200);
    patched(&world, json!({ "callback_mode": "safe", "settings": { "previous_keys_hours": 1 } })).await;
    for mode in [Mode::Plain, Mode::Compat, Mode::Safe] {
        world.clock.advance(1_000);
        assert_eq!(in_mode(mode).send(&world, &accept(&world, FEE)).await.status, 200, "{mode}");
    }
    world.clock.advance(HOUR);
    for (mode, status) in [(Mode::Plain, 403), (Mode::Compat, 403), (Mode::Safe, 200)] {
        assert_eq!(in_mode(mode).send(&world, &accept(&world, FEE)).await.status, status, "{mode}");
    }
    // From compatible to safe, plain was never right.
    patched(&world, json!({ "callback_mode": "compat", "settings": { "previous_keys_hours": 0 } })).await;
    patched(&world, json!({ "callback_mode": "safe", "settings": { "previous_keys_hours": 1 } })).await;
    for (mode, status) in [(Mode::Plain, 403), (Mode::Compat, 200), (Mode::Safe, 200)] {
        world.clock.advance(1_000);
        assert_eq!(in_mode(mode).send(&world, &accept(&world, FEE)).await.status, status, "{mode}");
    }
}

#[test]
fn the_command_line_changes_and_ends_keys() {
    use crate::program::ok;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(path.join("secret"), "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n").unwrap();
    let app = "wx5a3f0c2b7d9e4186";
    ok(path, &["app", "add", app, "--name", "物业", "--secret-file", "secret", "--generate"]);
    ok(path, &["app", "set", app, "--generate"]);
    assert!(ok(path, &["app", "show", app]).contains("+08:00"), "previous keys valid until");
    let shown: Value = serde_json::from_str(&ok(path, &["app", "show", app, "--json"])).unwrap();
    assert!(shown["previous_keys"][0]["valid_until"].is_string(), "{shown}");
    ok(path, &["app", "set", app, "--end-previous-keys"]);
    let shown: Value = serde_json::from_str(&ok(path, &["app", "show", app, "--json"])).unwrap();
    assert_eq!(shown["previous_keys"], json!([]));
}
