//! What was kept long enough goes, what is under way stays, and what goes fools nobody (I2, I4, I8).

use domain::clock::DAY;
use domain::message::{Outcome, State};
use store::hot::append::{Appended, InboxKind};
use store::hot::apply::{ActKind, Application};
use store::hot::enqueue::NewMessage;

use crate::bed::{APP, Bed, T, act, openid};

/// Every page of a walk, in every lane.
macro_rules! all {
    ($bed:ident, $walk:ident, $before:expr) => {{
        let mut done = 0;
        for lane in $bed.store.walked_lanes() {
            let mut after = None;
            loop {
                let step = $bed.store.$walk(lane, after, $before).await.unwrap();
                done += step.done;
                after = step.next;
                if after.is_none() {
                    break;
                }
            }
        }
        done
    }};
}

async fn later(bed: &Bed, days: i64) {
    bed.clock.advance(days * DAY);
    bed.store.prepare_ahead().await.unwrap();
}

pub(crate) async fn contents_go_and_what_became_of_them_stays(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    bed.grant(&a, 2).await;
    let sent = bed.sent(&a, Outcome::Accepted { msgid: Some(1) }).await;
    let failed = bed.sent(&a, Outcome::Failed).await;
    let unknown = bed.sent(&b, Outcome::Unknown).await;
    let far = NewMessage {
        state: State::Scheduled,
        due_at: bed.now() + 300 * DAY,
        expire_at: bed.now() + 303 * DAY,
        ..bed.message(&b)
    };
    let waits = far.id;
    bed.enqueue(far).await;
    later(bed, 100).await;
    let young = bed.sent(&a, Outcome::Failed).await;
    later(bed, 90).await;
    assert_eq!(all!(bed, clear_contents, bed.now() - 180 * DAY), 3);
    for (id, state) in [(sent, State::Accepted), (failed, State::Failed), (unknown, State::Unknown)] {
        let message = bed.stored(id).await;
        assert_eq!((message.data.as_str(), &message.page, message.position.state), ("{}", &None, state));
        assert!(!message.openid.is_empty(), "to whom is still known");
    }
    for id in [waits, young] {
        assert_ne!(bed.stored(id).await.data, "{}");
    }
    for id in [failed, unknown] {
        let (before, after) = bed.store.resend(APP, id, bed.now(), bed.now() + DAY).await.unwrap().unwrap();
        assert_eq!(before, after, "there is nothing left to say");
    }
    assert_eq!(all!(bed, clear_contents, bed.now() - 180 * DAY), 0, "once");
    assert_eq!((bed.balance(&a).await, bed.subscription(&a).await.1), (1, 0));
}

pub(crate) async fn messages_that_are_over_go_and_their_ledger_stays(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    bed.grant(&a, 3).await;
    for _ in 0..2 {
        bed.sent(&a, Outcome::Accepted { msgid: None }).await;
    }
    let unknown = bed.sent(&b, Outcome::Unknown).await;
    let again = bed.sent(&b, Outcome::Failed).await;
    let far = NewMessage {
        state: State::Scheduled,
        due_at: bed.now() + 900 * DAY,
        expire_at: bed.now() + 903 * DAY,
        ..bed.message(&b)
    };
    let waits = far.id;
    bed.enqueue(far).await;
    later(bed, 760).await;
    // Tried again lately: it is not old.
    bed.store.resend(APP, again, bed.now(), bed.now() + DAY).await.unwrap();
    let flight = bed.arm(again).await;
    bed.settle(&flight, store::hot::settle::Settled::Outcome(Outcome::Failed)).await;
    let before = bed.now() - 730 * DAY;
    if bed.store.is_shared() {
        // The partition holds one that was tried lately, but only what is under way is kept.
        let dropped = bed.store.drop_partitions(None, Some(before)).await.unwrap();
        assert_eq!(dropped.len(), 3, "{dropped:?}");
        assert!(bed.store.drop_partitions(None, Some(before)).await.unwrap().is_empty());
    } else {
        assert_eq!(all!(bed, clear_messages, before), 2);
        assert_eq!(bed.state(again).await, State::Failed);
    }
    assert_eq!(bed.state(unknown).await, State::Unknown);
    assert_eq!(bed.state(waits).await, State::Scheduled);
    assert_eq!((bed.balance(&a).await, bed.subscription(&b).await.1), (1, 2));
    assert_eq!(all!(bed, clear_messages, before), 0);
    // Receipts and sends of the person go on.
    let next = bed.sent(&a, Outcome::Accepted { msgid: None }).await;
    bed.receipt(&a, None, 0).await;
    assert_eq!((bed.state(next).await, bed.balance(&a).await), (State::Delivered, 0));
    // And what waited leaves in its time.
    bed.clock.advance(141 * DAY);
    bed.arm(waits).await;
}

pub(crate) async fn callbacks_go_and_a_repeated_one_is_still_known(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let at = bed.now();
    let row = bed.row(InboxKind::Popup, &a, at, "the one");
    bed.store.append(vec![row.clone()]).await.unwrap();
    let grant = || vec![act(T, ActKind::Grant { at })];
    assert_eq!(bed.store.apply(vec![bed.to_apply(&row, grant())]).await.unwrap(), [Application::Done]);
    let pending = bed.row(InboxKind::Popup, &a, at, "not applied yet");
    bed.store.append(vec![pending.clone()]).await.unwrap();
    // Nine days on, with the shortest period there is: whatever WeChat repeats is a duplicate.
    later(bed, 7).await;
    for lane in bed.store.walked_lanes() {
        assert_eq!(bed.store.clear_identities(lane, bed.now(), 8 * DAY).await.unwrap(), 0);
    }
    bed.store.forget_recent();
    let again = bed.row(InboxKind::Popup, &a, at, "the one");
    assert_eq!(bed.store.append(vec![again.clone()]).await.unwrap(), [Appended::New]);
    bed.store.apply(vec![bed.to_apply(&again, grant())]).await.unwrap();
    assert_eq!(bed.balance(&a).await, 2, "counted once");
    later(bed, 60).await;
    let before = bed.now() - 30 * DAY;
    let gone = if bed.store.is_shared() {
        assert_eq!(bed.store.drop_partitions(Some(before), None).await.unwrap().len(), 1);
        0
    } else {
        all!(bed, clear_callbacks, before)
    };
    assert!(bed.store.is_shared() || gone == 3, "{gone}");
    let (rows, _) = bed.store.callbacks(APP, None, None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [pending.id], "it is not applied yet");
    let mut known = 0;
    for lane in bed.store.walked_lanes() {
        known += bed.store.clear_identities(lane, bed.now(), 30 * DAY).await.unwrap();
    }
    assert_eq!(known, 2, "with the rows, their identities");
    // It is applied in the end, as if nothing had been.
    bed.store.apply(vec![bed.to_apply(&pending, vec![act(T, ActKind::Grant { at })])]).await.unwrap();
    assert_eq!(bed.balance(&a).await, 3);
}

pub(crate) async fn keys_go_after_their_day(bed: &Bed) {
    for n in 0..3 {
        let message = bed.keyed(&openid(n), &format!("key {n}"), 1);
        bed.enqueue(message).await;
    }
    bed.clock.advance(DAY);
    assert_eq!(bed.store.clear_keys(None, bed.now()).await.unwrap(), (0, None));
    bed.clock.advance(DAY + 1);
    let young = bed.keyed(&openid(9), "key 9", 1);
    bed.enqueue(young).await;
    assert_eq!(bed.store.clear_keys(None, bed.now()).await.unwrap(), (3, None));
    assert_eq!(bed.store.clear_keys(None, bed.now()).await.unwrap(), (0, None));
}
