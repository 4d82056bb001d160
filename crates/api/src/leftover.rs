//! What a handler leaves unread of a request's body is read away before the answer goes out. Used by both routers.
//!
//! A server that answers and closes while the other side is still writing has its answer lost in the broken connection:
//! whoever sends a sheet that is too large would see "connection reset" in place of the reason.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::oneshot;

/// How much is read away, and for how long.
const AWAY_BYTES: usize = 64 * 1024 * 1024;
const AWAY_TIME: Duration = Duration::from_secs(10);

/// The middleware.
pub(crate) async fn read_away(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Whoever asks first (100-continue) sends nothing until the body is read: then there is nothing to read away.
    let coming = !request.headers().contains_key(EXPECT);
    let (give, mut left) = oneshot::channel();
    let response = next.run(request.map(|body| Body::new(Lent { body, coming, give: Some(give) }))).await;
    if let Ok(body) = left.try_recv() {
        let _ = tokio::time::timeout(AWAY_TIME, away(body)).await;
    }
    response
}

async fn away(mut body: Body) {
    let mut read = 0;
    while read < AWAY_BYTES {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => break,
        }
    }
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Body,
    coming: bool,
    give: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.coming = true;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(give) = self.give.take().filter(|_| self.coming && !self.body.is_end_stream()) {
            let _ = give.send(std::mem::take(&mut self.body));
        }
    }
}
