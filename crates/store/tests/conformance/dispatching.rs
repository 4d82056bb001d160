//! Claiming and arming: the heads of queues in order; an attempt is durable once, before its call (I5, I6, I7).

use domain::MessageId;
use domain::clock::{HOUR, SECOND};
use domain::message::State;
use store::hot::arm::Arm;
use store::hot::enqueue::{NewMessage, Priority, Queue};
use store::hot::settle::Settled;

use crate::bed::{ACCEPTED, APP, Bed, START, openid};

/// Two people whose lanes differ.
fn neighbours(bed: &Bed) -> (String, String) {
    let a = openid(1);
    let b = (2..).map(openid).find(|b| bed.lane(b) != bed.lane(&a)).unwrap();
    (a, b)
}

pub(crate) async fn a_queue_is_claimed_by_due_time(bed: &Bed) {
    let a = openid(1);
    let mut due: Vec<MessageId> = Vec::new();
    for seconds in [5, 1, 9, 3, 700] {
        let message = NewMessage { due_at: START + seconds * SECOND, ..bed.message(&a) };
        due.push(message.id);
        bed.store.enqueue(vec![message]).await.unwrap();
    }
    let queue = Queue::single(APP, Priority::Normal);
    let claim = async |now, limit| {
        let heads = bed.store.claim(bed.lane(&a), queue, now, limit).await.unwrap();
        heads.into_iter().map(|head| head.id).collect::<Vec<_>>()
    };
    assert!(claim(START, 10).await.is_empty(), "nothing is due");
    assert_eq!(claim(START + 9 * SECOND, 10).await, [due[1], due[3], due[0], due[2]]);
    assert_eq!(claim(START + 9 * SECOND - 1, 10).await, [due[1], due[3], due[0]]);
    assert_eq!(claim(START + 9 * SECOND, 2).await, [due[1], due[3]]);
    assert_eq!(claim(START + 9 * SECOND, 2).await, [due[1], due[3]], "a claim is a read");
    let head = bed.store.claim(bed.lane(&a), queue, START + SECOND, 1).await.unwrap().remove(0);
    let stored = bed.stored(head.id).await;
    assert_eq!((head.data, head.page, head.openid), (stored.data, stored.page, stored.openid));
    assert_eq!((head.template, head.attempts, head.ambiguous), (bed.template, 0, false));
    assert_eq!((head.lane, head.queue, head.due_at), (bed.lane(&a), queue, START + SECOND));
    assert_eq!((head.expire_at, head.version, head.lang), (stored.expire_at, stored.version, stored.lang));
}

pub(crate) async fn what_waits_is_told_by_queue(bed: &Bed) {
    assert!(bed.waiting().await.is_empty());
    let (a, b) = neighbours(bed);
    let mut expected = Vec::new();
    for (openid, app, priority, due) in [
        (&a, APP, Priority::Normal, 3),
        (&a, APP, Priority::Normal, 1),
        (&a, APP, Priority::Bulk, 7),
        (&a, APP + 1, Priority::Urgent, 2),
        (&b, APP, Priority::Normal, 9),
    ] {
        let queue = Queue::single(app, priority);
        let message = NewMessage { app, queue, due_at: START + due, ..bed.message(openid) };
        expected.push((bed.lane(openid).0, queue, START + due));
        bed.store.enqueue(vec![message]).await.unwrap();
        assert_eq!(queue.app_and_priority(), (app, priority));
    }
    // Of each queue its first.
    expected.remove(0);
    expected.sort();
    let waiting = bed.waiting().await;
    let told: Vec<_> = waiting.iter().map(|w| (w.lane.0, w.queue, w.due_at)).collect();
    assert_eq!(told, expected);
    for w in &waiting {
        let heads = bed.store.claim(w.lane, w.queue, START + 10, 10).await.unwrap();
        assert!(!heads.is_empty() && heads.iter().all(|head| (head.lane, head.queue) == (w.lane, w.queue)));
        assert_eq!(heads[0].due_at, w.due_at);
    }
}

pub(crate) async fn a_message_is_armed_once(bed: &Bed) {
    let a = openid(1);
    let id = bed.queued(&a).await;
    let (arm, flight) = bed.ready(id).await;
    assert_eq!(bed.store.arm(vec![arm, arm]).await.unwrap(), [true, false], "in one batch");
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "and after");
    let stored = bed.stored(id).await;
    assert_eq!(stored.position.state, State::Sending);
    assert_eq!(stored.attempts.len(), 1);
    assert_eq!((stored.attempts[0].at, stored.attempts[0].errcode), (bed.now(), None));
    assert!(bed.store.claim(id.lane(), arm.queue, bed.now(), 10).await.unwrap().is_empty());
    assert!(bed.settle(&flight, Settled::Outcome(ACCEPTED)).await, "its attempt is in flight");
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "a settled one is not armed");
    let id = bed.queued(&a).await;
    let (arm, _) = bed.ready(id).await;
    let calls = futures::future::join_all((0..20).map(|_| bed.store.arm(vec![arm]))).await;
    let armed = calls.into_iter().filter(|armed| armed.as_ref().unwrap()[0]).count();
    assert_eq!(armed, 1, "from many callers");
}

pub(crate) async fn another_epoch_arms_nothing(bed: &Bed) {
    let id = bed.queued(&openid(1)).await;
    let (arm, _) = bed.ready(id).await;
    for epoch in [arm.epoch - 1, arm.epoch + 1] {
        assert_eq!(bed.store.arm(vec![Arm { epoch, ..arm }]).await.unwrap(), [false]);
    }
    assert_eq!(bed.state(id).await, State::Queued);
    let stale = Arm { epoch: arm.epoch - 1, ..arm };
    assert_eq!(bed.store.arm(vec![stale, arm]).await.unwrap(), [false, true], "each by its own epoch");
    let id = bed.queued(&openid(2)).await;
    let (arm, _) = bed.ready(id).await;
    bed.store.take_all_lanes("another".into(), START).await.unwrap();
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "the lane is gone");
}

pub(crate) async fn what_no_longer_waits_is_not_armed(bed: &Bed) {
    let a = openid(1);
    let id = bed.queued(&a).await;
    let (arm, _) = bed.ready(id).await;
    let moved = Arm { due_at: arm.due_at + 1, ..arm };
    let elsewhere = Arm { queue: Queue::single(APP, Priority::Bulk), ..arm };
    let late = Arm { at: START + 72 * HOUR, ..arm };
    assert_eq!(bed.store.arm(vec![moved, elsewhere]).await.unwrap(), [false, false]);
    assert_eq!(bed.store.arm(vec![late]).await.unwrap(), [false], "expired");
    bed.store.cancel(APP, id).await.unwrap();
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "cancelled");
    assert_eq!(bed.state(id).await, State::Cancelled);
    let unknown = Arm { id: bed.message(&a).id, ..arm };
    assert_eq!(bed.store.arm(vec![unknown]).await.unwrap(), [false]);
}

pub(crate) async fn a_batch_arms_what_it_can(bed: &Bed) {
    let mut arms = Vec::new();
    for n in 0..50 {
        let id = bed.queued(&openid(n)).await;
        arms.push(bed.ready(id).await.0);
        if n % 3 == 0 {
            bed.store.cancel(APP, id).await.unwrap();
        }
    }
    let armed = bed.store.arm(arms.clone()).await.unwrap();
    let expected: Vec<bool> = (0..50).map(|n| n % 3 != 0).collect();
    assert_eq!(armed, expected, "the answers stand in the order of the rows");
    for (arm, armed) in arms.iter().zip(armed) {
        let state = bed.state(arm.id).await;
        assert_eq!(state, if armed { State::Sending } else { State::Cancelled });
    }
}
