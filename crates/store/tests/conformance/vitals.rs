//! What a database tells of itself, and what of it does not move; how it is where it cannot be written stands in `files` and
//! `sharing`.

use store::vitals::Vitals;

use crate::bed::{APP, Bed, START, openid};

pub(crate) async fn a_database_tells_how_it_is(bed: &Bed) {
    assert_eq!(bed.store.ready().await, Ok(()));
    let pool = bed.store.pool_use();
    assert!(pool.open >= 1 && pool.idle <= pool.open && pool.open <= pool.most, "{pool:?}");
    match bed.store.vitals(true).await.unwrap() {
        Vitals::Sqlite(vitals) => {
            assert_eq!((vitals.journal_mode.as_str(), vitals.synchronous), ("wal", 2));
            assert_eq!(vitals.damage, Some(Vec::new()), "sound");
            assert!(
                vitals.version.starts_with('3')
                    && vitals.size > 0
                    && vitals.free.is_some_and(|free| free > 0)
            );
        }
        Vitals::Postgres(vitals) => {
            assert!(!vitals.in_recovery && !vitals.read_only && vitals.autovacuum, "{vitals:?}");
            assert_eq!(vitals.synchronous_commit, "on", "our sessions set it");
            assert!(!vitals.fsync && !vitals.full_page_writes, "as the tests' server is set");
            assert!(vitals.standbys.is_empty() && vitals.synchronous_standby_names.is_empty());
            assert!(vitals.connections >= 1 && vitals.connections < vitals.max_connections, "{vitals:?}");
            assert!(vitals.missing_partitions.is_empty(), "{vitals:?}");
            assert!(vitals.size > 0 && vitals.frozen_age >= 0 && vitals.now > START / 2);
        }
    }
}

pub(crate) async fn what_is_stuck_is_counted(bed: &Bed) {
    let none = bed.store.overdue_attempts(APP, i64::MAX).await.unwrap();
    assert_eq!((none.count, none.since), (0, None));
    assert!(bed.store.delivery_backlog().await.unwrap().is_empty());
    let a = openid(1);
    bed.grant(&a, 2).await;
    let waiting = bed.queued(&a).await;
    let (arm, _) = bed.ready(waiting).await;
    let at = arm.at;
    assert_eq!(bed.store.arm(vec![arm]).await.unwrap(), [true]);
    assert_eq!(bed.store.overdue_attempts(APP, at).await.unwrap().count, 0, "not before that moment");
    let stuck = bed.store.overdue_attempts(APP, at + 1).await.unwrap();
    assert_eq!((stuck.count, stuck.since), (1, Some(at)));
    assert_eq!(bed.store.overdue_attempts(APP + 1, at + 1).await.unwrap().count, 0, "another app's");
}
