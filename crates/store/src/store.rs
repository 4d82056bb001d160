//! Opening a database, and the handle that everybody else holds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Clock, Entropy, Lane, Lanes, LedgerIds, MessageId, Millis};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::db::{self, Db, Engine, Readers};
use crate::error::{OpenError, StoreError};
pub use crate::hints::{Hints, News};
use crate::hot::arm::Arm;
use crate::hot::claim::{self, Claimed, Waiting};
use crate::hot::enqueue::Queue;
use crate::hot::settle::Settlement;
use crate::secrets::MasterKey;
use crate::sqlite::checkpoint;
use crate::sqlite::open::{self, Opened};
use crate::writing::work::{Kind, Work};
use crate::writing::{Context, Hand, Job, Writer};
use crate::{meta, postgres, sqlite};

/// How long a stop waits for readings under way.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(2);

/// What a process wants to do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Own lanes: apply, send. One per SQLite file; on PostgreSQL any number share them.
    Worker,
    /// Anything else, beside running workers: append, read, administer.
    Guest,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// The key of its secrets.
    pub master: MasterKey,
    /// What for.
    pub role: Role,
    /// Where files stand that are needed for a moment; beside the file on SQLite.
    pub scratch: Option<PathBuf>,
    /// Connections to PostgreSQL, at most.
    pub connections: u32,
    /// How long lanes are held by a lease: a session that stops inside a transaction is cut off after half of it.
    pub lease: std::time::Duration,
}

impl OpenOptions {
    /// Connections to PostgreSQL unless another number is given: every lane's writes, the readers and rare writes share them.
    pub const CONNECTIONS: u32 = 20;

    /// The lease of lanes unless another is given.
    pub const LEASE: std::time::Duration = std::time::Duration::from_secs(12);

    /// The usual options.
    pub fn new(url: impl Into<String>, master: MasterKey, role: Role) -> Self {
        Self {
            url: url.into(),
            master,
            role,
            scratch: None,
            connections: Self::CONNECTIONS,
            lease: Self::LEASE,
        }
    }
}

/// A handle to an open database; cloning is cheap. The writer ends when the last clone is gone.
#[derive(Clone)]
pub struct Store {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
    pub(crate) master: MasterKey,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hints: Arc<Hints>,
    lanes: Lanes,
    /// The file; on PostgreSQL the directory for files of a moment.
    path: Arc<PathBuf>,
    closing: Arc<Notify>,
    checkpointer: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Whether it could be written when that was asked last.
    pub(crate) probed: Arc<crate::readiness::Probed>,
    /// Keeps the worker's lock file open.
    _lock: Arc<Option<std::fs::File>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Whether a URL names a PostgreSQL.
pub fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// A URL as it may be shown: without its password.
pub fn shown_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| is_postgres(url)) else {
        return url.to_owned();
    };
    let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
    match rest.rsplit_once('@') {
        Some((who, at)) => format!("{scheme}://{}@{at}", who.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{rest}"),
    }
}

/// The file that a `sqlite:` URL names.
///
/// # Errors
/// [`OpenError::Unsupported`] for every other URL.
pub fn sqlite_path(url: &str) -> Result<PathBuf, OpenError> {
    let shown = || OpenError::Unsupported(url.split_once(':').map_or(url, |(scheme, _)| scheme).to_owned());
    let path = url.strip_prefix("sqlite:").ok_or_else(shown)?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() { Err(shown()) } else { Ok(PathBuf::from(path)) }
}

/// Whether a worker serves this SQLite file right now. Of a PostgreSQL, `cluster status` tells.
///
/// # Errors
/// [`OpenError::Unsupported`] for a URL that names no database.
pub fn is_served(url: &str) -> Result<bool, OpenError> {
    if is_postgres(url) { Ok(false) } else { Ok(open::is_served(&sqlite_path(url)?)) }
}

/// How many migrations there are.
pub fn migrations() -> usize {
    postgres::open::MIGRATIONS.iter().count()
}

/// The migrations that opening would run, without running them.
///
/// # Errors
/// Where the database cannot be read.
pub async fn pending_migrations(url: &str) -> Result<Vec<String>, OpenError> {
    if is_postgres(url) {
        postgres::open::pending_migrations(url).await
    } else {
        open::pending_migrations(&sqlite_path(url)?).await
    }
}

impl Store {
    /// Opens a database, making and migrating it where needed.
    ///
    /// # Errors
    /// See [`OpenError`]: a wrong master key, a second worker, a database that cannot be used.
    pub async fn open(
        options: OpenOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        if is_postgres(&options.url) {
            Self::open_postgres(options, clock, entropy).await
        } else {
            Self::open_sqlite(options, clock, entropy).await
        }
    }

    async fn open_sqlite(
        options: OpenOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let path = sqlite_path(&options.url)?;
        let Opened { writer, readers, checkpointer, lock } =
            open::open(&path, options.role == Role::Worker).await?;
        let mut writer = Db::Sqlite(writer);
        let lanes = meta::settle(&mut writer, &options.master, clock.now()).await?;
        if options.role == Role::Worker && meta::is_copying(&mut writer).await? {
            return Err(OpenError::Copying);
        }
        let last: i64 =
            db::query_scalar("select coalesce(max(id), 0) from ledger").fetch_one(&mut writer).await?;
        let seen: i64 = db::query_scalar("pragma data_version").fetch_one(&mut writer).await?;
        let context = Arc::new(Context::new(LedgerIds::after(last)));
        let closing = Arc::new(Notify::new());
        let checkpointer = checkpointer
            .map(|db| tokio::spawn(checkpoint::run(db, Arc::downgrade(&context), Arc::clone(&closing))));
        let writer = sqlite::writer::start(writer, context, seen, options.role == Role::Worker);
        let hints = Arc::new(Hints::default());
        tokio::spawn(watch_foreign(Arc::clone(&writer.foreign), Arc::downgrade(&hints)));
        Ok(Self {
            writer,
            readers: Readers::Sqlite(readers),
            master: options.master,
            entropy,
            clock,
            hints,
            lanes,
            path: Arc::new(path),
            closing,
            checkpointer: Arc::new(Mutex::new(checkpointer)),
            probed: Arc::default(),
            _lock: Arc::new(lock),
        })
    }

    async fn open_postgres(
        options: OpenOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let pool = postgres::connect(&options).await?;
        let readers = Readers::Postgres(pool.clone());
        let mut db = readers.acquire().await?;
        clock.learn(db::query_scalar(postgres::NOW).fetch_one(&mut db).await?);
        let lanes = meta::settle(&mut db, &options.master, clock.now()).await?;
        if options.role == Role::Worker && meta::is_copying(&mut db).await? {
            return Err(OpenError::Copying);
        }
        drop(db);
        if options.role == Role::Worker {
            postgres::partitions::make(&pool, clock.now()).await?;
        }
        let mut tag = [0];
        entropy.fill(&mut tag);
        let context = Arc::new(Context::new(LedgerIds::tagged(tag[0])));
        let hints = Arc::new(Hints::default());
        let tasks = postgres::writer::Lanes::start(&pool, lanes, &context, &hints);
        let hand = Hand::Postgres(Arc::new(tasks));
        let writer = Writer { hand, foreign: Arc::new(Notify::new()), context };
        let closing = Arc::new(Notify::new());
        let news = postgres::news::start(&pool, &hints, Arc::clone(&closing), &*entropy);
        let store = Self {
            writer,
            readers,
            master: options.master,
            entropy,
            clock,
            hints,
            lanes,
            path: Arc::new(options.scratch.unwrap_or_else(std::env::temp_dir).join("-")),
            closing,
            checkpointer: Arc::new(Mutex::new(Some(news))),
            probed: Arc::default(),
            _lock: Arc::new(None),
        };
        // Lists walk lane by lane, whoever holds them.
        store.make_lanes().await?;
        Ok(store)
    }

    /// Whether several processes may serve this database.
    pub fn is_shared(&self) -> bool {
        self.readers.engine() == Engine::Postgres
    }

    /// Whether a worker serves this file right now, be it this process; of a shared database the nodes tell.
    pub fn is_served(&self) -> bool {
        self.is_shared() || open::is_served(&self.path)
    }

    /// Closes the database: what was handed in before is kept, and nothing can be read or written any more. A file stands
    /// alone then; without it, a process that ends leaves folding the WAL back to the next start.
    pub async fn close(&self) {
        let background = self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.is_shared() {
            self.closing.notify_one();
            if let Some(task) = background {
                let _ = task.await;
            }
            self.writer.close().await;
            return;
        }
        // A download that somebody does not read must not hold up a stop.
        if tokio::time::timeout(CLOSING, self.readers.close()).await.is_err() {
            tracing::warn!("a reading was cut off");
        }
        if let Some(task) = background {
            self.closing.notify_one();
            let _ = task.await;
        }
        self.writer.close().await;
    }

    /// Makes what a shared database needs for the time ahead; a file needs nothing.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn prepare_ahead(&self) -> Result<(), StoreError> {
        match &self.readers {
            Readers::Sqlite(_) => Ok(()),
            Readers::Postgres(pool) => Ok(postgres::partitions::make(pool, self.clock.now()).await?),
        }
    }

    /// Drops what a shared database keeps of a time before: whole partitions, where all of their rows are so old. A file has none.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn drop_partitions(
        &self,
        callbacks: Option<Millis>,
        messages: Option<Millis>,
    ) -> Result<Vec<String>, StoreError> {
        match &self.readers {
            Readers::Sqlite(_) => Ok(Vec::new()),
            Readers::Postgres(pool) => Ok(postgres::partitions::drop_old(pool, callbacks, messages).await?),
        }
    }

    /// How many lanes this database has.
    pub fn lanes(&self) -> Lanes {
        self.lanes
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where what is written for a moment stands: beside the file, or where the options say.
    pub fn directory(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// News of work, for the lanes' owner.
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        db::query("select 1").execute(&self.readers).await?;
        Ok(())
    }

    /// What the writer's time has gone to since the store was opened, by kind of work.
    pub fn writer_work(&self) -> Vec<(&'static str, Work)> {
        self.writer.context.work.read()
    }

    /// Inbox rows appended since the store was opened: whether callbacks are coming in.
    pub fn appended(&self) -> u64 {
        self.writer.context.work.rows(Kind::Append)
    }

    /// Forgets what was appended last, as a restart does.
    #[cfg(feature = "testing")]
    pub fn forget_recent(&self) {
        self.writer.context.recent.forget();
    }

    /// Begins what an owner does in a lane and stands still in the midst of it, as a process that is stopped.
    ///
    /// # Errors
    /// Where the database is away, or is none that is shared.
    #[cfg(feature = "testing")]
    pub async fn stand_still_in(&self, lane: Lane) -> Result<crate::testing::StandingStill, StoreError> {
        let Readers::Postgres(pool) = &self.readers else { return Err(StoreError::Corrupt("the engine")) };
        crate::testing::StandingStill::begin(pool, lane.0).await
    }

    /// Lets every commit take so much longer: a slower disk, for benches.
    #[cfg(feature = "testing")]
    pub fn delay_commits(&self, delay: std::time::Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(0);
        self.writer.context.delay.store(micros, std::sync::atomic::Ordering::Relaxed);
    }

    /// How safe a commit is: the writer's `journal_mode` and `synchronous` (`wal` and 2, which is FULL).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn durability(&self) -> Result<(String, i64), StoreError> {
        self.writer
            .cold(|db, _| {
                Box::pin(async move {
                    let journal = db::query_scalar("pragma journal_mode").fetch_one(&mut *db).await?;
                    let synchronous = db::query_scalar("pragma synchronous").fetch_one(db).await?;
                    Ok((journal, synchronous))
                })
            })
            .await
    }

    /// The head of a queue: messages that are due, in order.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn claim(
        &self,
        lane: Lane,
        queue: Queue,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<Claimed>, StoreError> {
        claim::claim(&self.readers, lane, queue, now, limit).await
    }

    /// Every queue of these lanes that holds something.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn waiting(&self, lanes: &[Lane]) -> Result<Vec<Waiting>, StoreError> {
        if !self.is_shared() {
            return claim::queues(&self.readers, None).await;
        }
        let mut all = Vec::new();
        for lane in lanes {
            all.extend(claim::queues(&self.readers, Some(*lane)).await?);
        }
        Ok(all)
    }

    /// Makes attempts durable; tells which of them may start.
    ///
    /// # Errors
    /// Where the database is away: then none may start.
    pub async fn arm(&self, attempts: Vec<Arm>) -> Result<Vec<bool>, StoreError> {
        self.writer.call(Job::Arm, attempts).await
    }

    /// Keeps the outcomes of attempts; tells which of them counted.
    ///
    /// # Errors
    /// Where the database is away: then they must be kept and given again.
    pub async fn settle(&self, outcomes: Vec<Settlement>) -> Result<Vec<bool>, StoreError> {
        let settled: Vec<MessageId> = outcomes.iter().map(|outcome| outcome.id).collect();
        let counted = self.writer.call(Job::Settle, outcomes).await?;
        self.hints.over(&settled);
        self.hints.something_settled();
        Ok(counted)
    }
}

/// Turns a foreign commit into "look everywhere".
async fn watch_foreign(foreign: Arc<Notify>, hints: std::sync::Weak<Hints>) {
    loop {
        foreign.notified().await;
        let Some(hints) = hints.upgrade() else { return };
        hints.look_everywhere();
    }
}
