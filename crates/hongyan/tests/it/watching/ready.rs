//! `/readyz` tells the truth while the database is taken away in every way that is at hand.

use std::process::Command;

use serde_json::{Value, json};
use simulator::SAMPLE_APPID;
use store::testing::{FAST, TempPostgres};

use crate::chaos::ready;
use crate::http::{call, try_call};
use crate::program::{Server, free_address, hongyan, register};
use crate::world::{World, until};

/// Waits until it is not ready for this reason.
async fn unready(address: &str, reason: &str) {
    let last = std::sync::Mutex::new(String::new());
    let seen = crate::world::until_or(|| async {
        let reply = try_call("GET", &format!("http://{address}/readyz"), &[], "").await.ok()?;
        *last.lock().unwrap() = reply.text.clone();
        (reply.status == 503 && reply.text.starts_with(reason)).then_some(())
    })
    .await;
    assert!(seen.is_some(), "not {reason}: {}", last.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_goes_and_comes() {
    let Some(_) = TempPostgres::shared("a_postgresql_that_goes_and_comes") else { return };
    let database = TempPostgres::start(&FAST).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let program = || {
        let mut command = hongyan(path);
        command.env("HONGYAN_DATABASE_URL", database.url()).env("HONGYAN_LEASE_SECONDS", "6");
        command
    };
    let address = free_address();
    let mut server = Server::of(program(), path, &address);
    until("the server", || ready(&address)).await;

    database.crash().unwrap();
    unready(&address, "database_away").await;
    let alive = call("GET", &format!("http://{address}/healthz"), &[], "").await;
    assert_eq!((alive.status, alive.text.as_str()), (200, "ok"), "the process itself is well");
    let doctor = program().args(["doctor"]).output().unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(said.contains("[FAIL] Database") && said.contains("See whether PostgreSQL runs"), "{said}");
    let metrics = call("GET", &format!("http://{address}/metrics"), &[], "").await;
    assert!(metrics.text.contains("hongyan_ready 0"), "{}", metrics.text);
    database.start_again().unwrap();
    until("the server ready again", || ready(&address)).await;

    database.say("alter system set default_transaction_read_only = on").unwrap();
    database.say("select pg_reload_conf()").unwrap();
    unready(&address, "database_read_only").await;
    database.say("alter system reset default_transaction_read_only").unwrap();
    database.say("select pg_reload_conf()").unwrap();
    until("the server ready again", || ready(&address)).await;

    // Somebody has put an older state in place of what was there.
    database.say("update _sqlx_migrations set success = false where version = (select max(version) from _sqlx_migrations)").unwrap();
    unready(&address, "migrations_pending").await;
    database.say("update _sqlx_migrations set success = true").unwrap();
    until("the server ready again", || ready(&address)).await;
    assert!(server.stop());
}

/// A disk of which no file may grow beyond so many KiB.
fn with_small_files(path: &std::path::Path) -> Command {
    let given = hongyan(path);
    let mut command = Command::new("bash");
    // A write beyond it is an error then, and not the end of the process.
    let script = r#"trap "" XFSZ; ulimit -f 6000; exec "$@""#;
    command.arg("-c").arg(script).arg("bash").arg(given.get_program());
    for (name, value) in given.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(path);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_grow() {
    if crate::database::only_a_file() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let address = free_address();
    let _server = Server::of(with_small_files(path), path, &address);
    until("the server", || ready(&address)).await;
    let world = World::new(false).await;
    let bearer = register(path, &world.sim_url, &[]);
    let url = format!("http://{address}/api/v1/apps/{SAMPLE_APPID}/subscribers");
    until("the app known", || async {
        let headers = [("authorization", bearer.as_str()), ("connection", "close")];
        (call("GET", &url, &headers, "").await.status == 200).then_some(())
    })
    .await;
    // Until not even one row has room any more.
    let mut rounds = 0;
    for size in [500, 50, 5, 1] {
        let refused = loop {
            let people: Vec<Value> = (0..size)
                .map(|number| {
                    let openid = format!("oGrowing{rounds:04}_{number:015}");
                    json!({ "openid": openid, "attributes": { "note": "x".repeat(400) } })
                })
                .collect();
            let body = json!({ "subscribers": people }).to_string();
            let headers = [
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
                ("connection", "close"),
            ];
            let reply = call("PUT", &url, &headers, body).await;
            if reply.status != 200 {
                break reply;
            }
            rounds += 1;
            assert!(rounds < 1_000, "the file grew beyond its bound");
        };
        let code = refused.json()["code"].clone();
        assert_eq!((refused.status, code.as_str()), (503, Some("store_unavailable")), "{}", refused.text);
    }
    // What little room is left is taken by the probes themselves.
    let last = std::sync::Mutex::new(String::new());
    until("it is not ready", || async {
        let reply = try_call("GET", &format!("http://{address}/readyz"), &[], "").await.ok()?;
        last.lock().unwrap().clone_from(&reply.text);
        (reply.status == 503).then_some(())
    })
    .await;
    let said = last.lock().unwrap().clone();
    assert!(said.starts_with("database_failing") || said.starts_with("disk_full"), "{said}");
}
