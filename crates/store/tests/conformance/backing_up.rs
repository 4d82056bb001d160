//! Backups of a file: whole whatever is written meanwhile, refused where they are not, put back without harm to what is there.

use std::path::{Path, PathBuf};

use domain::message::Outcome;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use store::backup::{BackupError, backup, check, restore};
use store::{MasterKey, Role, Store};

use crate::bed::{APP, Bed, openid};

fn beside(bed: &Bed, name: &str) -> PathBuf {
    bed.store.directory().join(name)
}

async fn put_back(
    bed: &Bed,
    file: &Path,
    to: &Path,
    force: bool,
) -> Result<store::backup::Restoring, BackupError> {
    let url = format!("sqlite:{}", to.display());
    restore(file, &url, bed.master.clone(), force, bed.clock.clone(), bed.entropy.clone()).await
}

/// Changes a file behind everybody's back.
async fn tamper(file: &Path, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut db = options.connect().await.unwrap();
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn filled() -> Bed {
    let bed = Bed::sqlite().await;
    for n in 0..50 {
        bed.grant(&openid(n), 2).await;
    }
    bed.sent(&openid(1), Outcome::Accepted { msgid: None }).await;
    bed.queued(&openid(2)).await;
    bed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_while_everything_is_written() {
    let bed = std::sync::Arc::new(filled().await);
    let writing = {
        let bed = std::sync::Arc::clone(&bed);
        tokio::spawn(async move {
            for n in 100..2_000 {
                bed.grant(&openid(n), 1).await;
                bed.sent(&openid(n), Outcome::Accepted { msgid: None }).await;
            }
        })
    };
    let mut rows = Vec::new();
    for n in 0..3 {
        let file = beside(&bed, &format!("copy{n}.db"));
        let held = backup(&bed.url, &file, bed.now(), false).await.unwrap();
        assert_eq!(check(&file).await.unwrap(), held);
        assert_eq!((held.backup_at, held.master_key.as_str()), (Some(bed.now()), bed.master.id().as_str()));
        assert!(held.bytes > 0 && held.accounts >= 50 && held.open >= 1, "{held:?}");
        rows.push(held.rows);
    }
    writing.abort();
    let _ = writing.await;
    let messages = |at: usize| rows[at].iter().find(|(what, _)| *what == "messages").unwrap().1;
    assert!(messages(0) >= 2 && messages(2) >= messages(0), "{rows:?}");
    let left: Vec<_> =
        std::fs::read_dir(bed.store.directory()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".part")), "{left:?}");
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(beside(&bed, "copy0.db")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_whole_backup_is_refused() {
    let bed = filled().await;
    let file = beside(&bed, "copy.db");
    backup(&bed.url, &file, bed.now(), false).await.unwrap();
    assert!(matches!(backup(&bed.url, &file, bed.now(), false).await, Err(BackupError::Exists(_))));
    backup(&bed.url, &file, bed.now(), true).await.unwrap();
    let itself = bed.store.path().to_owned();
    assert!(matches!(backup(&bed.url, &itself, bed.now(), true).await, Err(BackupError::Itself(_))));
    assert!(matches!(backup("postgres://x/y", &file, 0, true).await, Err(BackupError::Postgres)));
    // A file that is served has a log beside it.
    assert!(matches!(check(&itself).await, Err(BackupError::Live(_))));
    let missing = beside(&bed, "nowhere.db");
    assert!(matches!(check(&missing).await, Err(BackupError::Missing(_))));
    for (what, sql) in [
        ("balances", "update ledger set delta = delta + 1 where id = (select max(id) from ledger)"),
        (
            "balances",
            "update subscription set balance = 7 where openid = (select min(openid) from subscription)",
        ),
        ("messages", "delete from message_state where id = (select max(id) from message_state)"),
    ] {
        backup(&bed.url, &file, bed.now(), true).await.unwrap();
        tamper(&file, sql).await;
        let found = check(&file).await.unwrap_err();
        assert!(
            matches!(&found, BackupError::Damaged { found, .. } if found.contains(what)),
            "{sql}: {found}"
        );
        let to = beside(&bed, "other/hongyan.db");
        assert!(matches!(put_back(&bed, &file, &to, false).await, Err(BackupError::Damaged { .. })));
        assert!(!to.exists());
    }
    backup(&bed.url, &file, bed.now(), true).await.unwrap();
    tamper(&file, "update _sqlx_migrations set version = 9999 where version = (select max(version) from _sqlx_migrations)").await;
    assert!(matches!(check(&file).await, Err(BackupError::Newer { version: 9999, .. })));
    std::fs::write(&file, b"not a database at all, but long enough to be looked at").unwrap();
    assert!(matches!(check(&file).await, Err(BackupError::NotOurs(..) | BackupError::Damaged { .. })));
    // Half of a file.
    backup(&bed.url, &file, bed.now(), true).await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    assert!(check(&file).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_put_back_and_what_was_there_is_kept() {
    let bed = filled().await;
    let file = beside(&bed, "copy.db");
    backup(&bed.url, &file, bed.now(), false).await.unwrap();
    let target = bed.store.path().to_owned();
    let served = put_back(&bed, &file, &target, true).await.unwrap_err();
    assert!(served.to_string().contains("serving"), "{served}");
    bed.grant(&openid(1), 5).await;
    let elsewhere = beside(&bed, "other/hongyan.db");
    let done = put_back(&bed, &file, &elsewhere, false).await.unwrap();
    assert_eq!((done.restored.unknown, done.aside), (1, None));
    assert!(matches!(put_back(&bed, &file, &elsewhere, false).await, Err(BackupError::Exists(_))));
    let url = format!("sqlite:{}", elsewhere.display());
    let options = store::OpenOptions::new(url.clone(), bed.master.clone(), Role::Worker);
    let other = Store::open(options, bed.clock.clone(), bed.entropy.clone()).await.unwrap();
    let found = other.subscriptions_of(APP, &openid(1), None).await.unwrap();
    assert_eq!(found[0].subscription.balance, 1, "as it was then");
    // What is put in its place later keeps it.
    assert!(put_back(&bed, &file, &elsewhere, true).await.is_err(), "it is served");
    other.close().await;
    drop(other);
    // Another key opens nothing, and harms nothing.
    let (wrong, _) = MasterKey::generate(&*bed.entropy);
    let failed = restore(&file, &url, wrong, true, bed.clock.clone(), bed.entropy.clone()).await.unwrap_err();
    assert!(failed.to_string().contains("master key"), "{failed}");
    assert!(elsewhere.exists());
    std::fs::write(elsewhere.with_file_name("hongyan.db-wal"), b"left over").unwrap();
    let done = put_back(&bed, &file, &elsewhere, true).await.unwrap();
    let aside = done.aside.unwrap();
    assert!(aside.exists() && PathBuf::from(format!("{}-wal", aside.display())).exists());
    assert!(check(&elsewhere).await.is_ok(), "and no log of another database beside it");
    let left: Vec<_> = std::fs::read_dir(elsewhere.parent().unwrap())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".part")), "{left:?}");
}
