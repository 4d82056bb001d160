//! Outcomes: what each does to message, grant and reservation; who may say so (I4, I5, I7, I8).

use domain::clock::{MINUTE, SECOND};
use domain::ledger::{EntryKind, TemplateKind};
use domain::message::{Outcome, OutcomeKind, State};
use store::hot::enqueue::NewMessage;
use store::hot::settle::{Settled, Settlement};

use crate::bed::{ACCEPTED, APP, Bed, Flight, START, T, accepted, openid};

async fn kinds(bed: &Bed, openid: &str) -> Vec<EntryKind> {
    let entries = bed.store.ledger_of(APP, openid, T).await.unwrap();
    entries.into_iter().map(|stored| stored.entry.kind).collect()
}

pub(crate) async fn accepted_spends_a_grant(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 2).await;
    let id = bed.queued(&a).await;
    assert_eq!(bed.subscription(&a).await.1, 1, "reserved while it waits");
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, Settled::Outcome(accepted(77))).await);
    let stored = bed.stored(id).await;
    assert_eq!((stored.position.state, stored.msgid), (State::Accepted, Some(77)));
    assert_eq!(stored.position.outcome, Some(OutcomeKind::Accepted));
    assert_eq!(stored.attempts.len(), 1);
    let (subscription, reserved) = bed.subscription(&a).await;
    assert_eq!((subscription.balance, reserved), (1, 0));
    let entries = bed.store.ledger_of(APP, &a, T).await.unwrap();
    let spend = &entries.last().unwrap().entry;
    assert_eq!((spend.kind, spend.delta, spend.act_at), (EntryKind::Spend, -1, START));
    assert_eq!(spend.reference, Some(id.0), "the entry names the message");
    assert!(!bed.settle(&flight, Settled::Outcome(accepted(78))).await, "an attempt is settled once");
    assert_eq!(bed.balance(&a).await, 1);
}

pub(crate) async fn accepted_at_zero_finds_a_grant(bed: &Bed) {
    let a = openid(1);
    bed.sent(&a, ACCEPTED).await;
    assert_eq!(kinds(bed, &a).await, [EntryKind::Found, EntryKind::Spend]);
    let (subscription, _) = bed.subscription(&a).await;
    assert_eq!((subscription.balance, subscription.found_open), (0, 1));
    assert!(!subscription.known);
    bed.check_ledgers().await;
}

pub(crate) async fn refused_zeroes_the_balance(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 3).await;
    bed.clock.advance(MINUTE);
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    let settlement = Settlement {
        result: Settled::Outcome(Outcome::Refused),
        errcode: Some(43101),
        errmsg: Some("user refuse to accept the msg".into()),
        ..flight.settlement
    };
    assert_eq!(bed.store.settle(vec![settlement]).await.unwrap(), [true]);
    let stored = bed.stored(id).await;
    assert_eq!(stored.position.state, State::Refused);
    assert_eq!(
        (stored.errcode, stored.errmsg.as_deref()),
        (Some(43101), Some("user refuse to accept the msg"))
    );
    assert_eq!(stored.attempts[0].errcode, Some(43101));
    let (subscription, reserved) = bed.subscription(&a).await;
    assert_eq!((subscription.balance, subscription.known, reserved), (0, true, 0));
    assert_eq!(kinds(bed, &a).await.last(), Some(&EntryKind::Zeroed));
}

pub(crate) async fn failed_takes_no_grant(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.sent(&a, Outcome::Failed).await;
    assert_eq!(bed.state(id).await, State::Failed);
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 0));
}

pub(crate) async fn unknown_keeps_its_reservation(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.sent(&a, Outcome::Unknown).await;
    let stored = bed.stored(id).await;
    assert_eq!(stored.position.state, State::Unknown);
    assert!(stored.attempts.len() == 1 && stored.attempts[0].ambiguous);
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 1));
    let needing = NewMessage { needs_grant: true, ..bed.message(&a) };
    assert_eq!(bed.enqueue(needing).await, store::hot::enqueue::Enqueued::NoGrant);
}

pub(crate) async fn a_retry_waits_again(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.queued(&a).await;
    for (attempt, ambiguous, errcode) in [(1, false, 45011), (2, true, -1), (3, false, 45011)] {
        let flight = bed.arm(id).await;
        assert_eq!(flight.settlement.attempt, attempt);
        let due_at = bed.now() + 10 * SECOND;
        let settlement = Settlement {
            result: flight.again(due_at, ambiguous),
            errcode: Some(errcode),
            errmsg: Some("busy".into()),
            ..flight.settlement.clone()
        };
        assert_eq!(bed.store.settle(vec![settlement]).await.unwrap(), [true]);
        let stored = bed.stored(id).await;
        assert_eq!((stored.position.state, stored.due_at), (State::Queued, due_at));
        assert_eq!(stored.position.is_ambiguous(), attempt >= 2, "what may have been sent stays so");
        assert_eq!(i64::try_from(stored.attempts.len()).unwrap(), attempt, "{:?}", stored.attempts);
        assert_eq!((stored.errcode, bed.subscription(&a).await.1), (Some(errcode), 1));
        let heads = bed.store.claim(id.lane(), flight.queue, due_at - 1, 10).await.unwrap();
        assert!(heads.is_empty(), "not before its time");
        bed.clock.advance(10 * SECOND);
        let heads = bed.store.claim(id.lane(), flight.queue, due_at, 10).await.unwrap();
        assert_eq!((heads[0].attempts, heads[0].ambiguous), (attempt, attempt >= 2));
    }
    let flight = bed.arm(id).await;
    let stored = bed.stored(id).await;
    assert_eq!((stored.attempts.len(), stored.attempts[3].errcode), (4, None), "the call has no answer yet");
    assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await);
    let stored = bed.stored(id).await;
    let told: Vec<_> = stored.attempts.iter().map(|a| (a.at - START, a.errcode, a.ambiguous)).collect();
    assert_eq!(
        told,
        [
            (0, Some(45011), false),
            (10_000, Some(-1), true),
            (20_000, Some(45011), false),
            (30_000, None, false)
        ]
    );
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (0, 0));
    assert_eq!(kinds(bed, &a).await, [EntryKind::Grant, EntryKind::Spend], "one message, one grant");
}

pub(crate) async fn what_is_given_back_has_not_been_tried(bed: &Bed) {
    let a = openid(1);
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, flight.given_back()).await);
    let stored = bed.stored(id).await;
    assert_eq!((stored.position.state, stored.due_at), (State::Queued, flight.due_at));
    assert!(stored.attempts.is_empty());
    // Given back after a real attempt: that one stays, with what it was told.
    let flight = bed.arm(id).await;
    assert_eq!(flight.settlement.attempt, 1);
    let settlement = Settlement {
        result: flight.again(bed.now(), true),
        errcode: Some(-1),
        errmsg: Some("system error".into()),
        ..flight.settlement.clone()
    };
    assert_eq!(bed.store.settle(vec![settlement]).await.unwrap(), [true]);
    bed.clock.advance(SECOND);
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, flight.given_back()).await);
    let stored = bed.stored(id).await;
    assert_eq!(stored.attempts.len(), 1, "{:?}", stored.attempts);
    assert_eq!((stored.attempts[0].at, stored.attempts[0].errcode), (START, Some(-1)));
    assert_eq!((stored.errcode, stored.errmsg.as_deref()), (Some(-1), Some("system error")));
    assert_eq!(bed.arm(id).await.settlement.attempt, 2);
}

pub(crate) async fn only_its_own_attempt_and_epoch_settle(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    let wrong = |change: &dyn Fn(&mut Settlement)| {
        let mut settlement = Settlement { result: Settled::Outcome(ACCEPTED), ..flight.settlement.clone() };
        change(&mut settlement);
        settlement
    };
    let strangers = vec![
        wrong(&|s| s.attempt += 1),
        wrong(&|s| s.attempt -= 1),
        wrong(&|s| s.epoch += 1),
        wrong(&|s| s.epoch -= 1),
        wrong(&|s| s.id = bed.message(&a).id),
    ];
    for stranger in &strangers {
        assert_eq!(bed.store.settle(vec![stranger.clone()]).await.unwrap(), [false], "{stranger:?}");
    }
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Sending, 1));
    let own = wrong(&|_| {});
    let mut batch = strangers;
    batch.extend([own.clone(), own]);
    let counted = bed.store.settle(batch).await.unwrap();
    assert_eq!(counted, [false, false, false, false, false, true, false], "one batch, each by its own");
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Accepted, 0));
    assert_eq!(kinds(bed, &a).await, [EntryKind::Grant, EntryKind::Spend]);
}

pub(crate) async fn a_cancel_while_sending_forbids_the_retry(bed: &Bed) {
    let a = openid(1);
    for (ambiguous, end) in [(false, State::Cancelled), (true, State::Unknown)] {
        let id = bed.queued(&a).await;
        let flight = bed.arm(id).await;
        let (before, after) = bed.store.cancel(APP, id).await.unwrap().unwrap();
        assert_eq!(
            (before.state, after.state, after.cancel_requested),
            (State::Sending, State::Sending, true)
        );
        assert!(bed.settle(&flight, flight.again(bed.now(), ambiguous)).await);
        assert_eq!(bed.state(id).await, end);
        assert!(bed.store.claim(id.lane(), flight.queue, bed.now(), 10).await.unwrap().is_empty());
        assert_eq!(bed.stored(id).await.attempts.len(), 1);
        assert_eq!(bed.subscription(&a).await.1, i64::from(ambiguous), "what is not open reserves nothing");
    }
    // An answer is an answer all the same.
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    bed.store.cancel(APP, id).await.unwrap();
    assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await);
    assert_eq!(bed.state(id).await, State::Accepted);
}

pub(crate) async fn a_batch_settles_one_person_several_times(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 2).await;
    let mut flights: Vec<Flight> = Vec::new();
    for _ in 0..4 {
        let id = bed.queued(&a).await;
        flights.push(bed.arm(id).await);
    }
    let batch =
        flights.iter().map(|f| Settlement { result: Settled::Outcome(ACCEPTED), ..f.settlement.clone() });
    assert_eq!(bed.store.settle(batch.collect()).await.unwrap(), [true; 4]);
    use EntryKind::{Found, Grant, Spend};
    assert_eq!(kinds(bed, &a).await, [Grant, Grant, Spend, Spend, Found, Spend, Found, Spend]);
    bed.check_ledgers().await;
}

pub(crate) async fn a_long_term_send_spends_nothing(bed: &Bed) {
    let a = openid(1);
    let template = bed.sync("long", TemplateKind::LongTerm).await;
    // The sync has emptied what the writer remembers, as a start does: the outcome names the template by number only.
    let message = NewMessage { template, ..bed.message(&a) };
    let id = message.id;
    bed.enqueue(message).await;
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await);
    assert_eq!(bed.state(id).await, State::Accepted);
    assert!(bed.store.ledger_of(APP, &a, "long").await.unwrap().is_empty());
}

pub(crate) async fn what_an_owner_lost_is_unknown(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    let retried = bed.queued(&a).await;
    let retried = bed.arm(retried).await;
    assert!(bed.orphans(&bed.epochs, bed.now(), 10).await.is_empty(), "its owner is there");
    let epochs = bed.store.take_all_lanes("next".into(), START).await.unwrap();
    assert_eq!(epochs.of(id.lane()), flight.settlement.epoch + 1);
    // An old owner puts nothing back into a queue (I7); what it does not tell is the new one's to decide.
    assert!(!bed.settle(&retried, retried.again(bed.now(), false)).await);
    assert!(!bed.settle(&retried, retried.given_back()).await);
    assert_eq!(bed.orphans(&epochs, bed.now(), 1).await.len(), 1, "a page at a time");
    let orphans = bed.orphans(&epochs, bed.now(), 10).await;
    assert_eq!(orphans.len(), 2);
    assert_eq!(bed.store.settle(orphans.clone()).await.unwrap(), [true, true]);
    assert!(bed.orphans(&epochs, bed.now(), 10).await.is_empty());
    assert_eq!(bed.store.settle(orphans).await.unwrap(), [false, false]);
    for flight in [&flight, &retried] {
        let stored = bed.stored(flight.settlement.id).await;
        assert_eq!(stored.position.state, State::Unknown);
        assert!(stored.attempts.len() == 1 && stored.attempts[0].ambiguous);
        assert!(!bed.settle(flight, Settled::Outcome(ACCEPTED)).await, "too late");
        assert_eq!(bed.state(flight.settlement.id).await, State::Unknown);
    }
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 2));
}
