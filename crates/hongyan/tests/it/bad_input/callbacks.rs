//! Callbacks: each gets its status and one log line, has no effect, shows no secret, and the next good one counts.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use domain::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::craft::{Callback, Envelope, MARK, PLAIN_APP, SAFE_APP, accept, deep, entities, many};
use crate::http::{Reply, call};
use crate::program::{Server, free_address, hongyan, ok};
use crate::world::{AES_KEY, FEE, TOKEN, until};

const BAD: &str = "oBadInput000000000000000bad1";
const GOOD: &str = "oGoodInput00000000000000good";
const SECRET: &str = "an-AppSecret-that-nobody-sees";

/// What becomes of a callback.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Not taken: this status, and a word of the log line.
    Refused(u16, &'static str),
    /// `success`, kept without effect for this reason.
    Quarantined(&'static str),
}
use Fate::{Quarantined, Refused};

/// Every case, its name first. `now` in Unix seconds.
fn cases(now: i64) -> Vec<(&'static str, Callback, Fate)> {
    let right = Envelope::at(now);
    let event = accept(BAD, FEE, now);
    let sealed = right.seal(&event);
    let text = |callback: &Callback| -> String {
        let body: Value = serde_json::from_slice(&callback.body).unwrap();
        body["Encrypt"].as_str().unwrap().to_owned()
    };
    let encrypt = text(&sealed);
    let other_token = Envelope { token: "anotherToken2026", ..right };
    let other_app = Envelope { app_id: "wx0000000000000000", ..right };
    let other_key = Envelope { key: "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", ..right };
    let (old, ahead) = (Envelope::at(now - 7_200), Envelope::at(now + 7_200));
    let xml = Envelope { xml: true, ..right };
    let not_utf8 = |text: &str| -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        let at = text.find(MARK).unwrap();
        bytes[at] = 0xff;
        bytes
    };
    let mut swapped = right.seal(&event);
    swapped.body = right.seal(accept(BAD, FEE, now - 1)).body;
    let mut no_signature = right.seal(&event);
    no_signature.query = no_signature.query.split("&msg_signature").next().unwrap().to_owned();
    vec![
        ("a signature by another token", other_token.seal(&event), Refused(403, "bad_signature")),
        ("a signature of another body", swapped, Refused(403, "bad_signature")),
        ("no signature of the body", no_signature, Refused(400, "missing_parameter")),
        ("a wrong signature in plain mode", other_token.plain(event.clone()), Refused(403, "bad_signature")),
        ("plain where safe is set", Callback { app: SAFE_APP, ..right.plain(event.clone()) }, Refused(403, "weaker_mode")),
        ("two hours old", old.seal(&event), Quarantined("stale_timestamp")),
        ("two hours ahead", ahead.seal(accept(BAD, FEE, now - 2)), Quarantined("stale_timestamp")),
        // The same event at another app is another event.
        ("two hours old in plain mode", old.plain(event.clone()), Quarantined("stale_timestamp")),
        ("no time at all", right.signed_without_time(&encrypt), Refused(400, "missing_parameter")),
        ("another AppID", other_app.seal(&event), Refused(403, "wrong_app_id")),
        ("another AES key", other_key.seal(&event), Refused(400, "malformed")),
        ("garbage for base64", right.around("%%% not base64 %%%"), Refused(400, "malformed")),
        ("nothing for base64", right.around(""), Refused(400, "malformed")),
        ("base64 without its padding", right.around(encrypt.trim_end_matches('=').get(..41).unwrap()), Refused(400, "malformed")),
        ("a ciphertext cut within a block", right.around(&encrypt[..40]), Refused(400, "malformed")),
        ("a ciphertext cut between blocks", right.around(&encrypt[..64]), Refused(400, "malformed")),
        ("padding of 33", right.cut_after(b"{\"MsgType\":\"event\",\"aaa\":\"!!"), Refused(400, "malformed")),
        ("padding of 0", right.cut_after(b"{\"MsgType\":\"event\",\"aaaaaa\"\0"), Refused(400, "malformed")),
        ("uneven padding", right.cut_after(b"{\"MsgType\":\"event\",\"aaaaa\"x\x02"), Refused(400, "malformed")),
        ("a length beyond the text", right.cut_after(b"{\"MsgType\":\"event\",\"aaaaa\"x\x01"), Refused(400, "malformed")),
        ("Encrypt is an object", right.signed("", r#"{"ToUserName":"gh_1","Encrypt":{}}"#), Refused(400, "malformed")),
        ("neither JSON nor XML", right.plain("hello"), Refused(400, "malformed")),
        ("nothing", right.plain(""), Refused(400, "malformed")),
        ("half of JSON", right.plain(&event.as_bytes()[..event.len() / 2]), Refused(400, "malformed")),
        ("half of XML", right.plain(format!("<xml><MsgType>{MARK}")), Refused(400, "malformed")),
        ("invalid UTF-8 in JSON", right.plain(not_utf8(&event)), Refused(400, "malformed")),
        ("invalid UTF-8 in XML", right.plain(not_utf8(&deep(3))), Refused(400, "malformed")),
        ("invalid UTF-8 inside", right.seal(not_utf8(&event)), Quarantined("unreadable")),
        ("entities in XML", right.plain(entities(BAD, now)), Refused(400, "malformed")),
        ("entities inside", xml.seal(entities(BAD, now)), Quarantined("unreadable")),
        ("10,000 levels of XML", right.plain(deep(10_000)), Refused(400, "malformed")),
        ("10,000 levels of XML inside", xml.seal(deep(10_000)), Quarantined("unreadable")),
        ("10,000 levels of JSON", right.plain(format!("{{\"a\":{}", "[".repeat(10_000))), Refused(400, "malformed")),
        ("10,000 levels of JSON inside", right.seal(format!("{{\"a\":{}", "[".repeat(10_000))), Quarantined("unreadable")),
        ("a List of 5,000", right.plain(many(BAD, 5_000, now)), Quarantined("unreadable")),
        ("a List of 5,000 inside", right.seal(many(BAD, 5_000, now)), Quarantined("unreadable")),
        ("an event without its parts", right.seal(format!(r#"{{"MsgType":"event","Event":"subscribe_msg_popup_event","FromUserName":"{BAD}","Note":"{MARK}"}}"#)), Quarantined("unreadable")),
        ("one byte too many", right.plain(vec![b'{'; 256 * 1024 + 1]), Refused(413, "too_large")),
        ("10 MB", right.plain(vec![b'{'; 10 << 20]), Refused(413, "too_large")),
        ("10 MB inside", right.seal(vec![b'{'; 10 << 20]), Refused(413, "too_large")),
    ]
}

impl Envelope {
    /// The signature is that of an empty time.
    fn signed_without_time(&self, encrypt: &str) -> Callback {
        let made = self.around(encrypt);
        let query = made.query.replace(&format!("timestamp={}", self.timestamp), "timestamp=");
        Callback { query, ..made }
    }
}

struct Running {
    _server: Server,
    address: String,
    bearer: String,
    directory: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (app, mode) in [(SAFE_APP, "safe"), (PLAIN_APP, "plain")] {
            add(path, app, mode);
        }
        let key = ok(path, &["key", "create", "--name", "x", "--all-apps", "--scope", "send,read"]);
        let address = free_address();
        let server = Server::start(path, &address);
        until("the server", || async { tokio::net::TcpStream::connect(&address).await.ok().map(drop) }).await;
        Self { _server: server, address, bearer: format!("Bearer {}", key.trim()), directory }
    }

    async fn get(&self, app: &str, path: &str) -> Value {
        let url = format!("http://{}/api/v1/apps/{app}{path}", self.address);
        let reply = call("GET", &url, &[("authorization", &self.bearer), ("connection", "close")], "").await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
        reply.json()
    }

    async fn post(&self, callback: Callback) -> Reply {
        let Callback { app, query, body } = callback;
        let url = format!("http://{}/callback/{app}?{query}", self.address);
        call("POST", &url, &[("connection", "close")], body).await
    }

    /// The lines that were logged after the first `seen` bytes.
    fn logged_since(&self, seen: usize) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join("serve.log")).unwrap();
        log[seen..].lines().map(str::to_owned).collect()
    }

    fn log_length(&self) -> usize {
        usize::try_from(std::fs::metadata(self.directory.path().join("serve.log")).unwrap().len()).unwrap()
    }

    async fn quarantined(&self, app: &str) -> Vec<Value> {
        let rows = self.get(app, "/callbacks?verdict=quarantined&limit=500").await;
        rows["items"].as_array().unwrap().clone()
    }
}

fn add(path: &Path, app: &str, mode: &str) {
    let mut add = hongyan(path);
    add.args([
        "app",
        "add",
        app,
        "--name",
        "x",
        "--secret-stdin",
        "--callback-token",
        TOKEN,
        "--aes-key",
        AES_KEY,
    ])
    .args([
        "--callback-mode",
        mode,
        "--callback-format",
        "json",
        "--api-base-url",
        "http://127.0.0.1:9",
    ]);
    let mut child = add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i3_every_bad_callback_has_its_answer_one_log_line_and_no_effect() {
    let running = Running::start().await;
    let now = SystemClock.now() / 1_000;
    let good = |at: i64| Envelope::at(at).seal(accept(GOOD, FEE, at));
    assert_eq!(running.post(good(now)).await.text, "success");
    let mut expected = [(SAFE_APP, 0), (PLAIN_APP, 0)];
    for (name, callback, fate) in cases(now) {
        let (app, seen) = (callback.app, running.log_length());
        let reply = running.post(callback).await;
        match &fate {
            Refused(status, _) => assert_eq!(reply.status, *status, "{name}: {}", reply.text),
            Quarantined(_) => assert_eq!((reply.status, &*reply.text), (200, "success"), "{name}"),
        }
        let rows = running.quarantined(app).await;
        let count = expected.iter_mut().find(|(one, _)| *one == app).map(|(_, count)| count).unwrap();
        *count += usize::from(matches!(fate, Quarantined(_)));
        assert_eq!(rows.len(), *count, "{name}: kept or not, as it should be");
        if let Quarantined(reason) = fate {
            assert_eq!(rows[0]["reason"], reason, "{name}");
        }

        let logged = running.logged_since(seen);
        let [line] = logged.as_slice() else { panic!("{name}: not one line: {logged:#?}") };
        assert!(line.contains("WARN") && line.contains(app), "{name}: {line}");
        let word = match fate {
            Refused(_, word) => word,
            Quarantined(_) => "quarantined",
        };
        assert!(line.contains(word), "{name}: {line}");
        for hidden in [TOKEN, AES_KEY, SECRET, MARK, BAD, "signature="] {
            assert!(
                !line.contains(hidden) && !reply.text.contains(hidden),
                "{name}: {line} / {}",
                reply.text
            );
        }
        assert!(line.len() < 400, "{name}: {line}");
    }
    for app in [SAFE_APP, PLAIN_APP] {
        let subscriptions = running.get(app, &format!("/subscriptions?openid={BAD}")).await;
        assert_eq!(subscriptions["items"], json!([]), "no effect");
        let others = running.get(app, "/callbacks?verdict=applied").await;
        assert!(others["items"].as_array().unwrap().len() <= 1, "{others}");
    }
    // It goes on: the grant before all this and one after it are there.
    assert_eq!(running.post(good(now + 1)).await.text, "success");
    until("both grants", || async {
        let rows = running.get(SAFE_APP, &format!("/subscriptions?openid={GOOD}")).await;
        (rows["items"][0]["balance"] == 2).then_some(())
    })
    .await;
    let log = running.logged_since(0).join("\n");
    assert!(!log.contains("panicked"), "{log}");
}
