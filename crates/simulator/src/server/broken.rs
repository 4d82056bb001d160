//! Answers that break off: what a caller sees when a connection is cut. Used by `faulty`.

use std::io;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use futures::stream::{self, StreamExt};

use super::answer;

/// The connection is cut with nothing answered: the body fails before hyper has written the head.
pub(super) fn cut() -> Response {
    Response::new(broken(None))
}

/// Half of the text, and then the cut: before Content-Length is reached, or without the last chunk.
pub(super) fn half(text: &str, chunked: bool) -> Response {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let mut response = answer::json(String::new());
    if !chunked {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    }
    *response.body_mut() = broken(Some(half));
    response
}

/// A body that yields `first`, lets it go out, and fails.
fn broken(first: Option<Bytes>) -> Body {
    let cut = || Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut by a fault script"));
    match first {
        // At once: hyper holds the head back until it has asked the body.
        None => Body::from_stream(stream::once(async move { cut() })),
        Some(first) => {
            let then_cut = stream::once(async move {
                // While this waits, hyper writes out what it has.
                tokio::task::yield_now().await;
                cut()
            });
            Body::from_stream(stream::once(async { Ok(first) }).chain(then_cut))
        }
    }
}
