//! Three nodes, a campaign and a stream of callbacks, while nodes are killed or stand still for longer than their lease, links are
//! cut, stalled and slow, the database crashes, and its synchronous standby takes its place: nothing is lost, nothing goes
//! out twice, the accounts close at every look.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{Entropy, SeededEntropy, SystemEntropy};
use serde_json::{Value, json};
use simulator::{SAMPLE_APPID, Simulator};
use store::testing::{Proxy, SAFE, Standby, TempPostgres};

use super::{Cluster, faketime};
use crate::campaigns::chaos::{Looks, look, wechat};
use crate::campaigns::closed;
use crate::chaos::{Run, openid, pages, push_callbacks, ready};
use crate::http::try_call;
use crate::program::register_with;
use crate::world::{FEE, REPAIR, until};

const CONCURRENCY: usize = 64;
const LEASE: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_nothing_is_lost_and_nothing_repeated() {
    let seed = seed();
    broken(seed, 6_000, 2_000, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half an hour: cargo xtask test --long"]
async fn ten_campaigns_of_a_hundred_thousand_are_broken() {
    let runs: u64 = std::env::var("HONGYAN_CHAOS_RUNS").map_or(10, |text| text.parse().unwrap());
    for _ in 0..runs {
        broken(SystemEntropy::new().unwrap().next_u64(), 100_000, 20_000, 8).await;
    }
}

fn seed() -> u64 {
    std::env::var("HONGYAN_TEST_SEED")
        .map_or_else(|_| SystemEntropy::new().unwrap().next_u64(), |text| text.parse().unwrap())
}

/// What may break, each once before any twice; the standby can take over only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    Kill,
    StandStill,
    CutLink,
    StallLink,
    SlowLink,
    CrashDatabase,
    Promote,
}

/// In random order.
fn order(random: &SeededEntropy, count: usize) -> Vec<Break> {
    let all = [
        Break::Kill,
        Break::StandStill,
        Break::CutLink,
        Break::StallLink,
        Break::SlowLink,
        Break::CrashDatabase,
        Break::Promote,
    ];
    let mut rest = all.to_vec();
    let mut chosen = Vec::new();
    while chosen.len() < count {
        if rest.is_empty() {
            rest.extend(all.iter().filter(|one| **one != Break::Promote));
        }
        let at = usize::try_from(random.next_u64() % rest.len() as u64).unwrap();
        chosen.push(rest.swap_remove(at));
    }
    chosen
}

/// Something in front of the nodes, as WeChat sees them.
struct Front(Proxy);

impl Front {
    fn lead_to(&self, cluster: &Cluster, number: usize) {
        self.0.lead_to(cluster.nodes[number].address.parse().unwrap());
    }
}

#[expect(clippy::print_stdout, reason = "the seed, and what came of it")]
async fn broken(seed: u64, recipients: usize, callbacks: usize, breaks: usize) {
    let Some(_) = TempPostgres::shared("whatever_breaks_nothing_is_lost_and_nothing_repeated") else {
        return;
    };
    println!("seed {seed}");
    let random = SeededEntropy::new(seed);
    let (database, standby) = Standby::pair(&SAFE).unwrap();
    let mut cluster = Cluster::new(database.address(), 3, LEASE).await;
    if faketime().is_some() {
        // Wall clocks minutes apart.
        (cluster.nodes[1].clock, cluster.nodes[2].clock) = (Some("+7m"), Some("-9m"));
    }
    let front = Front(Proxy::start(cluster.nodes[0].address.parse().unwrap()).await.unwrap());
    let front_address = front.0.address().to_string();
    let openids: Vec<String> = (0..recipients).map(|number| format!("oBreak{number:0>21}")).collect();
    let (sim, sim_url) = wechat(&front_address, seed, &openids).await;
    cluster.run(0, &["migrate"]);
    let settings = ["--setting", "rate_per_second=0", "--setting", "concurrency=64"];
    cluster.bearer = register_with(|| cluster.command(0), &sim_url, &settings);
    cluster.run(0, &["templates", "sync", SAMPLE_APPID]);
    for number in 0..3 {
        cluster.start(number);
    }
    for number in 0..3 {
        until("a node", || ready(&cluster.nodes[number].address)).await;
    }

    let url = campaign(&cluster, &front_address, &openids).await;
    let mut run = Run::new(front_address.clone(), cluster.bearer.clone(), seed, callbacks);
    run.pause = Duration::from_millis(5);
    let run = Arc::new(run);
    let clients: Vec<_> = (0..8).map(|_| tokio::spawn(push_callbacks(Arc::clone(&run)))).collect();
    let looks = Arc::new(Looks {
        url: url.clone(),
        bearer: cluster.bearer.clone(),
        over: AtomicBool::new(false),
        count: AtomicUsize::new(0),
    });
    let looking = tokio::spawn(look(Arc::clone(&looks), recipients));

    let mut standby = Some(standby);
    let mut databases = vec![database];
    let mut disturbed = 0;
    let mut done = Vec::new();
    for what in order(&random, breaks) {
        tokio::time::sleep(Duration::from_millis(300 + random.next_u64() % 1_500)).await;
        let victim = usize::try_from(random.next_u64() % 3).unwrap();
        // WeChat, and who looks, go to another one.
        front.lead_to(&cluster, (victim + 1) % 3);
        done.push((what, cluster.nodes[victim].name.clone()));
        println!("{what:?} {}", cluster.nodes[victim].name);
        disturbed += usize::from(what != Break::SlowLink)
            * if matches!(what, Break::CrashDatabase | Break::Promote) { 3 } else { 1 };
        match what {
            Break::Kill => {
                cluster.kill(victim);
                tokio::time::sleep(Duration::from_millis(random.next_u64() % 3_000)).await;
                cluster.start(victim);
            }
            Break::StandStill => {
                let server = cluster.nodes[victim].server.as_ref().unwrap();
                server.signal("STOP");
                tokio::time::sleep(LEASE + Duration::from_secs(3)).await;
                server.signal("CONT");
            }
            Break::CutLink => {
                cluster.nodes[victim].proxy.cut();
                tokio::time::sleep(Duration::from_millis(500 + random.next_u64() % 8_000)).await;
                cluster.nodes[victim].proxy.mend();
            }
            Break::StallLink => {
                cluster.nodes[victim].proxy.stall();
                tokio::time::sleep(Duration::from_millis(500 + random.next_u64() % 8_000)).await;
                cluster.nodes[victim].proxy.mend();
            }
            Break::SlowLink => {
                cluster.nodes[victim].proxy.delay(Duration::from_millis(40));
                tokio::time::sleep(Duration::from_secs(3)).await;
                cluster.nodes[victim].proxy.mend();
            }
            Break::CrashDatabase => {
                let database = databases.last().unwrap();
                database.crash().unwrap();
                database.start_again().unwrap();
            }
            Break::Promote => {
                databases.last().unwrap().crash().unwrap();
                let standby = standby.take().unwrap();
                standby.promote().unwrap();
                let new = standby.into_server();
                for node in &cluster.nodes {
                    node.proxy.lead_to(new.address());
                }
                databases.push(new);
            }
        }
    }
    front.lead_to(&cluster, 0);
    until("the first node", || ready(&cluster.nodes[0].address)).await;
    for client in clients {
        client.await.unwrap();
    }
    let headers = [("authorization", cluster.bearer.as_str())];
    let mut moved = (Value::Null, Instant::now());
    let finished = loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(
            moved.1.elapsed() < Duration::from_secs(120),
            "{done:?}: nothing moves any more: {}",
            moved.0
        );
        let Ok(reply) = try_call("GET", &url, &headers, "").await else { continue };
        if reply.status == 200 {
            let view = reply.json();
            closed(&view["counts"]);
            if view["counts"] != moved.0 {
                moved = (view["counts"].clone(), Instant::now());
            }
            match view["state"].as_str() {
                Some("finished") => break view,
                Some("running") => {}
                _ => panic!("{view}"),
            }
        }
    };
    looks.over.store(true, Ordering::Relaxed);
    looking.await.unwrap();
    until("every receipt pushed", || async {
        let counters = serde_json::to_value(sim.counters(SAMPLE_APPID).unwrap()).unwrap();
        (counters["receipts_waiting"] == 0).then_some(())
    })
    .await;
    let unknown = sent_once(&sim, &url, &headers, recipients).await;
    let counters = serde_json::to_value(sim.counters(SAMPLE_APPID).unwrap()).unwrap();
    let ambiguous = usize::try_from(counters["ambiguous"].as_u64().unwrap()).unwrap();
    println!(
        "{done:?}: {unknown} unknown of {recipients}, {disturbed} nodes disturbed, {ambiguous} ambiguous faults; {}",
        finished["counts"]
    );
    assert!(unknown <= 2 * CONCURRENCY * disturbed + ambiguous, "{unknown} unknown, {disturbed} disturbed");

    // Each event that was answered counts, once.
    let granted = until("every event applied", || async {
        let items = pages(&run, &format!("/subscriptions?template_id={REPAIR}&limit=500")).await;
        (items.len() >= callbacks).then_some(items)
    })
    .await;
    let granted: HashMap<&str, i64> = granted
        .iter()
        .map(|item| (item["openid"].as_str().unwrap(), item["balance"].as_i64().unwrap()))
        .collect();
    let wrong: Vec<String> = (0..callbacks)
        .map(|number| openid("Callback", number))
        .filter(|openid| granted.get(openid.as_str()) != Some(&1))
        .collect();
    assert!(wrong.is_empty(), "{} without their one grant: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    for number in 0..3 {
        cluster.kill(number);
    }
}

/// A draft of everybody, started; gives its address.
async fn campaign(cluster: &Cluster, front: &str, openids: &[String]) -> String {
    let headers = [("authorization", cluster.bearer.as_str())];
    let list: Vec<Value> =
        openids.iter().enumerate().map(|(n, openid)| json!({ "to": openid, "vars": { "n": n } })).collect();
    let draft = json!({ "name": "broken", "template_id": FEE, "on_empty_balance": "try",
        "data": { "thing8": "物业费{{n}}", "thing5": "请缴纳" }, "audience": { "kind": "recipients", "recipients": list } });
    let base = format!("http://{front}/api/v1/apps/{SAMPLE_APPID}");
    let drafted = crate::http::call("POST", &format!("{base}/campaigns"), &headers, draft.to_string()).await;
    assert_eq!(drafted.status, 201, "{}", drafted.text);
    let url = format!("{base}/campaigns/{}", drafted.json()["id"].as_str().unwrap());
    let started = crate::http::call("POST", &format!("{url}/start"), &headers, "").await;
    assert_eq!(started.status, 200, "{}", started.text);
    url
}

/// Nobody twice, everybody in one list, and what WeChat took is what the lists say; gives how many are unknown.
async fn sent_once(sim: &Simulator, url: &str, headers: &[(&str, &str)], recipients: usize) -> usize {
    let proof = sim.accepted(SAMPLE_APPID).unwrap();
    assert!(proof.twice.is_empty(), "accepted twice: {:?}", proof.twice);
    let mut lists: HashMap<&str, HashSet<String>> = HashMap::new();
    for list in ["sent", "not_sent", "unknown"] {
        let lines = crate::http::call("GET", &format!("{url}/results?list={list}"), headers, "").await.json();
        let to = lines.as_array().unwrap().iter().map(|line| line["to"].as_str().unwrap().to_owned());
        lists.insert(list, to.collect());
    }
    let sizes = ["sent", "not_sent", "unknown"].map(|list| lists[list].len());
    assert_eq!(sizes.iter().sum::<usize>(), recipients, "everybody stands in one list: {sizes:?}");
    assert_eq!(sizes[1], 0, "everybody had a grant");
    let taken: HashSet<String> =
        sim.accepted_sends(SAMPLE_APPID).unwrap().into_iter().map(|send| send.openid).collect();
    assert!(
        lists["sent"].iter().all(|openid| taken.contains(openid)),
        "a list says what WeChat does not know of"
    );
    assert!(taken.iter().all(|openid| lists["sent"].contains(openid) || lists["unknown"].contains(openid)));
    sizes[2]
}
