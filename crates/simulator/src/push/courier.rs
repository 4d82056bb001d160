//! The HTTP client of the pushes: pooled, plain http, one deadline over connecting and answering.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::envelope::Letter;

/// An answer larger than this is an error.
const ANSWER: usize = 64 * 1024;

pub(crate) struct Courier(Client<HttpConnector, Full<Bytes>>);

/// Status and body, or why there is none.
pub(crate) type Answer = Result<(u16, Bytes), String>;

impl Courier {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(10))
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .build(connector);
        Self(client)
    }

    pub(crate) async fn post(&self, letter: Letter, deadline: Duration) -> Answer {
        self.call(Method::POST, &letter.uri, letter.content_type, letter.body.into(), deadline).await
    }

    pub(crate) async fn get(&self, uri: &str, deadline: Duration) -> Answer {
        self.call(Method::GET, uri, "", Bytes::new(), deadline).await
    }

    async fn call(
        &self,
        method: Method,
        uri: &str,
        content_type: &str,
        body: Bytes,
        deadline: Duration,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri).header("user-agent", "Mozilla/4.0");
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = self.0.request(request).await.map_err(|error| told(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER).collect().await;
            let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
            Ok((status, body))
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} ms", deadline.as_millis())),
        }
    }
}

/// The error with its causes; the address, with its query, is not in it.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
