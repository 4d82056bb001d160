//! Other people's SDKs on WeChat's side and on ours: wechatpy (Python) and node-easywechat sign, encrypt and push what the
//! service has to take, decrypt what it answers, and call the simulated WeChat as they would call the real one.
//!
//! The programs lie in `tests/peers`; `cargo xtask test` installs their packages.

mod calls;
mod pushes;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Wechatpy,
    EasyWechat,
}

impl Peer {
    const ALL: [Self; 2] = [Self::Wechatpy, Self::EasyWechat];

    /// Those that can run here. One that cannot fails the test where everything is required, and is told elsewhere.
    fn present(test: &str) -> Vec<Self> {
        let mut present = Vec::new();
        for peer in Self::ALL {
            match peer.missing() {
                None => present.push(peer),
                Some(why) => {
                    assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{test} cannot run: {why}");
                    crate::program::skipped(&format!("{test} with {peer:?}"), &why);
                }
            }
        }
        present
    }

    fn missing(self) -> Option<String> {
        match self {
            Self::Wechatpy if !python().is_file() => {
                Some(format!("no {}; cargo xtask test makes it", python().display()))
            }
            Self::EasyWechat if !folder().join("node_modules/node-easywechat").exists() => {
                Some("node-easywechat is not installed (npm ci in crates/hongyan/tests/peers)".to_owned())
            }
            Self::EasyWechat if Command::new("node").arg("--version").output().is_err() => {
                Some("no node".to_owned())
            }
            Self::Wechatpy | Self::EasyWechat => None,
        }
    }

    /// Has the peer do what the word says; gives what it tells.
    async fn ask(self, word: &'static str, ask: Value) -> Value {
        tokio::task::spawn_blocking(move || {
            let mut command = match self {
                Self::Wechatpy => Command::new(python()),
                Self::EasyWechat => Command::new("node"),
            };
            command.arg(match self {
                Self::Wechatpy => "wechatpy_peer.py",
                Self::EasyWechat => "easywechat_peer.mjs",
            });
            for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
                command.env_remove(name);
            }
            let pipe = Stdio::piped;
            let command = command.arg(word).current_dir(folder()).stdin(pipe()).stdout(pipe()).stderr(pipe());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let (said, complained) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{self:?} {word}: {complained}");
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{self:?} {word}: {said}\n{complained}"))
        })
        .await
        .unwrap()
    }
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

pub(crate) fn python() -> PathBuf {
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    std::env::var_os("HONGYAN_TEST_PYTHON").map_or_else(usual, PathBuf::from)
}
