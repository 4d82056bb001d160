//! Receipts: which message each belongs to, in whatever order it comes, and that a grant is taken once.

use domain::clock::{MINUTE, SECOND};
use domain::message::{Outcome, Receipt, State};
use store::hot::append::InboxKind;
use store::hot::apply::{ActKind, Application};
use store::hot::settle::Settled;

use crate::bed::{ACCEPTED, APP, Bed, T, accepted, act, openid, receipt};

pub(crate) async fn a_receipt_finds_its_msgid(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 9).await;
    let mut ids = Vec::new();
    // More than one chain step back, and more than three.
    for msgid in 1..=6 {
        ids.push(bed.sent(&a, accepted(msgid)).await);
    }
    assert_eq!(bed.receipt(&a, Some(2), 0).await, Application::Done);
    assert_eq!(bed.receipt(&a, Some(6), 0).await, Application::Done);
    assert_eq!(bed.receipt(&a, Some(1), -5).await, Application::Done);
    use State::{Accepted, Delivered, Undelivered};
    for (id, state) in ids.iter().zip([Undelivered, Delivered, Accepted, Accepted, Accepted, Delivered]) {
        assert_eq!(bed.state(*id).await, state);
    }
    let stored = bed.stored(ids[0]).await;
    let kept = stored.receipt.expect("the receipt is kept");
    assert_eq!(
        (kept.at, kept.error_code, kept.error_status.as_str()),
        (bed.now(), -5, "failed:system failed")
    );
    assert_eq!((bed.balance(&a).await, stored.msgid), (3, Some(1)), "spent when accepted, not again");
    assert_eq!(bed.receipt(&a, Some(99), 0).await, Application::Done, "another system's message");
    assert_eq!(bed.balance(&a).await, 3);
    assert_eq!(bed.state(ids[2]).await, Accepted);
}

pub(crate) async fn without_msgids_receipts_come_in_send_order(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 5).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(bed.sent(&a, ACCEPTED).await);
    }
    for (at, id) in ids.iter().enumerate() {
        // Some receipts name a msgid that no answer carried.
        let msgid = (at % 2 == 0).then_some(1_000 + at as u64);
        assert_eq!(bed.receipt(&a, msgid, 0).await, Application::Done);
        assert_eq!(bed.state(*id).await, State::Delivered);
        let delivered = futures::future::join_all(ids.iter().map(|id| bed.state(*id))).await;
        assert_eq!(delivered.iter().filter(|state| **state == State::Delivered).count(), at + 1);
    }
    // Learned from the receipt: the same again finds the same message.
    assert_eq!(bed.stored(ids[2]).await.msgid, Some(1_002));
    assert_eq!(bed.balance(&a).await, 0);
}

pub(crate) async fn several_receipts_of_one_batch(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 4).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bed.sent(&a, ACCEPTED).await);
    }
    let (mut rows, now) = (Vec::new(), bed.now());
    for (msgid, code) in [(1, 0), (2, -1), (2, 0), (3, 0), (3, -1)] {
        rows.push(bed.arrive(InboxKind::Sent, &a, vec![receipt(Some(msgid), code, now)]).await);
    }
    // One event may list several.
    let list = vec![receipt(Some(4), 0, now), receipt(Some(4), 0, now)];
    rows.push(bed.arrive(InboxKind::Sent, &a, list).await);
    assert_eq!(bed.store.apply(rows).await.unwrap(), [Application::Done; 6]);
    for id in ids {
        let stored = bed.stored(id).await;
        assert_eq!(stored.position.state, State::Delivered);
        assert_eq!(stored.receipt.unwrap().error_code, 0, "what is kept is the word that stands");
    }
}

pub(crate) async fn a_receipt_waits_for_the_answer_under_way(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 3).await;
    let earlier = bed.sent(&a, accepted(1)).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    // The event also grants: all of it waits, and then counts once.
    let acts = vec![act(T, ActKind::Grant { at: bed.now() }), receipt(Some(2), 0, bed.now())];
    let row = bed.arrive(InboxKind::Sent, &a, acts).await;
    for _ in 0..2 {
        assert_eq!(bed.store.apply(vec![row.clone()]).await.unwrap(), [Application::Waits]);
    }
    assert_eq!(bed.balance(&a).await, 2);
    assert_eq!(bed.pending(None, 10).await.len(), 1);
    assert_eq!(bed.receipt(&a, Some(1), 0).await, Application::Done, "that of another message does not wait");
    assert_eq!(bed.state(earlier).await, State::Delivered);
    assert_eq!(bed.receipt(&openid(2), Some(9), 0).await, Application::Done, "nor that of another person");
    assert!(bed.settle(&flight, Settled::Outcome(accepted(2))).await);
    assert_eq!(bed.store.apply(vec![row]).await.unwrap(), [Application::Done]);
    assert_eq!(bed.state(id).await, State::Delivered);
    assert_eq!(bed.balance(&a).await, 2);
    bed.check_ledgers().await;
}

pub(crate) async fn a_receipt_resolves_an_unknown(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 2).await;
    let id = bed.sent(&a, Outcome::Unknown).await;
    assert_eq!(bed.receipt(&a, Some(5), 0).await, Application::Done);
    let stored = bed.stored(id).await;
    assert_eq!((stored.position.state, stored.msgid), (State::Delivered, Some(5)));
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 0), "the grant is taken, once");
    for msgid in [Some(5), None] {
        assert_eq!(bed.receipt(&a, msgid, 0).await, Application::Done);
        assert_eq!(bed.balance(&a).await, 1);
    }
    // What did not arrive was accepted all the same.
    let id = bed.sent(&a, Outcome::Unknown).await;
    bed.receipt(&a, Some(6), -1).await;
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Undelivered, 0));
    bed.check_ledgers().await;
}

pub(crate) async fn accepted_ones_come_before_an_unknown(bed: &Bed) {
    let a = openid(1);
    let unknown = bed.sent(&a, Outcome::Unknown).await;
    let nameless = bed.sent(&a, ACCEPTED).await;
    bed.receipt(&a, Some(8), 0).await;
    assert_eq!((bed.state(unknown).await, bed.state(nameless).await), (State::Unknown, State::Delivered));
    bed.receipt(&a, Some(9), 0).await;
    assert_eq!(bed.state(unknown).await, State::Delivered, "the surplus");
}

pub(crate) async fn delivered_stands_against_a_later_word(bed: &Bed) {
    let a = openid(1);
    let id = bed.sent(&a, accepted(1)).await;
    bed.receipt(&a, Some(1), 0).await;
    bed.clock.advance(MINUTE);
    bed.receipt(&a, Some(1), -1).await;
    let stored = bed.stored(id).await;
    assert_eq!(stored.position.receipt, Some(Receipt::Delivered));
    assert_eq!(stored.receipt.unwrap().error_code, 0);
    // The other way round the later word wins.
    let id = bed.sent(&a, accepted(2)).await;
    bed.receipt(&a, Some(2), -1).await;
    assert_eq!(bed.state(id).await, State::Undelivered);
    bed.receipt(&a, Some(2), 0).await;
    let stored = bed.stored(id).await;
    assert_eq!((stored.position.state, stored.receipt.unwrap().error_code), (State::Delivered, 0));
}

pub(crate) async fn a_strangers_receipt_changes_nothing(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    let id = bed.sent(&a, accepted(1)).await;
    bed.receipt(&b, Some(1), 0).await;
    let other = vec![act(
        "other",
        ActKind::Receipt { msgid: Some(1), code: 0, status: "success".into(), at: bed.now() },
    )];
    assert_eq!(bed.event(&a, other).await, Application::Done);
    assert_eq!(bed.state(id).await, State::Accepted, "another person's, another template's");
    assert_eq!(bed.store.subscriptions_of(APP, &b, None).await.unwrap().len(), 0);
}

pub(crate) async fn a_receipt_takes_its_message_out_of_the_queue(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 2).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, flight.again(bed.now() + SECOND, true)).await);
    bed.clock.advance(SECOND);
    let (arm, _) = bed.ready(id).await;
    assert_eq!(bed.receipt(&a, Some(3), 0).await, Application::Done);
    let stored = bed.stored(id).await;
    assert_eq!((stored.position.state, stored.attempts.len()), (State::Delivered, 1));
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "the person has it");
    assert!(bed.waiting().await.is_empty());
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 0));
    // One that certainly was not sent is nobody's receipt.
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    bed.settle(&flight, flight.again(bed.now(), false)).await;
    bed.receipt(&a, Some(4), 0).await;
    assert_eq!(bed.state(id).await, State::Queued);
}

pub(crate) async fn a_resent_message_keeps_the_chain_whole(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 9).await;
    let failed = bed.sent(&a, Outcome::Failed).await;
    let undelivered = bed.sent(&a, accepted(1)).await;
    bed.receipt(&a, Some(1), -1).await;
    let newer = bed.sent(&a, accepted(2)).await;
    for (id, msgid) in [(undelivered, 3), (failed, 4), (undelivered, 5)] {
        let (now, expire_at) = (bed.now(), bed.now() + MINUTE);
        let (_, after) = bed.store.resend(APP, id, now, expire_at).await.unwrap().unwrap();
        assert_eq!(after.state, State::Queued);
        let flight = bed.arm(id).await;
        assert!(bed.settle(&flight, Settled::Outcome(accepted(msgid))).await);
        // A chain with a cycle would be walked two hundred steps and give the wrong row twice.
        assert_eq!(bed.receipt(&a, Some(msgid), -1).await, Application::Done);
        assert_eq!(bed.state(id).await, State::Undelivered);
    }
    assert_eq!(bed.state(newer).await, State::Accepted);
    bed.receipt(&a, Some(2), 0).await;
    assert_eq!(bed.state(newer).await, State::Delivered);
    // The receipt of an attempt before the resend is no longer this message's.
    bed.receipt(&a, Some(1), 0).await;
    assert_eq!(bed.state(undelivered).await, State::Undelivered);
    assert_eq!(bed.stored(undelivered).await.attempts.len(), 3);
    assert_eq!(bed.balance(&a).await, 9 - 5, "each accepted attempt took its own");
    bed.check_ledgers().await;
}

pub(crate) async fn a_resent_message_stands_in_send_order_by_its_attempt(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 3).await;
    let first = bed.sent(&a, Outcome::Unknown).await;
    bed.clock.advance(SECOND);
    let second = bed.sent(&a, ACCEPTED).await;
    bed.clock.advance(SECOND);
    let (now, expire_at) = (bed.now(), bed.now() + MINUTE);
    bed.store.resend(APP, first, now, expire_at).await.unwrap().unwrap();
    let flight = bed.arm(first).await;
    assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await);
    bed.receipt(&a, Some(1), 0).await;
    assert_eq!((bed.state(second).await, bed.state(first).await), (State::Delivered, State::Accepted));
    bed.receipt(&a, Some(2), 0).await;
    assert_eq!(bed.state(first).await, State::Delivered);
}

pub(crate) async fn with_msgids_a_stranger_is_an_unknowns(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 9).await;
    let known = bed.sent(&a, accepted(1)).await;
    let (first, second) = (bed.sent(&a, Outcome::Unknown).await, bed.sent(&a, Outcome::Unknown).await);
    // Erroneous, pushed twice, and then its correction: all of them the same unknown's.
    for (code, state) in [(-6, State::Undelivered), (-6, State::Undelivered), (0, State::Delivered)] {
        assert_eq!(bed.receipt(&a, Some(7), code).await, Application::Done);
        assert_eq!(bed.state(first).await, state);
        assert_eq!((bed.state(known).await, bed.state(second).await), (State::Accepted, State::Unknown));
    }
    assert_eq!(bed.stored(first).await.msgid, Some(7));
    assert_eq!(bed.receipt(&a, Some(8), 0).await, Application::Done);
    assert_eq!(bed.state(second).await, State::Delivered);
    assert_eq!(bed.receipt(&a, Some(9), 0).await, Application::Done, "nobody's");
    assert_eq!((bed.state(known).await, bed.balance(&a).await), (State::Accepted, 6));
    assert_eq!(bed.receipt(&a, Some(1), 0).await, Application::Done);
    assert_eq!((bed.state(known).await, bed.balance(&a).await), (State::Delivered, 6));
}

pub(crate) async fn a_msgid_beyond_i64_is_a_msgid(bed: &Bed) {
    let a = openid(1);
    let (high, higher) = (u64::MAX - 5, u64::MAX - 4);
    let first = bed.sent(&a, accepted(high)).await;
    let second = bed.sent(&a, accepted(higher)).await;
    bed.receipt(&a, Some(higher), 0).await;
    assert_eq!((bed.state(first).await, bed.state(second).await), (State::Accepted, State::Delivered));
    assert_eq!(bed.stored(second).await.msgid, Some(higher));
}
