//! How PostgreSQL carries out what runs per event and per message: every statement is caught with its plan by the server itself
//! (auto_explain), once over tables that nobody has analysed, once over many rows. None reads a table from end to end, and
//! each finds its rows by the lane.

use std::path::PathBuf;

use domain::message::State;
use sqlx::{Connection, Executor, PgConnection};
use store::hot::append::InboxKind;
use store::hot::apply::ActKind;
use store::hot::settle::Settled;
use store::testing::TempPostgres;

use crate::bed::{APP, Bed, START, T, accepted, act, openid};

/// What grows with messages and events.
const HOT: [&str; 9] = [
    "inbox",
    "identity",
    "subscription",
    "ledger",
    "message",
    "message_state",
    "attempt",
    "ready",
    "reserved",
];

const SETTINGS: [&str; 7] = [
    "fsync=off",
    "shared_buffers=256MB",
    "session_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_nested_statements=on",
    "max_wal_size=4GB",
    "autovacuum=off",
];

/// A statement and its plan, as the server logged them.
struct Plan {
    statement: String,
    lines: Vec<String>,
}

/// What was logged since `from`; and where the log ends now.
fn plans(log: &PathBuf, from: usize) -> (Vec<Plan>, usize) {
    let text = std::fs::read_to_string(log).unwrap();
    let mut found = Vec::new();
    for block in text[from..].split("plan:\n").skip(1) {
        let body: String = block
            .lines()
            .take_while(|line| line.starts_with('\t') || line.is_empty())
            .map(|line| format!("{line}\n"))
            .collect();
        let (statement, plan) = match body.find("  (cost=") {
            Some(cost) => body.split_at(body[..cost].rfind('\n').unwrap_or(0)),
            None => continue,
        };
        found.push(Plan {
            statement: statement.split_whitespace().collect::<Vec<_>>().join(" "),
            lines: plan.lines().map(|line| line.trim_end().to_owned()).collect(),
        });
    }
    (found, text.len())
}

/// How many rows the planner expects of a step.
fn rows(line: &str) -> u64 {
    let figure = line.split_once("rows=").map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(u64::MAX)
}

/// What is wrong with a plan.
fn fault(plan: &Plan, full: bool) -> Option<String> {
    let names = |line: &str| {
        HOT.iter().any(|table| {
            line.contains(&format!(" on {table} "))
                || line.contains(&format!(" on {table}_default"))
                || line.contains(&format!(" on {table}_p"))
        })
    };
    for (at, line) in plan.lines.iter().enumerate() {
        if line.contains("Seq Scan on") && names(line) {
            return Some(format!("reads a table from end to end: {line}"));
        }
        if line.contains("Hash Join") || line.contains("Merge Join") {
            return Some(format!("joins what it should look up: {line}"));
        }
        let by_index =
            (line.contains("Index Scan using") || line.contains("Index Only Scan using")) && names(line);
        if by_index {
            let condition = plan.lines[at + 1..].iter().take(4).find(|line| line.contains("Index Cond:"));
            if !condition.is_some_and(|condition| condition.contains("lane =")) {
                return Some(format!("does not name its lane: {line} {condition:?}"));
            }
            // Where a lane has next to no rows (a new partition) the planner may read it whole; where it has many it must not.
            // What waits is read in order, from its own index; and a limit right above reads no more than it asks for.
            let limited = at > 0 && plan.lines[at - 1].contains("Limit ");
            if full
                && !limited
                && rows(line) > 50
                && !condition.is_some_and(|condition| condition.contains(" AND "))
                && !line.contains("pending")
            {
                return Some(format!("reads a whole lane: {line} {condition:?}"));
            }
        }
    }
    None
}

/// A bit of everything that runs per event and per message, in a few lanes.
async fn play(bed: &Bed, from: usize) {
    for n in from..from + 6 {
        let who = openid(n);
        bed.grant(&who, 2).await;
        let mut keyed = bed.keyed(&who, &format!("key {n}"), 1);
        keyed.needs_grant = true;
        let id = keyed.id;
        bed.enqueue(keyed).await;
        let flight = bed.arm(id).await;
        assert!(bed.settle(&flight, flight.again(bed.now(), true)).await);
        let flight = bed.arm(id).await;
        assert!(bed.settle(&flight, Settled::Outcome(accepted(n as u64 + 1))).await);
        bed.receipt(&who, Some(n as u64 + 1), 0).await;
        bed.receipt(&who, Some(999_999), 0).await;
        let other = bed.queued(&who).await;
        let flight = bed.arm(other).await;
        assert!(bed.settle(&flight, Settled::Outcome(domain::message::Outcome::Unknown)).await);
        bed.event(&who, vec![act(T, ActKind::ChangeReject { at: bed.now() })]).await;
        for _ in 0..2 {
            bed.store.append(vec![bed.row(InboxKind::Popup, &who, START, "twice")]).await.unwrap();
        }
        bed.store.cancel(APP, bed.queued(&who).await).await.unwrap();
        assert_eq!(bed.state(id).await, State::Delivered);
    }
    bed.waiting().await;
    bed.pending(None, 100).await;
    bed.orphans(&bed.epochs, bed.now(), 10).await;
    bed.expire(bed.now(), None, 100).await;
}

async fn looked_at(rows: i64) {
    let Some(_) = TempPostgres::shared("plans") else { return };
    let server = TempPostgres::start(&SETTINGS).unwrap();
    let bed = Bed::at(server.url()).await;
    let mut db = PgConnection::connect(&bed.url).await.unwrap();
    play(&bed, 0).await;
    // Statistics of before, and nothing in the tables: the planner has never been so wrong.
    let emptied = "truncate inbox, identity, subscription, ledger, message, message_state, attempt, ready, reserved, in_flight, idempotency";
    db.execute(emptied).await.unwrap();
    let log = server.log();
    let (_, from) = plans(&log, 0);
    play(&bed, 100).await;
    let (after_truncate, from_here) = plans(&log, from);
    judge("after TRUNCATE, without ANALYZE", &after_truncate, false);

    fill(&mut db, rows).await;
    db.execute("vacuum analyze").await.unwrap();
    let (_, from) = plans(&log, from_here);
    play(&bed, 200).await;
    let (at_size, _) = plans(&log, from);
    judge(&format!("at {rows} rows"), &at_size, true);
    bed.store.close().await;
}

#[expect(clippy::print_stdout, reason = "how much was looked at")]
fn judge(when: &str, all: &[Plan], full: bool) {
    // Administration (the template's sync, the lists) is not hot.
    let hot: Vec<&Plan> = all.iter().filter(|plan| !plan.statement.contains("pg_")).collect();
    let mut kinds: Vec<&str> = hot.iter().map(|plan| plan.statement.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    println!("{when}: {} plans of {} statements", hot.len(), kinds.len());
    assert!(kinds.len() > 40, "the statements were caught: {}", kinds.len());
    let faults: Vec<String> = hot
        .iter()
        .filter_map(|plan| {
            fault(plan, full).map(|fault| format!("{fault}\n{}\n{}\n", plan.statement, plan.lines.join("\n")))
        })
        .collect();
    assert!(
        faults.is_empty(),
        "{when}: {} faults, the first few:\n{}",
        faults.len(),
        faults[..faults.len().min(4)].join("\n")
    );
}

/// People with a past: events, entries, messages, some that wait.
async fn fill(db: &mut PgConnection, rows: i64) {
    let id = "decode(lpad(to_hex(1799000000000 + n), 12, '0') || '7' || lpad(to_hex(n % 64), 3, '0') || '8' || lpad(to_hex(n), 15, '0'), 'hex')";
    let openid = "'oFILL' || lpad(n::text, 23, '0')";
    for statement in [
        format!("insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open, last_entry, last_sent)
                 select n % 64, 1, {openid}, 1, 0, 1, true, 0, 0, 0, n, {id} from generate_series(1, {rows}) n"),
        format!("insert into ledger (id, lane, template, openid, kind, reason, delta, balance, act_at, written_at)
                 select n, n % 64, 1, {openid}, 1, 1, 1, 1, 0, 0 from generate_series(1, {rows}) n"),
        format!("insert into inbox (id, lane, app, event_at, digest, received_at, kind, openid, pushes, verdict, body)
                 select {id}, n % 64, 1, n, sha256(n::text::bytea), n, 'popup', {openid}, 1, case when n % 100 > 0 then 1 end, '{{}}' from generate_series(1, {rows}) n"),
        format!("insert into identity (event_at, lane, digest, inbox) select n, n % 64, sha256(n::text::bytea), {id} from generate_series(1, {rows}) n"),
        format!("insert into message (id, lane, app, template, openid, queue, data, version, lang, expire_at)
                 select {id}, n % 64, 1, 1, {openid}, 5, '{{}}', 'formal', 'zh_CN', 9000000000000 from generate_series(1, {rows}) n"),
        format!("insert into message_state (id, lane, state, cancel_requested, linked, attempts, due_at)
                 select {id}, n % 64, 5, false, true, 1, 0 from generate_series(1, {rows}) n"),
        format!("insert into attempt (lane, message, number, at, ambiguous) select n % 64, {id}, 1, 0, false from generate_series(1, {rows} / 10) n"),
        format!("insert into ready (lane, queue, due_at, id, expire_at) select n % 64, 1099511627777, n, {id}, 9000000000000 from generate_series(1, {rows}) n"),
        format!("insert into reserved (lane, template, openid, id) select n % 64, 1, {openid}, {id} from generate_series(1, {rows}) n"),
    ] {
        db.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_hot_statement_reads_a_whole_table() {
    looked_at(30_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million rows take minutes: cargo xtask test --long"]
async fn no_hot_statement_reads_a_whole_table_of_a_million() {
    looked_at(1_000_000).await;
}
