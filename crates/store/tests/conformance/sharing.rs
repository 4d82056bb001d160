//! What only a database that several share has to do: lanes by lease, the fence, turns, nodes, and what becomes of a session
//! that stands still.

use std::time::Duration;

use domain::Lane;
use domain::message::State;
use sqlx::{Connection, Executor, PgConnection};
use store::hot::append::{Appended, InboxKind};
use store::hot::apply::ActKind;
use store::hot::arm::Arm;
use store::hot::enqueue::Enqueued;
use store::lanes::Holding;
use store::testing::TempPostgres;
use store::{OpenOptions, Role, Store};

use crate::bed::{ACCEPTED, APP, Bed, START, T, act, openid};

/// A second node on the same database.
async fn second(bed: &Bed) -> Store {
    bed.open(Role::Worker).await.unwrap()
}

/// The lanes that the bed took, given back.
async fn free(bed: &Bed) {
    bed.store.give_back_lanes("bed", bed.epochs.iter().collect()).await.unwrap();
}

async fn bed(test: &str) -> Option<Bed> {
    Bed::postgres(test).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_is_one_nodes_until_its_lease_ends() {
    let Some(bed) = bed("a_lane_is_one_nodes_until_its_lease_ends").await else { return };
    let other = second(&bed).await;
    let lanes: Vec<Lane> = (0..4).map(Lane).collect();
    free(&bed).await;
    let first = bed.store.take_lanes("first", lanes.clone(), 60_000).await.unwrap();
    assert_eq!(first.len(), 4);
    assert!(first.iter().all(|held| held.epoch == 2), "each taking raises the epoch");
    assert!(other.take_lanes("second", lanes.clone(), 60_000).await.unwrap().is_empty(), "they are held");
    assert_eq!(bed.store.renew_lanes("first", lanes.clone(), 60_000).await.unwrap(), first);
    assert!(other.renew_lanes("second", lanes.clone(), 60_000).await.unwrap().is_empty());
    // Given back, they are free at once; one that was given back under another epoch is not.
    let stale = Holding { epoch: 1, ..first[1] };
    bed.store.give_back_lanes("first", vec![first[0], stale]).await.unwrap();
    let taken = other.take_lanes("second", lanes.clone(), 1).await.unwrap();
    assert_eq!(taken, [Holding { lane: Lane(0), epoch: 3 }]);
    // A lease of a millisecond ends by itself.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(bed.store.take_lanes("first", vec![Lane(0)], 60_000).await.unwrap()[0].epoch, 4);
    assert!(other.renew_lanes("second", vec![Lane(0)], 60_000).await.unwrap().is_empty(), "it is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_lane_writes_nothing() {
    let Some(bed) = bed("who_lost_the_lane_writes_nothing").await else { return };
    let a = openid(1);
    bed.grant(&a, 2).await;
    let waiting = bed.queued(&a).await;
    let (arm, _) = bed.ready(waiting).await;
    let event = bed.arrive(InboxKind::Popup, &a, vec![act(T, ActKind::Grant { at: START })]).await;
    let flying = bed.queued(&openid(1)).await;
    let flight = bed.arm(flying).await;
    let other = second(&bed).await;
    let lane = bed.lane(&a);
    free(&bed).await;
    assert_eq!(other.take_lanes("second", vec![lane], 60_000).await.unwrap().len(), 1);
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "it arms nothing");
    assert_eq!(
        bed.store.apply(vec![event.clone()]).await.unwrap(),
        [store::hot::apply::Application::NotOurs]
    );
    assert!(!bed.settle(&flight, flight.given_back()).await, "it puts nothing back");
    assert_eq!(bed.state(waiting).await, State::Queued);
    // What WeChat answered is evidence all the same, whoever brings it.
    assert!(bed.settle(&flight, store::hot::settle::Settled::Outcome(ACCEPTED)).await);
    assert_eq!(bed.balance(&a).await, 1);
}

/// A take-over in the middle of a transaction: the transaction finds when it commits that the lane is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_during_a_transaction_undoes_it() {
    let Some(bed) = bed("a_take_over_during_a_transaction_undoes_it").await else { return };
    let a = openid(1);
    let id = bed.queued(&a).await;
    let (arm, _) = bed.ready(id).await;
    let lane = bed.lane(&a).0;
    let mut thief = PgConnection::connect(&bed.url).await.unwrap();
    // The turn is held, so that the arming has to wait after it has begun.
    let hold = format!("begin; select 1 from lane_turn where id = {lane} for update");
    thief.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(hold))).await.unwrap();
    let store = bed.store.clone();
    let arming = tokio::spawn(async move { store.arm(vec![arm]).await });
    let mut looker = PgConnection::connect(&bed.url).await.unwrap();
    loop {
        let blocked: i64 = sqlx::query_scalar("select count(*) from pg_locks where not granted")
            .fetch_one(&mut looker)
            .await
            .unwrap();
        if blocked > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let steal = format!("update lane set epoch = epoch + 1, owner = 'thief' where id = {lane}; commit");
    thief.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(steal))).await.unwrap();
    assert_eq!(arming.await.unwrap().unwrap(), [false]);
    assert_eq!(bed.state(id).await, State::Queued, "and everything is as it was");
}

/// The database keeps what it was asked for and is lost before it can say so: asked again, it says what it kept. A commit that waits
/// for a standby that is not there is such a one, when its connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_without_an_answer_counts_once() {
    const TEST: &str = "what_was_kept_without_an_answer_counts_once";
    let Some(server) = TempPostgres::for_test(TEST) else { return };
    let bed = Bed::at(server.url()).await;
    let mut options: OpenOptions = OpenOptions::new(bed.url.clone(), bed.master.clone(), Role::Worker);
    options.lease = Duration::from_secs(2);
    let store = Store::open(options, bed.clock.clone(), bed.entropy.clone()).await.unwrap();
    let (a, b) = (openid(1), openid(2));
    let armed = bed.queued(&a).await;
    let (arm, _) = bed.ready(armed).await;
    let single = bed.message(&b);
    let keyed = bed.keyed(&openid(3), "key", 1);
    let event = bed.row(InboxKind::Popup, &openid(4), START, "unanswered");
    let mut operator = PgConnection::connect(&bed.url).await.unwrap();
    let mut standby = async |name: &str| {
        for statement in
            [&*format!("alter system set synchronous_standby_names = '{name}'"), "select pg_reload_conf()"]
        {
            operator.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))).await.unwrap();
        }
    };
    standby("nowhere").await;
    // Who reloads its settings when is the server's business: somebody's commit waits once it has.
    let mut probing = PgConnection::connect(&bed.url).await.unwrap();
    let probe =
        tokio::spawn(async move { while probing.execute("select pg_current_xact_id()").await.is_ok() {} });
    let mut looker = PgConnection::connect(&bed.url).await.unwrap();
    let mut waiting = async |count: i64| {
        let waiting = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut looker).await.unwrap() >= count
    };
    while !waiting(1).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = tokio::spawn({
        let (single, keyed, event) = (single.clone(), keyed.clone(), event.clone());
        async move {
            tokio::join!(
                store.arm(vec![arm]),
                store.enqueue(vec![single]),
                store.enqueue(vec![keyed]),
                store.append(vec![event])
            )
        }
    });
    // All four are written and wait for the standby, as the probe does; then their connections are lost.
    while !waiting(5).await {
        assert!(!asked.is_finished(), "{:?}", asked.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
    PgConnection::connect(&bed.url).await.unwrap().execute(cut).await.unwrap();
    standby("").await;
    probe.await.unwrap();
    let (armed_now, taken, keyed_taken, appended) = asked.await.unwrap();
    assert_eq!(armed_now.unwrap(), [true], "it is in flight, and somebody knows");
    assert_eq!(bed.state(armed).await, State::Sending);
    assert_eq!(taken.unwrap(), [Enqueued::Accepted]);
    assert_eq!(keyed_taken.unwrap(), [Enqueued::Accepted]);
    assert_eq!(appended.unwrap(), [Appended::New]);
    for message in [single.id, keyed.id] {
        assert_eq!(bed.state(message).await, State::Queued);
    }
    assert_eq!(bed.pending(None, 10).await.len(), 1);
    // Somebody else with the key gets that message.
    let replayed = bed.enqueue(bed.keyed(&openid(3), "key", 1)).await;
    assert_eq!(replayed, Enqueued::Replayed(keyed.id));
}

/// A client that stands still inside a transaction is cut off within half its lease, and the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_still_in_a_transaction_holds_nobody_up_for_long() {
    let Some(bed) = bed("who_stands_still_in_a_transaction_holds_nobody_up_for_long").await else { return };
    let a = openid(1);
    let id = bed.queued(&a).await;
    let (arm, _) = bed.ready(id).await;
    let lane = bed.lane(&a).0;
    let mut options: OpenOptions = OpenOptions::new(bed.url.clone(), bed.master.clone(), Role::Worker);
    options.lease = Duration::from_secs(2);
    let stopped = Store::open(options, bed.clock.clone(), bed.entropy.clone()).await.unwrap();
    // As a process that got SIGSTOP after it had taken the turn and written.
    let still = stopped.stand_still_in(Lane(lane)).await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [true]);
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert!(waited > Duration::from_millis(300), "it did hold the turn: {waited:?}");
    assert!(still.go_on().await.is_err(), "its transaction is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_with_one_key_make_one_message() {
    let Some(bed) = bed("two_nodes_with_one_key_make_one_message").await else { return };
    let other = second(&bed).await;
    for n in 0..40 {
        let messages =
            [bed.keyed(&openid(n), &format!("key {n}"), 1), bed.keyed(&openid(n), &format!("key {n}"), 1)];
        let ids = [messages[0].id, messages[1].id];
        let [first, second] = messages;
        let (a, b) = tokio::join!(bed.store.enqueue(vec![first]), other.enqueue(vec![second]));
        let (a, b) = (a.unwrap()[0], b.unwrap()[0]);
        match (a, b) {
            (Enqueued::Accepted, Enqueued::Replayed(id)) => assert_eq!(id, ids[0]),
            (Enqueued::Replayed(id), Enqueued::Accepted) => assert_eq!(id, ids[1]),
            both => panic!("{both:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_of_which_the_answer_was_lost_is_found_armed() {
    let Some(bed) = bed("an_attempt_of_which_the_answer_was_lost_is_found_armed").await else { return };
    let id = bed.queued(&openid(1)).await;
    let (arm, _) = bed.ready(id).await;
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [true]);
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [false], "somebody else has it");
    let doubtful = Arm { doubtful: true, ..arm };
    assert_eq!(bed.store.arm(vec![doubtful]).await.unwrap(), [true], "it is this one's own");
    assert_eq!(bed.store.arm(vec![Arm { attempt: 2, ..doubtful }]).await.unwrap(), [false]);
    assert_eq!(bed.store.arm(vec![Arm { epoch: 0, ..doubtful }]).await.unwrap(), [false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_on_one_node_and_an_arming_on_another_leave_one_of_both() {
    let Some(bed) = bed("a_cancel_on_one_node_and_an_arming_on_another_leave_one_of_both").await else {
        return;
    };
    let other = second(&bed).await;
    for n in 0..40 {
        let id = bed.queued(&openid(n)).await;
        let (arm, _) = bed.ready(id).await;
        let (armed, cancelled) = tokio::join!(bed.store.arm(vec![arm]), other.cancel(APP, id));
        let (_, after) = cancelled.unwrap().unwrap();
        match armed.unwrap()[0] {
            true => assert!(after.state == State::Sending && after.cancel_requested, "{after:?}"),
            false => assert_eq!(after.state, State::Cancelled),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_seen_and_forgotten_and_a_duty_is_one_nodes() {
    let Some(bed) = bed("nodes_are_seen_and_forgotten_and_a_duty_is_one_nodes").await else { return };
    let node = store::nodes::Node {
        id: "a".into(),
        name: "first".into(),
        role: "all".into(),
        version: "1".into(),
        started_at: 0,
        seen_at: 0,
        leaving: false,
    };
    let now = bed.store.seen(&node, true).await.unwrap();
    let seen = bed.store.nodes(now).await.unwrap();
    assert_eq!(
        (seen.len(), seen[0].started_at, seen[0].seen_at),
        (1, now, now),
        "the database's clock, not the node's"
    );
    let other = second(&bed).await;
    assert!(bed.store.take_duty("token:1", "a", 60_000).await.unwrap());
    assert!(bed.store.take_duty("token:1", "a", 60_000).await.unwrap(), "it has it already");
    assert!(!other.take_duty("token:1", "b", 60_000).await.unwrap());
    other.give_back_duty("token:1", "b").await.unwrap();
    assert!(!other.take_duty("token:1", "b", 60_000).await.unwrap(), "it was not its own");
    bed.store.give_back_duty("token:1", "a").await.unwrap();
    assert!(other.take_duty("token:1", "b", 1).await.unwrap());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(bed.store.take_duty("token:1", "a", 60_000).await.unwrap(), "its time ended");
    bed.store.forget_nodes(Some("a"), 0).await.unwrap();
    assert!(bed.store.nodes(0).await.unwrap().is_empty());
}

/// Many nodes start at once on an empty database: it is migrated once, and every one of them opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_migrate_at_once() {
    let Some(url) = crate::bed::fresh_database("many_nodes_migrate_at_once").await else { return };
    let bed = Bed::sqlite().await;
    let open = || {
        let mut options = OpenOptions::new(url.clone(), bed.master.clone(), Role::Worker);
        options.connections = 3;
        Store::open(options, bed.clock.clone(), bed.entropy.clone())
    };
    let opened = futures::future::join_all((0..6).map(|_| open())).await;
    for store in opened {
        store.unwrap().ping().await.unwrap();
    }
    // One of the version before, which knows fewer steps, starts beside it: a step that it does not know is not its business.
    let mut db = PgConnection::connect(&url).await.unwrap();
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'of a later version', true, '\\x00', 1)";
    db.execute(later).await.unwrap();
    open().await.unwrap().ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_told_and_so_is_a_filled_default_partition() {
    use store::readiness::NotReady;
    use store::vitals::Vitals;
    let Some(bed) = bed("a_lock_is_told_and_so_is_a_filled_default_partition").await else { return };
    assert_eq!(bed.store.ready().await, Ok(()));
    let mut other = PgConnection::connect(&bed.url).await.unwrap();
    other.execute("begin; lock table duty in access exclusive mode").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Err(NotReady::Slow));
    other.execute("rollback").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Ok(()));
    let Vitals::Postgres(vitals) = bed.store.vitals(false).await.unwrap() else { panic!("another engine") };
    assert!(vitals.filled_defaults.is_empty(), "{vitals:?}");
    other
        .execute(
            "insert into attempt (lane, message, number, at, ambiguous) values (0, '\\x00', 1, 0, false)",
        )
        .await
        .unwrap();
    let Vitals::Postgres(vitals) = bed.store.vitals(false).await.unwrap() else { panic!("another engine") };
    assert_eq!(vitals.filled_defaults, ["attempt_default"]);
    other.execute("delete from attempt").await.unwrap();
    bed.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_are_shown_and_missed() {
    use store::readiness::NotReady;
    use store::testing::{FAST, Standby, TempPostgres};
    use store::vitals::Vitals;
    let Some(_) = TempPostgres::shared("followers_are_shown_and_missed") else { return };
    let (primary, standby) = Standby::pair(&FAST).unwrap();
    let bed = Bed::at(primary.url()).await;
    assert_eq!(bed.store.ready().await, Ok(()));
    let Vitals::Postgres(vitals) = bed.store.vitals(false).await.unwrap() else { panic!("another engine") };
    assert_eq!(vitals.synchronous_standby_names, "*");
    let [follower] = vitals.standbys.as_slice() else { panic!("{vitals:?}") };
    assert_eq!((follower.state.as_str(), follower.sync_state.as_str()), ("streaming", "sync"));
    assert!(follower.behind.is_some_and(|behind| behind >= 0), "{follower:?}");
    // Nobody confirms any more: what is read is well, and no write becomes durable.
    standby.server().crash().unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Err(NotReady::Slow));
    primary.say("alter system reset synchronous_standby_names").unwrap();
    primary.say("select pg_reload_conf()").unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Ok(()));
    bed.store.close().await;
}
