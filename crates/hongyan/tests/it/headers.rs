//! What every answer carries for the browser that may get it, on both addresses; what the console adds.

use simulator::SAMPLE_APPID;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_taken_for_something_else() {
    let world = World::new(false).await;
    let bearer = format!("Bearer {}", world.key);
    let headers = [("authorization", bearer.as_str()), ("connection", "close")];
    let apps = format!("api/v1/apps/{SAMPLE_APPID}/messages");
    for (path, status) in [
        ("healthz", 200),
        ("metrics", 200),
        ("docs", 200),
        ("login", 303),
        (apps.as_str(), 200),
        ("api/v1/apps/wx0000000000000000", 404),
        ("nowhere", 404),
        ("callback/wx5a3f0c2b7d9e4186", 400),
        ("mp/wx5a3f0c2b7d9e4186/ask", 401),
    ] {
        let reply = crate::http::call("GET", &format!("{}/{path}", world.url), &headers, "").await;
        assert_eq!(reply.status, status, "{path}");
        let header =
            |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        let policy = header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe-inline") || path == "docs", "{path}: {policy}");
        assert_eq!(
            header("cache-control") == "no-store",
            path.starts_with("api/") || path == "login",
            "{path}"
        );
    }
}
