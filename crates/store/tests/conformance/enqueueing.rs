//! Accepting messages: idempotency keys (I10) and `on_empty_balance: refuse`.

use domain::clock::HOUR;
use domain::message::{Position, State};
use store::hot::enqueue::{Enqueued, NewMessage, Priority, Queue};

use crate::bed::{ACCEPTED, APP, Bed, START, T, openid};

pub(crate) async fn a_message_is_stored_as_given(bed: &Bed) {
    let a = openid(1);
    bed.store.hints().take();
    let message = NewMessage { page: None, state: State::Scheduled, due_at: START + HOUR, ..bed.message(&a) };
    assert_eq!(bed.enqueue(message.clone()).await, Enqueued::Accepted);
    let stored = bed.stored(message.id).await;
    assert_eq!(stored.position, Position::new(State::Scheduled));
    assert_eq!((stored.app, stored.template_id.as_str(), stored.openid.as_str()), (APP, T, a.as_str()));
    assert_eq!(
        (stored.data.as_str(), stored.page, stored.queue),
        (message.data.as_str(), None, message.queue)
    );
    assert_eq!((stored.due_at, stored.expire_at), (START + HOUR, message.expire_at));
    assert_eq!((stored.version.as_str(), stored.lang.as_str()), ("formal", "zh_CN"));
    assert!(stored.attempts.is_empty() && stored.receipt.is_none() && stored.msgid.is_none());
    let news = bed.store.hints().take();
    assert!(news.queues.contains(&(message.id.lane(), message.queue)));
    assert!(bed.store.message(APP + 1, message.id).await.unwrap().is_none(), "another app's (I16)");
    assert_eq!(bed.subscription(&a).await.1, 0, "no subscription row is made by a message");
}

pub(crate) async fn a_key_answers_its_message(bed: &Bed) {
    let a = openid(1);
    let first = bed.keyed(&a, "bill-11", 1);
    let id = first.id;
    assert_eq!(bed.enqueue(first).await, Enqueued::Accepted);
    assert_eq!(bed.enqueue(bed.keyed(&a, "bill-11", 1)).await, Enqueued::Replayed(id));
    assert_eq!(bed.enqueue(bed.keyed(&a, "bill-11", 2)).await, Enqueued::KeyReused);
    assert_eq!(bed.enqueue(bed.keyed(&a, "bill-12", 2)).await, Enqueued::Accepted);
    // The scope is the app.
    let mut other = bed.keyed(&a, "bill-11", 3);
    other.app = APP + 1;
    other.queue = Queue::single(APP + 1, Priority::Normal);
    assert_eq!(bed.enqueue(other).await, Enqueued::Accepted);
    let (listed, _) =
        bed.store.messages(APP, Default::default(), None, 10).await.map(|p| (p.items, p.next)).unwrap();
    assert_eq!(listed.len(), 2, "a replayed or refused call leaves nothing");
}

pub(crate) async fn racing_calls_with_one_key_make_one_message(bed: &Bed) {
    let a = openid(1);
    let batch: Vec<_> = vec![bed.keyed(&a, "k", 1), bed.keyed(&a, "k", 1), bed.keyed(&a, "k", 2)];
    let id = batch[0].id;
    let verdicts = bed.store.enqueue(batch).await.unwrap();
    assert_eq!(verdicts, [Enqueued::Accepted, Enqueued::Replayed(id), Enqueued::KeyReused]);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (store, message) = (bed.store.clone(), bed.keyed(&a, "race", 1));
        tasks.spawn(async move { (message.id, store.enqueue(vec![message]).await.unwrap()[0]) });
    }
    let answers = tasks.join_all().await;
    let winners: Vec<_> = answers.iter().filter(|(_, v)| *v == Enqueued::Accepted).collect();
    assert_eq!(winners.len(), 1);
    let winner = winners[0].0;
    assert!(
        answers.iter().all(|(id, v)| *id == winner || *v == Enqueued::Replayed(winner)),
        "all others are told the winner's id: {answers:?}"
    );
}

pub(crate) async fn a_key_is_free_after_a_day(bed: &Bed) {
    let a = openid(1);
    let first = bed.keyed(&a, "k", 1);
    let id = first.id;
    bed.enqueue(first).await;
    bed.clock.advance(24 * HOUR - 1);
    assert_eq!(bed.enqueue(bed.keyed(&a, "k", 1)).await, Enqueued::Replayed(id));
    bed.clock.advance(1);
    let second = bed.keyed(&a, "k", 2);
    let id = second.id;
    assert_eq!(bed.enqueue(second).await, Enqueued::Accepted);
    assert_eq!(bed.enqueue(bed.keyed(&a, "k", 2)).await, Enqueued::Replayed(id));
}

pub(crate) async fn a_message_may_need_a_grant(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    let needing = |openid: &str| NewMessage { needs_grant: true, ..bed.message(openid) };
    assert_eq!(bed.enqueue(needing(&a)).await, Enqueued::NoGrant, "nobody has any");
    bed.grant(&a, 3).await;
    bed.queued(&a).await;
    // Balance 3, one reserved: the plain one of this batch reserves one more, one is left.
    let batch = vec![bed.message(&a), needing(&a), needing(&a), needing(&b)];
    use Enqueued::{Accepted, NoGrant};
    assert_eq!(bed.store.enqueue(batch).await.unwrap(), [Accepted, Accepted, NoGrant, NoGrant]);
    assert_eq!(bed.subscription(&a).await.1, 3, "what is open reserves");
    assert_eq!(bed.enqueue(needing(&a)).await, NoGrant);
    // Two callers of the same commit do not both get the last one.
    bed.grant(&b, 1).await;
    let calls = (0..20).map(|_| bed.enqueue(needing(&b)));
    let verdicts = futures::future::join_all(calls).await;
    assert_eq!(verdicts.iter().filter(|v| **v == Accepted).count(), 1);
    // Once sent it is spent, not reserved.
    let c = openid(3);
    bed.grant(&c, 2).await;
    bed.sent(&c, ACCEPTED).await;
    let batch = vec![needing(&c), needing(&c)];
    assert_eq!(bed.store.enqueue(batch).await.unwrap(), [Accepted, NoGrant]);
}

pub(crate) async fn a_refused_message_gives_its_key_back(bed: &Bed) {
    let a = openid(1);
    let needing = |body| NewMessage { needs_grant: true, ..bed.keyed(&a, "k", body) };
    assert_eq!(bed.enqueue(needing(1)).await, Enqueued::NoGrant);
    // Both calls of one batch are refused: there is no message to answer with.
    let both = bed.store.enqueue(vec![needing(1), needing(1)]).await.unwrap();
    assert_eq!(both, [Enqueued::NoGrant, Enqueued::NoGrant]);
    bed.grant(&a, 1).await;
    let message = needing(2);
    let id = message.id;
    assert_eq!(bed.enqueue(message).await, Enqueued::Accepted);
    assert_eq!(bed.enqueue(needing(2)).await, Enqueued::Replayed(id));
}
