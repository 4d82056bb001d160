//! I8 as a property: whatever comes in whatever batches, the stored accounts are those of the ledger's rules applied
//! one act at a time.

use std::collections::BTreeMap;

use domain::entropy::random_bytes;
use domain::ledger::{Account, Change, Subscription, TemplateKind};
use domain::message::Outcome;
use domain::{Entropy, Millis, SeededEntropy, SystemEntropy};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use store::hot::append::InboxKind;
use store::hot::apply::{Act, ActKind, Application};
use store::hot::enqueue::NewMessage;
use store::hot::settle::{Settled, Settlement};

use crate::bed::{ACCEPTED, APP, Bed, START, T, act, openid};

/// Set to a number that a failed run printed, to have its cases again.
const SEED: &str = "HONGYAN_TEST_SEED";
const TEMPLATES: [&str; 3] = [T, "second", "long"];

/// A person, and acts: template, what, seconds.
type PersonEvent = (usize, Vec<(usize, u8, i64)>);

/// One commit's worth of work.
#[derive(Debug, Clone)]
enum Step {
    /// Events, each with acts on templates.
    Events(Vec<PersonEvent>),
    /// Messages sent and answered together: (person, template, accepted, seconds of the attempt).
    Sends(Vec<(usize, usize, bool, i64)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let acts = prop::collection::vec((0..3usize, 0..7u8, 0..40i64), 1..4);
    let events = prop::collection::vec((0..2usize, acts), 1..8).prop_map(Step::Events);
    let sends =
        prop::collection::vec((0..2usize, 0..3usize, any::<bool>(), 0..40i64), 1..5).prop_map(Step::Sends);
    prop::collection::vec(prop_oneof![3 => events, 2 => sends], 1..12)
}

type Model = BTreeMap<(String, usize), Account>;

fn model_apply(model: &mut Model, person: &str, template: usize, change: Change, now: Millis) {
    let kind = if template == 2 { TemplateKind::LongTerm } else { TemplateKind::OneTime };
    let account = model.entry((person.to_owned(), template)).or_insert_with(|| {
        let mut account = Account::new(Subscription::default(), kind);
        account.load_past(Vec::new());
        account
    });
    account.apply(change, now, None).unwrap();
}

pub(crate) async fn any_batches_equal_one_act_at_a_time(bed: &Bed) {
    let mut numbers = Vec::new();
    for (at, template) in TEMPLATES.into_iter().enumerate() {
        let kind = if at == 2 { TemplateKind::LongTerm } else { TemplateKind::OneTime };
        numbers.push(bed.sync(template, kind).await);
    }
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemEntropy::new().unwrap().next_u64(),
    };
    println!("{SEED}={seed}");
    let bytes = random_bytes::<32>(&SeededEntropy::new(seed));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for case in 0..60 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let people = [openid(10 + case * 2), openid(11 + case * 2)];
        let mut model = Model::new();
        for step in &steps {
            bed.clock.advance(1_000);
            run(bed, &numbers, &people, step, &mut model).await;
        }
        for ((person, template), account) in &model {
            let template = TEMPLATES[*template];
            let stored = bed.store.subscriptions_of(APP, person, Some(template)).await.unwrap();
            let stored = stored.first().map(|s| s.subscription.clone()).unwrap_or_default();
            assert_eq!(&stored, account.subscription(), "{steps:#?}");
            let entries = bed.store.ledger_of(APP, person, template).await.unwrap();
            let told: Vec<_> = entries
                .into_iter()
                .map(|stored| domain::ledger::Entry { reference: None, ..stored.entry })
                .collect();
            assert_eq!(told, account.new_entries(), "{steps:#?}");
        }
    }
    bed.check_ledgers().await;
}

async fn run(bed: &Bed, numbers: &[i64], people: &[String; 2], step: &Step, model: &mut Model) {
    let now = bed.now();
    match step {
        Step::Events(events) => {
            let mut rows = Vec::new();
            for (person, acts) in events {
                let acts: Vec<Act> =
                    acts.iter().map(|(t, what, at)| act(TEMPLATES[*t], kind(*what, *at))).collect();
                for act in &acts {
                    let template = TEMPLATES.iter().position(|t| *t == act.template_id).unwrap();
                    let change = match act.kind {
                        ActKind::Grant { at } => Change::Grant { at },
                        ActKind::PopupReject { at } => Change::PopupReject { at },
                        ActKind::ChangeReject { at } => Change::ChangeReject { at },
                        ActKind::Report { at } => Change::Report { at },
                        ActKind::ReportedReject { .. } | ActKind::Receipt { .. } => unreachable!("none here"),
                    };
                    model_apply(model, &people[*person], template, change, now);
                }
                rows.push(bed.arrive(InboxKind::Popup, &people[*person], acts).await);
            }
            // In one call or in several of one commit.
            let split = usize::try_from(bed.entropy.next_u64() % (rows.len() as u64 + 1)).unwrap();
            let rest = rows.split_off(split);
            let (a, b) = tokio::join!(bed.store.apply(rows), bed.store.apply(rest));
            assert!(a.unwrap().into_iter().chain(b.unwrap()).all(|done| done == Application::Done));
        }
        Step::Sends(sends) => {
            let mut outcomes = Vec::new();
            for (person, template, accepted, at) in sends {
                let attempt_at = START + at * 1_000;
                let message = NewMessage { template: numbers[*template], ..bed.message(&people[*person]) };
                let id = message.id;
                bed.enqueue(message).await;
                let flight = bed.arm(id).await;
                let outcome = if *accepted { ACCEPTED } else { Outcome::Refused };
                let result = Settled::Outcome(outcome);
                outcomes.push(Settlement { attempt_at, result, ..flight.settlement });
                let change = if *accepted {
                    Change::Accepted { attempt_at }
                } else {
                    Change::Refused43101 { attempt_at }
                };
                model_apply(model, &people[*person], *template, change, now);
            }
            assert!(bed.store.settle(outcomes).await.unwrap().into_iter().all(|counted| counted));
        }
    }
}

fn kind(what: u8, seconds: i64) -> ActKind {
    let at = START + seconds * 1_000;
    match what {
        0 => ActKind::PopupReject { at },
        1 => ActKind::ChangeReject { at },
        2 | 3 => ActKind::Report { at },
        _ => ActKind::Grant { at },
    }
}
