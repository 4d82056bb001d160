//! One HTTP exchange, and what a failure says about the request: used by every call.
//!
//! **When is it certain that nothing was sent?** In two cases, by what hyper guarantees: the connector failed
//! (`is_connect` of hyper-util's error: resolution, TCP, TLS, the time for connecting), or hyper gave the request back
//! unbegun (`is_canceled` in the chain of sources: the kept connection closed before a byte of this request was
//! written). Everything else counts as "may have been sent", also a kept connection that breaks while the request is
//! being written: with keep-alive one cannot see from outside how much of *this* request went out.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

use super::ClientConfig;
use super::error::{BuildError, Fault, NoAnswer, NotSent};

type BoxError = Box<dyn Error + Send + Sync>;
/// A call that has not come to its end.
pub(super) type UnderWay = Pin<Box<dyn Future<Output = Result<Bytes, Fault>> + Send>>;
type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// Calls WeChat's server. Cloning is cheap; clones share their connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    call_timeout: Duration,
}

impl Client {
    /// Makes a client with its own pool of connections. Needs a Tokio runtime when used, not here.
    ///
    /// # Errors
    /// [`BuildError`] if TLS cannot be set up, which does not depend on the configuration.
    pub fn new(config: ClientConfig) -> Result<Self, BuildError> {
        let ClientConfig { connect_timeout, call_timeout, pool_idle_timeout, max_idle_per_host } = config;
        let connect_timeout = connect_timeout.min(call_timeout / 5 * 4);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| BuildError(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let connector = service_fn(move |uri: Uri| {
            let connecting = https.clone().oneshot(uri);
            async move {
                match timeout(connect_timeout, connecting).await {
                    Ok(connected) => connected,
                    Err(_) => Err(BoxError::from("the time for connecting ran out")),
                }
            }
        });
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(pool_idle_timeout)
            .pool_max_idle_per_host(max_idle_per_host)
            .retry_canceled_requests(false)
            .build(BoxCloneSyncService::new(connector));
        Ok(Self { pool, call_timeout })
    }

    /// The same client with another time for a whole call: for calls that take WeChat longer (`callback_check`) or may
    /// take less. Connections are shared, and so is the time for connecting: with less than that for the whole call, a
    /// connection that never comes about counts as a call without an answer.
    #[must_use]
    pub fn with_call_timeout(&self, call_timeout: Duration) -> Self {
        Self { pool: self.pool.clone(), call_timeout }
    }

    /// Makes one call and gives the body of a 200 answer of at most `limit` bytes.
    pub(super) async fn exchange(
        &self,
        target: Option<Uri>,
        body: Option<Bytes>,
        limit: usize,
    ) -> Result<Bytes, Fault> {
        let call = self.begin(target, body, limit);
        timeout(self.call_timeout, call).await.unwrap_or(Err(Fault::NoAnswer(NoAnswer::Timeout)))
    }

    /// As [`exchange`](Self::exchange); where the time runs out the call is not given up but handed back, still under way.
    pub(super) async fn patient_exchange(
        &self,
        target: Option<Uri>,
        body: Option<Bytes>,
        limit: usize,
    ) -> Result<Result<Bytes, Fault>, UnderWay> {
        let mut call: UnderWay = Box::pin(self.begin(target, body, limit));
        match timeout(self.call_timeout, &mut call).await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(call),
        }
    }

    /// The call itself, without a limit of time.
    fn begin(
        &self,
        target: Option<Uri>,
        body: Option<Bytes>,
        limit: usize,
    ) -> impl Future<Output = Result<Bytes, Fault>> + Send + 'static {
        let pool = self.pool.clone();
        async move {
            let request = request(target, body).ok_or(Fault::NotSent(NotSent::BadAddress))?;
            let answer = pool.request(request).await.map_err(|error| told(&error))?;
            if !answer.status().is_success() {
                return Err(Fault::NoAnswer(NoAnswer::Http(answer.status().as_u16())));
            }
            match Limited::new(answer.into_body(), limit).collect().await {
                Ok(collected) => Ok(collected.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(Fault::NoAnswer(NoAnswer::TooLong)),
                Err(error) => Err(Fault::NoAnswer(NoAnswer::Cut(chain(error.as_ref())))),
            }
        }
    }

    /// Makes one call to a server that need not be WeChat's and gives status, media type and body.
    pub(super) async fn outside_exchange(
        &self,
        request: Request<Full<Bytes>>,
        time: Duration,
        limit: usize,
    ) -> Result<(u16, Option<String>, Bytes), Fault> {
        let call = async {
            let answer = self.pool.request(request).await.map_err(|error| told(&error))?;
            let status = answer.status().as_u16();
            let content_type = answer
                .headers()
                .get(header::CONTENT_TYPE)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned);
            match Limited::new(answer.into_body(), limit).collect().await {
                Ok(collected) => Ok((status, content_type, collected.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => Err(Fault::NoAnswer(NoAnswer::TooLong)),
                Err(error) => Err(Fault::NoAnswer(NoAnswer::Cut(chain(error.as_ref())))),
            }
        };
        timeout(time, call).await.unwrap_or(Err(Fault::NoAnswer(NoAnswer::Timeout)))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("call_timeout", &self.call_timeout).finish_non_exhaustive()
    }
}

/// Puts an address together: the base may carry a path (a proxy's), but no query. None if it is not usable.
pub(super) fn address(base: &str, path: &str, query: &[(&str, &str)]) -> Option<Uri> {
    let base: Uri = base.trim().trim_end_matches('/').parse().ok()?;
    let mut parts = base.into_parts();
    if !matches!(&parts.scheme, Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS) {
        return None;
    }
    parts.authority.as_ref()?;
    let before = parts.path_and_query.as_ref();
    if before.is_some_and(|before| before.query().is_some()) {
        return None;
    }
    let mut target = before.map_or("", |before| before.path()).trim_end_matches('/').to_owned();
    target.push_str(path);
    for (index, (name, value)) in query.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        push_encoded(&mut target, value);
    }
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Appends a query value, everything but unreserved characters as %XX.
fn push_encoded(target: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            target.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            target.push('%');
            target.push(char::from(HEX[usize::from(byte >> 4)]));
            target.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

fn request(target: Option<Uri>, body: Option<Bytes>) -> Option<Request<Full<Bytes>>> {
    let builder = Request::builder().uri(target?);
    let made = match body {
        None => builder.method(Method::GET).body(Full::default()),
        Some(body) => builder
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body)),
    };
    made.ok()
}

/// Sorts an error of the pool by whether something may have been sent.
fn told(error: &hyper_util::client::legacy::Error) -> Fault {
    if error.is_connect() {
        return Fault::NotSent(NotSent::Connect(chain(error)));
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return Fault::NotSent(NotSent::Closed);
        }
        source = inner.source();
    }
    Fault::NoAnswer(NoAnswer::Cut(chain(error)))
}

/// An error with its sources, as one line. Hyper's errors name neither address nor content.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    for _ in 0..8 {
        let Some(inner) = source else { break };
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_put_together() {
        let made = |base: &str| {
            address(base, "/cgi-bin/x", &[("access_token", "a b/_-")]).map(|uri| uri.to_string())
        };
        let query = "/cgi-bin/x?access_token=a%20b%2F_-";
        for (base, before) in [
            ("https://api.weixin.qq.com", "https://api.weixin.qq.com"),
            ("https://api.weixin.qq.com/", "https://api.weixin.qq.com"),
            (" http://127.0.0.1:8701 ", "http://127.0.0.1:8701"),
            ("https://proxy.example/wechat/", "https://proxy.example/wechat"),
        ] {
            assert_eq!(made(base).unwrap(), format!("{before}{query}"));
        }
        for bad in
            ["", "api.weixin.qq.com", "/path", "ftp://host", "https://h/?a=b", "https://", "http://a b"]
        {
            assert_eq!(made(bad), None, "{bad}");
        }
    }
}
