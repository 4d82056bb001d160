//! A database that was put back to an earlier moment sends nothing by itself that may have been sent since (I4, I5, I8, I9).

use domain::campaign::CampaignState;
use domain::clock::{DAY, HOUR};
use domain::message::{Outcome, State};
use store::campaigns::{CampaignChange, NewCampaign};
use store::hot::append::InboxKind;
use store::hot::apply::ToApply;
use store::hot::enqueue::{NewMessage, Queue};
use store::restored::RESTORED;
use store::schedules::NewSchedule;
use uuid::Uuid;

use crate::bed::{APP, Bed, openid, receipt};
use crate::rare::app;

pub(crate) async fn what_waited_then_is_unknown_now(bed: &Bed) {
    bed.store.insert_app(app("wx1", None), bed.now()).await.unwrap();
    let (a, b, c) = (openid(1), openid(2), openid(3));
    for openid in [&a, &b, &c] {
        bed.grant(openid, 2).await;
    }
    let sent = bed.sent(&a, Outcome::Accepted { msgid: Some(1) }).await;
    let waits = bed.queued(&a).await;
    let flies = bed.queued(&b).await;
    bed.arm(flies).await;
    let unknown = bed.sent(&c, Outcome::Unknown).await;
    let scheduled =
        |due_at| NewMessage { state: State::Scheduled, due_at, expire_at: due_at + DAY, ..bed.message(&c) };
    let (past, future) = (scheduled(bed.now() + HOUR), scheduled(bed.now() + 5 * HOUR));
    let (past_id, future_id) = (past.id, future.id);
    let over = NewMessage { due_at: bed.now() - 2, expire_at: bed.now() - 1, ..bed.message(&b) };
    let over_id = over.id;
    for message in [past, future, over] {
        bed.enqueue(message).await;
    }
    let backup_at = bed.now();
    bed.clock.advance(2 * HOUR);
    let restored = bed.store.mark_restored(backup_at, bed.now(), "restore").await.unwrap();
    assert_eq!((restored.unknown, restored.apps, restored.backup_at), (3, 1, backup_at));
    assert_eq!(bed.store.restored().await.unwrap(), Some(restored));
    for (id, state) in [
        (sent, State::Accepted),
        (waits, State::Unknown),
        (flies, State::Unknown),
        (unknown, State::Unknown),
        (past_id, State::Unknown),
        (future_id, State::Scheduled),
        (over_id, State::Expired),
    ] {
        assert_eq!(bed.state(id).await, state, "{id}");
    }
    assert_eq!(bed.store.unknown_count(APP).await.unwrap(), 4);
    let told = bed.stored(waits).await;
    assert!(told.errmsg.as_deref().is_some_and(|text| text.contains("backup")), "{:?}", told.errmsg);
    // No policy sends them again; a person may.
    bed.clock.advance(HOUR);
    for id in [waits, flies, unknown, past_id] {
        for due in bed.store.unknown_due(id.lane(), Queue::unknown(APP), bed.now(), 10).await.unwrap() {
            assert!(due.cancel_requested, "{}", due.id);
        }
    }
    let (_, after) = bed.store.resend(APP, waits, bed.now(), bed.now() + DAY).await.unwrap().unwrap();
    assert_eq!(after.state, State::Queued);
    // Grants and spends of the time between are missing.
    let (account, reserved) = bed.subscription(&a).await;
    assert_eq!((account.balance, account.known, reserved), (1, false, 1));
    // The gate is closed until somebody opens it.
    let gate = bed.store.gate(APP).await.unwrap().unwrap();
    assert_eq!((gate.reason.as_str(), gate.detail), (RESTORED, backup_at.to_string()));
    // A receipt of the time between proves what it proves.
    let lanes = bed.store.lane_rows().await.unwrap();
    let epoch = lanes.iter().find(|row| row.lane == bed.lane(&b)).unwrap().epoch;
    let receipt = bed.arrive(InboxKind::Sent, &b, vec![receipt(None, 0, bed.now())]).await;
    bed.store.apply(vec![ToApply { epoch, ..receipt }]).await.unwrap();
    assert_eq!(bed.state(flies).await, State::Delivered);
    // Once more changes nothing but what came since.
    let again = bed.store.mark_restored(backup_at, bed.now(), "restore").await.unwrap();
    assert_eq!(again.unknown, 1, "the one that was sent again");
}

pub(crate) async fn campaigns_and_schedules_stand_still(bed: &Bed) {
    bed.store.insert_app(app("wx1", None), bed.now()).await.unwrap();
    let campaign = |n: u128| NewCampaign {
        id: Uuid::from_u128(n),
        app: APP,
        name: format!("{n}"),
        template: bed.template,
        data: "{}".into(),
        page: None,
        version: "formal".into(),
        lang: "zh_CN".into(),
        audience: "{}".into(),
        options: "{}".into(),
        list: None,
        send_at: None,
        expire_at: None,
        created_by: "test".into(),
        created_at: bed.now(),
    };
    for n in 1..=3 {
        bed.store.add_campaign(campaign(n), None).await.unwrap();
    }
    let numbered = async |n: u128| bed.store.campaign(APP, Uuid::from_u128(n)).await.unwrap().unwrap();
    for (n, state) in [(1, CampaignState::Running), (2, CampaignState::Scheduled)] {
        let number = numbered(n).await.number;
        let change = CampaignChange::new(CampaignState::Draft, state, bed.now());
        assert!(bed.store.change_campaign(number, change).await.unwrap());
    }
    let schedule = NewSchedule {
        id: Uuid::from_u128(9),
        app: APP,
        name: "物业费".into(),
        cron: "0 9 * * *".into(),
        time_zone: "Asia/Shanghai".into(),
        campaign: "{}".into(),
        late_minutes: None,
        enabled: true,
        next_at: Some(bed.now() + HOUR),
        created_by: "test".into(),
        created_at: bed.now(),
    };
    bed.store.add_schedule(schedule).await.unwrap();
    let backup_at = bed.now();
    bed.clock.advance(10 * DAY);
    let restored = bed.store.mark_restored(backup_at, bed.now(), "restore").await.unwrap();
    assert_eq!((restored.campaigns, restored.schedules), (2, 1));
    for n in [1, 2] {
        let stands = numbered(n).await;
        assert_eq!((stands.state, stands.paused_because.as_deref()), (CampaignState::Paused, Some(RESTORED)));
    }
    assert_eq!(numbered(3).await.state, CampaignState::Draft);
    assert!(bed.store.due_schedules(bed.now()).await.unwrap().is_empty(), "nothing is made up for");
    let schedule = bed.store.schedule(APP, Uuid::from_u128(9)).await.unwrap().unwrap();
    assert_eq!(schedule.last_result.as_deref(), Some(RESTORED));
    assert!(schedule.asked.next_at.is_some_and(|next| next > bed.now() && next <= bed.now() + DAY));
}
