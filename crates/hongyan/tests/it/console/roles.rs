//! Who may do what: roles, per app too; sessions that end; passwords that are not guessed; the operation log.

use domain::clock::{HOUR, MINUTE};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{PASSWORD, Person, api, operator, try_sign_in};
use crate::campaigns::drafted;
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_installation_belongs_to_whoever_has_the_code() {
    let world = World::new(false).await;
    let headers = [("connection", "close"), ("content-type", "application/x-www-form-urlencoded")];
    let get =
        async |path: &str| crate::http::call("GET", &format!("{}/{path}", world.url), &headers, "").await;
    for path in ["", "apps", "login", "apps/wx5a3f0c2b7d9e4186/messages", "keys"] {
        let reply = get(path).await;
        assert_eq!(
            (reply.status, &reply.headers["location"]),
            (303, &http::HeaderValue::from_static("/setup")),
            "{path}"
        );
    }
    let claim = async |code: String, name: &'static str| {
        let body =
            super::form(&[("code", &code), ("name", name), ("password", PASSWORD), ("again", PASSWORD)]);
        crate::http::call("POST", &format!("{}/setup", world.url), &headers, body).await
    };
    assert_eq!(claim("AAAA-AAAA-AAAA".into(), "a").await.status, 422);
    let code = world.service().setup_code().await.unwrap().unwrap();
    let code = secrecy::ExposeSecret::expose_secret(&code).to_owned();
    let (first, second) = tokio::join!(claim(code.clone(), "first"), claim(code.clone(), "second"));
    let mut both = [first.status, second.status];
    both.sort_unstable();
    assert_eq!(both, [303, 409], "one of two who come at once");
    assert_eq!(claim(code, "third").await.status, 409);
    assert_eq!(get("setup").await.headers["location"], "/login");
    assert_eq!(world.service().operators().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_what_it_may() {
    let world = World::new(false).await;
    operator(&world, "admin", json!({ "*": "admin" })).await;
    operator(&world, "sender", json!({ SAMPLE_APPID: "sender" })).await;
    operator(&world, "editor", json!({ SAMPLE_APPID: "editor" })).await;
    operator(&world, "viewer", json!({ "*": "viewer" })).await;
    operator(&world, "nobody", json!({ "*": "viewer" })).await;
    world.service().sync_templates(&world.service().app(SAMPLE_APPID).await.unwrap()).await.unwrap();
    let path = drafted(&world, json!({})).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let a = |rest: &str| format!("apps/{SAMPLE_APPID}/{rest}");
    // Path, and the statuses for viewer, editor, sender, admin.
    let reads = [
        (a("campaigns"), [200, 200, 200, 200]),
        (a("messages"), [200, 200, 200, 200]),
        (a("compose"), [403, 200, 200, 200]),
        (a("uploads"), [403, 200, 200, 200]),
        (a(&format!("campaigns/{id}/results/sent")), [403, 200, 200, 200]),
        (a("callbacks"), [403, 403, 403, 200]),
        (a("settings"), [403, 403, 403, 200]),
        (a("connect"), [403, 403, 403, 200]),
        ("operators".to_owned(), [403, 403, 403, 200]),
        ("keys".to_owned(), [403, 403, 403, 200]),
        ("audit".to_owned(), [403, 403, 403, 200]),
        ("webhooks".to_owned(), [403, 403, 403, 200]),
        (a("nothing"), [404, 404, 404, 404]),
        ("apps/wx0000000000000000/".to_owned(), [404, 404, 404, 404]),
    ];
    let writes = [
        (a(&format!("campaigns/{id}/copy")), [403, 303, 303, 303]),
        (a(&format!("campaigns/{id}/pause")), [403, 403, 409, 409]),
        (a("templates/sync"), [403, 303, 303, 303]),
        (a("settings/guests"), [403, 403, 403, 422]),
        (a("subscribers/oX/erase"), [403, 403, 403, 422]),
        ("start/try".to_owned(), [403, 403, 403, 303]),
        ("operators/viewer/remove".to_owned(), [403, 403, 403, 303]),
    ];
    for (at, name) in ["viewer", "editor", "sender", "admin"].into_iter().enumerate() {
        let person = Person::sign_in(&world, name).await;
        for (path, expected) in &reads {
            assert_eq!(person.get(path).await.status, expected[at], "{name} reads {path}");
        }
        for (path, expected) in &writes {
            assert_eq!(person.post(path, &[]).await.status, expected[at], "{name} writes {path}");
            let bare = person.post_bare(path, "csrf=0123").await;
            assert_eq!(bare.status, 403, "{name} writes {path} without a proof");
        }
    }
    // A key that sees one app administers nothing.
    let body = json!({ "name": "one app", "app_id": SAMPLE_APPID, "scopes": ["manage"] });
    let made = api(&world, "POST", "/keys", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let bearer = format!("Bearer {}", made.json()["key"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str()), ("connection", "close")];
    let refused = crate::http::call("GET", &format!("{}/api/v1/operators", world.url), &headers, "").await;
    assert_eq!(refused.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_and_passwords_are_not_guessed() {
    let world = World::new(false).await;
    operator(&world, "admin", json!({ "*": "admin" })).await;
    operator(&world, "王", json!({ "*": "viewer" })).await;
    let person = Person::sign_in(&world, "王").await;
    world.clock.advance(11 * HOUR);
    assert_eq!(person.get("apps").await.status, 200, "used within twelve hours");
    world.clock.advance(11 * HOUR);
    assert_eq!(person.get("apps").await.status, 200, "and once more");
    world.clock.advance(13 * HOUR);
    assert_eq!(person.get("apps").await.status, 303, "not used for too long");
    let person = Person::sign_in(&world, "王").await;
    let changed = api(&world, "PATCH", "/operators/%E7%8E%8B", &json!({ "roles": { "*": "editor" } })).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(person.get("apps").await.status, 303, "other roles: sign in again");
    let person = Person::sign_in(&world, "王").await;
    assert_eq!(person.post("logout", &[]).await.status, 303);
    assert_eq!(person.get("apps").await.status, 303, "signed out, the session is nothing any more");
    let next = try_sign_in(&world.url, "王", PASSWORD).await;
    assert_eq!(next.headers["location"], "/");

    for _ in 0..10 {
        assert_eq!(try_sign_in(&world.url, "王", "wrong").await.status, 401);
    }
    let blocked = try_sign_in(&world.url, "王", PASSWORD).await;
    assert_eq!(blocked.status, 429, "the right one too: it may have been guessed");
    assert_eq!(try_sign_in(&world.url, "admin", PASSWORD).await.status, 303, "others are not held up");
    world.clock.advance(16 * MINUTE);
    assert_eq!(try_sign_in(&world.url, "王", PASSWORD).await.status, 303);

    let last = api(&world, "DELETE", "/operators/admin", &Value::Null).await;
    assert_eq!((last.status, last.json()["code"].as_str()), (409, Some("last_admin")));
    let weak = json!({ "name": "x", "password": "password123", "roles": { "*": "viewer" } });
    assert_eq!(api(&world, "POST", "/operators", &weak).await.json()["code"], "validation_failed");
    let unknown = json!({ "name": "x", "password": PASSWORD, "roles": { "wx9": "viewer" } });
    assert_eq!(api(&world, "POST", "/operators", &unknown).await.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_leads_nowhere_else_and_leaves_no_session_behind() {
    let world = World::new(false).await;
    operator(&world, "admin", json!({ "*": "admin" })).await;
    let before = Person::sign_in(&world, "admin").await;
    let headers = [super::FORM, ("cookie", before.cookie.as_str()), ("connection", "close")];
    let login = format!("{}/login", world.url);
    let body = super::form(&[("name", "admin"), ("password", PASSWORD), ("next", "/\t/evil.example/")]);
    let reply = crate::http::call("POST", &login, &headers, body).await;
    assert_eq!((reply.status, reply.headers["location"].to_str().unwrap()), (303, "/"));
    assert_eq!(before.get("apps").await.status, 303, "the session of before is over");
    let long = super::form(&[("name", "admin"), ("password", &"x".repeat(20_000))]);
    assert_eq!(crate::http::call("POST", &login, &headers, long).await.status, 403, "nobody's password");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_that_come_together_are_counted_one_by_one() {
    let world = World::new(false).await;
    operator(&world, "admin", json!({ "*": "admin" })).await;
    let tries = (0..30).map(|_| try_sign_in(&world.url, "admin", "wrong"));
    let statuses: Vec<u16> =
        futures::future::join_all(tries).await.iter().map(|reply| reply.status).collect();
    let count = |status| statuses.iter().filter(|is| **is == status).count();
    assert_eq!((count(401), count(429)), (10, 20), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_stands_in_the_log() {
    let world = World::new(true).await;
    operator(&world, "admin", json!({ "*": "admin" })).await;
    let person = Person::sign_in(&world, "admin").await;
    assert_eq!(person.post(&format!("apps/{SAMPLE_APPID}/templates/sync"), &[]).await.status, 303);
    let known =
        world.api("PUT", "/subscribers/oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s", &json!({ "tags": ["vip"] })).await;
    assert_eq!(known.status, 201, "{}", known.text);
    world.api("PATCH", "", &json!({ "settings": { "rate_per_second": 7 } })).await;
    world.api("DELETE", "/subscribers/oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s", &Value::Null).await;
    until("the person erased from the log too", || async {
        let log = api(&world, "GET", "/audit", &Value::Null).await;
        (!log.text.contains("oG0NJ5Oi")).then_some(())
    })
    .await;
    let log = api(&world, "GET", "/audit", &Value::Null).await.json();
    let acts: Vec<(&str, &str)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deed| (deed["principal"].as_str().unwrap(), deed["act"].as_str().unwrap()))
        .collect();
    let key = acts.iter().find(|(who, _)| who.starts_with("key:")).unwrap().0;
    for expected in [
        ("operator:admin", "POST templates/sync"),
        ("operator:admin", "POST login"),
        (key, "POST operators"),
        (key, "PATCH apps"),
        (key, "PUT subscribers"),
        (key, "DELETE subscribers"),
    ] {
        assert!(acts.contains(&expected), "{expected:?} in {acts:?}");
    }
    assert!(!acts.iter().any(|(_, act)| *act == "POST messages"), "messages are records of their own");
    let page = person.get("audit").await;
    assert!(page.text.contains("同步模板") && page.text.contains("修改小程序设置"));
    let one = api(&world, "GET", &format!("/audit?app_id={SAMPLE_APPID}&limit=1"), &Value::Null).await.json();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert!(one["next_cursor"].is_string());
}
