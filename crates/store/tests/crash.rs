//! I1 by force: a child process appends and enqueues, says which rows it was told are durable, and is killed with
//! SIGKILL at a random moment; each of those rows must be there when the file is opened again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::message::State;
use domain::{Entropy, InboxId, ManualClock, MessageId, SeededEntropy, SystemEntropy};
use store::hot::append::{InboxKind, NewInboxRow};
use store::hot::enqueue::{NewMessage, Priority, Queue};
use store::{MasterKey, OpenOptions, Role, Store};

const CHILD: &str = "HONGYAN_TEST_CRASH_CHILD";
const SEED: &str = "HONGYAN_TEST_SEED";
const APP: i64 = 1;
const NOW: i64 = 1_800_000_000_000;
const ROUNDS: u64 = 5;

async fn open(directory: &Path, seed: u64) -> (Store, Arc<SeededEntropy>) {
    let (master, _) = MasterKey::generate(&SeededEntropy::new(1));
    let url = format!("sqlite:{}", directory.join("hongyan.db").display());
    let entropy = Arc::new(SeededEntropy::new(seed));
    let options = OpenOptions::new(url, master, Role::Worker);
    let store = Store::open(options, Arc::new(ManualClock::new(NOW)), entropy.clone()).await.unwrap();
    (store, entropy)
}

/// Not a test by itself: what the child runs. Writes until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (directory, seed) = task.rsplit_once(' ').unwrap();
    let (store, entropy) = open(Path::new(directory), seed.parse().unwrap()).await;
    let template = domain::ledger::TemplateKind::OneTime;
    let template = store::templates::SyncedTemplate {
        template_id: "t".into(),
        title: String::new(),
        kind: template,
        content: String::new(),
        example: String::new(),
        fields: String::new(),
    };
    store.sync_templates(APP, vec![template], NOW).await.unwrap();
    let count = Arc::new(AtomicI64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, entropy, count) = (store.clone(), entropy.clone(), count.clone());
        tasks.spawn(async move {
            loop {
                let n = count.fetch_add(1, Ordering::SeqCst);
                let openid = format!("o{n}");
                let lane = store.lanes().of_openid(&openid);
                let done = if n % 2 == 0 {
                    let id = InboxId::new(NOW, lane, &*entropy);
                    store.append(vec![event(id, openid)]).await.unwrap();
                    format!("event {id}\n")
                } else {
                    let id = MessageId::new(NOW, lane, &*entropy);
                    store.enqueue(vec![message(id, openid)]).await.unwrap();
                    format!("message {id}\n")
                };
                let mut out = std::io::stdout().lock();
                out.write_all(done.as_bytes()).unwrap();
                out.flush().unwrap();
            }
        });
    }
    tasks.join_all().await;
}

fn event(id: InboxId, openid: String) -> NewInboxRow {
    NewInboxRow {
        id,
        app: APP,
        event_at: NOW,
        digest: *id.0.as_bytes(),
        received_at: NOW,
        kind: InboxKind::Popup,
        openid,
        body: "{}".repeat(200),
        verdict: None,
        reason: None,
        relay: None,
    }
}

fn message(id: MessageId, openid: String) -> NewMessage {
    NewMessage {
        id,
        app: APP,
        template: 1,
        openid,
        queue: Queue::single(APP, Priority::Normal),
        data: "{}".into(),
        page: None,
        version: "formal".into(),
        lang: "zh_CN".into(),
        due_at: NOW,
        expire_at: NOW + 1,
        state: State::Queued,
        idempotency: None,
        needs_grant: false,
    }
}

fn start(directory: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, format!("{} {seed}", directory.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads what the child was told is durable; kills it after `rows` of them and `then` more microseconds.
fn run_and_kill(mut child: Child, rows: u64, then: u64) -> Vec<String> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut told, mut line) = (Vec::new(), String::new());
    let mut killed = false;
    loop {
        line.clear();
        if out.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // A line that the kill cut off was not heard.
        if line.ends_with('\n') && (line.starts_with("event ") || line.starts_with("message ")) {
            told.push(line.trim_end().to_owned());
        }
        if !killed && told.len() as u64 >= rows {
            std::thread::sleep(Duration::from_micros(then));
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(killed && !status.success(), "the child was killed, it did not end by itself: {status}");
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemEntropy::new().unwrap().next_u64(),
    };
    println!("{SEED}={seed}");
    let chance = SeededEntropy::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for round in 0..ROUNDS {
        let (rows, then) = (1 + chance.next_u64() % 400, chance.next_u64() % 5_000);
        let child = start(directory.path(), seed.wrapping_add(round));
        let path = directory.path().to_owned();
        let heard = tokio::task::spawn_blocking(move || run_and_kill(child, rows, then)).await.unwrap();
        assert!(heard.len() as u64 >= rows, "round {round}");
        told.extend(heard);
        let (store, _) = open(&path, 0).await;
        for line in &told {
            let there = match line.split_once(' ').unwrap() {
                ("event", id) => store.callback(APP, id.parse().unwrap()).await.unwrap().is_some(),
                (_, id) => store.message(APP, id.parse().unwrap()).await.unwrap().is_some(),
            };
            assert!(there, "round {round}: {line} was acknowledged and is lost");
        }
    }
    assert!(told.len() as u64 >= ROUNDS);
}
