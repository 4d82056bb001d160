//! Erasing: a person goes, their messages stay as rows, everybody else is as before (I17, I9).

use domain::message::{Outcome, State};
use store::erasure::{Erased, Erasure, PERSON, Walk};
use store::hot::append::{InboxKind, Verdict};
use store::hot::apply::{ActKind, Application, ToApply};
use store::hot::enqueue::Queue;
use store::hot::settle::Settled;
use store::messages::MessageFilter;

use crate::bed::{ACCEPTED, APP, Bed, Raw, START, T, accepted, act, openid};

const HOUR: i64 = 3_600_000;

async fn due(bed: &Bed) -> Erasure {
    let mut due = bed.store.erasures_due(bed.now(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    due.remove(0)
}

async fn asked(bed: &Bed, openid: &str, what: &str) -> Erasure {
    bed.clock.advance(1);
    bed.store.ask_erasure(APP, openid, what.into(), bed.now()).await.unwrap();
    due(bed).await
}

async fn erase(bed: &Bed, erasure: &Erasure) -> Walk {
    bed.store.erase_person(erasure, bed.epochs.of(erasure.lane())).await.unwrap()
}

pub(crate) async fn a_person_goes_and_messages_stay_counted(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    for openid in [&a, &b] {
        bed.grant(openid, 3).await;
    }
    let sent = bed.sent(&a, Outcome::Accepted { msgid: Some(7) }).await;
    let unknown = bed.sent(&a, Outcome::Unknown).await;
    let refused = bed.sent(&a, Outcome::Refused).await;
    bed.receipt(&a, Some(7), 0).await;
    let key = format!("bill {a}");
    let waits = bed.keyed(&a, &key, 1);
    let waits_id = waits.id;
    bed.enqueue(waits).await;
    let others = bed.queued(&b).await;
    let erasure = asked(bed, &a, PERSON).await;
    assert_eq!((erasure.app, erasure.looks, erasure.what.as_str()), (APP, 0, PERSON));
    // Three grants, the spend, the zeroing by 43101; four events.
    let erased = Erased { subscriptions: 1, ledger_entries: 5, messages: 4, callbacks: 4 };
    assert_eq!(erase(bed, &erasure).await, Walk::Done(erased));

    assert!(bed.store.subscriptions_of(APP, &a, None).await.unwrap().is_empty());
    for (id, state) in [
        (sent, State::Delivered),
        (unknown, State::Unknown),
        (refused, State::Refused),
        (waits_id, State::Skipped),
    ] {
        let message = bed.stored(id).await;
        assert_eq!(message.position.state, state, "{id}");
        assert_eq!((message.openid.as_str(), message.data.as_str(), message.page), ("", "{}", None));
        assert_eq!(message.errmsg, None);
        assert!(message.attempts.iter().all(|attempt| attempt.errmsg.is_none()));
    }
    for id in [unknown, refused, waits_id] {
        let (before, after) = bed.store.resend(APP, id, bed.now(), bed.now() + HOUR).await.unwrap().unwrap();
        assert_eq!(before, after, "nobody to send it to");
    }
    let all = bed.store.messages(APP, MessageFilter::default(), None, 100).await.unwrap();
    assert_eq!(all.items.len(), 5);
    assert_eq!(bed.state(others).await, State::Queued);
    assert_eq!((bed.balance(&b).await, bed.subscription(&b).await.1), (3, 1));
    let (rows, _) = bed.store.callbacks(APP, None, None, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.openid.is_empty() && row.body.is_empty()).count(), 4);
    assert_eq!(rows.iter().filter(|row| row.openid == b).count(), 3);
    // The key named the person; it is free again.
    let again = bed.keyed(&b, &key, 1);
    assert_eq!(bed.enqueue(again).await, store::hot::enqueue::Enqueued::Accepted);
    // Once more changes nothing.
    assert_eq!(erase(bed, &erasure).await, Walk::Done(Erased::default()));
    bed.store.erasure_done(&erasure, Some("{}".into()), None, bed.now()).await.unwrap();
    assert!(bed.store.erasures_due(bed.now() + HOUR, 10).await.unwrap().is_empty());
    assert!(bed.store.erasure(erasure.id).await.unwrap().unwrap().erased);
}

pub(crate) async fn what_is_under_way_is_waited_for(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    let erasure = asked(bed, &a, PERSON).await;
    assert_eq!(erase(bed, &erasure).await, Walk::UnderWay);
    bed.store.erasure_waits(&erasure, bed.now() + 100).await.unwrap();
    assert!(bed.store.erasures_due(bed.now(), 10).await.unwrap().is_empty());
    assert!(!bed.store.erasure(erasure.id).await.unwrap().unwrap().erased);
    // It is not tried again, whatever the answer.
    let again = Settled::Again {
        queue: flight.queue,
        due_at: flight.due_at,
        expire_at: flight.expire_at,
        ambiguous: false,
    };
    assert!(bed.settle(&flight, again).await);
    assert_eq!(bed.state(id).await, State::Cancelled);
    bed.clock.advance(100);
    let erasure = due(bed).await;
    assert!(matches!(erase(bed, &erasure).await, Walk::Done(Erased { messages: 1, subscriptions: 1, .. })));
    // An event of before that nobody applied yet would bring the person back.
    let event = bed.arrive(InboxKind::Popup, &a, vec![act(T, ActKind::Grant { at: bed.now() })]).await;
    bed.store.erasure_done(&erasure, None, None, bed.now()).await.unwrap();
    let erasure = asked(bed, &a, PERSON).await;
    assert_eq!(erase(bed, &erasure).await, Walk::UnderWay);
    bed.store.apply(vec![event]).await.unwrap();
    assert!(matches!(erase(bed, &erasure).await, Walk::Done(Erased { subscriptions: 1, .. })));
}

pub(crate) async fn a_late_answer_brings_nobody_back(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, Settled::Outcome(Outcome::Unknown)).await);
    let erasure = asked(bed, &a, PERSON).await;
    assert!(matches!(erase(bed, &erasure).await, Walk::Done(_)));
    assert!(!bed.settle(&flight, Settled::Late(Outcome::Accepted { msgid: None })).await);
    assert_eq!(bed.state(id).await, State::Unknown);
    assert!(bed.store.subscriptions_of(APP, &a, None).await.unwrap().is_empty());
    let due = bed.store.unknown_due(id.lane(), Queue::unknown(APP), bed.now() + HOUR, 10).await.unwrap();
    assert!(due.is_empty(), "no policy sends it again");
}

pub(crate) async fn another_epoch_erases_nothing(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 1).await;
    let id = bed.queued(&a).await;
    let erasure = asked(bed, &a, PERSON).await;
    let epoch = bed.epochs.of(erasure.lane());
    for wrong in [epoch - 1, epoch + 1] {
        assert_eq!(bed.store.erase_person(&erasure, wrong).await.unwrap(), Walk::NotOurs);
        assert_eq!(bed.store.erase_values(&erasure, wrong, None).await.unwrap(), Walk::NotOurs);
    }
    assert_eq!((bed.state(id).await, bed.balance(&a).await), (State::Queued, 1));
}

pub(crate) async fn an_event_asks_once_and_keeps_no_name(bed: &Bed) {
    let a = openid(1);
    let demand = |row: &store::hot::append::NewInboxRow| ToApply {
        erase: Some(bed.store.new_erasure(row.id, PERSON.into(), &a)),
        ..bed.to_apply(row, Vec::new())
    };
    let row = bed.row(InboxKind::Erasure, &a, START, "cancellation");
    bed.store.append(vec![row.clone()]).await.unwrap();
    assert_eq!(bed.store.apply(vec![demand(&row)]).await.unwrap(), [Application::Done]);
    bed.store.forget_recent();
    let again = bed.row(InboxKind::Erasure, &a, START, "cancellation");
    bed.store.append(vec![again.clone()]).await.unwrap();
    assert_eq!(bed.store.apply(vec![demand(&again)]).await.unwrap(), [Application::Done]);
    for (id, verdict) in [(row.id, Verdict::Applied), (again.id, Verdict::Duplicate)] {
        let stored = bed.store.callback(APP, id).await.unwrap().unwrap();
        assert_eq!((stored.openid.as_str(), stored.body.as_str(), stored.verdict), ("", "", Some(verdict)));
    }
    let erasure = due(bed).await;
    assert_eq!(erasure.id, row.id);
    bed.store
        .erasure_done(&erasure, Some(r#"{"erased":"person"}"#.into()), Some(bed.now() + HOUR), bed.now())
        .await
        .unwrap();
    let stored = bed.store.callback(APP, row.id).await.unwrap().unwrap();
    assert_eq!(stored.effects.as_deref(), Some(r#"[{"erased":"person"}]"#));
    assert!(
        bed.store.erasures_due(bed.now(), 10).await.unwrap().is_empty(),
        "it is looked at again in an hour"
    );
    bed.clock.advance(HOUR);
    let late = bed.row(InboxKind::Popup, &a, START, "of the time before");
    let new = bed.row(InboxKind::Popup, &a, bed.now(), "of a person who came back");
    for row in [&late, &new] {
        bed.store.append(vec![row.clone()]).await.unwrap();
        bed.store.apply(vec![bed.to_apply(row, Vec::new())]).await.unwrap();
    }
    let erasure = due(bed).await;
    assert_eq!(erasure.looks, 1);
    let walk = bed.store.erase_latecomers(&erasure, bed.epochs.of(erasure.lane()), bed.now()).await.unwrap();
    assert_eq!(walk, Walk::Done(Erased { callbacks: 1, ..Erased::default() }));
    assert_eq!(bed.store.callback(APP, late.id).await.unwrap().unwrap().openid, "");
    assert_eq!(bed.store.callback(APP, new.id).await.unwrap().unwrap().openid, a);
}

pub(crate) async fn values_go_by_their_kind(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 3).await;
    let with = |data: &str| store::hot::enqueue::NewMessage { data: data.into(), ..bed.message(&a) };
    let (phone, fee) = (with(r#"{"phone_number1":"138","thing2":"费"}"#), with(r#"{"thing2":"费"}"#));
    let done = with(r#"{"phone_number1":"138","name3":"张三"}"#);
    let (phone_id, fee_id, done_id) = (phone.id, fee.id, done.id);
    for message in [phone, fee, done] {
        bed.enqueue(message).await;
    }
    let flight = bed.arm(done_id).await;
    bed.settle(&flight, Settled::Outcome(Outcome::Accepted { msgid: None })).await;
    let erasure = asked(bed, &a, "fields:phone_number").await;
    let epoch = bed.epochs.of(erasure.lane());
    let kinds = Some(vec!["phone_number".to_owned()]);
    let walk = bed.store.erase_values(&erasure, epoch, kinds).await.unwrap();
    assert_eq!(walk, Walk::Done(Erased { messages: 2, ..Erased::default() }));
    let data = async |id| bed.stored(id).await.data;
    assert_eq!(data(phone_id).await, r#"{"phone_number1":"","thing2":"费"}"#);
    assert_eq!(data(done_id).await, r#"{"name3":"张三","phone_number1":""}"#);
    assert_eq!(data(fee_id).await, r#"{"thing2":"费"}"#);
    assert_eq!((bed.state(phone_id).await, bed.state(fee_id).await), (State::Skipped, State::Queued));
    assert_eq!(bed.balance(&a).await, 2);
    let walk = bed.store.erase_values(&erasure, epoch, None).await.unwrap();
    assert_eq!(walk, Walk::Done(Erased { messages: 3, ..Erased::default() }));
    assert_eq!(bed.state(fee_id).await, State::Skipped);
    assert_eq!(bed.stored(fee_id).await.openid, a);
}

pub(crate) async fn what_is_unknown_goes_too_and_a_late_answer_brings_nobody_back(bed: &Bed) {
    let a = openid(1);
    bed.grant(&a, 2).await;
    let id = bed.queued(&a).await;
    let flight = bed.arm(id).await;
    assert!(bed.settle(&flight, Settled::Outcome(Outcome::Unknown)).await);
    let erasure = asked(bed, &a, PERSON).await;
    assert!(matches!(erase(bed, &erasure).await, Walk::Done(_)));
    assert!(bed.waiting().await.is_empty(), "no policy is asked about it");
    assert!(!bed.settle(&flight, Settled::Late(accepted(1))).await);
    assert_eq!(bed.state(id).await, State::Unknown);
    assert!(bed.store.subscriptions_of(APP, &a, None).await.unwrap().is_empty());
}

/// Every place that a person may get into, and then every row of every table.
pub(crate) async fn nothing_of_a_person_stays_in_any_table(bed: &Bed) {
    let (a, b) = (openid(1), openid(2));
    let now = bed.now();
    bed.store.insert_app(crate::rare::app("wx1", None), now).await.unwrap();
    let list = everywhere(bed, &a, &b).await;
    let mut raw = Raw::of(bed).await;
    let before = raw.tables_with(&a).await;
    for table in [
        "audit",
        "campaign",
        "guest",
        "idempotency",
        "inbox",
        "ledger",
        "message",
        "person_key",
        "recipient",
        "reported",
        "reserved",
        "schedule",
        "subscriber",
        "subscription",
        "upload",
        "webhook_event",
    ] {
        assert!(before.iter().any(|found| found == table), "the test looks into {table}: {before:?}");
    }
    let erasure = asked(bed, &a, PERSON).await;
    assert!(matches!(erase(bed, &erasure).await, Walk::Done(_)));
    bed.store.erasure_done(&erasure, Some("{}".into()), None, bed.now()).await.unwrap();
    for word in [a.as_str(), "EXT-0001", "甲的电话"] {
        assert_eq!(raw.tables_with(word).await, [""; 0], "{word}");
    }
    // The neighbour is as before.
    assert_eq!(bed.balance(&b).await, 1);
    assert_eq!(bed.store.listed(list, 0, 10).await.unwrap().iter().filter(|line| line.given == b).count(), 1);
    assert!(bed.store.schedules(APP).await.unwrap()[0].asked.campaign.contains(&b));
    bed.check_ledgers().await;
}

async fn everywhere(bed: &Bed, a: &str, b: &str) -> uuid::Uuid {
    let (store, now) = (&bed.store, bed.now());
    for openid in [a, b] {
        bed.grant(openid, 1).await;
    }
    bed.event(a, vec![act(T, ActKind::Report { at: now - 600_000 })]).await;
    bed.sent(a, ACCEPTED).await;
    let waits = bed.keyed(a, &format!("bill {a}"), 1);
    bed.enqueue(waits).await;
    let row = store::imports::ImportedGrant {
        openid: a.into(),
        template: bed.template,
        count: 1,
        accepted_at: Some(now - 9_000_000),
        reference: uuid::Uuid::from_u128(5),
        note: "t.csv #2".into(),
    };
    store.import_grants(vec![row], ("cli:test".into(), now), true).await.unwrap();
    let person = store::people::Person {
        openid: a.into(),
        external_id: Some("EXT-0001".into()),
        unionid: None,
        tags: vec!["业主".into()],
        attributes: [("room".to_owned(), "3-1201".into())].into_iter().collect(),
        sensitive: [("phone".to_owned(), "13800138000".into())].into_iter().collect(),
        keys: ["phone".to_owned()].into(),
        created_at: now,
        updated_at: now,
    };
    store.put_people(APP, vec![person]).await.unwrap();
    store.put_guest(APP, a.into(), Some("甲的电话".into()), now).await.unwrap();
    let deed = store::audit::Deed {
        number: 0,
        at: now,
        principal: "cli:test".into(),
        app: Some(APP),
        act: "GET subscribers/export".into(),
        target: Some(a.into()),
    };
    store.note_deed(deed).await.unwrap();
    let webhook = store::webhooks::Webhook {
        number: 0,
        id: uuid::Uuid::from_u128(3),
        app: None,
        url: "https://example.com/".into(),
        form: "standard".into(),
        sealed_url: None,
        events: vec!["*".into()],
        note: None,
        secret: "whsec_x".to_owned().into(),
        previous: None,
        enabled: true,
        disabled_because: None,
        failing_since: None,
        created_by: "test".into(),
        created_at: now,
    };
    store.put_webhook(webhook).await.unwrap();
    store.tell(APP, "message.accepted", format!(r#"{{"to":"{a}"}}"#)).await.unwrap();
    let list = uuid::Uuid::from_u128(7);
    let line = |row, kind, given: &str, vars: &str| store::campaigns::ListedRecipient {
        row,
        sheet_row: None,
        kind,
        given: given.into(),
        vars: vars.into(),
    };
    use store::campaigns::ListKind;
    let lines = vec![
        line(1, ListKind::Openid, a, r#"{"备注":"甲的电话"}"#),
        line(2, ListKind::ExternalId, "EXT-0001", r#"{"备注":"甲的电话"}"#),
        line(3, ListKind::ExternalId, "EXT-0002", &format!(r#"{{"who":"{a}"}}"#)),
        line(4, ListKind::Openid, b, "{}"),
    ];
    store.add_list(list, lines).await.unwrap();
    let campaign = store::campaigns::NewCampaign {
        id: uuid::Uuid::from_u128(8),
        app: APP,
        name: "催缴".into(),
        template: bed.template,
        data: "{}".into(),
        page: None,
        version: "formal".into(),
        lang: "zh_CN".into(),
        audience: format!(r#"{{"kind":"recipients","first":["{a}"]}}"#),
        options: "{}".into(),
        list: Some(list),
        send_at: None,
        expire_at: None,
        created_by: "test".into(),
        created_at: now,
    };
    store.add_campaign(campaign, None).await.unwrap();
    let upload = store::uploads::StoredUpload {
        id: uuid::Uuid::from_u128(9),
        app: APP,
        name: "催缴.csv".into(),
        asked: "{}".into(),
        found: format!(r#"{{"errors":[{{"row":1,"detail":"{a}"}}],"rows":4}}"#),
        list,
        created_by: "test".into(),
        created_at: now,
    };
    store.add_upload(upload, a.as_bytes().to_vec()).await.unwrap();
    let schedule = store::schedules::NewSchedule {
        id: uuid::Uuid::from_u128(10),
        app: APP,
        name: "每月".into(),
        cron: "0 9 * * *".into(),
        time_zone: "Asia/Shanghai".into(),
        campaign: format!(r#"{{"audience":{{"recipients":[{{"to":"{a}"}},{{"to":"{b}"}}]}}}}"#),
        late_minutes: None,
        enabled: false,
        next_at: None,
        created_by: "test".into(),
        created_at: now,
    };
    store.add_schedule(schedule).await.unwrap();
    list
}
