//! Calls to servers that are not WeChat's but a team's own: where pushes are passed on to, where an access token comes
//! from. Used by whoever keeps those; the connections are the client's.

use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

use super::Client;
use super::error::{Fault, NotSent};

/// A call to a team's own server.
#[derive(Debug)]
pub struct OutsideCall<'c> {
    /// `POST` with this body and media type, or `GET`.
    pub post: Option<(Bytes, Option<&'c str>)>,
    /// Where to: see [`is_outside_url`].
    pub url: &'c str,
    /// A query string that is added as it is.
    pub query: Option<&'c str>,
    /// Further headers.
    pub headers: &'c [(&'c str, &'c str)],
    /// How long it may take, answer included.
    pub time: Duration,
    /// The answer's greatest length in bytes.
    pub limit: usize,
}

/// What the other server answered, whatever the status.
#[derive(Clone, PartialEq, Eq)]
pub struct OutsideAnswer {
    /// The HTTP status. Redirects are not followed.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for OutsideAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutsideAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Why there is no answer. Holds neither the address nor anything of the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoOutsideAnswer(String);

/// Whether a text is `http://…` or `https://…` with a host, and without a user, a password or a fragment.
pub fn is_outside_url(url: &str) -> bool {
    target(url, None).is_some()
}

impl Client {
    /// Calls a team's own server. A kept connection that had been closed before anything was written is tried once more.
    ///
    /// # Errors
    /// [`NoOutsideAnswer`], in words.
    pub async fn outside(&self, call: &OutsideCall<'_>) -> Result<OutsideAnswer, NoOutsideAnswer> {
        let mut tries = 0;
        loop {
            tries += 1;
            let request = request(call).ok_or_else(|| NoOutsideAnswer("the address is not usable".into()))?;
            match self.outside_exchange(request, call.time, call.limit).await {
                Ok((status, content_type, body)) => return Ok(OutsideAnswer { status, content_type, body }),
                Err(Fault::NotSent(NotSent::Closed)) if tries < 3 => {}
                Err(Fault::NotSent(why)) => return Err(NoOutsideAnswer(why.to_string())),
                Err(Fault::NoAnswer(why)) => return Err(NoOutsideAnswer(why.to_string())),
            }
        }
    }
}

fn target(url: &str, query: Option<&str>) -> Option<Uri> {
    let url = url.trim();
    if url.contains('#') {
        return None;
    }
    let mut parts = url.parse::<Uri>().ok()?.into_parts();
    let known = |scheme: &Scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
    if !parts.scheme.as_ref().is_some_and(known) {
        return None;
    }
    let authority = parts.authority.as_ref()?;
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return None;
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let before = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
        let before = if before.starts_with('?') { format!("/{before}") } else { before.to_owned() };
        let sign = if before.contains('?') { '&' } else { '?' };
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{before}{sign}{query}")).ok()?);
    }
    Uri::from_parts(parts).ok()
}

fn request(call: &OutsideCall<'_>) -> Option<Request<Full<Bytes>>> {
    let mut builder = Request::builder().uri(target(call.url, call.query)?);
    for (name, value) in call.headers {
        let mut value = HeaderValue::from_str(value).ok()?;
        value.set_sensitive(true);
        builder = builder.header(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    let made = match &call.post {
        None => builder.method(Method::GET).body(Full::default()),
        Some((body, content_type)) => {
            if let Some(content_type) = content_type {
                builder = builder.header(header::CONTENT_TYPE, *content_type);
            }
            builder.method(Method::POST).body(Full::new(body.clone()))
        }
    };
    made.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_joined_and_strange_addresses_refused() {
        let made = |url: &str| target(url, Some("signature=a&nonce=%2B")).map(|uri| uri.to_string());
        for (url, before) in [
            ("http://127.0.0.1:8080/wx", "http://127.0.0.1:8080/wx?"),
            ("https://old.example", "https://old.example/?"),
            ("https://old.example/index.php?r=wx", "https://old.example/index.php?r=wx&"),
        ] {
            assert_eq!(made(url).unwrap(), format!("{before}signature=a&nonce=%2B"));
        }
        for bad in ["", "old.example", "ftp://x/", "http://", "http://a:b@host/", "http://host/#x", "/path"] {
            assert!(!is_outside_url(bad), "{bad}");
        }
        assert_eq!(target("http://h/p?x=1", None).unwrap().to_string(), "http://h/p?x=1");
    }
}
