//! Cancel, resend, expire, and waiting for what becomes of a message (I4).

use std::time::Duration;

use domain::MessageId;
use domain::clock::{HOUR, MINUTE};
use domain::message::{Outcome, State};
use store::hot::enqueue::{NewMessage, Priority, Queue};
use store::hot::settle::Settled;

use crate::bed::{ACCEPTED, APP, Bed, START, accepted, openid};

pub(crate) async fn a_waiting_message_is_cancelled(bed: &Bed) {
    let a = openid(1);
    for state in [State::Queued, State::Scheduled] {
        let message = NewMessage { state, ..bed.message(&a) };
        let id = message.id;
        bed.enqueue(message).await;
        assert!(bed.store.cancel(APP + 1, id).await.unwrap().is_none(), "another app's (I16)");
        let (before, after) = bed.store.cancel(APP, id).await.unwrap().unwrap();
        assert_eq!((before.state, after.state), (state, State::Cancelled));
        assert_eq!((bed.state(id).await, bed.subscription(&a).await.1), (State::Cancelled, 0));
        let (before, after) = bed.store.cancel(APP, id).await.unwrap().unwrap();
        assert_eq!(before, after, "it is over");
    }
    assert!(bed.waiting().await.is_empty());
    let id = bed.sent(&a, ACCEPTED).await;
    let (before, after) = bed.store.cancel(APP, id).await.unwrap().unwrap();
    assert_eq!((before, after.state), (after, State::Accepted), "too late");
    assert!(bed.store.cancel(APP, bed.message(&a).id).await.unwrap().is_none());
}

pub(crate) async fn what_may_have_been_sent_cannot_be_unsent(bed: &Bed) {
    let a = openid(1);
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    bed.settle(&flight, flight.again(bed.now(), true)).await;
    let (_, after) = bed.store.cancel(APP, id).await.unwrap().unwrap();
    assert_eq!((after.state, after.cancel_requested), (State::Unknown, true));
    let waiting = bed.waiting().await;
    assert!(
        waiting.iter().all(|waiting| waiting.queue.is_unknown()),
        "nothing waits to be sent: {waiting:?}"
    );
    assert_eq!(bed.stored(id).await.attempts.len(), 1);
    // Its receipt may still come.
    bed.receipt(&a, Some(1), 0).await;
    assert_eq!(bed.state(id).await, State::Delivered);
}

pub(crate) async fn what_ended_badly_is_resent(bed: &Bed) {
    let mut ended = Vec::new();
    for (n, outcome) in [Outcome::Failed, Outcome::Refused, Outcome::Unknown].into_iter().enumerate() {
        bed.grant(&openid(n), 5).await;
        ended.push((bed.sent(&openid(n), outcome).await, openid(n), 1));
    }
    bed.grant(&openid(3), 5).await;
    let id = bed.queued(&openid(3)).await;
    bed.store.cancel(APP, id).await.unwrap();
    ended.push((id, openid(3), 0));
    bed.clock.advance(MINUTE);
    for (id, a, attempts) in ended {
        bed.store.hints().take();
        let (now, expire_at) = (bed.now(), bed.now() + HOUR);
        let before = bed.state(id).await;
        assert!(bed.store.resend(APP + 1, id, now, expire_at).await.unwrap().is_none());
        let (was, after) = bed.store.resend(APP, id, now, expire_at).await.unwrap().unwrap();
        assert_eq!((was.state, after.state), (before, State::Queued));
        assert_eq!(after.is_ambiguous(), before == State::Unknown);
        let stored = bed.stored(id).await;
        assert_eq!((stored.due_at, stored.expire_at), (now, expire_at));
        assert_eq!(stored.attempts.len(), attempts, "the attempts before stay listed");
        assert_eq!(bed.subscription(&a).await.1, 1, "and it reserves again");
        assert!(bed.store.hints().take().queues.contains(&(id.lane(), stored.queue)));
        let again = bed.store.resend(APP, id, now, expire_at).await.unwrap().unwrap();
        assert_eq!(again.0, again.1, "it waits already");
        let flight = bed.arm(id).await;
        assert_eq!(usize::try_from(flight.settlement.attempt).unwrap(), attempts + 1);
        assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await);
        assert_eq!(bed.stored(id).await.attempts.len(), attempts + 1);
        assert_eq!(bed.subscription(&a).await.1, 0);
        let again = bed.store.resend(APP, id, now, expire_at).await.unwrap().unwrap();
        assert_eq!(again.0, again.1, "what was accepted is not sent twice");
    }
    bed.check_ledgers().await;
}

pub(crate) async fn a_sweep_expires_what_is_over(bed: &Bed) {
    let mut over: Vec<MessageId> = Vec::new();
    let mut stays: Vec<MessageId> = Vec::new();
    for n in 0..40 {
        let expire_at = START + if n % 4 == 0 { 10 * HOUR } else { HOUR };
        let queue = Queue::single(APP, if n % 2 == 0 { Priority::Bulk } else { Priority::Normal });
        let message = NewMessage { expire_at, queue, ..bed.message(&openid(n % 7)) };
        if n % 4 == 0 {
            stays.push(message.id)
        } else {
            over.push(message.id)
        }
        bed.enqueue(message).await;
    }
    assert_eq!(bed.expire(START + HOUR - 1, None, 1_000).await, (0, None));
    let (mut ended, mut from, mut pages) = (0, None, 0);
    loop {
        let (count, next) = bed.expire(START + HOUR, from, 7).await;
        ended += count;
        pages += 1;
        from = next;
        if from.is_none() {
            break;
        }
        assert!(pages < 10, "the cursor moves on");
    }
    assert_eq!(ended, 30);
    // Of a shared database a page ends with its lane.
    assert!(pages == 6 || bed.store.is_shared(), "{pages} pages");
    for id in over {
        assert_eq!(bed.state(id).await, State::Expired);
    }
    for id in &stays {
        assert_eq!(bed.state(*id).await, State::Queued);
    }
    let mut open = 0;
    for w in bed.waiting().await {
        open += bed.store.claim(w.lane, w.queue, START + HOUR, 100).await.unwrap().len();
    }
    assert_eq!(open, stays.len());
}

pub(crate) async fn whoever_waits_is_woken(bed: &Bed) {
    let a = openid(1);
    let mut quickest = [Duration::MAX; 3];
    // On a busy machine some are slow; looking again is never so quick.
    let soon = |quickest: &[Duration]| quickest.iter().all(|time| *time < Duration::from_millis(90));
    for way in 0..120 {
        if soon(&quickest) {
            break;
        }
        let id = bed.queued(&a).await;
        let (store, looked) = (bed.store.clone(), tokio::time::Instant::now());
        let waiting = tokio::spawn(async move { store.wait_settled(APP, id, Duration::from_secs(60)).await });
        match way % 3 {
            0 => drop(bed.store.cancel(APP, id).await.unwrap()),
            1 => drop(bed.expire(START + 100 * HOUR, None, 100).await),
            _ => {
                let flight = bed.arm(id).await;
                bed.settle(&flight, Settled::Outcome(accepted(1))).await;
            }
        }
        let settled = waiting.await.unwrap().unwrap().unwrap();
        let state = [State::Cancelled, State::Expired, State::Accepted][way % 3];
        assert_eq!(settled.position.state, state);
        quickest[way % 3] = quickest[way % 3].min(looked.elapsed());
    }
    assert!(soon(&quickest), "woken, not found by looking again: {quickest:?}");
    let id = bed.queued(&a).await;
    let still = bed.store.wait_settled(APP, id, Duration::from_millis(10)).await.unwrap().unwrap();
    assert_eq!(still.position.state, State::Queued, "patience ends");
    assert!(
        bed.store.wait_settled(APP, bed.message(&a).id, Duration::from_secs(60)).await.unwrap().is_none()
    );
}
