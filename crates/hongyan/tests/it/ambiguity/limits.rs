//! Once a cancel is answered, and past its time, no call of a message starts, though it was armed already (I15); and what
//! is unknown can be cancelled, which forbids another attempt. A row that cannot be read holds up nobody of another lane.

use std::sync::Arc;

use domain::clock::SECOND;
use domain::lane::DEFAULT_LANES;
use domain::{Clock, Lanes};
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::sync::Semaphore;

use super::fake::{Act, SEND, accepted_text};
use super::{openid, send, set, settled, world};
use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_armed_message_that_is_cancelled_or_over_is_not_called() {
    let (world, fake) = world().await;
    set(&world, "concurrency", json!(1)).await;
    for (round, cancel) in [true, false].into_iter().enumerate() {
        let (first, second) = (2 * round, 2 * round + 1);
        let told = Arc::new(Semaphore::new(0));
        fake.script(SEND, [Act::Held(Arc::clone(&told), accepted_text(1))]);
        let holds = send(&world, first, json!({})).await;
        until("the first call", || async { (fake.sends_to(&openid(first)) == 1).then_some(()) }).await;
        let expire_at = service::view::time(domain::Clock::now(&*world.clock) + 10 * SECOND);
        let waits = send(&world, second, json!({ "expire_at": expire_at })).await;
        until("the second one armed", || async {
            (world.get(&waits).await["state"] == "sending").then_some(())
        })
        .await;
        if cancel {
            let reply = world.api("POST", &format!("{waits}/cancel"), &Value::Null).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        } else {
            world.clock.advance(10 * SECOND);
        }
        told.add_permits(1);
        settled(&world, &holds, "accepted", 1).await;
        let end = if cancel { "cancelled" } else { "expired" };
        settled(&world, &waits, end, 0).await;
        assert_eq!(fake.sends_to(&openid(second)), 0, "{end}: no call");
    }
    fake.check();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_an_unknown_message_is_answered_and_idempotent() {
    let (world, fake) = world().await;
    fake.script(SEND, [Act::CutAfter]);
    let path = send(&world, 0, json!({})).await;
    settled(&world, &path, "unknown", 1).await;
    for _ in 0..2 {
        let reply = world.api("POST", &format!("{path}/cancel"), &Value::Null).await;
        assert_eq!((reply.status, reply.json()["state"].as_str()), (200, Some("unknown")), "{}", reply.text);
        let said = reply.json()["explanation"].as_str().unwrap().to_owned();
        assert!(said.contains("may have arrived") && said.contains("cancelled and not sent again"), "{said}");
    }
    fake.check();
}

/// Runs a statement behind the service's back.
async fn alter(world: &World, statement: String) {
    let (url, statement) = (world.database(), sqlx::AssertSqlSafe(statement));
    let changed = if crate::database::is_postgres() {
        let mut db = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query(statement).execute(&mut db).await.unwrap().rows_affected()
    } else {
        let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::query(statement).execute(&mut db).await.unwrap().rows_affected()
    };
    assert_eq!(changed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_holds_up_its_lane_and_no_other() {
    let (world, fake) = world().await;
    let due = jiff::Timestamp::from_millisecond(world.clock.now() + 3_600_000).unwrap().to_string();
    let mut sent = Vec::new();
    for n in 0..24 {
        sent.push(send(&world, n, json!({ "send_at": due })).await);
    }
    let lane = |n: usize| Lanes::new(DEFAULT_LANES).of_openid(&openid(n));
    let of = |n: usize| format!("id in (select m.id from message m where m.openid = '{}')", openid(n));
    alter(&world, format!("update message_state set state = state + 90 where {}", of(0))).await;
    world.clock.advance(3_600_000);
    for (n, path) in sent.iter().enumerate().filter(|(n, _)| lane(*n) != lane(0)) {
        settled(&world, path, "accepted", 1).await;
        assert_eq!(fake.sends_to(&openid(n)), 1);
    }
    assert_eq!(fake.sends_to(&openid(0)), 0);
    alter(&world, format!("update message_state set state = state - 90 where {}", of(0))).await;
    for path in &sent {
        settled(&world, path, "accepted", 1).await;
    }
    fake.check();
}
