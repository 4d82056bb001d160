//! The console: through plain HTTP for what roles may do, and in a real browser for what people see.

mod browser;
mod counts;
mod robots;
mod roles;
mod sheets;

use http::header;
use serde_json::{Value, json};

use crate::http::{Reply, call};
use crate::world::World;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Somebody with a browser: a session, and the proof that its pages carry.
pub(crate) struct Person {
    base: String,
    cookie: String,
    csrf: String,
}

fn form(pairs: &[(&str, &str)]) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        out.append_pair(name, value);
    }
    out.finish()
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// What answers a password.
pub(crate) async fn try_sign_in(base: &str, name: &str, password: &str) -> Reply {
    let body = form(&[("name", name), ("password", password)]);
    call("POST", &format!("{base}/login"), &[FORM, ("connection", "close")], body).await
}

impl Person {
    pub(crate) async fn sign_in(world: &World, name: &str) -> Self {
        let reply = try_sign_in(&world.url, name, PASSWORD).await;
        assert_eq!(reply.status, 303, "{}", reply.text);
        let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let mut person = Self { base: world.url.clone(), cookie, csrf: String::new() };
        let page = person.get("account").await;
        assert_eq!(page.status, 200);
        let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
        person.csrf = rest.split('"').next().unwrap().to_owned();
        person
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        let headers = [("cookie", self.cookie.as_str()), ("connection", "close"), ("accept-language", "zh")];
        call("GET", &format!("{}/{path}", self.base), &headers, "").await
    }

    pub(crate) async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Reply {
        let mut all = vec![("csrf", self.csrf.as_str())];
        all.extend(pairs);
        self.post_bare(path, &form(&all)).await
    }

    /// A form without its proof.
    pub(crate) async fn post_bare(&self, path: &str, body: &str) -> Reply {
        let headers = [FORM, ("cookie", self.cookie.as_str()), ("connection", "close")];
        call("POST", &format!("{}/{path}", self.base), &headers, body.to_owned()).await
    }
}

/// A call of the interface that is not one app's.
pub(crate) async fn api(world: &World, method: &str, path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("connection", "close"), ("accept-language", "en")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    call(method, &format!("{}/api/v1{path}", world.url), &headers, body).await
}

pub(crate) async fn operator(world: &World, name: &str, roles: Value) {
    let body = json!({ "name": name, "password": PASSWORD, "roles": roles });
    let reply = api(world, "POST", "/operators", &body).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}
