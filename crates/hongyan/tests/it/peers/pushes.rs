//! What a peer pushes is accepted in each mode and format, has its effect, and its answer can be read.

use domain::Clock;
use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::Peer;
use crate::world::{AES_KEY, FEE, REPAIR, TOKEN, USER, World, until};

const GH: &str = "gh_ea84a199bf81";

/// Has the peer push an event; gives what it was answered.
async fn push(world: &World, peer: Peer, mode: &str, format: &str, event: &Value) -> Value {
    let ask = json!({ "url": format!("{}/callback/{SAMPLE_APPID}", world.url), "app_id": SAMPLE_APPID, "token": TOKEN,
        "aes_key": AES_KEY, "mode": mode, "format": format, "event": event, "nonce": "486452656",
        "timestamp": (world.clock.now() / 1_000).to_string() });
    peer.ask("push", ask).await
}

/// A subscribe event as WeChat writes it: a wrapper around the list in XML, none in JSON; one item is no array.
fn event(world: &World, format: &str, name: &str, openid: &str, items: &[Value]) -> Value {
    let list = if let [one] = items { one.clone() } else { json!(items) };
    let mut event = json!({ "ToUserName": GH, "FromUserName": openid, "CreateTime": world.clock.now() / 1_000,
        "MsgType": "event", "Event": format!("subscribe_msg_{name}_event") });
    if format == "json" {
        event["List"] = list;
    } else {
        let wrapper = format!("SubscribeMsg{}{}Event", name[..1].to_uppercase(), &name[1..]);
        event[wrapper] = json!({ "List": list });
    }
    event
}

async fn configure(world: &World, mode: &str, format: &str) {
    let change = json!({ "callback_mode": mode, "callback_format": format });
    let changed = world.api("PATCH", "", &change).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
}

async fn subscription(world: &World, openid: &str, template: &str) -> Value {
    world.get(&format!("/subscriptions?openid={openid}&template_id={template}")).await["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_push_in_every_mode_and_format_and_each_push_counts() {
    let peers = Peer::present("peers_push_in_every_mode_and_format_and_each_push_counts");
    let world = World::new(true).await;
    for peer in peers {
        for mode in ["plain", "compat", "safe"] {
            for format in ["json", "xml"] {
                world.clock.advance(1_000);
                configure(&world, mode, format).await;
                let what = format!("{peer:?} {mode} {format}");
                let openid = format!("o{peer:?}{mode}{format}{}", "0".repeat(16));

                let url = format!("{}/callback/{SAMPLE_APPID}", world.url);
                let verification = json!({ "url": url, "app_id": SAMPLE_APPID, "token": TOKEN, "aes_key": AES_KEY,
                    "timestamp": "1714036504", "nonce": "1514711492", "echostr": "4375120948345356249" });
                let answer = peer.ask("verify", verification).await;
                assert_eq!(answer, json!({ "status": 200, "text": "4375120948345356249" }), "{what}");

                let accept = |template: &str| json!({ "TemplateId": template, "SubscribeStatusString": "accept", "PopupScene": "0" });
                let both = event(&world, format, "popup", &openid, &[accept(FEE), accept(REPAIR)]);
                let answer = push(&world, peer, mode, format, &both).await;
                assert_eq!((&answer["status"], &answer["text"]), (&json!(200), &json!("success")), "{what}");
                for template in [FEE, REPAIR] {
                    until(&what, || async {
                        (subscription(&world, &openid, template).await["balance"] == 1).then_some(())
                    })
                    .await;
                }
                // The same once more, as WeChat does when an answer was lost: taken, and counted once (I2).
                let again = push(&world, peer, mode, format, &both).await;
                assert_eq!(again["text"], "success", "{what}");

                world.clock.advance(1_000);
                let reject = json!({ "TemplateId": FEE, "SubscribeStatusString": "reject" });
                let one = event(&world, format, "change", &openid, &[reject]);
                let answer = push(&world, peer, mode, format, &one).await;
                assert_eq!((&answer["status"], &answer["text"]), (&json!(200), &json!("success")), "{what}");
                until(&what, || async {
                    (subscription(&world, &openid, FEE).await["status"] == "reject").then_some(())
                })
                .await;
                let (fee, repair) =
                    (subscription(&world, &openid, FEE).await, subscription(&world, &openid, REPAIR).await);
                assert_eq!((&fee["balance"], &repair["balance"]), (&json!(0), &json!(1)), "{what}");
                assert_eq!(repair["status"], "accept", "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_read_the_answer_to_a_chat() {
    let peers = Peer::present("peers_read_the_answer_to_a_chat");
    let world = World::new(false).await;
    for peer in peers {
        for (mode, format) in [("plain", "json"), ("plain", "xml"), ("safe", "json"), ("safe", "xml")] {
            world.clock.advance(1_000);
            configure(&world, mode, format).await;
            let what = format!("{peer:?} {mode} {format}");
            let now = world.clock.now() / 1_000;
            let chat = json!({ "ToUserName": GH, "FromUserName": USER, "CreateTime": now, "MsgType": "text",
                "Content": format!("在吗 {what}"), "MsgId": "6054768590064713728" });
            let answer = push(&world, peer, mode, format, &chat).await;
            assert_eq!(answer["status"], 200, "{what} {answer}");
            let kind = answer["content_type"].as_str().unwrap();
            assert!(kind.contains(format), "{what}: {kind}");
            if mode == "safe" {
                assert!(!answer["text"].as_str().unwrap().contains("transfer"), "{what}: encrypted");
                let opened = &answer["opened"];
                assert_eq!(opened["MsgType"], "transfer_customer_service", "{what} {answer}");
                assert_eq!(
                    (&opened["ToUserName"], &opened["FromUserName"]),
                    (&json!(USER), &json!(GH)),
                    "{what}"
                );
                assert_eq!(opened["CreateTime"].to_string().trim_matches('"'), now.to_string(), "{what}");
            } else {
                assert!(answer["text"].as_str().unwrap().contains("transfer_customer_service"), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_as_wechat_plays_the_whole_loop() {
    for peer in Peer::present("a_peer_as_wechat_plays_the_whole_loop") {
        let world = World::new(true).await;
        // The simulator takes sends, and pushes nothing itself.
        world.tell_wechat(&json!({ "callback": null }));
        world.popup(&json!({ FEE: "accept" }));
        let accept = json!({ "TemplateId": FEE, "SubscribeStatusString": "accept", "PopupScene": "0" });
        let answer =
            push(&world, peer, "safe", "json", &event(&world, "json", "popup", USER, &[accept])).await;
        assert_eq!(answer["text"], "success", "{answer}");
        until("the grant", || async { (world.balance(FEE).await == 1).then_some(()) }).await;

        let sent = world.send_fee(json!({}), &[("prefer", "wait=10")]).await.json();
        assert_eq!(sent["state"], "accepted", "{sent}");
        let msgid = sent["msgid"].as_str().unwrap();
        assert!(msgid.parse::<u64>().unwrap() > 1 << 53, "an id that a float would spoil: {msgid}");
        world.clock.advance(1_000);
        let receipt =
            json!({ "TemplateId": FEE, "MsgID": msgid, "ErrorCode": "0", "ErrorStatus": "success" });
        let answer = push(&world, peer, "safe", "xml", &event(&world, "xml", "sent", USER, &[receipt])).await;
        assert_eq!(answer["text"], "success", "{answer}");
        let path = format!("/messages/{}", sent["id"].as_str().unwrap());
        let message = until("the receipt", || async {
            let message = world.get(&path).await;
            (message["state"] == "delivered").then_some(message)
        })
        .await;
        assert_eq!(message["receipt"]["error_status"], "success", "{message}");
        assert_eq!(world.balance(FEE).await, 0);
    }
}
