//! WeChat's way to answer: always HTTP 200, always `errcode`, and a rid behind each error text.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};

use crate::Simulator;

/// 200 with this JSON.
pub(crate) fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("application/json; encoding=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `errmsg` must need no escaping; what goes in is ours, but for a template's keys, which are ASCII words.
pub(crate) fn error(sim: &Simulator, errcode: i32, errmsg: &str) -> Response {
    json(error_text(sim, errcode, errmsg))
}

pub(crate) fn error_text(sim: &Simulator, errcode: i32, errmsg: &str) -> String {
    let rid = sim.0.chance.rid(sim.now());
    serde_json::json!({"errcode": errcode, "errmsg": format!("{errmsg}{rid}")}).to_string()
}

pub(crate) async fn needs_post(State(sim): State<Simulator>) -> Response {
    error(&sim, 43002, "require POST method")
}

pub(crate) async fn needs_get(State(sim): State<Simulator>) -> Response {
    error(&sim, 43001, "require GET method")
}

/// WeChat's answer for a path it does not have. The simulator has only a few of WeChat's.
pub(crate) async fn no_such_call(State(sim): State<Simulator>) -> Response {
    error(&sim, 40066, "invalid url")
}
