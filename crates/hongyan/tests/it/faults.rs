//! `hongyan simulator` with a fault script, and `simulator faults` at a running one.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::http::call;
use crate::program::{free_address, hongyan, ok, run};
use crate::world::until;

/// Killed when it goes out of scope.
struct Simulator(Child);

impl Simulator {
    async fn start(directory: &Path, address: &str, more: &[&str]) -> Self {
        let mut command = hongyan(directory);
        command.args(["simulator", "--listen", address]).args(more);
        let child = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until("the simulator", || async {
            tokio::net::TcpStream::connect(address).await.ok()?;
            (call("GET", &format!("http://{address}/_sim/apps"), &[], "").await.status == 200).then_some(())
        })
        .await;
        child
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_set_shown_and_cleared_by_command() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::write(
        path.join("faults.toml"),
        "[[rules]]\non = \"tokens\"\nfault = \"errcode\"\nerrcode = 40164\nnext = 1\n",
    )
    .unwrap();
    std::fs::write(path.join("faults.json"), r#"{"seed":5,"rules":[{"on":"stable_token","fault":"html"}]}"#)
        .unwrap();
    std::fs::write(path.join("wrong.toml"), "[[rules]]\non = \"send\"\nfault = \"lost\"\n").unwrap();
    std::fs::write(path.join("typo.toml"), "[[rules]]\non = \"send\"\nfault = \"html\"\nevry = 2\n").unwrap();
    let address = free_address();
    let at = format!("http://{address}");
    let _simulator = Simulator::start(path, &address, &["--faults", "faults.toml"]).await;
    let app = simulator::sample_app();
    let token = async || {
        let body = format!(
            r#"{{"grant_type":"client_credential","appid":"{}","secret":"{}"}}"#,
            simulator::SAMPLE_APPID,
            app.secret
        );
        call("POST", &format!("{at}/cgi-bin/stable_token"), &[], body).await.text
    };
    assert!(token().await.contains("40164"));
    assert!(token().await.contains("access_token"));
    let shown = ok(path, &["simulator", "faults", "show", "--at", &at]);
    assert!(shown.contains("tokens") && shown.contains("errcode=40164 next=1"), "{shown}");

    ok(path, &["simulator", "faults", "set", "faults.json", "--at", &at]);
    assert!(token().await.contains("<html>"));
    let shown = ok(path, &["simulator", "faults", "show", "--at", &at, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((shown["seed"].as_u64(), shown["states"][0]["fired"].as_u64()), (Some(5), Some(1)));
    let log = ok(path, &["simulator", "faults", "log", "--at", &at]);
    assert!(log.contains("html") && log.contains("no effect, caller unsure"), "{log}");

    let says = |arguments: &[&str], part: &str| {
        let output = run(path, arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    says(&["simulator", "faults", "set", "wrong.toml", "--at", &at], "lost does not happen on send");
    says(&["simulator", "faults", "set", "typo.toml", "--at", &at], "evry");
    says(&["simulator", "faults", "set", "none.toml", "--at", &at], "none.toml");
    says(&["simulator", "faults", "show", "--at", &at, "--app", "wxnone"], "no app wxnone");
    let nobody = format!("http://{}", free_address());
    says(&["simulator", "faults", "show", "--at", &nobody], "--at");
    says(&["simulator", "--faults", "typo.toml"], "evry");
    assert!(token().await.contains("<html>"), "a wrong script changes nothing");

    ok(path, &["simulator", "faults", "clear", "--at", &at]);
    assert!(token().await.contains("access_token"));
}
