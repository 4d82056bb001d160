//! Templates that change at WeChat while they are used.

use serde_json::{Value, json};

use crate::campaigns::{act, calls, campaign, drafted, people};
use crate::world::{FEE, World, until};

const HOUR: i64 = 3_600_000;

fn template(content: &str) -> Value {
    json!([{ "id": FEE, "title": "用户收费通知", "type": "one_time", "content": content, "example": content.replace("{{thing8.DATA}}", "x") }])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_uses_a_changed_template_stands_still() {
    let world = World::new(true).await;
    people(&world, 3, 2).await;
    assert_eq!(world.api("POST", "/templates/sync", &Value::Null).await.status, 200);
    let night = json!({ "window": { "from": "20:00", "to": "21:00" } });
    let path = drafted(&world, night).await;
    act(&world, &path, "start").await;
    campaign(&world, &path, "running").await;

    world.tell_wechat(&json!({ "templates": template("服务内容:{{thing8.DATA}}\n金额:{{amount2.DATA}}\n") }));
    // Nobody asks for it: the comparison comes by itself.
    world.clock.advance(6 * HOUR + 60_000);
    let paused = campaign(&world, &path, "paused").await;
    let because = paused["paused_because"].as_str().unwrap();
    assert!(
        because.contains("template_changed") && because.contains("+amount2") && because.contains("-thing5"),
        "{because}"
    );
    assert_eq!(calls(&world), 0);
    let templates = world.get("/templates").await;
    let shown =
        templates["items"].as_array().unwrap().iter().find(|one| one["id"] == FEE).unwrap()["difference"]
            .clone();
    assert_eq!((&shown["added"], &shown["removed"]), (&json!(["amount2"]), &json!(["thing5"])), "{shown}");

    // It vanishes altogether.
    assert_eq!(act(&world, &path, "resume").await.status, 200);
    campaign(&world, &path, "running").await;
    world.tell_wechat(&json!({ "templates": [{ "id": "OTHER", "title": "别的", "type": "one_time", "content": "事项:{{thing1.DATA}}\n", "example": "事项:x\n" }] }));
    assert_eq!(world.api("POST", "/templates/sync", &Value::Null).await.status, 200);
    let paused = until("paused again", || async {
        let now = world.get(&path).await;
        (now["state"] == "paused").then_some(now)
    })
    .await;
    assert_eq!(paused["paused_because"], "template_gone");
}
