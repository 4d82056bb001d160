//! Peers pointed at the simulated WeChat get a token and send, as they would at the real one.

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;

use super::Peer;
use crate::world::{FEE, USER, World};

async fn send(world: &World, peer: Peer, template: &str) -> Value {
    let ask = json!({ "base": world.sim_url, "app_id": SAMPLE_APPID, "secret": simulator::sample_app().secret,
        "to": USER, "template_id": template, "page": "pages/index?id=1",
        "data": { "thing8": "物业费", "thing5": format!("{peer:?}") } });
    peer.ask("send", ask).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_get_a_token_and_send() {
    for peer in Peer::present("peers_get_a_token_and_send") {
        let world = World::new(false).await;
        world.popup(&json!({ FEE: "accept" }));
        let answered = send(&world, peer, FEE).await;
        assert_eq!(answered["answer"]["errcode"], 0, "{peer:?} {answered}");
        let token = match peer {
            Peer::Wechatpy => "GET /cgi-bin/token",
            Peer::EasyWechat => "POST /cgi-bin/stable_token",
        };
        assert_eq!(answered["calls"], json!([token, "POST /cgi-bin/message/subscribe/send"]), "{peer:?}");
        let sends = world.sim.sends(SAMPLE_APPID, Some(USER), 10).unwrap();
        assert_eq!(sends.len(), 1);
        assert_eq!((&*sends[0].template_id, &*sends[0].page, sends[0].errcode), (FEE, "pages/index?id=1", 0));
        assert!(sends[0].data.to_string().contains(&format!("{peer:?}")), "{}", sends[0].data);
        assert!(sends[0].msgid.is_some());

        // What the simulator refuses, the peer understands as WeChat's refusal.
        let refused = send(&world, peer, FEE).await;
        assert_eq!(refused["answer"]["errcode"], 43101, "{peer:?} {refused}");
        let unknown = send(&world, peer, "no-such-template").await;
        assert_eq!(unknown["answer"]["errcode"], 40037, "{peer:?} {unknown}");
        assert_eq!(world.sim.counters(SAMPLE_APPID).unwrap().sends.get("0"), Some(&1));
    }
}
