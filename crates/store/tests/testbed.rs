//! The test bed itself: what tests of clusters believe of it must be true, or they prove nothing.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use store::testing::{FAST, Proxy, SAFE, Standby, TempPostgres};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// What the child is to do.
const CHILD: &str = "HONGYAN_TEST_TESTBED_CHILD";
/// Longer than anything takes that happens at all.
const LONG: Duration = Duration::from_secs(30);
/// For what must not happen: a slow machine makes the test milder, not wrong.
const SHORT: Duration = Duration::from_millis(200);

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn count(url: &str) -> i64 {
    sqlx::query_scalar("select count(*) from kept").fetch_one(&mut connect(url).await).await.unwrap()
}

async fn fill(url: &str) {
    let mut db = connect(url).await;
    sqlx::raw_sql("create table kept (n int); insert into kept values (1), (2)")
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
}

async fn setting(url: &str, name: &str) -> String {
    let sql = "select current_setting($1)";
    sqlx::query_scalar(sql).bind(name).fetch_one(&mut connect(url).await).await.unwrap()
}

#[tokio::test]
async fn a_restart_and_a_crash_keep_data_and_port() {
    let test = "a_restart_and_a_crash_keep_data_and_port";
    let Some(_) = TempPostgres::shared(test) else { return };
    let server = TempPostgres::start_tcp(&SAFE).unwrap();
    let (address, url) = (server.address(), server.tcp_url());
    fill(&url).await;
    assert_eq!(setting(&url, "fsync").await, "on");
    server.restart().unwrap();
    assert_eq!(count(&url).await, 2);
    server.crash().unwrap();
    assert!(PgConnection::connect(&url).await.is_err(), "a crashed server does not serve");
    server.start_again().unwrap();
    assert_eq!(count(&url).await, 2);
    assert_eq!(count(&server.url()).await, 2, "the socket leads to the same server");
    assert_eq!(server.address(), address);
}

/// A server that is down must find its port free when it comes back, whoever asks the system for one meanwhile.
#[cfg(target_os = "linux")]
#[test]
fn the_port_of_a_server_that_is_down_stays_its_own() {
    let test = "the_port_of_a_server_that_is_down_stays_its_own";
    let Some(_) = TempPostgres::shared(test) else { return };
    let server = TempPostgres::start_tcp(&FAST).unwrap();
    server.crash().unwrap();
    // The system chooses among some 14,000.
    for _ in 0..100_000 {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_ne!(other, server.address());
    }
    assert!(std::net::TcpStream::connect(server.address()).is_err(), "nobody answers there");
    server.start_again().unwrap();
}

#[tokio::test]
async fn databases_are_made_of_a_model_that_is_made_once() {
    let Some(server) = TempPostgres::shared("databases_are_made_of_a_model_that_is_made_once") else {
        return;
    };
    let runtime = tokio::runtime::Handle::current();
    let made = tokio::task::spawn_blocking(move || {
        let mut times = 0;
        let mut urls = BTreeSet::new();
        for _ in 0..3 {
            let make = |url: &str| {
                times += 1;
                runtime.block_on(fill(url));
                Ok(())
            };
            urls.insert(server.fresh_from("model", make).unwrap());
        }
        let failed = server.fresh_from("bad", |_| Err("no".into()));
        assert_eq!(failed, Err("no".into()));
        urls.insert(
            server
                .fresh_from("bad", |url| {
                    runtime.block_on(async {
                        fill(url).await;
                        Ok(())
                    })
                })
                .unwrap(),
        );
        (times, urls)
    });
    let (times, urls) = made.await.unwrap();
    assert_eq!((times, urls.len()), (1, 4));
    for url in &urls {
        assert_eq!(count(url).await, 2);
    }
    let empty = server.fresh_database().unwrap();
    assert!(sqlx::raw_sql("select * from kept").execute(&mut connect(&empty).await).await.is_err());
}

#[tokio::test]
async fn a_standby_has_every_commit_and_serves_after_its_promotion() {
    let test = "a_standby_has_every_commit_and_serves_after_its_promotion";
    let Some(_) = TempPostgres::shared(test) else { return };
    let (primary, standby) = Standby::pair(&FAST).unwrap();
    let server = standby.server();
    assert_ne!(primary.address(), server.address());
    fill(&primary.tcp_url()).await;
    assert_eq!(setting(&server.tcp_url(), "transaction_read_only").await, "on");

    // Without the standby no commit is answered.
    server.crash().unwrap();
    let url = primary.tcp_url();
    let commit = tokio::spawn(async move {
        sqlx::raw_sql("insert into kept values (3)").execute(&mut connect(&url).await).await.unwrap();
    });
    tokio::time::sleep(SHORT).await;
    assert!(!commit.is_finished(), "a commit that only the primary has was answered");
    server.start_again().unwrap();
    timeout(LONG, commit).await.unwrap().unwrap();

    primary.crash().unwrap();
    standby.promote().unwrap();
    let promoted = standby.into_server();
    assert_eq!(count(&promoted.tcp_url()).await, 3);
    assert_eq!(setting(&promoted.tcp_url(), "synchronous_standby_names").await, "");
    let mut db = connect(&promoted.tcp_url()).await;
    timeout(LONG, sqlx::raw_sql("insert into kept values (4)").execute(&mut db)).await.unwrap().unwrap();
    promoted.restart().unwrap();
    assert_eq!(count(&promoted.tcp_url()).await, 4, "it stays a primary");
}

/// A pair is synchronous when it is given out, not once the reload has got around.
#[tokio::test]
async fn a_pair_is_synchronous_from_the_first_commit_on() {
    let Some(_) = TempPostgres::shared("a_pair_is_synchronous_from_the_first_commit_on") else { return };
    let (primary, standby) = Standby::pair(&FAST).unwrap();
    let mut db = connect(&primary.tcp_url()).await;
    let state = "select count(*) from pg_stat_replication where sync_state = 'sync'";
    let synchronous: i64 = sqlx::query_scalar(state).fetch_one(&mut db).await.unwrap();
    assert_eq!(synchronous, 1);
    standby.server().crash().unwrap();
    let commit = sqlx::raw_sql("create table first (n int)").execute(&mut db);
    assert!(timeout(SHORT, commit).await.is_err(), "it did not wait");
}

/// What a target noticed.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes.
    heard: usize,
    /// Connections whose end came.
    ended: usize,
}

/// Greets with a letter, then says again what it hears.
async fn echo(letter: u8) -> (SocketAddr, watch::Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (notice, seen) = watch::channel(Seen::default());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let notice = notice.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                let mut said = stream.write_all(&[letter]).await.is_ok();
                while said {
                    let count = stream.read(&mut buffer).await.unwrap_or(0);
                    notice.send_modify(|seen| seen.heard += count);
                    said = count > 0 && stream.write_all(&buffer[..count]).await.is_ok();
                }
                notice.send_modify(|seen| seen.ended += 1);
            });
        }
    });
    (address, seen)
}

/// A connection that was greeted with this letter.
async fn greeted(proxy: &Proxy, letter: u8) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(timeout(LONG, stream.read_u8()).await.unwrap().unwrap(), letter);
    stream
}

async fn answered(stream: &mut TcpStream) -> bool {
    stream.write_all(b"x").await.is_ok() && matches!(timeout(LONG, stream.read_u8()).await.unwrap(), Ok(b'x'))
}

/// Whether its end comes; a reset is one too.
async fn ends(stream: &mut TcpStream) -> bool {
    timeout(LONG, stream.read_u8()).await.unwrap().is_err()
}

#[tokio::test]
async fn a_cut_link_closes_and_refuses_until_it_is_mended() {
    let (target, _) = echo(b'a').await;
    let proxy = Proxy::start(target).await.unwrap();
    let mut open = greeted(&proxy, b'a').await;
    assert!(answered(&mut open).await);
    proxy.cut();
    assert!(ends(&mut open).await);
    assert!(ends(&mut TcpStream::connect(proxy.address()).await.unwrap()).await, "new ones are closed too");
    proxy.mend();
    let mut open = greeted(&proxy, b'a').await;
    proxy.drop_connections();
    assert!(ends(&mut open).await);
    greeted(&proxy, b'a').await;
}

#[tokio::test]
async fn through_a_stalled_link_comes_nothing_not_even_an_end() {
    let (target, mut seen) = echo(b'a').await;
    let proxy = Proxy::start(target).await.unwrap();
    let (mut open, given_up) = (greeted(&proxy, b'a').await, greeted(&proxy, b'a').await);
    proxy.stall();
    open.write_all(b"x").await.unwrap();
    assert!(timeout(SHORT, open.read_u8()).await.is_err(), "nothing comes, and no end");
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(timeout(SHORT, new.read_u8()).await.is_err(), "a new one hangs as well");
    drop(given_up);
    assert!(
        timeout(SHORT, seen.wait_for(|seen| seen.ended > 0)).await.is_err(),
        "the other side heard of it"
    );
    proxy.mend();
    assert!(ends(&mut open).await);
    assert!(ends(&mut new).await);
    timeout(LONG, seen.wait_for(|seen| seen.ended == 2)).await.unwrap().unwrap();
    assert!(answered(&mut greeted(&proxy, b'a').await).await);
}

#[tokio::test]
async fn a_slow_link_delays_and_a_stall_catches_what_is_on_its_way() {
    let (target, mut seen) = echo(b'a').await;
    let proxy = Proxy::start(target).await.unwrap();
    let mut open = greeted(&proxy, b'a').await;
    proxy.delay(SHORT);
    let since = Instant::now();
    assert!(answered(&mut open).await);
    assert!(since.elapsed() >= 2 * SHORT, "there and back");
    proxy.delay(4 * SHORT);
    open.write_all(b"x").await.unwrap();
    tokio::time::sleep(SHORT / 10).await;
    proxy.stall();
    assert!(timeout(5 * SHORT, seen.wait_for(|seen| seen.heard > 1)).await.is_err(), "it got through");
    proxy.mend();
    assert!(answered(&mut greeted(&proxy, b'a').await).await);
}

#[tokio::test]
async fn a_proxy_leads_elsewhere_while_it_runs() {
    let ((a, _), (b, _)) = (echo(b'a').await, echo(b'b').await);
    let proxy = Proxy::start(a).await.unwrap();
    let mut open = greeted(&proxy, b'a').await;
    proxy.lead_to(b);
    assert!(ends(&mut open).await);
    greeted(&proxy, b'b').await;
    let address = proxy.address();
    drop(proxy);
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(LONG, refused).await.unwrap();
}

/// Not a test by itself: what the child runs until it is killed or panics.
#[test]
fn child() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let _shared = TempPostgres::shared("child").unwrap();
    let _own = TempPostgres::start(&FAST).unwrap();
    println!("\nready");
    match task.as_str() {
        "end" => {}
        "panic" => panic!("as it was told"),
        _ => loop {
            std::thread::park();
        },
    }
}

/// A child whose temporary directory is this one.
fn start_child(task: &str, directory: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, task).env("TMPDIR", directory);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// A directory as /tmp is: servers run as another user.
fn like_tmp() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    directory
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .map(|all| all.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

/// Processes that name this directory in their arguments: servers, and who watches them.
fn processes(directory: &Path) -> usize {
    let listed = Command::new("ps").args(["-A", "-ww", "-o", "args="]).output().unwrap();
    let name = directory.display().to_string();
    String::from_utf8_lossy(&listed.stdout).lines().filter(|line| line.contains(&name)).count()
}

fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let since = Instant::now();
    while !true_now() {
        assert!(since.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The guards are waited for too: what they left is left for good.
fn assert_nothing_stays(directory: &Path, after: &str) {
    until(after, || entries(directory).is_empty() && processes(directory) == 0);
    assert_eq!(entries(directory), Vec::<PathBuf>::new(), "{after}");
}

#[test]
fn nothing_stays_behind_a_process_that_ends() {
    let Some(_) = TempPostgres::shared("nothing_stays_behind_a_process_that_ends") else { return };
    for task in ["end", "panic", "kill"] {
        let directory = like_tmp();
        let mut child = start_child(task, directory.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line == "ready"), "the servers have started");
        if task == "kill" {
            assert!(processes(directory.path()) >= 4, "two servers, and who watches them");
            child.kill().unwrap();
        }
        child.wait().unwrap();
        assert_nothing_stays(directory.path(), task);
    }
}

/// Nor behind one that is killed while its server is being made: at the first sign of its data, of the server. (In the
/// millisecond before the guard there is an empty directory, which may stay.)
#[test]
fn nothing_stays_behind_a_process_that_is_killed_early() {
    let Some(_) = TempPostgres::shared("nothing_stays_behind_a_process_that_is_killed_early") else { return };
    std::thread::scope(|scope| {
        for sign in ["data", "data/PG_VERSION", "data/base/5", "log", "data/postmaster.opts"] {
            scope.spawn(move || {
                let directory = like_tmp();
                let mut child = start_child("kill", directory.path());
                until(sign, || entries(directory.path()).iter().any(|entry| entry.join(sign).exists()));
                child.kill().unwrap();
                child.wait().unwrap();
                assert_nothing_stays(directory.path(), sign);
            });
        }
    });
}
