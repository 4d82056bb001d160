//! `hongyan config caddy`: a site that passes what must face the internet, and nothing else.

use std::fmt::Write as _;

use super::front::{Front, MAX_BODY_KB, TREES};

/// The site, for the Caddyfile.
pub(super) fn site(front: &Front) -> String {
    let mut text = String::from(
        "# Hongyan behind Caddy, by `hongyan config caddy`. Only what must face the internet passes: callbacks, mini programs, health.\n\
         # 由 hongyan config caddy 生成；仅放行微信回调、小程序接口与健康检查。证书由 Caddy 自动申请和续期。\n\
         # /etc/caddy/Caddyfile, then: caddy validate --config /etc/caddy/Caddyfile && systemctl reload caddy\n",
    );
    for remark in &front.remarks {
        let _ = writeln!(text, "# ! {remark}");
    }
    let Front { host, upstream, path, .. } = front;
    let scheme = if front.tls { "" } else { "http://" };
    let port = front.port.map(|port| format!(":{port}")).unwrap_or_default();
    let trees = TREES.map(|tree| format!("{path}{tree}*")).join(" ");
    let singles: Vec<String> = front.singles().map(|single| format!("{path}{single}")).collect();
    let _ = write!(
        text,
        "\n{scheme}{host}{port} {{\n\t# No access log: a callback's query holds signatures and the user's openid.\n\
         \trequest_body {{\n\t\tmax_size {MAX_BODY_KB}KB\n\t}}\n\n\t@hongyan path {trees} {}\n\thandle @hongyan {{\n",
        singles.join(" ")
    );
    if !path.is_empty() {
        let _ = writeln!(text, "\t\turi strip_prefix {path}");
    }
    let _ = writeln!(text, "\t\treverse_proxy {upstream} {{");
    if !front.before.is_empty() {
        // Whatever else comes with an X-Forwarded-For has it replaced by Caddy.
        let before: Vec<String> = front.before.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "\t\t\ttrusted_proxies {}", before.join(" "));
    }
    text.push_str(
        "\t\t\ttransport http {\n\t\t\t\tdial_timeout 2s\n\t\t\t\tresponse_header_timeout 30s\n\t\t\t}\n\t\t}\n\t}\n\
         \thandle {\n\t\trespond 404\n\t}\n}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::super::front::tests::config;
    use super::*;

    #[test]
    fn paths_lead_from_public_url_to_the_service() {
        let config = config(Some("https://push.example.com/hongyan"), &["127.0.0.1", "10.0.0.9"]);
        let text = site(&Front::of(&config, vec!["/user".to_owned()]));
        for line in [
            "\npush.example.com {\n",
            "@hongyan path /hongyan/callback/* /hongyan/mp/* /hongyan/healthz /hongyan/user\n",
            "uri strip_prefix /hongyan\n",
            "reverse_proxy 127.0.0.1:8702 {\n",
            "trusted_proxies 10.0.0.9\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn without_a_path_nothing_is_stripped() {
        let config = config(Some("http://push.example.com:8080"), &["127.0.0.1"]);
        let text = site(&Front::of(&config, Vec::new()));
        assert!(text.contains("\nhttp://push.example.com:8080 {\n"), "{text}");
        assert!(!text.contains("strip_prefix") && !text.contains("trusted_proxies"), "{text}");
    }
}
