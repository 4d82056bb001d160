//! `hongyan config nginx`: a site that passes what must face the internet, and nothing else.

use std::fmt::Write as _;

use super::front::{Front, MAX_BODY_KB, TREES};

/// The site, for `/etc/nginx/conf.d`.
pub(super) fn site(front: &Front) -> String {
    let mut text = String::from(
        "# Hongyan behind nginx, by `hongyan config nginx`. Only what must face the internet passes: callbacks, mini programs, health.\n\
         # 由 hongyan config nginx 生成；仅放行微信回调、小程序接口与健康检查。\n\
         # /etc/nginx/conf.d/hongyan.conf, then: nginx -t && systemctl reload nginx\n",
    );
    for remark in &front.remarks {
        let _ = writeln!(text, "# ! {remark}");
    }
    let Front { host, upstream, path, .. } = front;
    let usual = if front.tls { 443 } else { 80 };
    let port = front.port.unwrap_or(usual);
    let tls = if front.tls { " ssl" } else { "" };
    let _ = write!(
        text,
        "\nupstream hongyan {{\n    server {upstream};\n    keepalive 32;\n}}\n\n\
         # Without the query: a callback's holds signatures and the user's openid.\n\
         log_format hongyan '$remote_addr [$time_iso8601] \"$request_method $uri\" $status $body_bytes_sent $request_time';\n\n"
    );
    if front.tls && front.port.is_none() {
        let _ = write!(
            text,
            "server {{\n    listen 80;\n    listen [::]:80;\n    server_name {host};\n\n    \
             # For certificates by ACME (certbot --webroot).\n    \
             location /.well-known/acme-challenge/ {{\n        root /var/www/html;\n    }}\n    \
             location / {{\n        return 301 https://$host$request_uri;\n    }}\n}}\n\n"
        );
    }
    let _ = write!(
        text,
        "server {{\n    listen {port}{tls};\n    listen [::]:{port}{tls};\n    server_name {host};\n    \
         access_log /var/log/nginx/hongyan.log hongyan;\n    server_tokens off;\n"
    );
    if front.tls {
        let _ = write!(
            text,
            "\n    ssl_certificate     /etc/letsencrypt/live/{host}/fullchain.pem;\n    \
             ssl_certificate_key /etc/letsencrypt/live/{host}/privkey.pem;\n    \
             ssl_protocols TLSv1.2 TLSv1.3;\n    ssl_session_cache shared:hongyan:1m;\n    ssl_session_tickets off;\n"
        );
    }
    // What stood in the header before is worth something only where a proxy of ours wrote it.
    let forwarded = if front.before.is_empty() { "$remote_addr" } else { "$proxy_add_x_forwarded_for" };
    let _ = write!(
        text,
        "\n    client_max_body_size {MAX_BODY_KB}k;\n    client_header_timeout 10s;\n    client_body_timeout 10s;\n\n    \
         proxy_http_version 1.1;\n    proxy_set_header Connection \"\";\n    proxy_set_header Host $host;\n    \
         # Hongyan believes it where trusted_proxies names this proxy.\n    \
         proxy_set_header X-Forwarded-For {forwarded};\n    \
         proxy_connect_timeout 2s;\n    proxy_read_timeout 30s;\n\n"
    );
    for tree in TREES {
        // With a path behind the name nginx passes the path as it understood it, and not as it was written.
        let _ = writeln!(text, "    location ^~ {path}{tree} {{ proxy_pass http://hongyan{tree}; }}");
    }
    for single in front.singles() {
        let _ = writeln!(text, "    location = {path}{single} {{ proxy_pass http://hongyan{single}; }}");
    }
    text.push_str("    location / { return 404; }\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::super::front::tests::config;
    use super::*;

    #[test]
    fn paths_lead_from_public_url_to_the_service() {
        let config = config(Some("https://push.example.com/hongyan"), &["127.0.0.1"]);
        let text = site(&Front::of(&config, vec!["/user".to_owned()]));
        for line in [
            "server 127.0.0.1:8702;",
            "server_name push.example.com;",
            "ssl_certificate     /etc/letsencrypt/live/push.example.com/fullchain.pem;",
            "location ^~ /hongyan/callback/ { proxy_pass http://hongyan/callback/; }",
            "location = /hongyan/user { proxy_pass http://hongyan/user; }",
            "location = /hongyan/healthz { proxy_pass http://hongyan/healthz; }",
            "proxy_set_header X-Forwarded-For $remote_addr;",
            "return 301 https://$host$request_uri;",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("# !"), "{text}");
    }

    #[test]
    fn what_a_proxy_before_wrote_is_kept_and_plain_http_has_no_certificate() {
        let config = config(Some("http://push.example.com:8080"), &["127.0.0.1", "10.0.0.9"]);
        let text = site(&Front::of(&config, Vec::new()));
        assert!(text.contains("X-Forwarded-For $proxy_add_x_forwarded_for;"), "{text}");
        assert!(text.contains("listen 8080;") && !text.contains("ssl_"), "{text}");
    }
}
