//! The relay's queue: a row with its inbox row or not at all, once per event, its content sealed and gone in time.

use store::hot::append::{Appended, InboxKind, NewInboxRow};
use store::relay::{NewRelay, Pushed, RelayState, RelayTried};

use crate::bed::{APP, Bed, START, openid};

const DAY: i64 = 24 * 3_600_000;

fn pushed() -> Pushed {
    Pushed {
        query: "signature=a&nonce=1".into(),
        content_type: Some("text/xml".into()),
        body: vec![b'<', 0xff, b'\n', b'>'],
    }
}

fn queued(bed: &Bed, body: &str) -> NewInboxRow {
    let row = bed.row(InboxKind::Event, &openid(1), START, body);
    let relay = Some(bed.store.seal_relay(row.id, &pushed()));
    NewInboxRow { relay, ..row }
}

fn tried(bed: &Bed, row: &NewInboxRow, state: RelayState, due_at: i64) -> RelayTried {
    let status = (state == RelayState::Delivered).then_some(200);
    let error = status.is_none().then(|| "no connection".to_owned());
    RelayTried { id: row.id, at: bed.now(), status, error, state, due_at }
}

pub(crate) async fn what_is_to_be_passed_on_waits_in_order(bed: &Bed) {
    let mut rows = Vec::new();
    for n in 0..5 {
        bed.clock.advance(1);
        rows.push(queued(bed, &format!("{n}")));
    }
    let plain = bed.row(InboxKind::Event, &openid(1), START, "not to be passed on");
    bed.store.append([rows.clone(), vec![plain.clone()]].concat()).await.unwrap();
    assert_eq!(bed.store.relay_apps().await.unwrap(), [APP]);
    assert_eq!(bed.store.relay_backlog().await.unwrap(), [(APP, 5)]);
    assert!(bed.store.relay_due(APP + 1, bed.now(), 10).await.unwrap().is_empty());
    assert!(bed.store.relay_of(plain.id).await.unwrap().is_none());
    let due = bed.store.relay_due(APP, bed.now(), 3).await.unwrap();
    assert_eq!(due.iter().map(|row| row.id).collect::<Vec<_>>(), [rows[0].id, rows[1].id, rows[2].id]);
    assert_eq!(due[0].pushed, Some(pushed()), "byte for byte");

    let later = bed.now() + 5_000;
    let done =
        [tried(bed, &rows[0], RelayState::Delivered, 0), tried(bed, &rows[1], RelayState::Waiting, later)];
    bed.store.relay_tried(&done).await.unwrap();
    let due = bed.store.relay_due(APP, bed.now(), 10).await.unwrap();
    assert_eq!(due.iter().map(|row| row.id).collect::<Vec<_>>(), [rows[2].id, rows[3].id, rows[4].id]);
    let first = bed.store.relay_of(rows[0].id).await.unwrap().unwrap();
    assert_eq!((first.state, first.attempts, first.last_status), (RelayState::Delivered, 1, Some(200)));
    let second = bed.store.relay_of(rows[1].id).await.unwrap().unwrap();
    assert_eq!(
        (second.state, second.due_at, second.last_error.as_deref()),
        (RelayState::Waiting, later, Some("no connection"))
    );
    // What was delivered stays delivered.
    bed.store.relay_tried(&[tried(bed, &rows[0], RelayState::Waiting, later)]).await.unwrap();
    assert_eq!(bed.store.relay_of(rows[0].id).await.unwrap().unwrap(), first);
    let due = bed.store.relay_due(APP, later, 10).await.unwrap();
    assert_eq!((due.len(), due[0].id, due[0].attempts), (4, rows[1].id, 1));
    assert_eq!(due[0].pushed, Some(pushed()));

    assert_eq!(bed.store.relay_over(START).await.unwrap(), 0);
    assert_eq!(bed.store.relay_over(rows[2].id.created_at()).await.unwrap(), 1);
    assert_eq!(bed.store.relay_of(rows[1].id).await.unwrap().unwrap().state, RelayState::GivenUp);
    assert_eq!(bed.store.relay_stopped(APP).await.unwrap(), 3);
    assert!(bed.store.relay_apps().await.unwrap().is_empty());
    assert!(bed.store.relay_due(APP, later + DAY, 10).await.unwrap().is_empty());
}

pub(crate) async fn an_event_is_queued_once(bed: &Bed) {
    let first = queued(bed, "x");
    assert_eq!(
        bed.store.append(vec![first.clone(), queued(bed, "x")]).await.unwrap(),
        [Appended::New, Appended::Repeated]
    );
    // After a restart the first push is forgotten, and perhaps not applied yet.
    bed.store.forget_recent();
    let again = queued(bed, "x");
    bed.store.append(vec![again.clone(), queued(bed, "y")]).await.unwrap();
    assert_eq!(bed.store.relay_backlog().await.unwrap(), [(APP, 2)]);
    assert!(bed.store.relay_of(first.id).await.unwrap().is_some());
    assert!(bed.store.relay_of(again.id).await.unwrap().is_none());
}

pub(crate) async fn what_is_passed_on_at_once_is_told_from_what_was(bed: &Bed) {
    let chat =
        || NewInboxRow { relay: Some(NewRelay::AtOnce), ..bed.row(InboxKind::Chat, &openid(1), START, "m1") };
    let first = chat();
    assert_eq!(bed.store.append(vec![first.clone()]).await.unwrap(), [Appended::New]);
    assert!(bed.store.relay_apps().await.unwrap().is_empty(), "nothing waits");
    assert_eq!(bed.store.relay_of(first.id).await.unwrap().unwrap().state, RelayState::UnderWay);
    bed.store.relay_tried(&[tried(bed, &first, RelayState::Delivered, 0)]).await.unwrap();
    assert_eq!(bed.store.relay_of(first.id).await.unwrap().unwrap().state, RelayState::Delivered);
    bed.store.forget_recent();
    assert_eq!(bed.store.append(vec![chat()]).await.unwrap(), [Appended::Repeated], "not once more");
}
