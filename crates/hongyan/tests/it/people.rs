//! People by what the team knows of them, and apps on trial.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use crate::campaigns::{act, calls, campaign, drafted, lines, people};
use crate::world::{FEE, World, until};

const A: &str = "oPerson_000001_abcdefghijkl";
const B: &str = "oPerson_000002_abcdefghijkl";

async fn with_attributes(world: &World) {
    let attributes = json!({ "room": { "key": true }, "phone": { "key": true, "sensitive": true } });
    let set = world.api("PATCH", "", &json!({ "settings": { "attributes": attributes } })).await;
    assert_eq!(set.status, 200, "{}", set.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_kept_found_and_masked() {
    let world = World::new(false).await;
    with_attributes(&world).await;
    let who = json!({ "external_id": "owner-1", "tags": ["三栋", "业主"],
        "attributes": { "room": "3-1201", "phone": "13800138000", "floor": 12 } });
    let put = world.api("PUT", &format!("/subscribers/{A}"), &who).await;
    assert_eq!(put.status, 201, "{}", put.text);
    assert_eq!(put.json()["attributes"]["phone"], "138****8000");
    let again = world.api("PUT", &format!("/subscribers/{A}"), &who).await;
    assert_eq!((again.status, again.json()["attributes"]["floor"].as_i64()), (200, Some(12)));
    let taken = world.api("PUT", &format!("/subscribers/{B}"), &json!({ "external_id": "owner-1" })).await;
    assert_eq!((taken.status, taken.json()["code"].as_str()), (409, Some("external_id_taken")));

    // Several people may live in one room.
    let both = json!({ "subscribers": [{ "openid": B, "external_id": "owner-2", "attributes": { "room": "3-1201" } },
        { "openid": "nobody" }, { "openid": B, "attributes": { "x": {} } }] });
    let verdicts = world.api("PUT", "/subscribers", &both).await.json();
    assert_eq!(verdicts["items"][0]["subscriber"]["external_id"], "owner-2", "{verdicts}");
    assert_eq!(verdicts["items"][1]["problem"]["errors"][0]["code"], "invalid_openid", "{verdicts}");
    assert_eq!(verdicts["items"][2]["problem"]["errors"][0]["pointer"], "/attributes/x", "{verdicts}");

    let found = |query: &'static str| {
        let world = &world;
        async move {
            let page = world.get(&format!("/subscribers?{query}")).await;
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["openid"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(found("external_id=owner-1").await, [A]);
    assert_eq!(found("attribute=phone:13800138000").await, [A]);
    assert_eq!(found("attribute=room:3-1201").await, [A, B]);
    assert_eq!(found("tag=%E4%B8%9A%E4%B8%BB").await, [A]);
    assert_eq!(found("external_id=owner-9").await, [""; 0]);
    let no_key = world.api("GET", "/subscribers?attribute=floor:12", &Value::Null).await;
    assert_eq!((no_key.status, no_key.json()["errors"][0]["code"].as_str()), (422, Some("no_key_attribute")));
    // What is sensitive stands nowhere in the files as it is.
    let mut seen = false;
    for file in std::fs::read_dir(world.files()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        seen |= bytes.windows(7).any(|window| window == b"owner-1");
        assert!(!bytes.windows(11).any(|window| window == b"13800138000"));
    }
    assert!(seen || crate::database::is_postgres(), "the files were looked at");

    let table = "\u{feff}openid,external_id,tags,room\r\noPerson_000003_abcdefghijkl,owner-3,甲；乙,5-501\r\nx,owner-4,,\r\n";
    let url = format!("{}/api/v1/apps/{SAMPLE_APPID}/subscribers/import", world.url);
    let bearer = format!("Bearer {}", world.key);
    let imported =
        crate::http::call("POST", &url, &[("authorization", &bearer), ("connection", "close")], table)
            .await
            .json();
    assert_eq!(
        (imported["kept"].as_i64(), imported["errors"][0]["row"].as_i64()),
        (Some(1), Some(3)),
        "{imported}"
    );
    let third = world.get("/subscribers/oPerson_000003_abcdefghijkl").await;
    assert_eq!(third["tags"], json!(["乙", "甲"]));

    // A change leaves no old way to find somebody.
    world.api("PUT", &format!("/subscribers/{A}"), &json!({ "external_id": "owner-7" })).await;
    assert_eq!(found("external_id=owner-1").await, [""; 0]);
    assert_eq!(found("attribute=room:3-1201").await, [B]);
    assert_eq!(found("external_id=owner-7").await, [A]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_find_their_people() {
    let world = World::new(true).await;
    with_attributes(&world).await;
    let openids = people(&world, 3, 3).await;
    for (n, openid) in openids.iter().enumerate().take(2) {
        let who = json!({ "external_id": format!("owner-{n}"), "attributes": { "room": "3-1201" } });
        world.api("PUT", &format!("/subscribers/{openid}"), &who).await;
    }
    let sent = world.send_fee(json!({ "to": { "external_id": "owner-1" } }), &[]).await;
    assert_eq!((sent.status, sent.json()["to"].as_str()), (202, Some(openids[1].as_str())), "{}", sent.text);
    let code = |reply: crate::http::Reply| reply.json()["errors"][0]["code"].as_str().unwrap().to_owned();
    assert_eq!(
        code(world.send_fee(json!({ "to": { "external_id": "owner-9" } }), &[]).await),
        "unknown_recipient"
    );
    assert_eq!(code(world.send_fee(json!({ "to": { "phone": "1" } }), &[]).await), "invalid_recipient");
    let room = json!({ "to": { "attribute": { "room": "3-1201" } } });
    assert_eq!(code(world.send_fee(room.clone(), &[]).await), "ambiguous_recipient");
    let mut all = room;
    all["fan_out"] = true.into();
    let key = [("idempotency-key", "to-each")];
    let each = world.send_fee(all.clone(), &key).await;
    assert_eq!(each.status, 202, "{}", each.text);
    let items = each.json()["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 2, "{items}");
    let again = world.send_fee(all, &key).await.json();
    assert_eq!(again["items"][0]["message"]["id"], items[0]["message"]["id"], "each has a key of its own");
    until("three calls", || async { (calls(&world) == 3).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_gets_its_own_words() {
    let world = World::new(true).await;
    with_attributes(&world).await;
    let openids = people(&world, 30, 1).await;
    let list: Vec<Value> = openids
        .iter()
        .enumerate()
        .map(|(n, openid)| {
            json!({ "openid": openid, "external_id": format!("o-{n}"), "tags": if n % 2 == 0 { vec!["业主"] } else { vec![] },
                "attributes": { "room": format!("3-{n:02}01"), "floor": n } })
        })
        .collect();
    assert_eq!(world.api("PUT", "/subscribers", &json!({ "subscribers": list })).await.status, 200);
    let wrong =
        json!({ "kind": "segment", "where": { "and": [{ "attr": "floor", "op": "above", "value": 1 }] } });
    let refused = super::campaigns::draft(&world, json!({ "audience": wrong })).await;
    assert_eq!(refused.json()["errors"][0]["pointer"], "/audience/where/and/0", "{}", refused.text);
    let segment = json!({ "kind": "segment", "tags": ["业主"], "where": { "attr": "floor", "op": "gte", "value": 20 } });
    let path = drafted(
        &world,
        json!({ "audience": segment, "data": { "thing8": "{{room}}物业费", "thing5": "请缴纳" } }),
    )
    .await;
    let forecast = act(&world, &path, "forecast").await.json();
    assert_eq!(
        (forecast["recipients"].as_i64(), forecast["reachable"].as_i64()),
        (Some(5), Some(5)),
        "{forecast}"
    );
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["recipients"], 5);
    let sends = world.sim.sends(SAMPLE_APPID, Some(&openids[20]), 5).unwrap();
    assert!(serde_json::to_string(&sends[0]).unwrap().contains("3-2001物业费"), "{:?}", sends[0]);

    // A list by the team's own numbers.
    let by_number = json!({ "kind": "recipients", "recipients": [{ "to": { "external_id": "o-1" } }, { "to": { "external_id": "o-99" } },
        { "to": { "attribute": { "room": "3-0301" } } }, { "to": openids[1] }] });
    let path = drafted(&world, json!({ "audience": by_number })).await;
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 2, "{finished}");
    let all = lines(&world, &path, "").await;
    assert_eq!(
        (all[0]["external_id"].as_str(), all[0]["to"].as_str()),
        (Some("o-1"), Some(openids[1].as_str()))
    );
    assert_eq!(
        (all[1]["reason"].as_str(), all[1]["external_id"].as_str()),
        (Some("unknown_recipient"), Some("o-99"))
    );
    assert_eq!(all[3]["reason"], "duplicate", "the same person, named in another way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_trial_only_guests_receive() {
    let world = World::new(true).await;
    let openids = people(&world, 4, 2).await;
    // Waits until the engine may send: by then the app is on trial.
    let at = service::view::time(domain::Clock::now(&*world.clock) + 600_000);
    let early = world.send_fee(json!({ "to": openids[3], "send_at": at }), &[]).await.json();
    let set = world.api("PATCH", "", &json!({ "settings": { "trial": true } })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let refused = world.send_fee(json!({ "to": openids[0] }), &[]).await;
    assert_eq!((refused.status, refused.json()["errors"][0]["code"].as_str()), (422, Some("not_a_guest")));
    let guest = world.api("PUT", &format!("/guests/{}", openids[0]), &json!({ "note": "我的手机" })).await;
    assert_eq!(guest.status, 200, "{}", guest.text);
    assert_eq!(world.get("/guests").await["items"][0]["note"], "我的手机");
    assert_eq!(world.send_fee(json!({ "to": openids[0] }), &[]).await.status, 202);
    let path = drafted(&world, json!({})).await;
    act(&world, &path, "start").await;
    let finished = campaign(&world, &path, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 3, "{finished}");
    world.clock.advance(700_000);
    let path = format!("/messages/{}", early["id"].as_str().unwrap());
    let skipped = until("what was queued before is skipped", || async {
        let message = world.get(&path).await;
        (message["state"] == "skipped").then_some(message)
    })
    .await;
    assert_eq!(skipped["reason"], "not_a_guest");
    assert!(skipped["explanation"].as_str().unwrap().contains("trial"), "{skipped}");
    assert_eq!(calls(&world), 2, "only the guest was called");
    assert_eq!(world.api("DELETE", &format!("/guests/{}", openids[0]), &Value::Null).await.status, 204);
    assert_eq!(world.api("DELETE", &format!("/guests/{}", openids[0]), &Value::Null).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_an_erased_person_is_in_no_list_and_the_accounts_close() {
    let world = World::new(true).await;
    with_attributes(&world).await;
    let openids = people(&world, 3, 2).await;
    let who = json!({ "external_id": "owner-secret", "attributes": { "phone": "13900139000", "room": "9-999secret" } });
    world.api("PUT", &format!("/subscribers/{}", openids[0]), &who).await;
    world.api("PUT", &format!("/guests/{}", openids[0]), &Value::Null).await;
    let list = json!([{ "to": openids[0], "vars": { "who": "张三secret" } }, { "to": openids[1], "vars": { "who": "李四" } }]);
    let audience = json!({ "kind": "recipients", "recipients": list });
    let data = json!({ "thing8": "{{who}}", "thing5": "请缴纳" });
    let path = drafted(&world, json!({ "audience": audience, "data": data })).await;
    let waiting = drafted(&world, json!({ "audience": audience, "data": data })).await;
    act(&world, &path, "start").await;
    campaign(&world, &path, "finished").await;
    // On a busy machine it may go on by itself (202).
    let (world_at, erase) = (&world, &format!("/subscribers/{}", openids[0]));
    until("the erasure", || async move {
        let erased = world_at.api("DELETE", erase, &Value::Null).await;
        assert!(matches!(erased.status, 200 | 202), "{}", erased.text);
        (erased.status == 200).then_some(())
    })
    .await;
    let finished = world.get(&path).await;
    super::campaigns::closed(&finished["counts"]);
    assert_eq!(finished["counts"]["recipients"], 2);
    let all = lines(&world, &path, "").await;
    assert_eq!(all.len(), 2);
    assert!(!Value::Array(all).to_string().contains("secret"));
    assert_eq!(world.api("GET", &format!("/subscribers/{}", openids[0]), &Value::Null).await.status, 404);
    assert_eq!(world.get("/guests").await["items"], json!([]));
    assert_eq!(world.get("/subscribers?external_id=owner-secret").await["items"], json!([]));
    // The draft that named the person still runs for the others.
    act(&world, &waiting, "start").await;
    let finished = campaign(&world, &waiting, "finished").await;
    assert_eq!(finished["counts"]["skipped"], 1, "{finished}");
    assert!(
        world.get(&format!("/subscriptions?template_id={FEE}")).await["items"].as_array().unwrap().len() == 2
    );
}
