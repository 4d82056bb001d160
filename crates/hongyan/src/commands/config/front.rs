//! What a reverse proxy in front has to know, read off the configuration: the name outside, the paths that may pass, where they
//! lead, whose word on addresses counts. Used by the examples for nginx and Caddy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Config;
use crate::locale::say;

/// Stands in where there is no `public_url`.
const SOMEWHERE: &str = "https://notify.example.com";

/// What faces the internet, under the path of `public_url`: `serve --public-listen` answers the same.
pub(super) const TREES: [&str; 2] = ["/callback/", "/mp/"];
/// The single paths.
pub(super) const HEALTH: &str = "/healthz";

/// The proxy's limit for bodies. Hongyan's own are lower (256 KiB for a callback), and it is the one that logs what it refused.
pub(super) const MAX_BODY_KB: u32 = 512;

/// What both examples are made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Front {
    /// Whether the outside speaks TLS.
    pub(super) tls: bool,
    /// The name in `public_url`.
    pub(super) host: String,
    /// Its port, where it is not the usual one.
    pub(super) port: Option<u16>,
    /// Its path, without a slash at the end: empty, or `/hongyan`.
    pub(super) path: String,
    /// Where Hongyan listens.
    pub(super) upstream: SocketAddr,
    /// Paths of apps beside `/callback/`.
    pub(super) aliases: Vec<String>,
    /// Proxies before this one (a load balancer, a CDN), whose `X-Forwarded-For` is believed.
    pub(super) before: Vec<IpAddr>,
    /// What the reader has to do or to know.
    pub(super) remarks: Vec<String>,
}

impl Front {
    pub(super) fn of(config: &Config, aliases: Vec<String>) -> Self {
        let mut remarks = Vec::new();
        let url = config.public_url.as_deref().unwrap_or_else(|| {
            remarks.push(
                say(
                    "尚未设置 public_url，示例使用 notify.example.com；请设置后重新生成。",
                    "public_url is not set: notify.example.com stands in for it. Set it and print this again.",
                )
                .to_owned(),
            );
            SOMEWHERE
        });
        let (tls, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (scheme.eq_ignore_ascii_case("https"), rest),
            None => (true, url),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port.parse().ok()),
            _ => (authority, None),
        };
        let upstream = reachable(config.public_listen.unwrap_or(config.listen));
        if config.public_listen.is_none() {
            remarks.push(
                say(
                    "尚未设置 public_listen：代理转发到完整的监听地址。建议设置 public_listen，使控制台与接口即使代理配错也不会暴露。",
                    "public_listen is not set: the proxy leads to the address that serves everything. With it, the console and the API stay inside even behind a wrong proxy.",
                )
                .to_owned(),
            );
        }
        let ours = upstream.ip();
        if ours.is_loopback() && !config.trusted_proxies.contains(&ours) {
            remarks.push(format!(
                "{} trusted_proxies = [\"{ours}\"]",
                say(
                    "Hongyan 尚不信任此代理的 X-Forwarded-For，限流会把所有人算作同一地址；请设置",
                    "Hongyan does not believe this proxy's X-Forwarded-For yet, and its limits count everybody as one address; set",
                )
            ));
        } else if config.trusted_proxies.is_empty() {
            remarks.push(
                say(
                    "trusted_proxies 为空：请填入代理访问 Hongyan 时的地址，否则限流会把所有人算作同一地址。",
                    "trusted_proxies is empty: name the address from which the proxy comes, or the limits count everybody as one.",
                )
                .to_owned(),
            );
        }
        let before = config
            .trusted_proxies
            .iter()
            .copied()
            .filter(|ip| ours.is_loopback() && !ip.is_loopback())
            .collect();
        Self {
            tls,
            host: host.to_owned(),
            port: port.filter(|port| *port != if tls { 443 } else { 80 }),
            path: path.trim_end_matches('/').to_owned(),
            upstream,
            aliases,
            before,
            remarks,
        }
    }

    /// The single paths that pass, without the path of `public_url`.
    pub(super) fn singles(&self) -> impl Iterator<Item = &str> {
        std::iter::once(HEALTH).chain(self.aliases.iter().map(String::as_str))
    }
}

/// An address to connect to, for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A configuration for examples.
    pub(crate) fn config(public_url: Option<&str>, trusted: &[&str]) -> Config {
        Config {
            data_dir: "/var/lib/hongyan".into(),
            database_url: "sqlite:/var/lib/hongyan/hongyan.db".to_owned(),
            listen: "127.0.0.1:8700".parse().unwrap(),
            public_listen: Some("0.0.0.0:8702".parse().unwrap()),
            master_key_file: None,
            webhooks_allow_private: false,
            public_url: public_url.map(str::to_owned),
            trusted_proxies: trusted.iter().map(|ip| ip.parse().unwrap()).collect(),
            database_connections: 20,
            node_name: "node".to_owned(),
            lease: std::time::Duration::from_secs(12),
            retention: Default::default(),
        }
    }

    #[test]
    fn the_name_and_the_path_come_from_public_url() {
        let of = |url| Front::of(&config(Some(url), &["127.0.0.1"]), Vec::new());
        let front = of("https://push.example.com/a/b");
        assert_eq!(
            (front.host.as_str(), front.port, front.path.as_str()),
            ("push.example.com", None, "/a/b")
        );
        assert!(front.tls && front.remarks.is_empty(), "{front:?}");
        assert_eq!(front.upstream.to_string(), "127.0.0.1:8702", "0.0.0.0 is nothing to connect to");
        let front = of("http://[::1]:8080");
        assert_eq!((front.tls, front.host.as_str(), front.port), (false, "[::1]", Some(8080)));
        assert_eq!(of("https://[2001:db8::7]/x").host, "[2001:db8::7]");
        assert_eq!(of("https://x.example:443").port, None);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut bare = config(None, &[]);
        bare.public_listen = None;
        let front = Front::of(&bare, Vec::new());
        assert_eq!((front.host.as_str(), front.remarks.len()), ("notify.example.com", 3));
        assert_eq!(front.upstream, bare.listen);
        let front = Front::of(&config(Some("https://x.example"), &["127.0.0.1", "10.0.0.9"]), Vec::new());
        assert_eq!((front.before.len(), front.remarks.len()), (1, 0));
    }
}
