//! `hongyan config systemd`: the unit holds for systemd's own checks, tells when it is ready, and its filter lets through what
//! a run does.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use simulator::SAMPLE_APPID;

use crate::chaos::ready;
use crate::durable::{Traced, strace_runs};
use crate::program::{Server, free_address, hongyan, ok, register, skipped};
use crate::world::until;

/// Whether systemd's checker is here; where everything is required, it must be.
fn analyzer(test: &str) -> bool {
    let here = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !here {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{test}: no systemd-analyze");
        skipped(test, "no systemd-analyze");
    }
    here
}

#[test]
fn systemd_itself_takes_the_unit_and_finds_it_well_confined() {
    if !analyzer("systemd_itself_takes_the_unit_and_finds_it_well_confined") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let text = ok(directory.path(), &["config", "systemd", "--public-listen", "127.0.0.1:8702"]);
    // The program of the unit is not installed here.
    let program = env!("CARGO_BIN_EXE_hongyan");
    let unit = directory.path().join("hongyan.service");
    std::fs::write(&unit, text.replace("/usr/local/bin/hongyan serve", &format!("{program} serve"))).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&unit).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let (fine, said) = analyze(&["verify", "--man=no"]);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("hongyan")).collect();
    assert!(fine && ours.is_empty(), "{said}");
    let (fine, said) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=15"]);
    assert!(fine, "more exposed than 1.5 of 10:\n{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_when_the_service_is_ready_and_when_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let socket = UnixDatagram::bind(path.join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let address = free_address();
    let mut serve = hongyan(path);
    serve.env("NOTIFY_SOCKET", path.join("notify"));
    let mut server = Server::of(serve, path, &address);
    let told = || {
        let mut buffer = [0; 100];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    assert_eq!(told(), "READY=1");
    assert!(ready(&address).await.is_some(), "what is told is so");
    assert!(server.stop());
    assert_eq!(told(), "STOPPING=1");
}

/// The names that a line of strace begins with: `1234  futex(0x…`, `[pid 1234] …`, `<... futex resumed>`.
fn call_of(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(' ')?.1.trim_start().split_once('(')?;
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_').then_some(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_filter_lets_through_what_a_run_does() {
    let test = "the_filter_lets_through_what_a_run_does";
    if crate::database::only_a_file() || !analyzer(test) {
        return;
    }
    if !strace_runs() {
        assert!(std::env::var_os("HONGYAN_REQUIRE_ALL").is_none(), "{test}: no strace");
        skipped(test, "strace is missing, or may not trace here");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (address, trace) = (free_address(), path.join("strace.log"));
    // From nothing: the key file, the database and its migrations are made under the filter as well.
    let mut traced = Traced::start(path, &address, &trace, "all");
    until("the server", || ready(&address)).await;
    let bearer = register(path, "http://127.0.0.1:9", &[]);
    let bearer = &bearer;
    for url in ["/metrics", "/docs", &format!("/api/v1/apps/{SAMPLE_APPID}/messages")] {
        let url = &format!("http://{address}{url}");
        // An app that another process made is known a moment later.
        until(url, || async move {
            let reply = crate::http::call("GET", url, &[("authorization", bearer)], "").await;
            (reply.status == 200).then_some(())
        })
        .await;
    }
    traced.stop();
    let log = std::fs::read_to_string(&trace).unwrap();
    let used: BTreeSet<&str> = log.lines().filter_map(call_of).collect();
    assert!(used.contains("futex") && used.contains("accept4") && used.contains("fsync"), "{used:?}");
    let allowed = set("@system-service");
    let denied: BTreeSet<String> = &set("@privileged") | &set("@resources");
    // execve starts the program, before which no filter holds; SQLite calls fchown only for root, which the service is not.
    let refused: Vec<&&str> = used
        .iter()
        .filter(|name| {
            !["execve", "fchown"].contains(name) && (!allowed.contains(**name) || denied.contains(**name))
        })
        .collect();
    assert!(refused.is_empty(), "the unit's filter refuses {refused:?}");
    // MemoryDenyWriteExecute.
    let both = log.lines().find(|line| line.contains("PROT_WRITE") && line.contains("PROT_EXEC"));
    assert_eq!(both, None);
    let families: BTreeSet<&str> =
        log.lines().filter_map(|line| line.split_once(" socket(")?.1.split(',').next()).collect();
    assert!(
        families.iter().all(|family| ["AF_INET", "AF_INET6", "AF_UNIX"].contains(family)),
        "{families:?}"
    );
}

/// The calls of a set, those of the sets in it too.
fn set(name: &str) -> BTreeSet<String> {
    let output =
        Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", name]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut calls = BTreeSet::new();
    for word in text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        if word.starts_with('@') {
            calls.extend(set(word));
        } else {
            calls.insert(word.to_owned());
        }
    }
    calls
}
