//! A WeChat that does as it is told, call by call, on a raw socket.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(super) const SEND: &str = "/cgi-bin/message/subscribe/send";
pub(super) const TOKEN: &str = "/cgi-bin/stable_token";

/// What becomes of one call.
#[derive(Clone)]
pub(super) enum Act {
    /// 200 with this body.
    Body(String),
    /// This status with an HTML page.
    Html(u16),
    /// The connection closes before the request is read.
    CutBefore,
    /// The connection closes after the request was read.
    CutAfter,
    /// Half of a body, then the connection closes.
    HalfBody,
    /// Never an answer.
    Hang,
    /// This body, once it is told to.
    Held(Arc<Semaphore>, String),
}

pub(super) fn errcode(code: i64, errmsg: &str) -> Act {
    Act::Body(format!(r#"{{"errcode":{code},"errmsg":"{errmsg} rid: 65a1-2b3c-4d5e"}}"#))
}

pub(super) fn accepted(msgid: u64) -> Act {
    Act::Body(accepted_text(msgid))
}

pub(super) fn accepted_text(msgid: u64) -> String {
    format!(r#"{{"errcode":0,"errmsg":"ok","msgid":{msgid}}}"#)
}

#[derive(Default)]
struct Script {
    /// By path, or by the openid that is sent to, which comes first.
    acts: HashMap<String, VecDeque<Act>>,
    /// Path and body of every call that was read.
    calls: Vec<(String, Value)>,
    open: HashMap<String, usize>,
    /// Openids with two calls at the same time: against I6.
    together: Vec<String>,
    tokens: u64,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) url: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { url, script: Arc::default() };
        let script = Arc::clone(&fake.script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script)));
            }
        });
        fake
    }

    /// What becomes of the next calls of a path, or to an openid; those after them succeed.
    pub(super) fn script(&self, of: &str, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().acts.entry(of.to_owned()).or_default().extend(acts);
    }

    /// From now on every call succeeds.
    pub(super) fn well(&self) {
        self.script.lock().unwrap().acts.clear();
    }

    /// How many calls of a path were read.
    pub(super) fn calls(&self, path: &str) -> usize {
        self.script.lock().unwrap().calls.iter().filter(|(called, _)| called == path).count()
    }

    /// How many sends to a person were read.
    pub(super) fn sends_to(&self, openid: &str) -> usize {
        let script = self.script.lock().unwrap();
        script.calls.iter().filter(|(path, body)| path == SEND && body["touser"] == openid).count()
    }

    /// Nobody had two calls at the same time (I6), and every act was played.
    pub(super) fn check(&self) {
        let script = self.script.lock().unwrap();
        assert_eq!(script.together, Vec::<String>::new(), "two calls at once");
        let left: usize = script.acts.values().map(VecDeque::len).sum();
        assert_eq!(left, 0, "acts that no call came for");
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    // Only a cut before the request is read is decided without it: such a script holds nothing else first.
    let cut = {
        let mut script = script.lock().unwrap();
        let sends = script.acts.entry(SEND.to_owned()).or_default();
        sends.pop_front_if(|act| matches!(act, Act::CutBefore)).is_some()
    };
    if cut {
        // Waits for the first byte, so that the other side has certainly begun.
        let _ = stream.readable().await;
        return;
    }
    while let Some((path, body)) = read(&mut stream).await {
        let openid = body["touser"].as_str().unwrap_or_default().to_owned();
        let act = begin(&script, &path, &body, &openid);
        let alive = play(&mut stream, act).await;
        if let Some(open) = script.lock().unwrap().open.get_mut(&openid) {
            *open -= 1;
        }
        if !alive {
            return;
        }
    }
}

fn begin(script: &Mutex<Script>, path: &str, body: &Value, openid: &str) -> Act {
    let mut script = script.lock().unwrap();
    script.calls.push((path.to_owned(), body.clone()));
    if !openid.is_empty() {
        let open = script.open.entry(openid.to_owned()).or_default();
        *open += 1;
        if *open > 1 {
            script.together.push(openid.to_owned());
        }
    }
    for of in [openid, path] {
        if let Some(act) = script.acts.get_mut(of).and_then(VecDeque::pop_front) {
            return act;
        }
    }
    if path == TOKEN {
        script.tokens += 1;
        let token = format!("fake-token-{}", script.tokens);
        return Act::Body(format!(r#"{{"access_token":"{token}","expires_in":7200}}"#));
    }
    accepted(1_000 + script.calls.len() as u64)
}

/// Plays an act; gives whether the connection goes on.
async fn play(stream: &mut TcpStream, act: Act) -> bool {
    let answer = |status: u16, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let bytes = match act {
        Act::Body(body) => answer(200, &body),
        Act::Html(status) => answer(status, "<html><body>nginx</body></html>"),
        Act::CutBefore | Act::CutAfter => return false,
        Act::HalfBody => {
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"errcode\":0,\"errm";
            let _ = stream.write_all(half.as_bytes()).await;
            return false;
        }
        Act::Hang => {
            // Until the other side gives up.
            let _ = stream.read_u8().await;
            return false;
        }
        Act::Held(told, body) => {
            // The other side may give up first.
            tokio::select! {
                told = told.acquire() => told.unwrap().forget(),
                _ = stream.readable() => return false,
            }
            answer(200, &body)
        }
    };
    stream.write_all(bytes.as_bytes()).await.is_ok()
}

/// Reads one request: its path without the query, and its JSON.
async fn read(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()
                })
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                let path = head.split(' ').nth(1)?.split('?').next()?.to_owned();
                let body = serde_json::from_slice(&bytes[end + 4..end + 4 + length]).unwrap_or_default();
                return Some((path, body));
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
