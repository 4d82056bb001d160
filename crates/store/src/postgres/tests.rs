//! The five hot statements on a throw-away PostgreSQL: what they write, whom they fence off, how they are planned.

use domain::message::{Outcome, State};
use domain::{InboxId, Lane, Lanes, MessageId, SeededEntropy};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};

use super::client::{PgHot, SESSION};
use super::{accounts, append, apply, arm, claim, enqueue, settle};
use crate::hot::append::{Appended, InboxKind, NewInboxRow};
use crate::hot::apply::{Act, ActKind, Application, ToApply};
use crate::hot::arm::Arm;
use crate::hot::enqueue::{NewMessage, Queue};
use crate::hot::settle::{Settled, Settlement};
use crate::testing::TempPostgres;

const NOW: i64 = 1_760_000_000_000;
const QUEUE: Queue = Queue(5);
const OPENID: &str = "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s";

struct World {
    cluster: TempPostgres,
    hot: PgHot,
    entropy: SeededEntropy,
    lane: Lane,
    epoch: i64,
}

impl World {
    async fn new(test: &str) -> Option<Self> {
        let cluster = TempPostgres::for_test(test)?;
        let hot = PgHot::connect(&cluster.url(), "first".into()).await.unwrap();
        let lane = Lanes::default().of_openid(OPENID);
        let epochs = hot.take_lanes(&Lanes::default().iter().collect::<Vec<_>>(), NOW).await.unwrap();
        assert_eq!(epochs, vec![1; 64]);
        Some(Self { cluster, hot, entropy: SeededEntropy::new(7), lane, epoch: 1 })
    }

    fn row(&self, digest: u8) -> NewInboxRow {
        NewInboxRow {
            id: InboxId::new(NOW, self.lane, &self.entropy),
            app: 1,
            event_at: NOW,
            digest: [digest; 16],
            received_at: NOW,
            kind: InboxKind::Popup,
            openid: OPENID.into(),
            body: "{}".into(),
            verdict: None,
            reason: None,
            relay: None,
        }
    }

    fn event(&self, row: &NewInboxRow, kind: ActKind) -> ToApply {
        let acts = vec![Act { template_id: "T1".into(), kind }];
        let (id, openid) = (row.id, row.openid.clone());
        ToApply { id, epoch: self.epoch, app: 1, openid, at: NOW + 5, acts, set_aside: None, erase: None }
    }

    /// Appends an event and applies it.
    async fn happens(&self, digest: u8, kind: ActKind) {
        let row = self.row(digest);
        self.hot.append(vec![row.clone()]).await.unwrap();
        let done = self.hot.apply(vec![self.event(&row, kind)]).await.unwrap();
        assert_eq!(done, vec![Application::Done]);
    }

    /// Enqueues a message and reads it back from the head of its queue.
    async fn message(&self) -> MessageId {
        let id = MessageId::new(NOW, self.lane, &self.entropy);
        let message = NewMessage {
            id,
            app: 1,
            template: 1,
            openid: OPENID.into(),
            queue: QUEUE,
            data: "{}".into(),
            page: None,
            version: "formal".into(),
            lang: "zh_CN".into(),
            due_at: NOW,
            expire_at: NOW + 60_000,
            state: State::Queued,
            idempotency: None,
            needs_grant: false,
        };
        self.hot.enqueue(vec![message]).await.unwrap();
        id
    }

    fn arm(&self, id: MessageId) -> Arm {
        Arm {
            lane: self.lane,
            epoch: self.epoch,
            queue: QUEUE,
            due_at: NOW,
            id,
            before: domain::message::State::Queued,
            attempt: 1,
            at: NOW + 10,
        }
    }

    fn settlement(&self, id: MessageId, result: Settled) -> Settlement {
        Settlement {
            lane: self.lane,
            epoch: self.epoch,
            id,
            attempt: 1,
            template: 1,
            openid: OPENID.into(),
            attempt_at: NOW + 10,
            at: NOW + 20,
            result,
            errcode: Some(0),
            errmsg: Some("ok".into()),
        }
    }

    async fn number(&self, statement: &'static str) -> i64 {
        let mut db = PgConnection::connect(&self.cluster.url()).await.unwrap();
        sqlx::query_scalar(statement).fetch_one(&mut db).await.unwrap()
    }

    async fn balance(&self) -> i64 {
        self.number("select coalesce(sum(balance), 0)::bigint from subscription").await
    }
}

fn grant(at: i64) -> ActKind {
    ActKind::Grant { at }
}

fn accepted() -> Settled {
    Settled::Outcome(Outcome::Accepted { msgid: Some(77) })
}

#[tokio::test]
async fn an_event_counts_once() {
    let Some(world) = World::new("an_event_counts_once").await else { return };
    let (row, again) = (world.row(1), world.row(1));
    let appended = world.hot.append(vec![row.clone(), again.clone()]).await.unwrap();
    assert_eq!(appended, vec![Appended::New, Appended::Repeated]);
    assert_eq!(world.hot.append(vec![again]).await.unwrap(), vec![Appended::Repeated]);
    assert_eq!(world.number("select pushes from inbox").await, 3);

    let event = world.event(&row, grant(NOW));
    let stale = ToApply { epoch: 0, ..event.clone() };
    assert_eq!(world.hot.apply(vec![stale]).await.unwrap(), vec![Application::NotOurs]);
    assert_eq!(world.balance().await, 0);
    assert_eq!(world.hot.apply(vec![event.clone()]).await.unwrap(), vec![Application::Done]);
    assert_eq!(world.hot.apply(vec![event]).await.unwrap(), vec![Application::NotOurs]);
    assert_eq!(world.balance().await, 1);
    assert_eq!(world.number("select count(*) from ledger").await, 1);
}

#[tokio::test]
async fn a_message_goes_its_way() {
    let Some(world) = World::new("a_message_goes_its_way").await else { return };
    world.happens(1, grant(NOW)).await;
    world.happens(2, grant(NOW + 1)).await;
    let id = world.message().await;
    let claimed = world.hot.claim(world.lane, QUEUE, NOW, 10).await.unwrap();
    assert_eq!(claimed.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), vec![id]);
    assert!(world.hot.claim(world.lane, Queue(6), NOW, 10).await.unwrap().is_empty());
    assert!(world.hot.claim(world.lane, QUEUE, NOW - 1, 10).await.unwrap().is_empty());
    assert_eq!(world.hot.waiting().await.unwrap().len(), 1);

    let early = world.hot.settle(vec![world.settlement(id, accepted())]).await.unwrap();
    assert_eq!(early, vec![false], "nothing is in flight yet");
    let stale = Arm { epoch: 0, ..world.arm(id) };
    assert_eq!(world.hot.arm(vec![stale]).await.unwrap(), vec![false]);
    assert_eq!(world.hot.arm(vec![world.arm(id)]).await.unwrap(), vec![true]);
    assert_eq!(world.hot.arm(vec![world.arm(id)]).await.unwrap(), vec![false], "armed already");
    assert!(world.hot.waiting().await.unwrap().is_empty());

    let wrong = Settlement { attempt: 2, ..world.settlement(id, accepted()) };
    assert_eq!(world.hot.settle(vec![wrong]).await.unwrap(), vec![false]);
    let twice = vec![world.settlement(id, accepted()), world.settlement(id, accepted())];
    assert_eq!(world.hot.settle(twice).await.unwrap(), vec![true, false]);
    assert_eq!(world.balance().await, 1);
    let settled =
        "select count(*) from message_state where state = 4 and outcome = 1 and msgid = 77 and linked";
    assert_eq!(world.number(settled).await, 1);
    assert_eq!(
        world.number("select (select count(*) from in_flight) + (select count(*) from reserved)").await,
        0
    );
    let chained = "select count(*) from subscription s join ledger l on l.id = s.last_entry join ledger p on p.id = l.previous
        where s.last_sent is not null";
    assert_eq!(world.number(chained).await, 1);
}

#[tokio::test]
async fn a_retry_and_a_past_that_is_needed() {
    let Some(world) = World::new("a_retry_and_a_past_that_is_needed").await else { return };
    world.happens(1, grant(NOW - 50)).await;
    world.happens(2, grant(NOW + 100)).await;
    let id = world.message().await;
    assert_eq!(world.hot.arm(vec![world.arm(id)]).await.unwrap(), vec![true]);
    let again = Settled::Again { queue: QUEUE, due_at: NOW + 30, expire_at: NOW + 60_000, ambiguous: false };
    assert_eq!(world.hot.settle(vec![world.settlement(id, again)]).await.unwrap(), vec![true]);
    assert_eq!(world.number("select count(*) from attempt where number = 1 and errmsg = 'ok'").await, 1);
    let next = Arm { due_at: NOW + 30, attempt: 2, ..world.arm(id) };
    assert_eq!(world.hot.arm(vec![next]).await.unwrap(), vec![true]);
    // Only the grant that lies before the attempt is taken: that needs the chain.
    let refused = Settlement { attempt: 2, ..world.settlement(id, Settled::Outcome(Outcome::Refused)) };
    assert_eq!(world.hot.settle(vec![refused]).await.unwrap(), vec![true]);
    assert_eq!(world.balance().await, 1);
}

#[tokio::test]
async fn who_lost_the_lane_writes_nothing() {
    let Some(mut world) = World::new("who_lost_the_lane_writes_nothing").await else { return };
    let (flying, waiting) = (world.message().await, world.message().await);
    assert_eq!(world.hot.arm(vec![world.arm(flying)]).await.unwrap(), vec![true]);
    let row = world.row(9);
    world.hot.append(vec![row.clone()]).await.unwrap();
    let event = world.event(&row, grant(NOW));

    let second = PgHot::connect(&world.cluster.url(), "second".into()).await.unwrap();
    assert_eq!(second.take_lanes(&[world.lane], NOW).await.unwrap(), vec![2]);
    assert_eq!(world.hot.arm(vec![world.arm(waiting)]).await.unwrap(), vec![false]);
    assert_eq!(world.hot.settle(vec![world.settlement(flying, accepted())]).await.unwrap(), vec![false]);
    assert_eq!(world.hot.apply(vec![event.clone()]).await.unwrap(), vec![Application::NotOurs]);
    let forged = Arm { epoch: 2, ..world.arm(waiting) };
    assert_eq!(world.hot.arm(vec![forged]).await.unwrap(), vec![false], "the epoch is another's");
    let counts = "select (select count(*) from ledger) * 10 + (select count(*) from in_flight)";
    assert_eq!(world.number(counts).await, 1);

    let lost = world.settlement(flying, Settled::OwnerLost);
    assert_eq!(second.settle(vec![lost]).await.unwrap(), vec![true]);
    assert_eq!(world.number("select count(*) from message_state where state = 9").await, 1);
    world.epoch = 2;
    let event = ToApply { epoch: 2, ..event };
    assert_eq!(second.apply(vec![event]).await.unwrap(), vec![Application::Done]);
}

/// A statement that waits for the lane's lock while the lane is taken over must find that it lost.
#[tokio::test]
async fn the_fence_waits_for_a_take_over() {
    let Some(world) = World::new("the_fence_waits_for_a_take_over").await else { return };
    let id = world.message().await;
    let mut thief = PgConnection::connect(&world.cluster.url()).await.unwrap();
    thief.execute("begin; update lane set epoch = epoch + 1, owner = 'thief'").await.unwrap();
    let (hot, arm) = (world.hot.clone(), world.arm(id));
    let arming = tokio::spawn(async move { hot.arm(vec![arm]).await });
    let blocked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    while world.number(blocked).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    thief.execute("commit").await.unwrap();
    assert_eq!(arming.await.unwrap().unwrap(), vec![false]);
    assert_eq!(world.number("select count(*) from ready").await, 1);
}

/// Planned as in a hot session, over tables that nobody analysed and that hold some rows: no statement reads a
/// table from end to end.
#[tokio::test]
async fn no_hot_statement_scans_a_table() {
    let Some(world) = World::new("no_hot_statement_scans_a_table").await else { return };
    for digest in 0..50 {
        world.happens(digest, grant(NOW)).await;
        world.message().await;
    }
    let options: sqlx::postgres::PgConnectOptions = world.cluster.url().parse().unwrap();
    let mut db = options.options(SESSION).connect().await.unwrap();
    for (name, statement) in STATEMENTS {
        for analysed in [false, true] {
            if analysed {
                db.execute("analyze").await.unwrap();
            }
            let nulls = match parameters(statement) {
                0 => String::new(),
                count => format!("({})", vec!["null"; count].join(", ")),
            };
            let prepare = format!("prepare hot as {statement}");
            db.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))).await.unwrap();
            let explain = format!("explain execute hot {nulls}");
            let plan: Vec<String> = sqlx::raw_sql(sqlx::AssertSqlSafe(explain))
                .fetch_all(&mut db)
                .await
                .unwrap()
                .iter()
                .map(|row| row.get(0))
                .collect();
            for bad in ["Seq Scan", "Hash Join", "Merge Join"] {
                assert!(!plan.iter().any(|line| line.contains(bad)), "{name}:\n{}", plan.join("\n"));
            }
            if std::env::var_os("HONGYAN_SHOW_PLANS").is_some() {
                eprintln!("{name}, analysed: {analysed}\n{}\n", plan.join("\n"));
            }
            db.execute("deallocate hot").await.unwrap();
        }
    }
}

const STATEMENTS: [(&str, &str); 10] = [
    ("append", append::APPEND),
    ("pending", apply::PENDING),
    ("load", accounts::LOAD),
    ("apply", apply::APPLY),
    ("arm", arm::ARM),
    ("read", settle::READ),
    ("settle", settle::SETTLE),
    ("claim", claim::CLAIM),
    ("waiting", claim::WAITING),
    ("enqueue", enqueue::ENQUEUE),
];

fn parameters(statement: &str) -> usize {
    (1..100).take_while(|number| statement.contains(&format!("${number}"))).count()
}
