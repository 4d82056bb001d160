//! The database: whether it can be written, how safe a commit is, room, replication, upkeep, its clock.

use domain::clock::{MINUTE, SECOND};
use domain::{Clock, Millis, SystemClock};
use store::vitals::{PostgresVitals, QUICK, SqliteVitals, Vitals};

use super::{Checks, Verdict, text};
use crate::Service;

/// Bytes of room below which somebody should look, and below which nothing will go on.
const LITTLE: u64 = 2 << 30;
const NONE: u64 = 128 << 20;
/// A log that is longer is not folded back: somebody reads for too long.
const LONG_WAL: u64 = 512 << 20;
/// A standby that is further behind.
const FAR_BEHIND: Millis = 30 * SECOND;
const FAR_BEHIND_BYTES: i64 = 256 << 20;
/// Nodes whose clock is further from the database's.
const SKEW: Millis = 5 * SECOND;
/// Of the two billion transactions, so many without freezing.
const OLD: i64 = 1_500_000_000;

const ALIVE: (&str, &str) = ("数据库", "Database");
const SAFE: (&str, &str) = ("提交的持久性", "Safety of a commit");
const ROOM: (&str, &str) = ("磁盘空间", "Room on the disk");
const WHOLE: (&str, &str) = ("数据库文件的完整性", "Soundness of the file");
const FOLLOWERS: (&str, &str) = ("复制", "Replication");
const CONNECTIONS: (&str, &str) = ("数据库连接", "Connections");
const PARTITIONS: (&str, &str) = ("分区", "Partitions");
const UPKEEP: (&str, &str) = ("自动清理（autovacuum）", "Autovacuum");
const CLOCK: (&str, &str) = ("与数据库的时间差", "Clock, against the database's");

impl Service {
    pub(super) async fn check_database(&self, checks: &mut Checks, deep: bool) {
        match self.store.ready().await {
            Ok(()) => checks.ok("database", ALIVE, text("可读可写。", "It is read and written.")),
            Err(why) => {
                checks.fail(
                    "database",
                    ALIVE,
                    (format!("不可用：{}", said(&why)), format!("It cannot be used: {why}.")),
                    remedy(&why),
                );
                if matches!(why, store::readiness::NotReady::Away(_)) {
                    return;
                }
            }
        }
        match self.store.vitals(deep).await {
            Ok(Vitals::Sqlite(vitals)) => check_file(&vitals, checks),
            Ok(Vitals::Postgres(vitals)) => check_server(&vitals, checks),
            Err(_) => checks.unanswered("durability", SAFE),
        }
    }
}

/// What it means, in Chinese.
fn said(why: &store::readiness::NotReady) -> String {
    use store::readiness::NotReady as Not;
    match why {
        Not::Away(said) => format!("数据库没有应答（{said}）。"),
        Not::ReadOnly(said) => format!("只读，或是正在恢复的备库（{said}）。"),
        Not::NoSpace(said) => format!("磁盘已满（{said}）。"),
        Not::Slow => "写入没有在 3 秒内落盘：被其他进程锁住、备库没有确认，或磁盘卡住。".to_owned(),
        Not::WriterGone => "本进程的写入任务已停止。".to_owned(),
        Not::Pending(count) => format!("有 {count} 个迁移没有执行。"),
        Not::Failing(said) => format!("写入失败（{said}）。"),
    }
}

/// What to do where the database cannot be used.
fn remedy(why: &store::readiness::NotReady) -> super::Text {
    use store::readiness::NotReady as Not;
    match why {
        Not::Away(_) => text(
            "检查 PostgreSQL 是否在运行、网络与密码、database_url；SQLite 则检查文件与权限。恢复后服务会自动继续。",
            "See whether PostgreSQL runs, and look at network, password and database_url; with SQLite at the file and its rights. The service goes on by itself.",
        ),
        Not::ReadOnly(_) => text(
            "把 database_url 指向主库；SQLite 则检查文件与目录的写权限、磁盘是否只读挂载。",
            "Let database_url lead to the primary; with SQLite look at the rights of file and directory, and whether the disk is mounted read-only.",
        ),
        Not::NoSpace(_) => text("立即腾出磁盘空间。", "Make room on the disk at once."),
        Not::Slow => text(
            "查看是否有人用别的工具锁住了数据库、同步备库是否在线、磁盘是否正常。",
            "See whether another tool holds the database, whether the synchronous standby is there, and how the disk is.",
        ),
        Not::WriterGone => text("重启本服务，并保留日志。", "Start the service anew, and keep its log."),
        Not::Pending(_) => text(
            "数据库比程序旧（恢复过旧备份？）：重启服务或运行 hongyan migrate。",
            "The database is older than the program (an old backup?): start the service anew, or run `hongyan migrate`.",
        ),
        Not::Failing(_) => text("查看服务日志与磁盘。", "Look at the service's log and at the disk."),
    }
}

fn megabytes(bytes: u64) -> String {
    let mib = bytes >> 20;
    if mib >= 10 << 10 { format!("{} GiB", mib >> 10) } else { format!("{mib} MiB") }
}

fn check_file(vitals: &SqliteVitals, checks: &mut Checks) {
    let SqliteVitals { version, journal_mode, synchronous, .. } = vitals;
    let detail = (
        format!("SQLite {version}，journal_mode={journal_mode}，synchronous={synchronous}。"),
        format!("SQLite {version}, journal_mode={journal_mode}, synchronous={synchronous}."),
    );
    if journal_mode == "wal" && *synchronous == 2 {
        checks.ok("durability", SAFE, detail);
    } else {
        checks.fail(
            "durability",
            SAFE,
            detail,
            text(
                "应为 wal 与 2（FULL）：检查文件系统是否支持（不要放在网络盘上），然后重启服务。",
                "They should be wal and 2 (FULL): see whether the file system can do it (no network disk), then start the service anew.",
            ),
        );
    }
    check_room(vitals, checks);
    match &vitals.damage {
        None => checks.skip(
            "integrity",
            WHOLE,
            (
                format!("文件超过 {}，只在 hongyan doctor --deep 时通读检查。", megabytes(QUICK)),
                format!(
                    "The file is larger than {}: it is read whole only by `hongyan doctor --deep`.",
                    megabytes(QUICK)
                ),
            ),
        ),
        Some(found) if found.is_empty() => {
            checks.ok(
                "integrity",
                WHOLE,
                text("通读检查没有发现问题。", "It was read whole; nothing is wrong."),
            );
        }
        Some(found) => {
            let found = found.join("; ");
            checks.fail(
                "integrity",
                WHOLE,
                (format!("文件已损坏：{found}"), format!("It is damaged: {found}")),
                text(
                    "停止服务，保留现在的文件，从备份恢复，并检查磁盘与内存。",
                    "Stop the service, keep the file as it is, restore a backup, and look at disk and memory.",
                ),
            );
        }
    }
}

fn check_room(vitals: &SqliteVitals, checks: &mut Checks) {
    let (size, wal) = (megabytes(vitals.size), megabytes(vitals.wal));
    let Some(free) = vitals.free else {
        return checks.skip(
            "disk",
            ROOM,
            text("系统没有给出剩余空间。", "The system does not say how much is left."),
        );
    };
    let left = megabytes(free);
    let detail = (
        format!("还剩 {left}；数据库 {size}，WAL {wal}。"),
        format!("{left} are left; the database has {size}, its WAL {wal}."),
    );
    let remedy = text(
        "清理或扩容磁盘：写满后推送与发送都会停。",
        "Clear or enlarge the disk: once it is full, callbacks and sending stop.",
    );
    if free < NONE {
        checks.fail("disk", ROOM, detail, remedy);
    } else if free < LITTLE {
        checks.warn("disk", ROOM, detail, remedy);
    } else if vitals.wal > LONG_WAL {
        checks.warn(
            "disk",
            ROOM,
            detail,
            text(
                "WAL 迟迟没有写回：查看是否有别的工具长时间打开着数据库文件。",
                "The WAL is not folded back: see whether another tool keeps the file open.",
            ),
        );
    } else {
        checks.ok("disk", ROOM, detail);
    }
}

fn check_server(vitals: &PostgresVitals, checks: &mut Checks) {
    let PostgresVitals { version, synchronous_commit, fsync, full_page_writes, .. } = vitals;
    let on = |yes: &bool| if *yes { "on" } else { "off" };
    let settings = format!(
        "synchronous_commit={synchronous_commit}, fsync={}, full_page_writes={}",
        on(fsync),
        on(full_page_writes)
    );
    let size = megabytes(u64::try_from(vitals.size).unwrap_or(0));
    let detail = (
        format!("PostgreSQL {version}，{size}，{settings}。"),
        format!("PostgreSQL {version}, {size}, {settings}."),
    );
    if *fsync && *full_page_writes && synchronous_commit != "off" && synchronous_commit != "local" {
        checks.ok("durability", SAFE, detail);
    } else {
        checks.fail(
            "durability",
            SAFE,
            detail,
            text(
                "断电会丢失已应答的数据：在 postgresql.conf 里把它们都设为 on。",
                "A power cut loses what was acknowledged: set all of them to on in postgresql.conf.",
            ),
        );
    }
    check_followers(vitals, checks);
    check_connections(vitals, checks);
    check_partitions(vitals, checks);
    check_upkeep(vitals, checks);
    check_database_clock(vitals.now, checks);
}

fn check_followers(vitals: &PostgresVitals, checks: &mut Checks) {
    let wanted = !vitals.synchronous_standby_names.is_empty();
    if vitals.standbys.is_empty() {
        return if wanted {
            checks.fail(
                "replication",
                FOLLOWERS,
                text(
                    "设置了同步备库（synchronous_standby_names），但没有备库连接：提交会一直等待。",
                    "synchronous_standby_names is set, and no standby is connected: commits wait for ever.",
                ),
                text("恢复备库，或暂时清空该设置。", "Bring the standby back, or clear the setting for now."),
            );
        } else {
            checks.skip(
                "replication",
                FOLLOWERS,
                text(
                    "没有备库（或账号没有 pg_monitor 权限看不到）。主库的磁盘损坏就会丢数据，请至少做备份。",
                    "There are no standbys (or the role lacks pg_monitor to see them). What the primary's disk loses is lost: take backups at least.",
                ),
            );
        };
    }
    let behind = |one: &store::vitals::Standby| {
        one.behind.is_some_and(|bytes| bytes > FAR_BEHIND_BYTES)
            || one.lag.is_some_and(|lag| lag > FAR_BEHIND)
    };
    let list: Vec<String> = vitals
        .standbys
        .iter()
        .map(|one| {
            let behind = one.behind.map_or_else(String::new, |bytes| format!(" -{bytes} B"));
            let lag = one.lag.map_or_else(String::new, |lag| format!(" {lag} ms"));
            format!("{} {} {}{behind}{lag}", one.name, one.state, one.sync_state)
        })
        .collect();
    let list = list.join("; ");
    let synchronous = vitals.standbys.iter().any(|one| matches!(one.sync_state.as_str(), "sync" | "quorum"));
    let detail = (format!("备库：{list}。"), format!("Standbys: {list}."));
    if wanted && !synchronous {
        checks.fail(
            "replication",
            FOLLOWERS,
            detail,
            text(
                "没有一个备库在同步复制：提交会一直等待。检查备库的名称与连接。",
                "None of them confirms commits, which wait for ever: look at their names and connections.",
            ),
        );
    } else if vitals.standbys.iter().any(behind) {
        checks.warn(
            "replication",
            FOLLOWERS,
            detail,
            text(
                "有备库落后较多：检查网络与备库的磁盘。",
                "One is far behind: look at the network and at its disk.",
            ),
        );
    } else {
        checks.ok("replication", FOLLOWERS, detail);
    }
}

fn check_connections(vitals: &PostgresVitals, checks: &mut Checks) {
    let (taken, most) = (vitals.connections, vitals.max_connections);
    let detail = (format!("已用 {taken} / {most}。"), format!("{taken} of {most} are taken."));
    let remedy = text(
        "调大 max_connections，或调小各节点的 database_connections。",
        "Raise max_connections, or lower database_connections of the nodes.",
    );
    if taken >= most {
        checks.fail("connections", CONNECTIONS, detail, remedy);
    } else if taken * 10 >= most * 9 {
        checks.warn("connections", CONNECTIONS, detail, remedy);
    } else {
        checks.ok("connections", CONNECTIONS, detail);
    }
}

fn check_partitions(vitals: &PostgresVitals, checks: &mut Checks) {
    let PostgresVitals { missing_partitions: missing, filled_defaults: filled, .. } = vitals;
    if missing.is_empty() && filled.is_empty() {
        return checks.ok(
            "partitions",
            PARTITIONS,
            text(
                "本期与下期的分区都在，默认分区为空。",
                "Those of this stretch and the next are there; the default ones are empty.",
            ),
        );
    }
    let (absent, full) = (missing.join(", "), filled.join(", "));
    checks.warn(
        "partitions",
        PARTITIONS,
        (
            format!("缺少：{absent}；默认分区里有数据：{full}。"),
            format!("Missing: {absent}. Default partitions with rows: {full}."),
        ),
        text(
            "分区由运行中的工作节点提前创建：查看服务是否在运行、日志里有没有建表权限错误。默认分区里的数据仍可读写，只是不能整块清理。",
            "A running worker makes them ahead: see whether one runs, and whether its log tells of missing rights. Rows of a default partition are read and written as ever; they only cannot be dropped at a stroke.",
        ),
    );
}

fn check_upkeep(vitals: &PostgresVitals, checks: &mut Checks) {
    if !vitals.autovacuum {
        checks.fail(
            "autovacuum",
            UPKEEP,
            text(
                "autovacuum 或 track_counts 关闭了：表会不断膨胀，直到变慢、停机。",
                "autovacuum or track_counts is off: tables grow until they are slow, and then stop.",
            ),
            text("打开它们。", "Switch them on."),
        );
    } else if vitals.frozen_age > OLD {
        let age = vitals.frozen_age;
        checks.fail(
            "autovacuum",
            UPKEEP,
            (
                format!("事务号已用到 {age}，接近停机。"),
                format!("{age} transactions since the last freezing: it will stop."),
            ),
            text(
                "运行 vacuumdb --freeze，并找出阻止清理的长事务。",
                "Run `vacuumdb --freeze`, and find the long transaction that is in its way.",
            ),
        );
    } else if vitals.bloated.is_empty() {
        checks.ok("autovacuum", UPKEEP, text("正常。", "It keeps up."));
    } else {
        let tables = vitals.bloated.join(", ");
        checks.warn(
            "autovacuum",
            UPKEEP,
            (format!("死行多于活行：{tables}。"), format!("More rows are dead than alive in {tables}.")),
            text(
                "找出长事务或复制槽，必要时手动 VACUUM。",
                "Look for long transactions and replication slots; VACUUM by hand where need be.",
            ),
        );
    }
}

fn check_database_clock(theirs: Millis, checks: &mut Checks) {
    // The machine's own clock: the service's follows the database's.
    let skew = (SystemClock.now() - theirs).abs();
    let seconds = skew / SECOND;
    let detail = (format!("相差 {seconds} 秒。"), format!("{seconds} seconds apart."));
    if skew > SKEW {
        let verdict = if skew > MINUTE { Verdict::Fail } else { Verdict::Warn };
        let remedy = text(
            "集群以数据库时间为准，但 TLS 与日志用本机时间：两边都开启时间同步。",
            "The cluster goes by the database's time, TLS and logs by the machine's: switch time synchronisation on on both.",
        );
        checks.add("database_clock", CLOCK, verdict, detail, Some(remedy));
    } else {
        checks.ok("database_clock", CLOCK, detail);
    }
}
