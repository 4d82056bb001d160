//! The samples of `clients/samples`, each run as its README says against a demo: every call, a repetition after a lost answer that
//! sends nothing twice, a problem by its code, and a webhook that is verified.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::examples::Demo;
use crate::http::call;
use crate::program::{free_address, skipped};
use crate::world::{FEE, until};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/samples").join(name)
}

/// A language that a sample is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sample {
    Java,
    Python,
    TypeScript,
    Curl,
}

impl Sample {
    fn folder(self) -> PathBuf {
        folder(match self {
            Self::Java => "java",
            Self::Python => "python",
            Self::TypeScript => "typescript",
            Self::Curl => "curl",
        })
    }

    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Java => &["java", "Hongyan.java"],
            Self::Python => &["python3", "hongyan.py"],
            Self::TypeScript => &["node", "dist/main.js"],
            Self::Curl => &["bash", "hongyan.sh"],
        }
    }

    /// What of its runtime is not here.
    fn missing(self) -> Option<String> {
        let runtime = if self == Self::Curl { "curl" } else { self.words()[0] };
        let runs =
            Command::new(runtime).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !runs.is_ok_and(|status| status.success()) {
            return Some(format!("{runtime} is missing"));
        }
        let unready = self == Self::TypeScript && !self.folder().join("node_modules/typescript").is_dir();
        unready.then(|| "npm ci in clients/samples/typescript is missing".to_owned())
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.words()[0]);
        command.args(&self.words()[1..]).current_dir(self.folder()).stdin(Stdio::null());
        for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name);
        }
        // Java reads its arguments by the locale.
        command.env("LC_ALL", "C.UTF-8").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// Passes on what comes, but swallows the answer to the first message: nobody can tell it from a broken network.
async fn loses_the_first_answer(upstream: String) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let lost = Arc::new(AtomicBool::new(false));
    let swallowed = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (upstream, lost) = (upstream.clone(), Arc::clone(&lost));
            tokio::spawn(async move { relay(client, &upstream, &lost).await });
        }
    });
    (address, swallowed)
}

async fn relay(mut client: TcpStream, upstream: &str, lost: &AtomicBool) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_message = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let part = &asked[..read?];
                if part.is_empty() { return Ok(()) }
                let text = String::from_utf8_lossy(part);
                is_message |= text.starts_with("POST ") && text.contains("/messages HTTP/1.1");
                server.write_all(part).await?;
            }
            read = server.read(&mut answered) => {
                let part = &answered[..read?];
                if part.is_empty() || (is_message && !lost.swap(true, Ordering::SeqCst)) { return Ok(()) }
                client.write_all(part).await?;
            }
        }
    }
}

/// A sample that receives webhooks; ends with this.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(clippy::print_stdout, reason = "the samples' output is to be seen")]
async fn plays(sample: Sample) {
    if let Some(why) = sample.missing() {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{sample:?}: {why}");
        return skipped(&format!("the sample in {sample:?}"), &why);
    }
    if crate::database::only_a_file() {
        return;
    }
    if sample == Sample::TypeScript {
        let built =
            Command::new("npm").args(["run", "-s", "build"]).current_dir(sample.folder()).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
    }
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path(), &[]);
    let bearer = format!("Bearer {}", demo.key);
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json"), ("connection", "close")];
    let wechat = demo.phone.trim_end_matches('/').to_owned();
    let user = format!("{wechat}/_sim/apps/{SAMPLE_APPID}/users");
    let openid = format!("oSample{sample:?}000000000000");
    let told =
        call("POST", &user, &headers, json!({ "openid": openid, "nickname": "李四" }).to_string()).await;
    assert!(told.status < 300, "{}", told.text);
    let accept = json!({ "decisions": { FEE: "accept" } }).to_string();
    let told = call("POST", &format!("{user}/{openid}/popup"), &headers, accept).await;
    assert!(told.status < 300, "{}", told.text);
    let app = format!("{}/api/v1/apps/{SAMPLE_APPID}", demo.service);
    until("the grant", || async {
        let grants = call("GET", &format!("{app}/subscriptions?openid={openid}"), &headers, "").await.json();
        (grants["items"][0]["available"] == 1).then_some(())
    })
    .await;

    let hook = (sample != Sample::Curl).then(free_address);
    let receiver = match &hook {
        Some(address) => {
            let wanted = json!({ "url": format!("http://{address}/hook"), "events": ["message.delivered"] });
            let made =
                call("POST", &format!("{}/api/v1/webhooks", demo.service), &headers, wanted.to_string())
                    .await;
            let secret = made.json()["secret"].as_str().unwrap().to_owned();
            let mut receive = sample.command();
            receive
                .args(["receive", address.rsplit_once(':').unwrap().1])
                .env("HONGYAN_WEBHOOK_SECRET", secret);
            let mut receiver = Receiver(receive.stdout(Stdio::piped()).spawn().unwrap());
            let mut lines = BufReader::new(receiver.0.stdout.take().unwrap()).lines();
            assert!(lines.next().unwrap().unwrap().starts_with("listening"));
            Some((receiver, lines, address.clone()))
        }
        None => None,
    };

    let (url, lost) = loses_the_first_answer(demo.service.trim_start_matches("http://").to_owned()).await;
    let mut play = sample.command();
    play.args([SAMPLE_APPID, &openid, FEE]);
    if sample == Sample::Curl {
        play.arg(r#"{"thing8":"物业费","thing5":"请及时缴纳"}"#);
    } else {
        play.args(["thing8=物业费", "thing5=请及时缴纳"]);
    }
    play.env("HONGYAN_URL", url).env("HONGYAN_KEY", &demo.key);
    let output = tokio::task::spawn_blocking(move || play.output().unwrap()).await.unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
    println!("{sample:?}\n{said}{complained}");
    assert!(output.status.success(), "{sample:?}: {said}\n{complained}");
    assert!(lost.load(Ordering::SeqCst) && complained.contains("retry"), "an answer was lost: {complained}");
    let line = |name: &str| -> Vec<String> {
        let line =
            said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {said}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(line("session")[1], "7200");
    let id = line("message")[1].clone();
    assert_eq!(line("again")[1..], [id.as_str(), "replayed"]);
    let state = &line("state")[1];
    assert!(state == "accepted" || state == "delivered", "{said}");
    assert_eq!(line("problem")[1..3], ["422", "validation_failed"], "{said}");
    assert!(said.contains(FEE) && said.contains("/data/no_such_field"), "{said}");
    assert!(!said.contains(&demo.key) && !complained.contains(&demo.key));

    let sent = call("GET", &format!("{app}/messages?to={openid}"), &headers, "").await.json();
    let ids: Vec<&Value> = sent["items"].as_array().unwrap().iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, [&json!(id)], "one message, whatever was repeated");
    let phone = call("GET", &format!("{user}/{openid}"), &headers, "").await.json();
    assert_eq!(phone["cards"].as_array().unwrap().len(), 1, "{phone}");

    if let Some((receiver, mut lines, address)) = receiver {
        let line = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["webhook", "message.delivered", &id]);
        let now = domain::Clock::now(&domain::SystemClock) / 1_000;
        for (at, signature) in [(now, "v1,Zm9yZ2Vk"), (now, ""), (now - 3_600, "v1,Zm9yZ2Vk")] {
            let at = at.to_string();
            let forged = [
                ("webhook-id", "msg_1"),
                ("webhook-timestamp", at.as_str()),
                ("webhook-signature", signature),
                ("connection", "close"),
            ];
            let body = r#"{"type":"message.delivered","data":{}}"#;
            let reply = call("POST", &format!("http://{address}/hook"), &forged, body).await;
            assert_eq!(reply.status, 401, "{sample:?} {signature:?}");
        }
        drop(receiver);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_java_sample_plays() {
    plays(Sample::Java).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sample_plays() {
    plays(Sample::Python).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_sample_plays() {
    plays(Sample::TypeScript).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_curl_sample_plays() {
    plays(Sample::Curl).await;
}
