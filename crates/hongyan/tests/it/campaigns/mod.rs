//! Campaigns through the REST interface against the simulated WeChat.

mod acts;
pub(crate) mod chaos;
mod drafts;
mod flow;
mod gates;
mod neighbours;

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use crate::http::Reply;
use crate::world::{FEE, World, until, until_or};

/// People with so many grants, known to both sides; gives their openids.
pub(crate) async fn people(world: &World, count: usize, grants: u32) -> Vec<String> {
    let openids: Vec<String> = (0..count).map(|n| format!("oCampaign_{n:06}_abcdefghij")).collect();
    let seed = json!({ "openids": openids, "grants": { FEE: grants } });
    world.sim.seed(SAMPLE_APPID, &serde_json::from_value(seed).unwrap()).unwrap();
    for turn in 0..grants {
        // An event of its own second each.
        world.clock.advance(1_000);
        for openid in &openids {
            let reply = world.push(&world.popup_event(openid, FEE, "accept"), 0).await;
            assert_eq!(reply.status, 200, "{turn}: {}", reply.text);
        }
    }
    until("everybody's grants", || async {
        world.service().store().oldest_pending().await.unwrap().is_none().then_some(())
    })
    .await;
    openids
}

/// A draft of the fee notice.
pub(crate) async fn draft(world: &World, more: Value) -> Reply {
    let mut body = json!({ "name": "七月物业费", "template_id": FEE,
        "data": { "thing8": "物业费", "thing5": "请及时缴纳" }, "audience": { "kind": "subscribers" } });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.api("POST", "/campaigns", &body).await
}

/// A draft that must be taken; gives its path.
pub(crate) async fn drafted(world: &World, more: Value) -> String {
    let reply = draft(world, more).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let campaign = reply.json();
    assert_eq!(campaign["state"], "draft");
    format!("/campaigns/{}", campaign["id"].as_str().unwrap())
}

/// Does something to a campaign.
pub(crate) async fn act(world: &World, path: &str, what: &str) -> Reply {
    world.api("POST", &format!("{path}/{what}"), &Value::Null).await
}

/// A campaign once it has a state; every look on the way must find its accounts closed (I9).
pub(crate) async fn campaign(world: &World, path: &str, state: &str) -> Value {
    let last = std::sync::Mutex::new(Value::Null);
    let found = until_or(|| async {
        let campaign = world.get(path).await;
        closed(&campaign["counts"]);
        last.lock().unwrap().clone_from(&campaign);
        (campaign["state"] == state).then_some(campaign)
    })
    .await;
    found.unwrap_or_else(|| panic!("not {state}: {}", last.lock().unwrap()))
}

/// I9: the places add up to the recipients.
pub(crate) fn closed(counts: &Value) {
    let all = counts.as_object().unwrap();
    let sum: i64 =
        all.iter().filter(|(name, _)| *name != "recipients").map(|(_, count)| count.as_i64().unwrap()).sum();
    assert_eq!(sum, counts["recipients"].as_i64().unwrap(), "{counts}");
    assert!(all.values().all(|count| count.as_i64().unwrap() >= 0), "{counts}");
}

/// The lines of a closing list.
pub(crate) async fn lines(world: &World, path: &str, list: &str) -> Vec<Value> {
    let query = if list.is_empty() { String::new() } else { format!("?list={list}") };
    world.get(&format!("{path}/results{query}")).await.as_array().unwrap().clone()
}

/// How many send calls the simulated WeChat has seen.
pub(crate) fn calls(world: &World) -> u64 {
    let counters = serde_json::to_value(world.sim.counters(SAMPLE_APPID).unwrap()).unwrap();
    counters["send_calls"].as_u64().unwrap_or_else(|| panic!("{counters}"))
}
