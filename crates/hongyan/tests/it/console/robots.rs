//! Group robots: told in their own way, several events at once, again where they refuse; their address is a secret.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use serde_json::{Value, json};

use super::api;
use crate::campaigns::{act, drafted, people};
use crate::world::{World, until};

#[derive(Default)]
struct Robot {
    got: Mutex<Vec<(String, Value)>>,
    /// Answers that the limit is reached so many times more.
    refusals: Mutex<u32>,
}

async fn hear(State(robot): State<Arc<Robot>>, uri: axum::http::Uri, body: String) -> String {
    let mut refusals = robot.refusals.lock().unwrap();
    if *refusals > 0 {
        *refusals -= 1;
        return json!({ "errcode": 45009, "errmsg": "api freq out of limit" }).to_string();
    }
    robot.got.lock().unwrap().push((uri.to_string(), serde_json::from_str(&body).unwrap()));
    json!({ "errcode": 0, "errmsg": "ok" }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robot_hears_of_approvals_and_alarms() {
    let world = World::new(true).await;
    let robot = Arc::new(Robot { refusals: Mutex::new(1), ..Robot::default() });
    let router = axum::Router::new().fallback(hear).with_state(Arc::clone(&robot));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/cgi-bin/webhook/send?key=robot-secret", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    world.service().set_public_url("https://notify.example.com/hongyan".to_owned());

    let asked = json!({ "url": url, "form": "wecom", "events": ["campaign.awaiting_approval", "alarm.*"] });
    let made = api(&world, "POST", "/webhooks", &asked).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let shown = api(&world, "GET", "/webhooks", &Value::Null).await;
    assert!(!made.text.contains("robot-secret") && !shown.text.contains("robot-secret"), "{}", shown.text);
    assert_eq!(shown.json()["items"][0]["form"], "wecom");
    let wrong = json!({ "url": url, "form": "pigeon", "events": ["*"] });
    assert_eq!(api(&world, "POST", "/webhooks", &wrong).await.status, 422);

    world.api("PATCH", "", &json!({ "settings": { "approval_above": 1 } })).await;
    people(&world, 3, 1).await;
    let path = drafted(&world, json!({})).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    assert_eq!(act(&world, &path, "start").await.json()["state"], "awaiting_approval");
    let hook = made.json()["id"].as_str().unwrap().to_owned();
    // It refuses the first time; the time until it is asked again is moved by hand.
    until("the refusal", || async {
        let all = api(&world, "GET", &format!("/webhooks/{hook}/deliveries"), &Value::Null).await.json();
        let error = all["items"][0]["last_error"].as_str().unwrap_or_default().to_owned();
        error.starts_with("45009").then_some(())
    })
    .await;
    assert_eq!(api(&world, "POST", &format!("/webhooks/{hook}/test"), &Value::Null).await.status, 202);
    world.clock.advance(domain::clock::MINUTE);
    until("both in one message", || async {
        let got = robot.got.lock().unwrap();
        let texts: Vec<&str> =
            got.iter().map(|(_, body)| body["markdown"]["content"].as_str().unwrap()).collect();
        let all = texts.join("\n");
        (all.contains("待审批") && all.contains("测试消息")).then_some(())
    })
    .await;
    let got = robot.got.lock().unwrap();
    let text = got.iter().find_map(|(_, body)| {
        let text = body["markdown"]["content"].as_str().unwrap();
        text.contains("待审批").then_some(text)
    });
    let link = format!("https://notify.example.com/hongyan/apps/{}/campaigns/{id}", simulator::SAMPLE_APPID);
    assert!(text.unwrap().contains(&link), "{text:?}");
    assert!(got[0].0.contains("key=robot-secret"));
}
