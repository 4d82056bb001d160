//! Notes what keys change: the call, by whom, in which app. Messages are not noted, since each is a record of its own.

use std::sync::{Arc, OnceLock};

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use crate::server::Api;

/// Who called: filled in by whoever finds out.
pub(crate) type Principal = Arc<OnceLock<String>>;

const PREFIX: &str = "/api/v1/";
/// Calls that change nothing, or that leave records of their own.
const UNNOTED: [&str; 6] = [
    "POST messages",
    "POST messages/batch",
    "POST campaigns/forecast",
    "POST campaigns/dry-run",
    "POST mp-sessions",
    "POST access-token/refresh",
];

pub(crate) async fn note(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return next.run(request).await;
    }
    let principal = Principal::default();
    request.extensions_mut().insert(Arc::clone(&principal));
    let act = request.extensions().get::<MatchedPath>().and_then(|path| act(request.method(), path.as_str()));
    let params: Vec<(String, String)> = match request.extract_parts::<RawPathParams>().await {
        Ok(params) => params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        Err(_) => Vec::new(),
    };
    let response = next.run(request).await;
    if let (true, Some(act), Some(who)) = (response.status().is_success(), act, principal.get()) {
        let of =
            |wanted: &str| params.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let app = of("app_id")
            .and_then(|app_id| api.service.apps().all().iter().find(|app| app.app_id == app_id).cloned());
        // Whom it was about is not kept of an erasure.
        let target = params.iter().find(|(name, _)| name != "app_id").map(|(_, value)| value.as_str());
        let target = target.filter(|_| act != "DELETE subscribers");
        api.service.note(who, app.as_deref(), &act, target).await;
    }
    response
}

/// `POST /api/v1/apps/{app_id}/campaigns/{id}/start` as `POST campaigns/start`.
fn act(method: &Method, path: &str) -> Option<String> {
    let rest = path.strip_prefix(PREFIX)?;
    let rest = rest
        .strip_prefix("apps/{app_id}")
        .map_or(rest, |rest| if rest.is_empty() { "apps" } else { &rest[1..] });
    let words: Vec<&str> = rest.split('/').filter(|word| !word.starts_with('{')).collect();
    let act = format!("{method} {}", words.join("/"));
    (!UNNOTED.contains(&act.as_str())).then_some(act)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_named_by_their_call() {
        for (method, path, expected) in [
            (Method::POST, "/api/v1/apps/{app_id}/campaigns/{id}/start", Some("POST campaigns/start")),
            (Method::PATCH, "/api/v1/apps/{app_id}", Some("PATCH apps")),
            (Method::DELETE, "/api/v1/keys/{id}", Some("DELETE keys")),
            (Method::POST, "/api/v1/apps/{app_id}/messages", None),
            (Method::POST, "/callback/{app_id}", None),
        ] {
            assert_eq!(act(&method, path).as_deref(), expected, "{path}");
        }
    }
}
