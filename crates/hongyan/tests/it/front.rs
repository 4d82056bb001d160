//! `hongyan config nginx|caddy`: the programs themselves take what is printed, pass what must face the internet, and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use domain::{Clock, SystemClock};
use serde_json::json;
use simulator::SAMPLE_APPID;
use wechat::callback::signature;

use crate::chaos::ready;
use crate::program::{Server, free_address, hongyan, ok, register};
use crate::target::Target;
use crate::world::{TOKEN, USER, until};

/// A proxy program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Caddy,
}

impl Proxy {
    fn word(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }

    /// The program; where it is missing the test fails if everything is required, and says so otherwise.
    fn program(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let found = places.map(|place| place.join(self.word())).find(|program| program.is_file());
        let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
        if found.is_none() || !curl {
            assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "no {self:?}, or no curl");
            crate::program::skipped(&format!("front with {self:?}"), "it or curl is not installed");
            return None;
        }
        found
    }

    /// The printed site, and what the test lays around it: other ports and folders than a machine's own.
    fn prepare(self, directory: &Path, site: &str) -> PathBuf {
        let file = directory.join(format!("{}.conf", self.word()));
        let text = match self {
            Self::Nginx => {
                let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
                let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
                std::fs::write(&certificate, made.cert.pem()).unwrap();
                std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
                let site = site
                    .replace(
                        "/etc/letsencrypt/live/localhost/fullchain.pem",
                        &certificate.display().to_string(),
                    )
                    .replace("/etc/letsencrypt/live/localhost/privkey.pem", &key.display().to_string())
                    .replace("/var/log/nginx", &directory.display().to_string());
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|name| format!("{name}_temp_path {}/{name};\n", directory.display()))
                    .concat();
                format!(
                    "daemon off;\nmaster_process off;\npid {0}/nginx.pid;\nerror_log {0}/error.log;\nevents {{}}\nhttp {{\n{temporary}{site}}}\n",
                    directory.display()
                )
            }
            // Its own certificates, and no trust in them beyond this folder.
            Self::Caddy => {
                format!(
                    "{{\n\tadmin off\n\tskip_install_trust\n\tlocal_certs\n\tauto_https disable_redirects\n}}\n{site}"
                )
            }
        };
        std::fs::write(&file, text).unwrap();
        file
    }

    fn command(self, program: &Path, directory: &Path, file: &Path, check: bool) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Nginx => command.arg("-p").arg(directory).arg("-c").arg(file).args(check.then_some("-t")),
            Self::Caddy => command
                .arg(if check { "validate" } else { "run" })
                .args(["--adapter", "caddyfile", "--config"])
                .arg(file),
        };
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, directory);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// A proxy that runs with what `hongyan config` printed; ends with this.
struct Front {
    child: Child,
    base: String,
    _directory: tempfile::TempDir,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Front {
    /// In front of the service in `data_dir` that listens on `upstream` (only for the public, or for everything).
    async fn start(
        proxy: Proxy,
        program: &Path,
        data_dir: &Path,
        upstream: &str,
        public: bool,
        trusted: &str,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_address().rsplit_once(':').unwrap().1.to_owned();
        let base = format!("https://localhost:{port}/hongyan");
        let printed = hongyan(data_dir)
            .args(["config", proxy.word()])
            .args([if public { "--public-listen" } else { "--listen" }, upstream])
            .env("HONGYAN_PUBLIC_URL", &base)
            .env("HONGYAN_TRUSTED_PROXIES", trusted)
            .output()
            .unwrap();
        let remarks = String::from_utf8(printed.stderr).unwrap();
        assert!(printed.status.success(), "{remarks}");
        assert_eq!(remarks.contains("public_listen"), !public, "{remarks}");
        assert_eq!(remarks.contains("trusted_proxies"), trusted.is_empty(), "{remarks}");
        let file = proxy.prepare(directory.path(), &String::from_utf8(printed.stdout).unwrap());
        let checked =
            proxy.command(program, directory.path(), &file, true).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && !said.contains("[warn]"), "{said}");
        let log = std::fs::File::create(directory.path().join("proxy.log")).unwrap();
        let child = proxy.command(program, directory.path(), &file, false).stderr(log).spawn().unwrap();
        let front = Self { child, base, _directory: directory };
        until("the proxy", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).await.ok()?;
            (front.call(&["--max-time", "5"], "/").0 != 0).then_some(())
        })
        .await;
        front
    }

    /// A call through the proxy, its path as it stands; gives status and body.
    fn call(&self, arguments: &[&str], path: &str) -> (u16, String) {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--insecure",
                "--path-as-is",
                "--noproxy",
                "*",
                "--write-out",
                "\n%{http_code}",
            ])
            .args(arguments)
            .arg(format!("{}{path}", self.base))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let (body, status) = said.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

fn signed() -> String {
    let timestamp = (SystemClock.now() / 1_000).to_string();
    let signature = signature::sign(&[TOKEN, &timestamp, "nonce"]);
    format!("signature={signature}&timestamp={timestamp}&nonce=nonce")
}

async fn only_what_is_public_passes(proxy: Proxy, public: bool) {
    let Some(program) = proxy.program() else { return };
    if crate::database::only_a_file() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    register(path, "http://127.0.0.1:9", &["--callback-mode", "plain", "--alias", "/user"]);
    let (main, outside) = (free_address(), free_address());
    let mut serve = hongyan(path);
    serve.env("HONGYAN_PUBLIC_LISTEN", &outside);
    let _server = Server::of(serve, path, &main);
    until("the server", || ready(&main)).await;
    let upstream = if public { &outside } else { &main };
    let front = Front::start(proxy, &program, path, upstream, public, "127.0.0.1").await;

    let event = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": USER, "CreateTime": SystemClock.now() / 1_000,
        "MsgType": "event", "Event": "subscribe_msg_popup_event",
        "List": { "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": crate::world::FEE } })
    .to_string();
    for callback in [format!("/callback/{SAMPLE_APPID}"), "/user".to_owned()] {
        let verified = front.call(&[], &format!("{callback}?{}&echostr=echo42", signed()));
        assert_eq!(verified, (200, "echo42".to_owned()), "{proxy:?} {callback}");
        let pushed = front.call(&["--data-binary", &event], &format!("{callback}?{}", signed()));
        assert_eq!(pushed, (200, "success".to_owned()), "{proxy:?} {callback}");
    }
    assert_eq!(front.call(&[], "/healthz").0, 200);
    let (status, body) = front.call(&[], &format!("/mp/{SAMPLE_APPID}/ask"));
    assert!(status == 401 && body.contains("invalid_session"), "{proxy:?}: {status} {body}");

    for inside in [
        "/",
        "/metrics",
        "/readyz",
        "/docs",
        "/setup",
        "/login",
        "/kit/hongyan.js",
        "/user/more",
        "/api/v1/apps",
        "/api/v1/openapi.json",
        "/callback/../metrics",
        "/callback/..%2fmetrics",
        "/callback/%2e%2e/api/v1/openapi.json",
        "/mp/x/../../docs",
        "//metrics",
    ] {
        let (status, body) = front.call(&[], inside);
        assert!(status == 404 && !body.contains("problem+json"), "{proxy:?} {inside}: {status} {body}");
        assert!(!body.contains("\"code\""), "{proxy:?} {inside} reached the service: {body}");
    }
    // Understood by the proxy as a callback; whatever it passes on, it is no way to the inside.
    for crooked in ["/api/../callback/x", "/metrics/../callback/x", "/callback/x/%2e%2e/y"] {
        let (status, body) = front.call(&[], crooked);
        assert!(status >= 400 && !body.contains("hongyan_"), "{proxy:?} {crooked}: {status} {body}");
    }

    let large = path.join("large");
    std::fs::write(&large, vec![b'x'; 600 * 1024]).unwrap();
    let data = format!("@{}", large.display());
    let (status, _) =
        front.call(&["--data-binary", &data], &format!("/callback/{SAMPLE_APPID}?{}", signed()));
    // Caddy 2.6 says 502 where its own limit cut the body off.
    assert!(status == 413 || (proxy == Proxy::Caddy && status == 502), "{proxy:?}: {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_passes_only_what_is_public() {
    only_what_is_public_passes(Proxy::Nginx, true).await;
    only_what_is_public_passes(Proxy::Nginx, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_passes_only_what_is_public() {
    only_what_is_public_passes(Proxy::Caddy, true).await;
    only_what_is_public_passes(Proxy::Caddy, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_an_address_that_is_believed() {
    for proxy in [Proxy::Nginx, Proxy::Caddy] {
        let Some(program) = proxy.program() else { continue };
        let directory = tempfile::tempdir().unwrap();
        let target = Target::start().await;
        let upstream = target.url.trim_start_matches("http://").trim_end_matches("/wx");
        for (trusted, comes_as) in [("", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")] {
            let front = Front::start(proxy, &program, directory.path(), upstream, true, trusted).await;
            front.call(&["--header", "X-Forwarded-For: 6.6.6.6"], "/mp/wx1/ask?code=1");
            let got = target.got();
            let last = got.last().unwrap();
            assert_eq!((last.path.as_str(), last.query.as_str()), ("/mp/wx1/ask", "code=1"), "{proxy:?}");
            assert_eq!(last.header("x-forwarded-for"), Some(comes_as), "{proxy:?}");
        }
        // Behind a balancer that is trusted nginx keeps the chain, to which the service reads from its end.
        if proxy == Proxy::Nginx {
            let front =
                Front::start(proxy, &program, directory.path(), upstream, true, "127.0.0.1,10.0.0.9").await;
            front.call(&["--header", "X-Forwarded-For: 6.6.6.6, 10.0.0.9"], "/healthz");
            let got = target.got();
            assert_eq!(got.last().unwrap().header("x-forwarded-for"), Some("6.6.6.6, 10.0.0.9, 127.0.0.1"));
        }
    }
}

#[test]
fn without_settings_the_examples_say_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    for (word, name) in [("nginx", "server_name notify.example.com;"), ("caddy", "\nnotify.example.com {")] {
        let text = ok(directory.path(), &["config", word]);
        assert!(text.contains(name) && text.contains("# ! public_url is not set"), "{text}");
        assert!(text.contains("trusted_proxies = [\"127.0.0.1\"]"), "{text}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "printing makes no database");
}
