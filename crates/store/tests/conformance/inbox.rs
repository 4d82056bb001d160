//! Appending: an event counts once however often it is pushed (I2); what waits and what does not.

use store::hot::append::{Appended, InboxKind, NewInboxRow, Verdict};
use store::hot::apply::{ActKind, Application};

use crate::bed::{APP, Bed, START, T, act, openid};

pub(crate) async fn a_push_is_new_once(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    let row = |openid: &str, body: &str| bed.row(InboxKind::Popup, openid, START, body);
    let first = row(&a, "x");
    let batch = vec![first.clone(), row(&b, "x"), row(&a, "x"), row(&a, "y"), row(&a, "x")];
    let verdicts = bed.store.append(batch).await.unwrap();
    use Appended::{New, Repeated};
    assert_eq!(verdicts, [New, New, Repeated, New, Repeated]);
    assert_eq!(bed.store.append(vec![row(&a, "x"), row(&b, "z")]).await.unwrap(), [Repeated, New]);
    let stored = bed.store.callback(APP, first.id).await.unwrap().unwrap();
    assert_eq!((stored.pushes, stored.body.as_str(), stored.verdict), (4, "x", None));
    assert_eq!(stored.kind, InboxKind::Popup);
    assert_eq!(stored.openid, a);
    let (all, next) = bed.store.callbacks(APP, None, None, 100).await.unwrap();
    assert_eq!((all.len(), next), (4, None));
    // Another time of the event is another event, though its text be the same.
    let later = bed.row(InboxKind::Popup, &a, START + 1_000, "x");
    assert_eq!(bed.store.append(vec![later]).await.unwrap(), [New]);
}

pub(crate) async fn many_tasks_push_the_same_event(bed: &Bed) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..40 {
        let rows: Vec<_> =
            (0..10).map(|n| bed.row(InboxKind::Popup, &openid(n), START, &format!("event {n}"))).collect();
        let store = bed.store.clone();
        tasks.spawn(async move {
            let mut new = 0;
            // Every other task pushes its rows one by one.
            let batches =
                if task % 2 == 0 { vec![rows] } else { rows.into_iter().map(|r| vec![r]).collect() };
            for batch in batches {
                let verdicts = store.append(batch).await.unwrap();
                new += verdicts.iter().filter(|v| **v == Appended::New).count();
            }
            new
        });
    }
    let new: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(new, 10, "each event is new to exactly one caller");
    let (all, _) = bed.store.callbacks(APP, None, None, 100).await.unwrap();
    assert_eq!(all.len(), 10);
    assert!(all.iter().all(|row| row.pushes == 40), "{all:?}");
}

pub(crate) async fn a_push_after_applying_changes_nothing(bed: &Bed) {
    let a = openid(1);
    let row = bed.row(InboxKind::Popup, &a, START, "x");
    let to_apply = bed.to_apply(&row, vec![act(T, ActKind::Grant { at: START })]);
    bed.store.append(vec![row.clone()]).await.unwrap();
    assert_eq!(bed.store.apply(vec![to_apply.clone()]).await.unwrap(), [Application::Done]);
    let again = bed.row(InboxKind::Popup, &a, START, "x");
    assert_eq!(bed.store.append(vec![again]).await.unwrap(), [Appended::Repeated]);
    assert!(bed.pending(None, 10).await.is_empty());
    assert_eq!(bed.store.apply(vec![to_apply]).await.unwrap(), [Application::NotOurs]);
    assert_eq!(bed.balance(&a).await, 1);
    let stored = bed.store.callback(APP, row.id).await.unwrap().unwrap();
    assert_eq!((stored.pushes, stored.verdict), (2, Some(Verdict::Applied)));
    let effects = stored.effects.expect("its effects are kept");
    assert!(effects.contains(T) && effects.contains("\"delta\":1"), "{effects}");
}

pub(crate) async fn what_waits_is_listed_in_pages(bed: &Bed) {
    let mut ids = Vec::new();
    for n in 0..30 {
        bed.clock.advance(1);
        let row = bed.row(InboxKind::Popup, &openid(n % 10), START, &format!("{n}"));
        ids.push(row.id);
        bed.store.append(vec![row]).await.unwrap();
    }
    assert_eq!(bed.store.oldest_pending().await.unwrap(), Some(START + 1));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = bed.pending(after, 7).await;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page.iter().map(|row| row.id));
    }
    assert_eq!(found, ids, "each once, in arrival order");
}

/// An event whose first push is no longer remembered: after a restart, or days later.
pub(crate) async fn a_late_push_is_a_duplicate(bed: &Bed) {
    let a = openid(1);
    let grant = || vec![act(T, ActKind::Grant { at: START })];
    let first = bed.row(InboxKind::Popup, &a, START, "x");
    bed.store.append(vec![first.clone()]).await.unwrap();
    assert_eq!(bed.store.apply(vec![bed.to_apply(&first, grant())]).await.unwrap(), [Application::Done]);
    bed.store.forget_recent();
    let again = bed.row(InboxKind::Popup, &a, START, "x");
    let other = bed.row(InboxKind::Popup, &a, START, "y");
    assert_eq!(bed.store.append(vec![again.clone()]).await.unwrap(), [Appended::New], "a row of its own");
    bed.store.append(vec![other.clone()]).await.unwrap();
    let batch = vec![bed.to_apply(&again, grant()), bed.to_apply(&other, grant())];
    assert_eq!(bed.store.apply(batch).await.unwrap(), [Application::Done, Application::Done]);
    assert_eq!(bed.balance(&a).await, 2, "x once, y once");
    let (first, again) = (
        bed.store.callback(APP, first.id).await.unwrap().unwrap(),
        bed.store.callback(APP, again.id).await.unwrap().unwrap(),
    );
    assert_eq!((first.pushes, first.verdict), (2, Some(Verdict::Applied)));
    assert_eq!((again.pushes, again.verdict), (1, Some(Verdict::Duplicate)));
    assert_eq!(again.reason, Some(first.id.to_string()));
    assert!(again.effects.is_none());
    assert!(!bed.store.replay(APP, again.id).await.unwrap(), "a duplicate is not applied after all");
    // Two late pushes in one batch, and one of a kind that nobody applies.
    bed.store.forget_recent();
    let twice = [bed.row(InboxKind::Popup, &a, START, "z"), bed.row(InboxKind::Popup, &a, START, "z")];
    bed.store.append(vec![twice[0].clone()]).await.unwrap();
    bed.store.forget_recent();
    bed.store.append(vec![twice[1].clone()]).await.unwrap();
    let batch = twice.iter().map(|row| bed.to_apply(row, grant())).collect();
    assert_eq!(bed.store.apply(batch).await.unwrap(), [Application::Done, Application::Done]);
    assert_eq!(bed.balance(&a).await, 3);
    let mut event = bed.row(InboxKind::Event, &a, START, "e");
    event.verdict = Some(Verdict::Ignored);
    bed.store.append(vec![event]).await.unwrap();
    bed.store.forget_recent();
    let mut event = bed.row(InboxKind::Event, &a, START, "e");
    event.verdict = Some(Verdict::Ignored);
    let id = event.id;
    bed.store.append(vec![event]).await.unwrap();
    assert_eq!(bed.store.callback(APP, id).await.unwrap().unwrap().verdict, Some(Verdict::Duplicate));
}

/// What was set aside for its age must not swallow the event when it comes in time.
pub(crate) async fn a_stale_push_does_not_take_the_identity(bed: &Bed) {
    let a = openid(1);
    let mut stale = bed.row(InboxKind::Popup, &a, START, "x");
    stale.verdict = Some(Verdict::Quarantined);
    bed.store.append(vec![stale.clone()]).await.unwrap();
    let fresh = bed.row(InboxKind::Popup, &a, START, "x");
    assert_eq!(bed.store.append(vec![fresh.clone()]).await.unwrap(), [Appended::New]);
    let grant = vec![act(T, ActKind::Grant { at: START })];
    assert_eq!(
        bed.store.apply(vec![bed.to_apply(&fresh, grant.clone())]).await.unwrap(),
        [Application::Done]
    );
    assert!(bed.store.replay(APP, stale.id).await.unwrap());
    assert_eq!(bed.store.apply(vec![bed.to_apply(&stale, grant)]).await.unwrap(), [Application::Done]);
    assert_eq!(bed.balance(&a).await, 1, "replayed, it is the same event");
    let stored = bed.store.callback(APP, stale.id).await.unwrap().unwrap();
    assert_eq!(stored.verdict, Some(Verdict::Duplicate));
}

pub(crate) async fn what_was_set_aside_waits_for_a_replay(bed: &Bed) {
    let a = openid(1);
    for (body, verdict) in [("q", Verdict::Quarantined), ("i", Verdict::Ignored)] {
        let mut row = bed.row(InboxKind::Popup, &a, START, body);
        row.verdict = Some(verdict);
        row.reason = Some("stale".into());
        let id = row.id;
        bed.store.append(vec![row]).await.unwrap();
        assert!(bed.pending(None, 10).await.is_empty());
        let (listed, _) = bed.store.callbacks(APP, Some(verdict), None, 10).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].reason.as_deref(), Some("stale"));
        assert!(!bed.store.replay(APP + 1, id).await.unwrap(), "another app's row");
        bed.store.hints().take();
        assert!(bed.store.replay(APP, id).await.unwrap());
        assert!(bed.store.hints().take().inbox, "the owner is told");
        assert!(!bed.store.replay(APP, id).await.unwrap(), "only once");
        assert_eq!(bed.pending(None, 10).await.len(), 1);
        let mut to_apply = bed.to_apply(
            &bed.row(InboxKind::Popup, &a, START, body),
            vec![act(T, ActKind::Grant { at: START })],
        );
        to_apply.id = id;
        assert_eq!(bed.store.apply(vec![to_apply]).await.unwrap(), [Application::Done]);
        assert!(!bed.store.replay(APP, id).await.unwrap(), "what was applied is not applied again");
    }
    assert_eq!(bed.balance(&a).await, 2);
    let mut chat = bed.row(InboxKind::Chat, &a, START, "");
    chat.verdict = Some(Verdict::Ignored);
    let id = chat.id;
    bed.store.append(vec![chat]).await.unwrap();
    assert!(!bed.store.replay(APP, id).await.unwrap(), "a chat has nothing to apply");
}

pub(crate) async fn the_inbox_is_read_in_pages(bed: &Bed) {
    let mut ids = Vec::new();
    for n in 0..25 {
        bed.clock.advance(1);
        let row = bed.row(InboxKind::Event, &openid(n), START, "e");
        ids.push(row.id);
        bed.store.append(vec![row]).await.unwrap();
    }
    let (mut before, mut read) = (None, Vec::new());
    loop {
        let (page, next) = bed.store.callbacks(APP, None, before, 10).await.unwrap();
        read.extend(page.iter().map(|row| row.id));
        before = next;
        if before.is_none() {
            break;
        }
    }
    ids.reverse();
    assert_eq!(read, ids);
    assert!(bed.store.callbacks(APP + 1, None, None, 10).await.unwrap().0.is_empty());
    assert!(bed.store.callback(APP + 1, ids[0]).await.unwrap().is_none(), "another app's row (I16)");
}

pub(crate) async fn a_filtered_inbox_page_goes_on_after_ten_thousand(bed: &Bed) {
    let mut old = bed.row(InboxKind::Popup, &openid(0), START, "old");
    old.verdict = Some(Verdict::Quarantined);
    bed.store.append(vec![old.clone()]).await.unwrap();
    bed.clock.advance(1_000);
    let count = if bed.store.is_shared() { 20_000 } else { 10_000 };
    let rows = (0..count)
        .map(|n| {
            bed.clock.advance(1);
            bed.row(InboxKind::Popup, &openid(n), START, "new")
        })
        .collect();
    bed.store.append(rows).await.unwrap();
    let (page, next) = bed.store.callbacks(APP, Some(Verdict::Quarantined), None, 10).await.unwrap();
    assert!(page.is_empty());
    let mut before = Some(next.expect("there may be more"));
    let mut page = Vec::new();
    // Of a shared database a page looks as far as the lane that ends first.
    for _ in 0..if bed.store.is_shared() { 10 } else { 1 } {
        if page.is_empty() && before.is_some() {
            (page, before) = bed.store.callbacks(APP, Some(Verdict::Quarantined), before, 10).await.unwrap();
        }
    }
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [old.id]);
}

pub(crate) async fn the_quarantine_is_bounded(bed: &Bed) {
    let mut ids = Vec::new();
    for n in 0..7 {
        bed.clock.advance(1);
        let row = bed.row(InboxKind::Popup, &openid(n), START, "stale");
        let other = bed.row(InboxKind::Event, &openid(n), START, "fine");
        ids.push(row.id);
        let aside = |row, verdict| NewInboxRow { verdict: Some(verdict), ..row };
        let rows = vec![aside(row, Verdict::Quarantined), aside(other, Verdict::Ignored)];
        bed.store.append(rows).await.unwrap();
    }
    assert_eq!(bed.store.quarantined(APP).await.unwrap(), 7);
    assert_eq!(bed.store.trim_quarantine(APP, 7).await.unwrap(), 0);
    assert_eq!(bed.store.trim_quarantine(APP, 3).await.unwrap(), 4);
    assert_eq!(bed.store.quarantined(APP).await.unwrap(), 3);
    let (rows, _) = bed.store.callbacks(APP, Some(Verdict::Quarantined), None, 10).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        [ids[6], ids[5], ids[4]],
        "the newest stay"
    );
    let (rows, _) = bed.store.callbacks(APP, Some(Verdict::Ignored), None, 10).await.unwrap();
    assert_eq!(rows.len(), 7);
    assert!(bed.store.replayed_as(ids[6], ids[5], START).await.unwrap());
    assert!(!bed.store.replayed_as(ids[6], ids[5], START).await.unwrap(), "once");
    assert!(!bed.store.replay(APP, ids[0]).await.unwrap(), "it is gone");
}
