//! Any sequence of accepts, rejects, sends and refusals adds up: on the phone, in the counters, in the records.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{FEE, REPAIR, code, fee, start};
use proptest::prelude::*;
use serde_json::json;
use simulator::{
    SAMPLE_APPID, SAMPLE_OPENID,
    api::{Decision, GrantChange, Records, SettingsChange},
};

#[derive(Clone, Copy, Debug)]
enum Act {
    Accept(usize),
    AcceptBoth,
    Reject(usize),
    Send(usize),
    Refuse(usize),
    Allow(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..2_usize).prop_map(Act::Accept),
        1 => Just(Act::AcceptBoth),
        1 => (0..2_usize).prop_map(Act::Reject),
        5 => (0..2_usize).prop_map(Act::Send),
        1 => (0..2_usize).prop_map(Act::Refuse),
        1 => (0..2_usize).prop_map(Act::Allow),
    ]
}

const TEMPLATES: [&str; 2] = [FEE, REPAIR];

async fn play(acts: Vec<Act>) {
    let wx = start().await;
    let token = wx.token().await;
    let repair = json!({"touser": SAMPLE_OPENID, "template_id": REPAIR, "data": {
        "thing1": {"value": "幸福物业"}, "thing4": {"value": "3 栋 1201"}, "name2": {"value": "张三"},
        "phone_number3": {"value": "0571-88886666"}, "thing19": {"value": "水管漏水"}}});
    let bodies = [fee(), repair];
    let mut left = [0_u32; 2];
    let mut refused = [false; 2];
    let (mut sent, mut added, mut taken) = (0, 0, 0);
    let settings = |at: usize, decision| {
        let templates = [(TEMPLATES[at].to_owned(), decision)].into();
        let change = SettingsChange { main_switch: None, templates };
        wx.sim.change_settings(SAMPLE_APPID, SAMPLE_OPENID, &change).unwrap();
    };
    for act in acts {
        match act {
            Act::Accept(at) => {
                wx.accept(&[TEMPLATES[at]]);
                left[at] += 1;
                added += 1;
                refused[at] = false;
            }
            Act::AcceptBoth => {
                wx.accept(&TEMPLATES);
                left = left.map(|count| count + 1);
                added += 2;
                refused = [false; 2];
            }
            Act::Reject(at) => wx.decide(&[TEMPLATES[at]], Decision::Reject),
            Act::Send(at) => {
                let expected = if left[at] > 0 && !refused[at] { 0 } else { 43101 };
                assert_eq!(code(&wx.send(&token, &bodies[at]).await), expected);
                if expected == 0 {
                    left[at] -= 1;
                    sent += 1;
                }
            }
            Act::Refuse(at) => {
                settings(at, Decision::Reject);
                taken += u64::from(std::mem::take(&mut left[at]));
                refused[at] = true;
            }
            Act::Allow(at) => {
                settings(at, Decision::Accept);
                refused[at] = false;
            }
        }
        assert_eq!(TEMPLATES.map(|template| wx.left(template)), left, "{act:?}");
    }
    let counters = wx.sim.counters(SAMPLE_APPID).unwrap();
    assert_eq!((counters.grants_added, counters.grants_spent, counters.grants_taken), (added, sent, taken));
    assert_eq!(wx.sim.user(SAMPLE_APPID, SAMPLE_OPENID).unwrap().cards.len() as u64, sent.min(50));
    let records: Records<GrantChange> =
        wx.get(&format!("/_sim/apps/{SAMPLE_APPID}/records?kind=grants")).await;
    for (at, template) in TEMPLATES.iter().enumerate() {
        let of = || records.items.iter().filter(|change| change.template_id == *template);
        assert_eq!(of().map(|change| change.delta).sum::<i64>(), i64::from(left[at]));
        assert!(of().next().is_none_or(|newest| newest.left == left[at]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn adds_up(acts in prop::collection::vec(act(), 1..40)) {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(play(acts));
    }
}
