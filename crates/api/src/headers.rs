//! Headers that every answer carries, whatever it is and whoever made it: used by all routers. The console and `/docs` set stricter
//! ones of their own, which stay.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Nothing of ours is guessed to be something else, runs as a page of ours, is shown in a frame, or tells others where it was.
const EVERYWHERE: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// The middleware.
pub(crate) async fn set(request: Request, next: Next) -> Response {
    // What the interface answers is about people: no cache keeps it.
    let kept_nowhere = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in EVERYWHERE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if kept_nowhere {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}
