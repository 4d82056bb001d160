//! kill -9 cannot see a missing sync, since the kernel still has the pages: so the system calls themselves are looked at.
//! Between reading a callback and answering it, a sync must have come back (I1).

use std::path::Path;
use std::process::{Child, Stdio};

use domain::{Clock, SystemClock, SystemEntropy};
use serde_json::json;
use simulator::SAMPLE_APPID;
use wechat::callback::signature;

use crate::chaos::ready;
use crate::http::call;
use crate::program::{free_address, hongyan, ok, register};
use crate::world::{TOKEN, until};

const CALLBACKS: usize = 50;

/// What a line of strace says, where it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Read,
    Synced,
    Answered,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_callback_is_synced_before_its_answer() {
    if crate::database::only_a_file() {
        return;
    }
    let test = "every_callback_is_synced_before_its_answer";
    if !strace_runs() {
        let why = "strace is missing, or may not trace here";
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{test} cannot run: {why}");
        crate::program::skipped(test, why);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    register(path, "http://127.0.0.1:9", &[]);
    ok(path, &["app", "set", SAMPLE_APPID, "--callback-mode", "plain"]);
    let address = free_address();
    let trace = path.join("strace.log");
    let calls = "fsync,fdatasync,read,recvfrom,write,writev,sendto";
    let mut traced = Traced::start(path, &address, &trace, calls);
    until("the server", || ready(&address)).await;
    let entropy = SystemEntropy::new().unwrap();
    for number in 0..CALLBACKS {
        // An event that nobody applies: no commit but its own can be taken for it.
        let body = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s",
            "CreateTime": SystemClock.now() / 1_000, "MsgType": "event", "Event": "kf_create_session", "Number": number });
        let timestamp = (SystemClock.now() / 1_000).to_string();
        let nonce = domain::Entropy::next_u64(&entropy).to_string();
        let signed = signature::sign(&[TOKEN, &timestamp, &nonce]);
        let url = format!(
            "http://{address}/callback/{SAMPLE_APPID}?signature={signed}&timestamp={timestamp}&nonce={nonce}"
        );
        let reply = call("POST", &url, &[], body.to_string()).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "success"));
    }
    traced.stop();
    let log = std::fs::read_to_string(&trace).unwrap();
    let steps: Vec<Step> = log.lines().filter_map(step).collect();
    let (mut answered, mut synced) = (0, false);
    for step in &steps {
        match step {
            Step::Read => synced = false,
            Step::Synced => synced = true,
            Step::Answered => {
                assert!(synced, "answer {answered} came before its sync");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, CALLBACKS, "every answer was seen");
    let reads = steps.iter().filter(|step| **step == Step::Read).count();
    assert_eq!(reads, CALLBACKS, "every request was seen");
}

fn step(line: &str) -> Option<Step> {
    if line.contains("POST /callback") {
        Some(Step::Read)
    } else if line.contains("HTTP/1.1 200") && line.contains("success") {
        Some(Step::Answered)
    } else {
        let sync = ["fdatasync(", "fsync(", "fdatasync resumed", "fsync resumed"];
        (sync.iter().any(|call| line.contains(call)) && line.trim_end().ends_with("= 0"))
            .then_some(Step::Synced)
    }
}

pub(crate) fn strace_runs() -> bool {
    let mut probe = std::process::Command::new("strace");
    probe.args(["-f", "-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// `hongyan serve` under strace.
pub(crate) struct Traced(Child);

impl Traced {
    /// Writes the system calls of these names (with commas, or `all`) to `trace`.
    pub(crate) fn start(path: &Path, address: &str, trace: &Path, calls: &str) -> Self {
        let serve = hongyan(path);
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-s", "400", "-e", &format!("trace={calls}"), "-o"]);
        strace.arg(trace).arg(serve.get_program()).args(["serve", "--listen", address]).current_dir(path);
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => strace.env(name, value),
                None => strace.env_remove(name),
            };
        }
        strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(strace.spawn().unwrap())
    }

    /// Asks the server to stop; strace ends with it.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        self.0.wait().unwrap();
    }

    /// Signals the server itself: strace only watches it.
    fn signal(&self, name: &str) {
        let pid = self.0.id();
        if let Ok(server) = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
            let kill = format!("kill -{name} {server}");
            let _ = std::process::Command::new("sh").args(["-c", &kill]).status();
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
