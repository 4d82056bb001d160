//! Every kind of answer and non-answer of WeChat has its class, and the message says why it stands where it stands
//! (I4, I5, I6, I15): a small WeChat of the tests' own that answers, cuts, hangs and talks nonsense as it is told.

mod classes;
mod fake;
mod late;
mod limits;
mod policies;
mod tokens;

use std::time::Duration;

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use self::fake::Fake;
use crate::http::call;
use crate::world::{FEE, World, until};

/// Long enough for an answer on loopback under load, short enough to wait for.
const TIME: Duration = Duration::from_millis(1_500);

/// A service whose app is at the fake WeChat, with its templates known and a token in hand.
async fn world() -> (World, Fake) {
    let world = World::with_call_timeout(true, TIME).await;
    assert_eq!(world.api("POST", "/templates/sync", &Value::Null).await.status, 200);
    let fake = Fake::start().await;
    move_to(&world, &fake.url).await;
    (world, fake)
}

/// Puts the app at another WeChat.
async fn move_to(world: &World, url: &str) {
    let moved = world.api("PATCH", "", &json!({ "api_base_url": url })).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
}

async fn set(world: &World, name: &str, value: Value) {
    let reply = world.api("PATCH", "", &json!({ "settings": { name: value } })).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

fn openid(n: usize) -> String {
    format!("oAmbiguity{n:0>18}")
}

/// Hands in a message to the n-th person; gives its path.
async fn send(world: &World, n: usize, more: Value) -> String {
    let mut body = json!({ "to": openid(n), "template_id": FEE, "data": { "thing8": "物业费", "thing5": "请及时缴纳" } });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let reply = world.api("POST", "/messages", &body).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    format!("/messages/{}", reply.json()["id"].as_str().unwrap())
}

/// The message once it is in this state, with so many attempts.
async fn settled(world: &World, path: &str, state: &str, attempts: usize) -> Value {
    let what = format!("{path} {state} with {attempts} attempts");
    until(&what, || async {
        let message = world.get(path).await;
        let fits = message["state"] == state && message["attempts"].as_array().unwrap().len() == attempts;
        fits.then_some(message)
    })
    .await
}

/// errcode and ambiguity of every attempt.
fn attempts(message: &Value) -> Vec<(Option<i64>, bool)> {
    let all = message["attempts"].as_array().unwrap();
    all.iter().map(|a| (a["errcode"].as_i64(), a["ambiguous"].as_bool().unwrap())).collect()
}

/// What the message says in Chinese.
async fn in_chinese(world: &World, path: &str) -> String {
    let url = format!("{}/api/v1/apps/{SAMPLE_APPID}{path}", world.url);
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("accept-language", "zh-CN"), ("connection", "close")];
    call("GET", &url, &headers, "").await.json()["explanation"].as_str().unwrap().to_owned()
}
