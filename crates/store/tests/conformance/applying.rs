//! Applying events: what they do to balances and statuses, under the owner's epoch alone (I2, I7, I8).

use domain::ledger::{EntryKind, Reason, Status, TemplateKind};
use store::hot::append::{InboxKind, Verdict};
use store::hot::apply::{ActKind, Application};

use crate::bed::{APP, Bed, START, T, act, openid};

fn grant(at: i64) -> ActKind {
    ActKind::Grant { at }
}

pub(crate) async fn one_event_speaks_of_several_templates(bed: &Bed) {
    let a = openid(1);
    let acts = vec![
        act(T, grant(START)),
        act("never-synced", grant(START)),
        act("third", ActKind::PopupReject { at: START }),
    ];
    assert_eq!(bed.event(&a, acts).await, Application::Done);
    let all = bed.store.subscriptions_of(APP, &a, None).await.unwrap();
    let seen: Vec<_> =
        all.iter().map(|s| (s.template_id.as_str(), s.subscription.balance, s.subscription.status)).collect();
    assert_eq!(
        seen,
        [("never-synced", 1, Status::Accept), (T, 1, Status::Accept), ("third", 0, Status::Reject)]
    );
    let unread = bed.store.template(APP, "never-synced").await.unwrap().expect("it has a number");
    assert_eq!((unread.title.as_str(), unread.synced_at, unread.kind), ("", None, TemplateKind::OneTime));
    assert_eq!(bed.sync("never-synced", TemplateKind::OneTime).await, unread.number, "and keeps it");
    assert_eq!(bed.check_ledgers().await, 3);
}

pub(crate) async fn the_status_is_that_of_the_latest_createtime(bed: &Bed) {
    let a = openid(1);
    bed.event(&a, vec![act(T, ActKind::PopupReject { at: START + 5_000 })]).await;
    bed.event(&a, vec![act(T, grant(START + 3_000))]).await;
    let (s, _) = bed.subscription(&a).await;
    assert_eq!((s.status, s.status_at, s.balance), (Status::Reject, START + 5_000, 1));
    bed.event(&a, vec![act(T, grant(START + 9_000))]).await;
    assert_eq!(bed.subscription(&a).await.0.status, Status::Accept);
}

pub(crate) async fn a_change_reject_takes_earlier_grants(bed: &Bed) {
    let a = openid(1);
    for seconds in [1, 2, 8] {
        bed.event(&a, vec![act(T, grant(START + seconds * 1_000))]).await;
    }
    // It comes last and was made in between: the grant of the 8th second stays.
    bed.event(&a, vec![act(T, ActKind::ChangeReject { at: START + 5_000 })]).await;
    assert_eq!(bed.balance(&a).await, 1);
    // A grant that was won before it and is told later counts nothing in the end.
    bed.event(&a, vec![act(T, grant(START + 4_000))]).await;
    assert_eq!(bed.balance(&a).await, 1);
    let entries = bed.store.ledger_of(APP, &a, T).await.unwrap();
    let told: Vec<_> = entries.iter().map(|s| (s.entry.kind, s.entry.delta, s.entry.reason)).collect();
    use EntryKind::{Grant, Zeroed};
    assert_eq!(
        told,
        [
            (Grant, 1, Reason::Popup),
            (Grant, 1, Reason::Popup),
            (Grant, 1, Reason::Popup),
            (Zeroed, -2, Reason::ChangeReject),
            (Grant, 1, Reason::Popup),
            (Zeroed, -1, Reason::LateGrantAfterRefusal),
        ]
    );
    assert_eq!(entries[5].entry.balance, 1);
    assert!(entries.iter().all(|s| s.entry.reference.is_some()), "each names its event");
    bed.check_ledgers().await;
}

pub(crate) async fn a_long_term_template_counts_nothing(bed: &Bed) {
    let a = openid(1);
    bed.sync("long", TemplateKind::LongTerm).await;
    bed.event(&a, vec![act("long", grant(START)), act("long", grant(START + 1))]).await;
    let s = bed.store.subscriptions_of(APP, &a, Some("long")).await.unwrap().remove(0);
    assert_eq!((s.kind, s.subscription.balance), (TemplateKind::LongTerm, 0));
    assert_eq!(s.subscription.status, Status::Accept);
    assert!(bed.store.ledger_of(APP, &a, "long").await.unwrap().is_empty());
    // A sync that finds out later changes what comes later.
    bed.event(&a, vec![act("late", grant(START))]).await;
    bed.sync("late", TemplateKind::LongTerm).await;
    bed.event(&a, vec![act("late", grant(START + 1))]).await;
    let s = bed.store.subscriptions_of(APP, &a, Some("late")).await.unwrap().remove(0);
    assert_eq!(s.subscription.balance, 1);
}

pub(crate) async fn another_epoch_applies_nothing(bed: &Bed) {
    let a = openid(1);
    let row = bed.arrive(InboxKind::Popup, &a, vec![act("unheard-of", grant(START))]).await;
    for epoch in [row.epoch - 1, row.epoch + 1] {
        let mut stale = row.clone();
        stale.epoch = epoch;
        assert_eq!(bed.store.apply(vec![stale]).await.unwrap(), [Application::NotOurs]);
    }
    assert!(bed.store.subscriptions_of(APP, &a, None).await.unwrap().is_empty());
    assert!(bed.store.template(APP, "unheard-of").await.unwrap().is_none());
    assert_eq!(bed.pending(None, 10).await.len(), 1, "it still waits");
    // The right epoch beside a wrong one: each by its own.
    let mut stale = row.clone();
    stale.epoch -= 1;
    let both = bed.store.apply(vec![stale, row]).await.unwrap();
    assert_eq!(both, [Application::NotOurs, Application::Done]);
}

pub(crate) async fn a_row_is_applied_once(bed: &Bed) {
    let a = openid(1);
    let row = bed.arrive(InboxKind::Popup, &a, vec![act(T, grant(START))]).await;
    let both = bed.store.apply(vec![row.clone(), row.clone()]).await.unwrap();
    assert_eq!(both, [Application::Done, Application::NotOurs], "in one batch");
    assert_eq!(bed.store.apply(vec![row.clone()]).await.unwrap(), [Application::NotOurs], "and after");
    let row = bed.arrive(InboxKind::Popup, &a, vec![act(T, grant(START))]).await;
    let calls = (0..20).map(|_| bed.store.apply(vec![row.clone()]));
    let all = futures::future::join_all(calls).await;
    let done = all.into_iter().filter(|r| r.as_ref().unwrap()[0] == Application::Done).count();
    assert_eq!(done, 1, "from many callers");
    assert_eq!(bed.balance(&a).await, 2);
}

pub(crate) async fn what_is_set_aside_has_no_effect(bed: &Bed) {
    let a = openid(1);
    let mut row = bed.arrive(InboxKind::Popup, &a, vec![act(T, grant(START))]).await;
    row.set_aside = Some((Verdict::Ignored, "not one of ours".into()));
    let id = row.id;
    assert_eq!(bed.store.apply(vec![row]).await.unwrap(), [Application::Done]);
    assert_eq!(bed.balance(&a).await, 0);
    let stored = bed.store.callback(APP, id).await.unwrap().unwrap();
    assert_eq!((stored.verdict, stored.reason.as_deref()), (Some(Verdict::Ignored), Some("not one of ours")));
    assert_eq!(stored.effects, None);
}

pub(crate) async fn the_whole_ledger_is_read_in_pages(bed: &Bed) {
    for n in 0..7 {
        bed.clock.advance(1);
        bed.grant(&openid(n), 3).await;
    }
    let (mut after, mut read) = (0, Vec::new());
    loop {
        let page = bed.store.ledger(APP, after, 4).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.2.id;
        read.extend(page.into_iter().map(|(openid, template, entry)| (entry.id, openid, template)));
    }
    assert_eq!(read.len(), 21);
    assert!(read.is_sorted());
    assert!(bed.store.ledger(APP + 1, 0, 10).await.unwrap().is_empty());
    assert_eq!(bed.store.last_openid(APP).await.unwrap(), Some((openid(6), START + 7)));
    let mut people = Vec::new();
    let mut from = None;
    loop {
        let (page, next) = bed.store.subscriptions(APP, Some(T), from, 3).await.unwrap();
        people.extend(page.into_iter().map(|s| s.openid));
        from = next;
        if from.is_none() {
            break;
        }
    }
    people.sort();
    assert_eq!(people, (0..7).map(openid).collect::<Vec<_>>());
}

pub(crate) async fn a_report_is_provisional_and_the_later_word_stands(bed: &Bed) {
    let a = openid(1);
    let report = |at| vec![act(T, ActKind::Report { at })];
    let reject = |at| vec![act(T, ActKind::ReportedReject { at })];
    bed.event(&a, report(START + 5_000)).await;
    let (s, _) = bed.subscription(&a).await;
    assert_eq!((s.balance, s.status), (1, Status::Unknown), "a grant, and no status");
    // WeChat's event of the same act takes its place.
    bed.event(&a, vec![act(T, grant(START + 4_000))]).await;
    let (s, _) = bed.subscription(&a).await;
    assert_eq!((s.balance, s.status), (1, Status::Accept));
    let told = bed.store.reported_of(APP, &a).await.unwrap();
    assert_eq!(told, [(T.to_owned(), true, START + 5_000)]);
    bed.event(&a, reject(START + 9_000)).await;
    // One that was made before it, and comes after it, changes nothing of it.
    bed.event(&a, report(START + 1_000)).await;
    let told = bed.store.reported_of(APP, &a).await.unwrap();
    assert_eq!(told, [(T.to_owned(), false, START + 9_000)]);
    assert_eq!(bed.subscription(&a).await.0.status, Status::Accept, "a phone's refusal is no event");
    assert_eq!(bed.store.reported_of(APP, &openid(2)).await.unwrap(), []);
    bed.check_ledgers().await;
}

pub(crate) async fn a_session_opens_for_its_app_and_this_installation(bed: &Bed) {
    let a = openid(1);
    let session = bed.store.seal_mp_session(APP, &a, START + 7);
    assert_eq!(bed.store.open_mp_session(APP, &session), Some((a.clone(), START + 7)));
    assert_eq!(bed.store.open_mp_session(APP + 1, &session), None);
    let again = bed.store.seal_mp_session(APP, &a, START + 7);
    use secrecy::ExposeSecret;
    let text = session.expose_secret();
    assert_ne!(text, again.expose_secret());
    assert!(!text.contains(&a));
    for at in 0..text.len() {
        let mut damaged = text.as_bytes().to_vec();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).unwrap();
        let opened = bed.store.open_mp_session(APP, &damaged.clone().into());
        // The last character may carry spare bits.
        assert!(opened.is_none() || at + 1 == text.len(), "character {at}");
    }
    assert_eq!(bed.store.open_mp_session(APP, &String::new().into()), None);
}
