//! Where a request comes from when proxies stand before us. Used by the console's sign-in and by `/mp`, to count by address.

use std::net::IpAddr;

/// The address of whoever called: the peer's, or, where the peer is a proxy of ours, the last one of `X-Forwarded-For` that is not;
/// everything before that one anybody may have written.
pub fn client(peer: Option<IpAddr>, forwarded: Option<&str>, trusted: &[IpAddr]) -> String {
    let Some(peer) = peer else { return "unknown".to_owned() };
    if !trusted.contains(&peer) {
        return peer.to_string();
    }
    let last = forwarded
        .unwrap_or_default()
        .rsplit(',')
        .filter_map(|part| part.trim().parse::<IpAddr>().ok())
        .find(|ip| !trusted.contains(ip));
    last.unwrap_or(peer).to_string()
}

#[cfg(test)]
mod tests {
    use super::client;

    #[test]
    fn only_what_our_own_proxies_wrote_is_believed() {
        let ip = |text: &str| text.parse().unwrap();
        let ours = [ip("10.0.0.1"), ip("10.0.0.2")];
        let forged = Some("1.1.1.1, 2.2.2.2, 10.0.0.2");
        assert_eq!(client(Some(ip("10.0.0.1")), forged, &ours), "2.2.2.2");
        assert_eq!(client(Some(ip("9.9.9.9")), forged, &ours), "9.9.9.9");
        assert_eq!(client(Some(ip("10.0.0.1")), None, &ours), "10.0.0.1");
        assert_eq!(client(None, forged, &ours), "unknown");
    }
}
