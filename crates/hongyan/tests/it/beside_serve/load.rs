//! Two hundred writing commands while callbacks pour in: nobody is told that the database is locked, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::{Clock, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::{Serve, envelope};
use crate::http::try_call;
use crate::program::run;
use crate::world::{REPAIR, until};

const COMMANDS: usize = 200;
const AT_ONCE: usize = 4;
const PUSHERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_hundred_commands_under_load_are_never_locked_out() {
    let serve = Serve::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let pushed = Arc::new(AtomicUsize::new(0));
    let pushers: Vec<_> = (0..PUSHERS)
        .map(|pusher| {
            let (over, pushed, address) = (Arc::clone(&over), Arc::clone(&pushed), serve.address.clone());
            tokio::spawn(async move {
                let entropy = SystemEntropy::new().unwrap();
                let mut mine = 0;
                while !over.load(Ordering::Relaxed) {
                    let openid = format!("oBeside{pusher:0>2}{mine:0>19}");
                    let event = json!({ "ToUserName": "gh_ea84a199bf81", "FromUserName": openid,
                        "CreateTime": SystemClock.now() / 1_000, "MsgType": "event", "Event": "subscribe_msg_popup_event",
                        "List": [{ "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": REPAIR }] });
                    let (query, body) = envelope(&entropy, &event);
                    let url = format!("http://{address}/callback/{SAMPLE_APPID}?{query}");
                    let reply = try_call("POST", &url, &[], body).await.unwrap();
                    assert_eq!((reply.status, reply.text.as_str()), (200, "success"));
                    mine += 1;
                    pushed.fetch_add(1, Ordering::Relaxed);
                }
                mine
            })
        })
        .collect();
    let directory = serve.path().to_owned();
    let before = pushed.load(Ordering::Relaxed);
    let commands: Vec<_> = (0..AT_ONCE)
        .map(|worker| {
            let directory = directory.clone();
            std::thread::spawn(move || {
                let mut slowest = std::time::Duration::ZERO;
                for n in 0..COMMANDS / AT_ONCE {
                    let name = format!("k{worker}-{n}");
                    let started = std::time::Instant::now();
                    let output = if n % 2 == 0 {
                        run(&directory, &["key", "create", "--name", &name, "--all-apps", "--scope", "read"])
                    } else {
                        let rate = format!("rate_per_second={}", 100 + n);
                        run(&directory, &["app", "set", SAMPLE_APPID, "--setting", &rate])
                    };
                    let text = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(output.status.success() && !text.contains("locked"), "{name}: {text}");
                    slowest = slowest.max(started.elapsed());
                }
                slowest
            })
        })
        .collect();
    let slowest =
        tokio::task::spawn_blocking(move || commands.into_iter().map(|c| c.join().unwrap()).max().unwrap())
            .await
            .unwrap();
    let meanwhile = pushed.load(Ordering::Relaxed) - before;
    over.store(true, Ordering::Relaxed);
    let mut pushes = 0;
    for pusher in pushers {
        pushes += pusher.await.unwrap();
    }
    println!("{COMMANDS} commands, the slowest {slowest:?}, beside {meanwhile} callbacks");
    assert!(meanwhile > COMMANDS, "callbacks went on: {meanwhile}");
    let keys: Value = serde_json::from_slice(&run(&directory, &["key", "list", "--json"]).stdout).unwrap();
    assert_eq!(keys.as_array().unwrap().len(), 1 + COMMANDS / 2, "every key is there");
    let log = serve.log();
    assert!(!log.contains("locked") && !log.contains("ERROR"), "{log}");
    // Each event counted, once.
    until("every event applied", || async {
        let (mut people, mut cursor) = (0, String::new());
        loop {
            let path = format!("/apps/{SAMPLE_APPID}/subscriptions?template_id={REPAIR}&limit=500{cursor}");
            let page = serve.api("GET", &path, &Value::Null).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.iter().all(|item| item["balance"] == 1));
            people += items.len();
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (people == pushes).then_some(()),
            }
        }
    })
    .await;
}
