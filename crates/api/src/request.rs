//! Every request has an id: the caller's `x-request-id`, or one of ours. It stands in each log line of the request, in the answer's
//! header and in every problem, so that what somebody saw is found in the log. Around both routers.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use domain::entropy::random_bytes;
use tracing::Instrument;

use crate::server::Api;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST: usize = 64;

/// The id of a request, among its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The outermost layer: the id, the span, the counters.
pub(crate) async fn enter(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let given = request.headers().get(&HEADER).and_then(|value| value.to_str().ok());
    let id = match given.filter(|id| usable(id)) {
        Some(id) => id.to_owned(),
        None => format!("{:032x}", u128::from_le_bytes(random_bytes(&**api.service.entropy()))),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    // The route as it is documented: a path can hold an openid, a query signatures and tokens.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "-".to_owned());
    let span = tracing::info_span!("request", id, method = %request.method(), route);
    let area = area(&route);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span).await;
    metrics::histogram!("hongyan_http_seconds", "area" => area).record(started.elapsed().as_secs_f64());
    let status = match response.status().as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    };
    metrics::counter!("hongyan_http_requests_total", "area" => area, "status" => status).increment(1);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// What an id may be that others gave: what cannot break a log line.
fn usable(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn area(route: &str) -> &'static str {
    match route.split('/').nth(1).unwrap_or_default() {
        "api" => "api",
        "callback" => "callback",
        "mp" => "mp",
        "healthz" | "readyz" | "metrics" | "docs" | "kit" => "other",
        _ if route == "-" => "other",
        _ => "console",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_break_a_line_are_not_taken() {
        for good in ["a", "7f3c-1.x_y", &"0".repeat(64)] {
            assert!(usable(good), "{good}");
        }
        for bad in ["", "a b", "a\"b", "é", &"0".repeat(65)] {
            assert!(!usable(bad), "{bad:?}");
        }
    }

    #[test]
    fn areas_are_few() {
        let areas =
            ["/api/v1/apps", "/callback/{app_id}", "/mp/{app_id}/login", "/readyz", "-", "/apps/{app_id}/"];
        assert_eq!(areas.map(area), ["api", "callback", "mp", "other", "other", "console"]);
    }
}
