//! Messages that stayed `unknown`: late answers, what a policy does once the grace is over, and that evidence, people
//! and other owners come before it (I4, I5, I7, I8).

use domain::clock::{HOUR, MINUTE, SECOND};
use domain::message::{Event, Outcome, State};
use domain::retry::UNKNOWN_GRACE;
use domain::{MessageId, Millis};
use store::hot::enqueue::Queue;
use store::hot::settle::{Settled, Settlement};
use store::hot::unknown::{Due, FollowUp};

use crate::bed::{ACCEPTED, APP, Bed, Flight, START, accepted, openid};

/// What is due by now, of every lane.
async fn due(bed: &Bed) -> Vec<Due> {
    let mut found = Vec::new();
    for waiting in bed.waiting().await {
        if waiting.queue.is_unknown() {
            assert_eq!(waiting.queue, Queue::unknown(APP));
            found.extend(bed.store.unknown_due(waiting.lane, waiting.queue, bed.now(), 1_000).await.unwrap());
        }
    }
    found
}

fn follow_up(bed: &Bed, due: &Due, event: Option<Event>) -> FollowUp {
    FollowUp { due: due.clone(), epoch: bed.epochs.of(due.lane), event, at: bed.now() }
}

async fn follow(bed: &Bed, due: &Due, event: Event) -> bool {
    bed.store.follow_up(vec![follow_up(bed, due, Some(event))]).await.unwrap()[0]
}

/// Enqueues, arms, and hears nothing.
async fn unheard(bed: &Bed, openid: &str) -> (MessageId, Flight) {
    let id = bed.queued(openid).await;
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, Settled::Outcome(Outcome::Unknown)).await);
    (id, flight)
}

pub(crate) async fn a_policy_sends_again(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let (id, _) = unheard(bed, &a).await;
    bed.clock.advance(UNKNOWN_GRACE - 1);
    assert_eq!(due(bed).await, [], "its grace is not over");
    let swept = bed.expire(bed.now() + 100 * HOUR, None, 100).await;
    assert_eq!(
        (swept.0, bed.state(id).await),
        (0, State::Unknown),
        "what may have been sent does not expire"
    );
    bed.clock.advance(1);
    let all = due(bed).await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].id, all[0].attempt, all[0].unresolved, all[0].errcode), (id, 1, true, None));
    bed.store.hints().take();
    assert!(follow(bed, &all[0], Event::Resend).await);
    assert!(!follow(bed, &all[0], Event::Resend).await, "once");
    assert_eq!(due(bed).await, []);
    let stored = bed.stored(id).await;
    assert_eq!((stored.position.state, stored.position.is_ambiguous()), (State::Queued, true));
    assert_eq!(stored.due_at, bed.now());
    assert!(stored.attempts.len() == 1 && stored.attempts[0].ambiguous, "{stored:?}");
    assert!(bed.store.hints().take().queues.contains(&(id.lane(), stored.queue)));
    assert_eq!(bed.subscription(&a).await.1, 1, "it reserves once");
    let flight = bed.arm(id).await;
    assert_eq!(flight.settlement.attempt, 2);
    assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await);
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (0, 0));
    assert_eq!(bed.stored(id).await.attempts.len(), 2);
}

pub(crate) async fn a_policy_gives_up(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let (id, _) = unheard(bed, &a).await;
    bed.clock.advance(UNKNOWN_GRACE);
    let all = due(bed).await;
    assert!(follow(bed, &all[0], Event::GiveUp).await);
    assert_eq!((bed.state(id).await, bed.subscription(&a).await.1), (State::Failed, 0));
    assert_eq!(bed.balance(&a).await, 1, "giving up spends nothing");
    assert!(bed.stored(id).await.attempts[0].ambiguous, "what happened stays written");
    assert!(bed.waiting().await.is_empty());
    // Evidence still tells.
    bed.receipt(&a, Some(5), 0).await;
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Delivered, 0));
}

pub(crate) async fn evidence_and_people_come_before_a_policy(bed: &Bed) {
    let people = [openid(1), openid(2), openid(3)];
    for (event, msgid) in [(Event::Resend, 10), (Event::GiveUp, 20)] {
        let mut ids = Vec::new();
        for a in &people {
            bed.grant(a, 1).await;
            ids.push(unheard(bed, a).await.0);
        }
        // A receipt inside of the grace: the place is stale when it comes up.
        bed.receipt(&people[0], Some(msgid), 0).await;
        bed.clock.advance(UNKNOWN_GRACE);
        let all = due(bed).await;
        assert_eq!(all.len(), 3);
        let of = |id: MessageId| all.iter().find(|due| due.id == id).unwrap();
        assert!(!of(ids[0]).unresolved && of(ids[1]).unresolved && of(ids[2]).unresolved);
        // A receipt and a cancel between the reading and the acting.
        bed.receipt(&people[1], Some(msgid + 1), 0).await;
        let (before, after) = bed.store.cancel(APP, ids[2]).await.unwrap().unwrap();
        assert_eq!(
            (before.state, after.state, after.cancel_requested),
            (State::Unknown, State::Unknown, true)
        );
        let batch = all.iter().map(|due| follow_up(bed, due, Some(event))).collect();
        let counted = bed.store.follow_up(batch).await.unwrap();
        let gave_up = event == Event::GiveUp;
        for (due, counted) in all.iter().zip(counted) {
            assert_eq!(counted, due.id == ids[2] && gave_up, "{event}");
        }
        let last = if gave_up { State::Failed } else { State::Unknown };
        for (id, state) in ids.iter().zip([State::Delivered, State::Delivered, last]) {
            assert_eq!(bed.state(*id).await, state);
        }
        assert!(bed.waiting().await.is_empty(), "no place is left");
    }
}

pub(crate) async fn another_epoch_follows_nothing_up(bed: &Bed) {
    let (id, _) = unheard(bed, &openid(1)).await;
    bed.clock.advance(UNKNOWN_GRACE);
    let all = due(bed).await;
    for epoch in [all.len() as i64 + 5, 0] {
        let wrong = FollowUp { epoch, ..follow_up(bed, &all[0], Some(Event::Resend)) };
        assert_eq!(bed.store.follow_up(vec![wrong]).await.unwrap(), [false]);
    }
    let other = FollowUp { due: Due { attempt: 2, ..all[0].clone() }, ..follow_up(bed, &all[0], None) };
    assert_eq!((due(bed).await.len(), bed.state(id).await), (1, State::Unknown));
    // Without an event, or with that of another attempt, only the place goes.
    assert_eq!(bed.store.follow_up(vec![other]).await.unwrap(), [false]);
    assert_eq!((due(bed).await.len(), bed.state(id).await), (0, State::Unknown));
}

pub(crate) async fn each_attempt_has_its_own_grace(bed: &Bed) {
    let a = openid(1);
    let (id, _) = unheard(bed, &a).await;
    bed.clock.advance(10 * SECOND);
    let (now, expire_at) = (bed.now(), bed.now() + HOUR);
    bed.store.resend(APP, id, now, expire_at).await.unwrap().unwrap();
    let flight = bed.arm(id).await;
    bed.clock.advance(5 * SECOND);
    assert!(bed.settle(&flight, Settled::Outcome(Outcome::Unknown)).await);
    bed.clock.advance(UNKNOWN_GRACE - 15 * SECOND);
    let all = due(bed).await;
    assert!(all.len() == 1 && !all[0].unresolved, "the place of the first attempt is stale: {all:?}");
    bed.store.follow_up(vec![follow_up(bed, &all[0], None)]).await.unwrap();
    bed.clock.advance(15 * SECOND);
    let all = due(bed).await;
    assert!(all.len() == 1 && all[0].unresolved && all[0].attempt == 2, "{all:?}");
}

pub(crate) async fn however_it_became_unknown_it_has_a_place(bed: &Bed) {
    let (mut ids, at): (Vec<MessageId>, Millis) = (Vec::new(), bed.now());
    // Cut off by a crash.
    let id = bed.queued(&openid(1)).await;
    bed.arm(id).await;
    ids.push(id);
    // Cancelled or over while it waited for its next attempt after a -1; cancelled during a -1.
    for n in 2..=4 {
        let id = bed.queued(&openid(n)).await;
        let flight = bed.arm(id).await;
        if n == 4 {
            bed.store.cancel(APP, id).await.unwrap();
        }
        assert!(bed.settle(&flight, flight.again(at, true)).await);
        ids.push(id);
    }
    bed.store.cancel(APP, ids[1]).await.unwrap();
    assert_eq!(bed.expire(at + 100 * HOUR, None, 100).await.0, 1);
    let epochs = bed.store.take_all_lanes("next".into(), START).await.unwrap();
    let orphans = bed.orphans(&epochs, at, 10).await;
    assert_eq!(bed.store.settle(orphans).await.unwrap(), [true]);
    bed.clock.advance(UNKNOWN_GRACE);
    let all = due(bed).await;
    let mut found: Vec<_> = all.iter().map(|due| due.id).collect();
    found.sort_unstable();
    ids.sort_unstable();
    assert_eq!(found, ids);
    let batch: Vec<FollowUp> = all
        .iter()
        .map(|due| FollowUp { epoch: epochs.of(due.lane), ..follow_up(bed, due, Some(Event::GiveUp)) })
        .collect();
    // Twice in one batch is once.
    let counted = bed.store.follow_up([batch.clone(), batch].concat()).await.unwrap();
    assert_eq!(counted, [[true; 4], [false; 4]].concat());
    for id in ids {
        assert_eq!(bed.state(id).await, State::Failed);
    }
}

pub(crate) async fn a_late_answer_resolves_its_unknown(bed: &Bed) {
    for (n, outcome, state, balance) in [
        (1, accepted(9), State::Accepted, 1),
        (2, Outcome::Refused, State::Refused, 0),
        (3, Outcome::Failed, State::Failed, 2),
    ] {
        let a = openid(n);
        bed.grant(&a, 2).await;
        bed.clock.advance(SECOND);
        let (id, flight) = unheard(bed, &a).await;
        let late = Settlement {
            result: Settled::Late(outcome),
            errcode: Some(n as i64),
            errmsg: Some("said late".into()),
            ..flight.settlement.clone()
        };
        let strangers = vec![
            Settlement { attempt: 2, ..late.clone() },
            Settlement { id: bed.message(&a).id, ..late.clone() },
            Settlement { result: Settled::Late(Outcome::Unknown), attempt: 0, ..late.clone() },
        ];
        assert_eq!(bed.store.settle(strangers).await.unwrap(), [false; 3]);
        assert_eq!(bed.store.settle(vec![late.clone(), late.clone()]).await.unwrap(), [true, false]);
        assert_eq!(bed.store.settle(vec![late]).await.unwrap(), [false]);
        let stored = bed.stored(id).await;
        assert_eq!(stored.position.state, state);
        assert_eq!(stored.msgid, (n == 1).then_some(9));
        assert_eq!((stored.attempts.len(), stored.attempts[0].errcode), (1, Some(n as i64)));
        assert!(!stored.attempts[0].ambiguous, "it is clear now");
        assert_eq!(bed.subscription(&a).await.1, 0, "what is not open reserves nothing");
        assert_eq!(bed.balance(&a).await, balance);
    }
}

pub(crate) async fn a_late_answer_and_a_receipt_come_in_any_order(bed: &Bed) {
    for (n, receipt_first) in [(1, true), (2, false)] {
        let a = openid(n);
        bed.grant(&a, 2).await;
        let (id, flight) = unheard(bed, &a).await;
        if receipt_first {
            bed.receipt(&a, None, 0).await;
        }
        assert!(bed.settle(&flight, Settled::Late(accepted(4))).await, "it fills in the outcome");
        if !receipt_first {
            bed.receipt(&a, Some(4), 0).await;
        }
        let stored = bed.stored(id).await;
        assert_eq!((stored.position.state, stored.msgid), (State::Delivered, Some(4)));
        assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 0), "spent once");
    }
}

pub(crate) async fn a_late_answer_speaks_of_no_other_attempt(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 3).await;
    // Put back by a person: a late yes takes it out again, a late no is not about the attempt to come.
    let (id, first) = unheard(bed, &a).await;
    bed.clock.advance(SECOND);
    let (now, expire_at) = (bed.now(), bed.now() + MINUTE);
    bed.store.resend(APP, id, now, expire_at).await.unwrap();
    assert!(!bed.settle(&first, Settled::Late(Outcome::Refused)).await);
    assert!(!bed.settle(&first, Settled::Late(Outcome::Failed)).await);
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Queued, 3));
    let (arm, _) = bed.ready(id).await;
    assert!(bed.settle(&first, Settled::Late(accepted(1))).await);
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "it does not go out a second time");
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Accepted, 2));
    assert_eq!(bed.subscription(&a).await.1, 0);
    // The next attempt is under way, or was answered.
    let (id, first) = unheard(bed, &a).await;
    bed.store.resend(APP, id, now, expire_at).await.unwrap();
    let second = bed.arm(id).await;
    assert!(!bed.settle(&first, Settled::Late(accepted(2))).await);
    assert!(!bed.settle(&second, Settled::Late(accepted(2))).await, "it is in flight: no late answer yet");
    assert!(bed.settle(&second, Settled::Outcome(accepted(3))).await);
    assert!(!bed.settle(&first, Settled::Late(Outcome::Refused)).await);
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Accepted, 1));
    // Given up meanwhile; and heard by an owner who has lost the lane: it is evidence all the same.
    let (id, first) = unheard(bed, &a).await;
    bed.clock.advance(UNKNOWN_GRACE);
    let all = due(bed).await;
    let place = all.iter().find(|due| due.id == id).unwrap();
    assert!(follow(bed, place, Event::GiveUp).await);
    bed.store.take_all_lanes("next".into(), START).await.unwrap();
    assert!(bed.settle(&first, Settled::Late(accepted(5))).await);
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Accepted, 0));
}
