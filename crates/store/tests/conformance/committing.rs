//! The group commit: many callers share a commit, and each learns what became of its own rows.

use std::sync::Arc;

use futures::future::join_all;
use store::hot::append::{Appended, InboxKind};
use store::hot::enqueue::Enqueued;

use crate::bed::{APP, Bed, START, openid};

pub(crate) async fn each_caller_gets_its_own_answers(bed: &Bed) {
    let bed = Arc::new(bed);
    let shared = || bed.row(InboxKind::Popup, &openid(0), START, "shared");
    let calls = (0..200).map(|n| {
        let own = bed.row(InboxKind::Popup, &openid(n), START, &format!("own {n}"));
        let again = bed.row(InboxKind::Popup, &openid(n), START, &format!("own {n}"));
        let mut rows = vec![own, shared(), again];
        rows.extend((0..n % 4).map(|m| bed.row(InboxKind::Popup, &openid(n), START, &format!("{n} {m}"))));
        let store = bed.store.clone();
        tokio::spawn(async move { store.append(rows).await.unwrap() })
    });
    let mut shared_new = 0;
    for (n, answers) in join_all(calls).await.into_iter().enumerate() {
        let answers = answers.unwrap();
        assert_eq!(answers.len(), 3 + n % 4);
        assert_eq!((answers[0], answers[2]), (Appended::New, Appended::Repeated), "caller {n}");
        assert!(answers[3..].iter().all(|answer| *answer == Appended::New));
        shared_new += usize::from(answers[1] == Appended::New);
    }
    assert_eq!(shared_new, 1);
}

pub(crate) async fn one_bad_row_fails_its_caller_alone(bed: &Bed) {
    let first = bed.keyed(&openid(0), "first", 1);
    assert_eq!(bed.enqueue(first.clone()).await, Enqueued::Accepted);
    // Polled together, these stand in the queue before the writer looks: one commit takes them all.
    let calls = (0..60).map(|n| {
        // A caller's rows stand and fall together within a lane: the bad one's are of the first one's.
        let who = openid(if n == 30 { 0 } else { n });
        let mut batch = vec![bed.keyed(&who, &format!("key {n}"), 1), bed.message(&who)];
        if n == 30 {
            batch[1].id = first.id;
        }
        let id = batch[0].id;
        async move { (id, bed.store.enqueue(batch).await) }
    });
    for (n, (id, answer)) in join_all(calls).await.into_iter().enumerate() {
        let stored = bed.store.message(APP, id).await.unwrap();
        if n == 30 {
            assert!(answer.is_err(), "the id stands already");
            assert!(stored.is_none(), "nothing of the caller's is kept");
        } else {
            assert_eq!(answer.unwrap(), [Enqueued::Accepted; 2], "caller {n}");
            assert!(stored.is_some());
        }
    }
    assert_eq!(bed.stored(first.id).await.openid, first.openid);
    assert_eq!(bed.enqueue(bed.keyed(&openid(0), "key 30", 2)).await, Enqueued::Accepted, "its key is free");
}

pub(crate) async fn callers_that_give_up_harm_nobody(bed: &Bed) {
    for n in 0..50 {
        let rows = vec![bed.row(InboxKind::Popup, &openid(n), START, "given up")];
        let call = bed.store.append(rows);
        // Polled once, so that its rows are handed in, then dropped.
        let mut call = std::pin::pin!(call);
        let _ = futures::poll!(call.as_mut());
    }
    let row = bed.row(InboxKind::Popup, &openid(99), START, "stays");
    assert_eq!(bed.store.append(vec![row]).await.unwrap(), [Appended::New]);
    // What was handed in is kept, by and by: WeChat pushes it again and finds it.
    for patience in (0..500).rev() {
        let (all, _) = bed.store.callbacks(APP, None, None, 100).await.unwrap();
        if all.len() == 51 {
            break;
        }
        assert!(patience > 0, "only {} of 51 were kept", all.len());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(bed.store.append(vec![]).await.unwrap().is_empty());
}
