//! One POST to somebody's server. The address that a name resolves to is looked at before the connection is made: unless that is
//! allowed, nothing goes to private networks, and redirects are followed nowhere.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use secrecy::ExposeSecret;
use service::webhooks::{RobotPost, Signed, robot_refusal};
use tokio::net::TcpStream;
use tower::util::BoxCloneSyncService;
use tower::{ServiceExt, service_fn};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// One try, connecting included: the specification recommends 15 to 30 seconds.
const TIME: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);
/// Of a robot's answer is read at most.
const ANSWER: usize = 64 * 1024;

/// Posts events.
#[derive(Clone)]
pub(super) struct Poster {
    client: Option<Client<Connector, Full<Bytes>>>,
}

impl Poster {
    pub(super) fn new(private: bool) -> Self {
        Self { client: client(private) }
    }

    /// Posts an event; gives the answer's status, or why there was none.
    pub(super) async fn post(&self, url: &str, signed: Signed) -> Result<u16, String> {
        let Some(client) = &self.client else { return Err("TLS could not be set up".to_owned()) };
        let request = Request::post(url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("hongyan/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", signed.id)
            .header("webhook-timestamp", signed.timestamp)
            .header("webhook-signature", signed.signature)
            .body(Full::from(signed.body))
            .map_err(|error| error.to_string())?;
        match tokio::time::timeout(TIME, client.request(request)).await {
            // Its body is nobody's business.
            Ok(Ok(answer)) => Ok(answer.status().as_u16()),
            Ok(Err(error)) => Err(deepest(&error)),
            Err(_) => Err(format!("no answer within {} seconds", TIME.as_secs())),
        }
    }

    /// Tells a robot something; what it does not take is an error, though its status says otherwise.
    pub(super) async fn post_robot(&self, post: &RobotPost) -> Result<u16, String> {
        let Some(client) = &self.client else { return Err("TLS could not be set up".to_owned()) };
        let request = Request::post(post.url.expose_secret())
            .header("content-type", "application/json")
            .body(Full::from(post.body.clone()))
            .map_err(|_| "the address is wrong".to_owned())?;
        let answer = async {
            let answer = client.request(request).await.map_err(|error| deepest(&error))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            let body = body.map_err(|_| "its answer could not be read".to_owned())?.to_bytes();
            robot_refusal(&body).map_or(Ok(status), Err)
        };
        tokio::time::timeout(TIME, answer)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIME.as_secs())))
    }
}

fn client(private: bool) -> Option<Client<Connector, Full<Bytes>>> {
    let https = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
        .ok()?
        .https_or_http()
        .enable_http1()
        .wrap_connector(service_fn(move |uri: Uri| connect(uri, private)));
    let connector = service_fn(move |uri: Uri| https.clone().oneshot(uri));
    Some(Client::builder(TokioExecutor::new()).build(BoxCloneSyncService::new(connector)))
}

/// Connects to an address that may be connected to.
async fn connect(uri: Uri, private: bool) -> Result<TokioIo<TcpStream>, BoxError> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), port)).await?.collect();
    // All of them: a name with one public address and one private must not be a way in.
    if let Some(address) = found.iter().find(|address| !private && !is_public(address.ip())) {
        return Err(format!(
            "{host} is {}, an address in a private network; webhooks_allow_private allows it",
            address.ip()
        )
        .into());
    }
    let mut last = BoxError::from(format!("{host} has no address"));
    for address in found {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(TokioIo::new(stream)),
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = "the time for connecting ran out".into(),
        }
    }
    Err(last)
}

/// Whether an address lies in the open internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                // Carriers' networks, IETF's own, benchmarks.
                || (a == 100 && (64..128).contains(&b))
                || (a, b, c) == (192, 0, 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(v4.into());
            }
            let first = v6.segments()[0];
            // Global unicast, without documentation and without what carries IPv4 inside (6to4, Teredo).
            (0x2000..0x4000).contains(&first)
                && first != 0x2002
                && !(first == 0x2001 && matches!(v6.segments()[1], 0 | 0xdb8))
        }
    }
}

/// What is behind an error: "client error (Connect)" says nothing.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "203.119.1.1", "2606:4700::1111", "240e::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn a_private_address_is_refused_before_anything_is_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let signed =
            Signed { id: "evt_1".into(), timestamp: "1".into(), signature: "v1,x".into(), body: "{}".into() };
        let refused = Poster::new(false).post(&url, signed).await.unwrap_err();
        assert!(refused.contains("private network"), "{refused}");
        assert!(
            tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_err(),
            "nobody came"
        );
    }
}
