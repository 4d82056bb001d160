//! What only a file has: the lock, guests beside the worker, durability, secrets in the bytes, migrations, and failures
//! that only a raw connection can provoke.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, SqliteConnection};
use store::hot::append::InboxKind;
use store::hot::apply::{ActKind, Application};
use store::hot::enqueue::Enqueued;
use store::{MasterKey, OpenError, OpenOptions, Role, Store};

use crate::bed::{ACCEPTED, APP, Bed, START, T, act, openid, url};
use crate::rare::{SECRETS, app};

async fn raw(bed: &Bed) -> SqliteConnection {
    sqlx::sqlite::SqliteConnectOptions::new().filename(bed.store.path()).connect().await.unwrap()
}

async fn run(db: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(db).await.unwrap();
}

/// Waits, for at most a second, until the worker was told to look everywhere.
async fn told_to_look_everywhere(bed: &Bed) {
    let told = async {
        while !bed.store.hints().take().everywhere {
            bed.store.hints().wait().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), told).await.expect("the worker hears of it within a second");
}

#[tokio::test]
async fn commits_are_durable() {
    let bed = Bed::sqlite().await;
    assert_eq!(bed.store.durability().await.unwrap(), ("wal".to_owned(), 2), "WAL, synchronous = FULL");
}

#[tokio::test]
async fn a_second_worker_is_refused() {
    let bed = Bed::sqlite().await;
    assert!(store::store::is_served(&url(&bed.dir)).unwrap());
    let second = bed.open(Role::Worker).await;
    assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
    let guest = bed.open(Role::Guest).await.unwrap();
    guest.ping().await.unwrap();
    let (dir, master, clock, entropy) = (&bed.dir, &bed.master, &bed.clock, &bed.entropy);
    drop(bed.store);
    assert!(!store::store::is_served(&url(dir)).unwrap());
    let options = OpenOptions::new(url(dir), master.clone(), Role::Worker);
    Store::open(options, clock.clone(), entropy.clone()).await.expect("the lock is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_writes_are_seen() {
    let bed = Bed::sqlite().await;
    let guest = bed.open(Role::Guest).await.unwrap();
    // Whatever opening wrote is known by then.
    tokio::time::sleep(Duration::from_millis(250)).await;
    bed.store.hints().take();
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(!bed.store.hints().take().everywhere, "nothing has happened");
    let message = bed.keyed(&openid(1), "k", 1);
    let id = message.id;
    assert_eq!(guest.enqueue(vec![message]).await.unwrap(), [Enqueued::Accepted]);
    told_to_look_everywhere(&bed).await;
    assert_eq!(bed.waiting().await.len(), 1);
    assert_eq!(
        bed.enqueue(bed.keyed(&openid(1), "k", 1)).await,
        Enqueued::Replayed(id),
        "keys hold across (I10)"
    );
    bed.arm(id).await;
    // Its own commits are no news of others.
    bed.store.hints().take();
    bed.queued(&openid(2)).await;
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(!bed.store.hints().take().everywhere);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_heard_by_a_busy_worker() {
    let bed = Bed::sqlite().await;
    let guest = bed.open(Role::Guest).await.unwrap();
    let busy = bed.store.clone();
    let rows: Vec<_> =
        (0..100_000).map(|n| bed.row(InboxKind::Event, &openid(1), START, &n.to_string())).collect();
    let load = tokio::spawn(async move {
        for row in rows {
            busy.append(vec![row]).await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    bed.store.hints().take();
    guest.enqueue(vec![bed.message(&openid(1))]).await.unwrap();
    told_to_look_everywhere(&bed).await;
    assert!(!load.is_finished(), "it was busy all the while");
    load.abort();
}

#[tokio::test]
async fn a_guests_sync_changes_what_is_counted() {
    let bed = Bed::sqlite().await;
    bed.grant(&openid(1), 1).await;
    let guest = bed.open(Role::Guest).await.unwrap();
    let long = store::templates::SyncedTemplate {
        template_id: T.into(),
        title: T.into(),
        kind: domain::ledger::TemplateKind::LongTerm,
        content: String::new(),
        example: String::new(),
        fields: "[]".into(),
    };
    tokio::time::sleep(Duration::from_millis(250)).await;
    bed.store.hints().take();
    guest.sync_templates(APP, vec![long], START).await.unwrap();
    told_to_look_everywhere(&bed).await;
    bed.grant(&openid(1), 1).await;
    assert_eq!(bed.balance(&openid(1)).await, 1, "the second counts nothing");
}

#[tokio::test]
async fn no_secret_is_readable() {
    let bed = Bed::sqlite().await;
    bed.store.insert_app(app("wx0123456789", None), START).await.unwrap();
    let token = secrecy::SecretString::from("access-token-mnopqr");
    assert!(bed.store.swap_token(APP, 0, &token, START, START, Default::default()).await.unwrap());
    let mut bytes = Vec::new();
    for file in std::fs::read_dir(bed.dir.path()).unwrap() {
        bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("wx0123456789"), "what is no secret is found");
    let apps = bed.store.apps().await.unwrap();
    let stored = bed.store.token(APP).await.unwrap().unwrap();
    let shown = format!("{:?} {apps:?} {stored:?} {:?} {:?}", bed.store, app("wx", None), bed.master);
    for secret in SECRETS.into_iter().chain(["access-token-mnopqr"]) {
        assert!(!holds(secret), "{secret} stands in the file");
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
    }
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let bed = Bed::sqlite().await;
    let (other, _) = MasterKey::generate(&*bed.entropy);
    let options = OpenOptions::new(url(&bed.dir), other.clone(), Role::Guest);
    let refused = Store::open(options, bed.clock.clone(), bed.entropy.clone()).await;
    let Err(OpenError::WrongMasterKey { expected, given }) = refused else { panic!("{refused:?}") };
    assert_eq!((expected, given), (bed.master.id(), other.id()));
}

#[tokio::test]
async fn what_is_stored_is_there_after_opening_again() {
    let bed = Bed::sqlite().await;
    bed.grant(&openid(1), 2).await;
    let id = bed.sent(&openid(1), ACCEPTED).await;
    let Bed { store, clock, entropy, master, dir, .. } = bed;
    drop(store);
    let options = OpenOptions::new(url(&dir), master, Role::Worker);
    let store = Store::open(options, clock, entropy).await.unwrap();
    assert!(store.message(APP, id).await.unwrap().is_some());
    assert_eq!(store.ledger_of(APP, &openid(1), T).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_file_is_copied_before_it_is_migrated() {
    let dir = tempfile::tempdir().unwrap();
    let (url, path) = (url(&dir), dir.path().join("hongyan.db"));
    let pending = store::store::pending_migrations(&url).await.unwrap();
    assert!(!pending.is_empty() && pending[0].starts_with("0001 "), "{pending:?}");
    assert!(!path.exists(), "asking makes no file");
    // A file of an older time, not in WAL mode, as a restored copy is.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut old = options.connect().await.unwrap();
    run(&mut old, "create table old (word text)").await;
    run(&mut old, "insert into old values ('kept')").await;
    old.close().await.unwrap();
    assert_eq!(store::store::pending_migrations(&url).await.unwrap(), pending);
    let entropy = std::sync::Arc::new(domain::SeededEntropy::new(1));
    let clock = std::sync::Arc::new(domain::ManualClock::new(START));
    let (master, _) = MasterKey::generate(&*entropy);
    let options = OpenOptions::new(url.clone(), master, Role::Worker);
    let _store = Store::open(options, clock, entropy).await.unwrap();
    assert!(store::store::pending_migrations(&url).await.unwrap().is_empty());
    let copy = dir.path().join("hongyan.before-0001.db");
    let mut copy = sqlx::sqlite::SqliteConnectOptions::new().filename(copy).connect().await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("select name from sqlite_schema").fetch_all(&mut copy).await.unwrap();
    assert_eq!(tables, ["old"], "the file as it was");
    let word: String = sqlx::query_scalar("select word from old").fetch_one(&mut copy).await.unwrap();
    assert_eq!(word, "kept");
}

#[tokio::test]
async fn a_start_that_ended_early_is_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("hongyan.db"), b"").unwrap();
    let entropy = std::sync::Arc::new(domain::SeededEntropy::new(1));
    let clock = std::sync::Arc::new(domain::ManualClock::new(START));
    let (master, _) = MasterKey::generate(&*entropy);
    assert!(!store::store::pending_migrations(&url(&dir)).await.unwrap().is_empty());
    let options = OpenOptions::new(url(&dir), master, Role::Worker);
    Store::open(options, clock, entropy).await.unwrap().ping().await.unwrap();
    assert!(!dir.path().join("hongyan.before-0001.db").exists(), "of nothing there is no copy");
}

#[tokio::test]
async fn other_engines_are_not_taken_for_files() {
    for url in ["postgres://user:password@host/db", "hongyan.db", "sqlite:", "sqlite://"] {
        let refused = store::store::sqlite_path(url).unwrap_err();
        assert!(matches!(refused, OpenError::Unsupported(_)));
        assert!(!refused.to_string().contains("password"), "{refused}");
    }
    assert_eq!(store::store::sqlite_path("sqlite:a/b.db").unwrap(), std::path::PathBuf::from("a/b.db"));
    assert_eq!(store::store::sqlite_path("sqlite:///a/b.db").unwrap(), std::path::PathBuf::from("/a/b.db"));
}

#[tokio::test]
async fn a_failed_batch_leaves_no_ghost_of_a_template() {
    let bed = Bed::sqlite().await;
    let (good, bad) = (openid(1), openid(2));
    let mut db = raw(&bed).await;
    run(
        &mut db,
        "create trigger refuse before insert on ledger when new.openid like '%2' begin select raise(abort, 'no'); end",
    )
    .await;
    let grant = |template: &str| vec![act(template, ActKind::Grant { at: START })];
    let rows = [
        bed.arrive(InboxKind::Popup, &bad, grant("ghost")).await,
        bed.arrive(InboxKind::Popup, &good, grant("real")).await,
        bed.arrive(InboxKind::Popup, &bad, grant("ghost")).await,
    ];
    let calls = rows.clone().map(|row| bed.store.apply(vec![row]));
    let answers = futures::future::join_all(calls).await;
    assert!(answers[0].is_err() && answers[2].is_err());
    assert_eq!(answers[1].as_ref().unwrap(), &[Application::Done], "the others of the commit succeed");
    assert!(bed.store.template(APP, "ghost").await.unwrap().is_none());
    run(&mut db, "drop trigger refuse").await;
    let later = bed.arrive(InboxKind::Popup, &good, grant("later")).await;
    let [first, _, third] = rows;
    let answers = bed.store.apply(vec![later, first, third]).await.unwrap();
    assert_eq!(answers, [Application::Done; 3], "still pending, and applied now");
    for (openid, template, balance) in [(&good, "real", 1), (&good, "later", 1), (&bad, "ghost", 2)] {
        let found = bed.store.subscriptions_of(APP, openid, Some(template)).await.unwrap();
        assert_eq!(found.len(), 1, "{template} has a row under its number");
        assert_eq!(found[0].subscription.balance, balance);
    }
    bed.check_ledgers().await;
}

#[tokio::test]
async fn a_transaction_that_breaks_down_answers_nobody_yes() {
    let bed = Bed::sqlite().await;
    let mut db = raw(&bed).await;
    // As a full disk does: SQLite itself rolls everything back.
    run(
        &mut db,
        "create trigger breaks before insert on message when new.openid like '%2' begin select raise(rollback, 'no'); end",
    )
    .await;
    let row = |n| bed.row(InboxKind::Popup, &openid(1), START, &format!("row {n}"));
    let first = row(1);
    let id = first.id;
    let (a, b, c) = tokio::join!(
        bed.store.append(vec![first]),
        bed.store.enqueue(vec![bed.message(&openid(2))]),
        bed.store.enqueue(vec![bed.message(&openid(3))]),
    );
    assert!(b.is_err());
    // Whether they shared the commit is the scheduler's affair; a yes must be true.
    let kept = bed.store.callback(APP, id).await.unwrap().is_some();
    assert_eq!(a.is_ok(), kept, "{a:?}");
    let waiting = bed.waiting().await.len();
    assert_eq!(c.is_ok(), waiting == 1, "{c:?}");
    run(&mut db, "drop trigger breaks").await;
    bed.store.append(vec![row(2)]).await.expect("the writer goes on");
    bed.queued(&openid(2)).await;
}

/// Opens a path of its own as a worker.
async fn worker_at(bed: &Bed, path: &std::path::Path) -> Result<Store, OpenError> {
    let url = format!("sqlite:{}", path.display());
    let options = OpenOptions::new(url, bed.master.clone(), Role::Worker);
    Store::open(options, bed.clock.clone(), bed.entropy.clone()).await
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_worker_is_refused_by_whatever_name() {
    let bed = Bed::sqlite().await;
    let file = bed.dir.path().join("hongyan.db");
    let elsewhere = tempfile::tempdir().unwrap();
    let to_file = elsewhere.path().join("other.db");
    std::os::unix::fs::symlink(&file, &to_file).unwrap();
    let to_directory = elsewhere.path().join("data");
    std::os::unix::fs::symlink(bed.dir.path(), &to_directory).unwrap();
    let dotted = bed.dir.path().join("..").join(bed.dir.path().file_name().unwrap()).join("./hongyan.db");
    for path in [to_file, to_directory.join("hongyan.db"), dotted] {
        let second = worker_at(&bed, &path).await;
        assert!(matches!(second, Err(OpenError::InUse(_))), "{}: {second:?}", path.display());
        assert!(store::store::is_served(&format!("sqlite:{}", path.display())).unwrap());
    }
    // Two names of one file have two logs: nobody may use it, by either name.
    let hard = elsewhere.path().join("hard.db");
    if std::fs::hard_link(&file, &hard).is_ok() {
        let second = worker_at(&bed, &hard).await;
        assert!(matches!(second, Err(OpenError::HardLinked(_))), "{second:?}");
        assert!(matches!(bed.open(Role::Guest).await, Err(OpenError::HardLinked(_))));
        std::fs::remove_file(&hard).unwrap();
    }
    // A link to a file that is not there yet: the lock is the future file's.
    let (fresh, link) = (elsewhere.path().join("fresh.db"), elsewhere.path().join("link.db"));
    std::os::unix::fs::symlink("fresh.db", &link).unwrap();
    let _first = worker_at(&bed, &link).await.unwrap();
    assert!(fresh.exists());
    assert!(matches!(worker_at(&bed, &fresh).await, Err(OpenError::InUse(_))));
}

#[tokio::test]
async fn a_closed_store_is_one_file_and_takes_nothing_more() {
    let bed = Bed::sqlite().await;
    let id = bed.queued(&openid(1)).await;
    let guest = bed.open(Role::Guest).await.unwrap();
    guest.enqueue(vec![bed.message(&openid(2))]).await.unwrap();
    guest.close().await;
    let log = bed.dir.path().join("hongyan.db-wal");
    assert!(std::fs::metadata(&log).is_ok_and(|log| log.len() > 0), "a guest leaves the worker's log alone");
    // What is handed in before is kept.
    let pending: Vec<_> = (3..40).map(|n| bed.store.enqueue(vec![bed.message(&openid(n))])).collect();
    let (kept, ()) = tokio::join!(futures::future::join_all(pending), async {
        tokio::task::yield_now().await;
        bed.store.close().await;
    });
    let kept = kept.iter().filter(|kept| kept.is_ok()).count();
    assert!(!log.exists(), "the file stands alone");
    assert!(bed.store.enqueue(vec![bed.message(&openid(99))]).await.is_err());
    bed.store.close().await;
    let again = {
        let (dir, master) = (&bed.dir, &bed.master);
        drop(bed.store);
        let options = OpenOptions::new(url(dir), master.clone(), Role::Worker);
        Store::open(options, bed.clock.clone(), bed.entropy.clone()).await.unwrap()
    };
    let waiting = again.messages(APP, Default::default(), None, 1_000).await.unwrap().items;
    assert_eq!(waiting.len(), 2 + kept);
    assert!(waiting.iter().any(|message| message.id == id));
    // Alone, a guest folds its own log back.
    again.close().await;
    drop(again);
    let options = OpenOptions::new(url(&bed.dir), bed.master.clone(), Role::Guest);
    let guest = Store::open(options, bed.clock.clone(), bed.entropy.clone()).await.unwrap();
    guest.take_all_lanes("x".into(), 0).await.unwrap();
    guest.close().await;
    assert!(!log.exists());
}

#[tokio::test]
async fn a_list_passes_a_bounded_number_of_another_apps_rows() {
    let bed = Bed::sqlite().await;
    let mut own = Vec::new();
    for n in 0..20 {
        own.push(bed.queued(&openid(n)).await);
    }
    own.sort_unstable_by(|a, b| b.cmp(a));
    // A busy app's messages after them; a list needs no more of these than id and app.
    let mut db = raw(&bed).await;
    run(
        &mut db,
        "with recursive n (n) as (values (1) union all select n + 1 from n where n < 150000)
         insert into message (id, lane, app, template, openid, queue, data, version, lang, expire_at)
         select unhex('ff' || printf('%030x', n)), 0, 2, 1, 'o', 9, '{}', 'formal', 'zh_CN', 0 from n",
    )
    .await;
    let started = std::time::Instant::now();
    let first = bed.store.messages(APP, Default::default(), None, 10).await.unwrap();
    assert!(first.items.is_empty(), "100,000 rows of another app's are enough for one page");
    let second = bed.store.messages(APP, Default::default(), first.next, 10).await.unwrap();
    let third = bed.store.messages(APP, Default::default(), second.next, 10).await.unwrap();
    println!("three pages past 150,000 rows of another app: {:?}", started.elapsed());
    let found: Vec<_> = [second.items, third.items].concat().iter().map(|message| message.id).collect();
    assert_eq!((found, third.next), (own, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_is_not_ready() {
    use store::readiness::NotReady;
    let bed = Bed::sqlite().await;
    assert_eq!(bed.store.ready().await, Ok(()));
    let mut other = raw(&bed).await;
    run(&mut other, "begin immediate").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Err(NotReady::Slow), "somebody else holds it");
    run(&mut other, "commit").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Ok(()));
    // An older state in place of what was there.
    run(&mut other, "update _sqlx_migrations set success = false where version = (select max(version) from _sqlx_migrations)").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(bed.store.ready().await, Err(NotReady::Pending(1)));
    run(&mut other, "update _sqlx_migrations set success = true").await;
    // The table of the probe gone: any other error of a write.
    run(&mut other, "alter table duty rename to elsewhere").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let failing = bed.store.ready().await;
    assert!(matches!(&failing, Err(NotReady::Failing(why)) if why.contains("duty")), "{failing:?}");
    // The writer ended.
    bed.store.close().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(bed.store.ready().await.is_err());
}
