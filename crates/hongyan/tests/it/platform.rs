//! Callback keys of a third-party platform: XML, safe mode, the platform's AppID in the trailer (I3).

use serde_json::json;
use wechat::callback::{Format, Mode};

use crate::pushes::{Sealing, accept, chat};
use crate::world::{FEE, World, until};

const PLATFORM: &str = "wx1122334455667788";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_made_for_the_platform_are_taken_and_others_refused() {
    let world = World::new(true).await;
    let own = Sealing::registered();
    let platform = Sealing { app_id: PLATFORM, format: Format::Xml, ..own.clone() };
    assert_eq!(platform.send(&world, &accept(&world, FEE)).await.status, 403, "not the app's own");
    let hours = json!({ "platform_appid": PLATFORM, "settings": { "previous_keys_hours": 0 } });
    let app = world.api("PATCH", "", &hours).await.json();
    assert_eq!(
        (app["platform_appid"].as_str(), app["callback_format"].as_str()),
        (Some(PLATFORM), Some("xml")),
        "{app}"
    );
    let taken = platform.send(&world, &accept(&world, FEE)).await;
    assert_eq!((taken.status, taken.text.as_str()), (200, "success"));
    until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;
    for wrong in [own.app_id, "wx0000000000000000"] {
        let sealing = Sealing { app_id: wrong, ..platform.clone() };
        assert_eq!(sealing.send(&world, &accept(&world, FEE)).await.status, 403, "{wrong}");
    }
    let plain = Sealing { mode: Mode::Plain, ..platform.clone() };
    assert_eq!(plain.send(&world, &accept(&world, FEE)).await.status, 403);
    // The answer to a chat is for the platform too.
    let answer = platform.send(&world, &chat(&world, "你好")).await;
    assert!(answer.text.starts_with("<xml>"), "{}", answer.text);
    assert!(platform.read(&answer).unwrap().to_string().contains("transfer_customer_service"));

    let refused = world.api("PATCH", "", &json!({ "callback_mode": "compat" })).await;
    assert_eq!(
        (refused.status, refused.json()["errors"][0]["code"].as_str()),
        (422, Some("platform_needs_safe_mode"))
    );
    let refused = world.api("PATCH", "", &json!({ "platform_appid": "gh_1" })).await;
    assert_eq!(
        (refused.status, refused.json()["errors"][0]["pointer"].as_str()),
        (422, Some("/platform_appid"))
    );
    // Back to the app's own; the platform's stays valid for a while.
    let back =
        json!({ "platform_appid": "", "callback_format": "json", "settings": { "previous_keys_hours": 1 } });
    let app = world.api("PATCH", "", &back).await.json();
    assert_eq!(app["platform_appid"], json!(null));
    for sealing in [&own, &platform] {
        world.clock.advance(1_000);
        assert_eq!(sealing.send(&world, &accept(&world, FEE)).await.status, 200);
    }
    world.clock.advance(3_600_000);
    assert_eq!(platform.send(&world, &accept(&world, FEE)).await.status, 403);
}
