//! The OpenAPI document against the running service: every answer that any test here gets has to be documented, and every call asks for
//! the scope that the document names.

use std::sync::LazyLock;

use secrecy::ExposeSecret;
use serde_json::Value;
use service::Scope;

use crate::http::{self, Reply};
use crate::world::World;

struct Operation {
    method: String,
    path: String,
    call: Value,
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let document = api::openapi();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            all.push(Operation { method: method.to_uppercase(), path: path.clone(), call: call.clone() });
        }
    }
    // Where a word and a parameter both fit, the word is meant.
    all.sort_by_key(|one| one.path.matches('{').count());
    all
});

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(one, other)| one.starts_with('{') || *one == other)
}

/// Fails the test whose answer the document does not know: another status, or another code of a problem.
pub(crate) fn documented(method: &str, url: &str, reply: &Reply) {
    let path =
        url.splitn(4, '/').nth(3).map(|rest| format!("/{}", rest.split('?').next().unwrap_or_default()));
    let Some(path) = path.filter(|path| path.starts_with("/api/v1/") || path.starts_with("/mp/")) else {
        return;
    };
    let Some(known) = OPERATIONS.iter().find(|one| one.method == method && fits(&one.path, &path)) else {
        return;
    };
    let answer = &known.call["responses"][reply.status.to_string()];
    assert!(
        !answer.is_null(),
        "{method} {path} answers {}, which is not documented: {}",
        reply.status,
        reply.text
    );
    if let Some(codes) = answer["x-codes"].as_array() {
        let code = &reply.json()["code"];
        assert!(
            codes.contains(code),
            "{method} {path} answers {} {code}, which openapi/calls/ does not name",
            reply.status
        );
    }
}

/// A call as the document shows it, with a key.
async fn as_shown(world: &World, known: &Operation, app: &str, key: &str) -> Reply {
    let mut path =
        known.path.replace("{app_id}", app).replace("{id}", "0190a000-0000-7000-8000-000000000000");
    for name in ["openid", "template_id", "tid", "name"] {
        path = path.replace(&format!("{{{name}}}"), "something");
    }
    let content = known.call["requestBody"]["content"].as_object().and_then(|all| all.iter().next());
    let (kind, body) = match content {
        Some((kind, media)) => {
            let example = &media["examples"].as_object().unwrap().values().next().unwrap()["value"];
            (kind.clone(), example.as_str().map_or_else(|| example.to_string(), str::to_owned))
        }
        None => (String::new(), String::new()),
    };
    let needed = known.call["parameters"].as_array().into_iter().flatten();
    let query: Vec<String> = needed
        .filter(|one| one["in"] == "query" && one["required"] == true)
        .map(|one| format!("{}=something", one["name"].as_str().unwrap()))
        .collect();
    let bearer = format!("Bearer {key}");
    let headers =
        [("authorization", bearer.as_str()), ("accept-language", "en"), ("content-type", kind.as_str())];
    http::call(&known.method, &format!("{}{path}?{}", world.url, query.join("&")), &headers, body).await
}

#[tokio::test]
async fn every_call_asks_for_the_scope_that_its_document_names() {
    let world = World::new(false).await;
    let app = simulator::SAMPLE_APPID;
    let all = [Scope::Send, Scope::Read, Scope::Manage, Scope::Token];
    let (_, of_one_app) = world.service().create_key("one app", Some(app), &all).await.unwrap();
    let mut asked = 0;
    for scope in all {
        let others: Vec<Scope> = all.into_iter().filter(|other| *other != scope).collect();
        let (_, key) = world.service().create_key("all but one", None, &others).await.unwrap();
        for known in OPERATIONS.iter().filter(|one| one.call["security"][0]["key"][0] == scope.as_str()) {
            asked += 1;
            let name = format!("{} {}", known.method, known.path);
            let reply = as_shown(&world, known, app, "none").await;
            assert_eq!((reply.status, reply.json()["code"].as_str()), (401, Some("unauthorized")), "{name}");
            let reply = as_shown(&world, known, app, key.expose_secret()).await;
            assert_eq!(
                (reply.status, reply.json()["code"].as_str()),
                (403, Some("missing_scope")),
                "{name}: {}",
                reply.text
            );
            assert!(reply.text.contains(&format!("lacks {}", scope.as_str())), "{name}: {}", reply.text);
            let everywhere =
                known.call["description"].as_str().is_some_and(|text| text.contains("a key for all apps"));
            if everywhere {
                let reply = as_shown(&world, known, app, of_one_app.expose_secret()).await;
                assert!(reply.status == 403 && reply.text.contains("all-apps"), "{name}: {}", reply.text);
            } else if known.path.contains("{app_id}") {
                let reply = as_shown(&world, known, "wx0000000000000000", of_one_app.expose_secret()).await;
                assert_eq!(
                    (reply.status, reply.json()["code"].as_str()),
                    (404, Some("app_not_found")),
                    "{name}"
                );
            }
        }
    }
    assert!(asked > 80, "{asked}");
}

#[tokio::test]
async fn what_cannot_be_read_of_a_path_is_a_problem_like_any_other() {
    let world = World::new(false).await;
    let bearer = format!("Bearer {}", world.key);
    let url = format!("{}/api/v1/apps/%FF/messages", world.url);
    let reply = http::call("GET", &url, &[("authorization", &bearer)], "").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("invalid_path")));
}
