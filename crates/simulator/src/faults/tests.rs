//! When rules strike.

use proptest::prelude::*;

use super::{Faults, Whom};
use crate::api::{FaultKind, FaultOn, FaultRule, FaultScript};

fn faults(rules: Vec<FaultRule>) -> Faults {
    let faults = Faults::new(100);
    faults.set(FaultScript { seed: Some(7), rules }, 0).unwrap();
    faults
}

fn html(change: impl FnOnce(&mut FaultRule)) -> FaultRule {
    let mut rule = FaultRule::new(FaultOn::Send, FaultKind::Html);
    change(&mut rule);
    rule
}

/// The turns, from 1, at which a send is struck.
fn struck(rule: FaultRule, turns: u64) -> Vec<u64> {
    let faults = faults(vec![rule]);
    (1..=turns).filter(|_| faults.strike(FaultOn::Send, Whom::default()).is_some()).collect()
}

#[test]
fn how_often() {
    assert_eq!(struck(html(|_| ()), 3), [1, 2, 3]);
    assert_eq!(struck(html(|rule| rule.every = Some(3)), 7), [3, 6]);
    assert_eq!(struck(html(|rule| rule.next = Some(2)), 5), [1, 2]);
    assert_eq!(struck(html(|rule| (rule.from, rule.to) = (Some(2), Some(4))), 6), [2, 3, 4]);
    assert_eq!(struck(html(|rule| rule.from = Some(5)), 6), [5, 6]);
    assert_eq!(struck(html(|rule| rule.to = Some(1)), 3), [1]);
}

proptest! {
    #[test]
    fn chance_is_repeatable_and_about_right(seed: u64, percent in 0_u32..=100) {
        let probability = f64::from(percent) / 100.0;
        let run = || {
            let faults = Faults::new(0);
            let rule = html(|rule| rule.probability = Some(probability));
            faults.set(FaultScript { seed: Some(seed), rules: vec![rule] }, 0).unwrap();
            (0..2_000).map(|_| faults.strike(FaultOn::Send, Whom::default()).is_some()).collect::<Vec<_>>()
        };
        let first = run();
        prop_assert_eq!(&first, &run());
        let hits = first.iter().filter(|hit| **hit).count();
        let expected = 20 * percent as usize;
        prop_assert!(hits.abs_diff(expected) < 130, "{} of {}", hits, expected);
    }
}

#[test]
fn the_first_that_strikes_decides_and_only_its_calls_are_counted() {
    let person = html(|rule| (rule.openid, rule.next) = (Some("o1".to_owned()), Some(1)));
    let everybody = FaultRule::new(FaultOn::AnyCall, FaultKind::Hang);
    let faults = faults(vec![person, everybody]);
    let kind = |on, openid| {
        faults.strike(on, Whom { openid: Some(openid), ..Whom::default() }).map(|strike| strike.kind())
    };
    assert_eq!(kind(FaultOn::Send, "o2"), Some(FaultKind::Hang));
    assert_eq!(kind(FaultOn::Send, "o1"), Some(FaultKind::Html));
    assert_eq!(kind(FaultOn::Send, "o1"), Some(FaultKind::Hang));
    assert_eq!(kind(FaultOn::Token, "o1"), Some(FaultKind::Hang));
    assert_eq!(kind(FaultOn::Receipt, "o1"), None);
    let states: Vec<_> = faults.view().states.iter().map(|state| (state.seen, state.fired)).collect();
    assert_eq!(states, [(2, 1), (3, 3)]);
}

#[test]
fn slips_are_told() {
    let says = |json: serde_json::Value, part: &str| {
        let rule: Result<FaultRule, _> = serde_json::from_value(json.clone());
        let why = match rule {
            Err(error) => error.to_string(),
            Ok(rule) => {
                let script = FaultScript { seed: None, rules: vec![rule] };
                Faults::new(0).set(script, 0).unwrap_err().to_string()
            }
        };
        assert!(why.contains(part), "{json}: {why}");
    };
    let send = |more: serde_json::Value| {
        let mut rule = serde_json::json!({"on": "send", "fault": "html"});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    says(send(serde_json::json!({"probabilty": 0.5})), "probabilty");
    says(send(serde_json::json!({"probability": 1.5})), "between 0 and 1");
    says(send(serde_json::json!({"probability": 0.5, "next": 1})), "only one of");
    says(send(serde_json::json!({"every": 0})), "from 1");
    says(send(serde_json::json!({"from": 3, "to": 2})), "behind");
    says(send(serde_json::json!({"times": 2})), "times means nothing to html");
    says(send(serde_json::json!({"fault": "lost"})), "lost does not happen on send");
    says(send(serde_json::json!({"fault": "latency"})), "delay_ms");
    says(send(serde_json::json!({"fault": "cut_before_body", "effect": true})), "no effect");
    says(send(serde_json::json!({"fault": "errcode", "errcode": 0})), "no fault");
    says(send(serde_json::json!({"on": "tokens", "openid": "o"})), "not known on tokens");
    says(send(serde_json::json!({"on": "push", "fault": "overtake"})), "overtake does not happen on push");
    says(send(serde_json::json!({"on": "dream"})), "dream");
}
