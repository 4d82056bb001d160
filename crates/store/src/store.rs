//! Opening a database, and the handle that everybody else holds.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use domain::lane::DEFAULT_LANES;
use domain::{Clock, Entropy, Lane, Lanes, LedgerIds, MessageId, Millis};
use sqlx::SqlitePool;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::error::{OpenError, StoreError};
use crate::hot::arm::Arm;
use crate::hot::claim::{self, Claimed, Waiting};
use crate::hot::enqueue::Queue;
use crate::hot::recent::Recent;
use crate::hot::settle::Settlement;
use crate::secrets::MasterKey;
use crate::sqlite::checkpoint;
use crate::sqlite::open::{self, Opened};
use crate::sqlite::work::{Kind, Meter, Work};
use crate::sqlite::writer::{Context, Job, Writer};
use crate::templates::TemplateIds;

/// How long a stop waits for readings under way.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(2);

/// What a process wants to do with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Own the lanes: apply, send. One per SQLite file.
    Worker,
    /// Anything else, beside a running worker: append, read, administer.
    Guest,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// `sqlite:PATH`.
    pub url: String,
    /// The key of its secrets.
    pub master: MasterKey,
    /// What for.
    pub role: Role,
}

/// A handle to an open database; cloning is cheap. The writer ends when the last clone is gone.
#[derive(Clone)]
pub struct Store {
    pub(crate) writer: Writer,
    pub(crate) readers: SqlitePool,
    pub(crate) master: MasterKey,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) hints: Arc<Hints>,
    lanes: Lanes,
    path: Arc<PathBuf>,
    closing: Arc<Notify>,
    checkpointer: Arc<Mutex<Option<JoinHandle<()>>>>,
    /// Keeps the worker's lock file open.
    _lock: Arc<Option<std::fs::File>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
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

/// Whether a worker serves this database right now.
///
/// # Errors
/// [`OpenError::Unsupported`] for a URL that this version does not serve.
pub fn is_served(url: &str) -> Result<bool, OpenError> {
    Ok(open::is_served(&sqlite_path(url)?))
}

/// The migrations that opening would run, without running them.
///
/// # Errors
/// Where the file cannot be read.
pub async fn pending_migrations(url: &str) -> Result<Vec<String>, OpenError> {
    open::pending_migrations(&sqlite_path(url)?).await
}

impl Store {
    /// Opens a database, making and migrating it where needed.
    ///
    /// # Errors
    /// See [`OpenError`]: a wrong master key, a second worker, a file that cannot be used.
    pub async fn open(
        options: OpenOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let path = sqlite_path(&options.url)?;
        let Opened { mut writer, readers, checkpointer, lock } =
            open::open(&path, options.role == Role::Worker).await?;
        let lanes = settle_meta(&mut writer, &options.master, clock.now()).await?;
        let last: i64 =
            sqlx::query_scalar("select coalesce(max(id), 0) from ledger").fetch_one(&mut writer).await?;
        let context = Context {
            ledger_ids: LedgerIds::after(last),
            templates: TemplateIds::default(),
            recent: Recent::default(),
            work: Meter::default(),
            fold: Default::default(),
            scrub: Default::default(),
            #[cfg(feature = "testing")]
            delay: Default::default(),
        };
        let seen: i64 = sqlx::query_scalar("pragma data_version").fetch_one(&mut writer).await?;
        let context = Arc::new(context);
        let closing = Arc::new(Notify::new());
        let checkpointer = checkpointer
            .map(|db| tokio::spawn(checkpoint::run(db, Arc::downgrade(&context), Arc::clone(&closing))));
        let writer = Writer::start(writer, context, seen, options.role == Role::Worker);
        let hints = Arc::new(Hints::default());
        tokio::spawn(watch_foreign(Arc::clone(&writer.foreign), Arc::downgrade(&hints)));
        Ok(Self {
            writer,
            readers,
            master: options.master,
            entropy,
            hints,
            lanes,
            path: Arc::new(path),
            closing,
            checkpointer: Arc::new(Mutex::new(checkpointer)),
            _lock: Arc::new(lock),
        })
    }

    /// Closes the database: what was handed in before is kept, the WAL is folded back, so that the file stands alone, and
    /// nothing can be read or written any more. Without it, a process that ends leaves that to the next start.
    pub async fn close(&self) {
        // A download that somebody does not read must not hold up a stop.
        if tokio::time::timeout(CLOSING, self.readers.close()).await.is_err() {
            tracing::warn!("a reading was cut off");
        }
        let checkpointer = self.checkpointer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = checkpointer {
            self.closing.notify_one();
            let _ = task.await;
        }
        self.writer.close().await;
    }

    /// How many lanes this database has.
    pub fn lanes(&self) -> Lanes {
        self.lanes
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that it lies in: what is written for a moment stands there too.
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
        sqlx::query("select 1").execute(&self.readers).await?;
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
                    let journal = sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *db).await?;
                    let synchronous = sqlx::query_scalar("pragma synchronous").fetch_one(db).await?;
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

    /// Every queue that holds something.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        claim::queues(&self.readers).await
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

/// The lanes of the database and the id of its master key: written once, compared ever after.
async fn settle_meta(
    db: &mut sqlx::SqliteConnection,
    master: &MasterKey,
    now: Millis,
) -> Result<Lanes, OpenError> {
    let read = "select value from meta where key = $1";
    let first =
        [("lanes", DEFAULT_LANES.to_string()), ("master_key", master.id()), ("created_at", now.to_string())];
    for (key, value) in first {
        // Only the first time: a command beside a busy server should not queue for the writer's lock in vain.
        if sqlx::query_scalar::<_, String>(read).bind(key).fetch_optional(&mut *db).await?.is_some() {
            continue;
        }
        sqlx::query("insert into meta (key, value) values ($1, $2) on conflict do nothing")
            .bind(key)
            .bind(value)
            .execute(&mut *db)
            .await?;
    }
    let expected: String = sqlx::query_scalar(read).bind("master_key").fetch_one(&mut *db).await?;
    if expected != master.id() {
        return Err(OpenError::WrongMasterKey { expected, given: master.id() });
    }
    let lanes: String = sqlx::query_scalar(read).bind("lanes").fetch_one(db).await?;
    lanes.parse().map(Lanes::new).map_err(|_| StoreError::Corrupt("meta.lanes").into())
}

/// Turns a foreign commit into "look everywhere".
async fn watch_foreign(foreign: Arc<Notify>, hints: std::sync::Weak<Hints>) {
    loop {
        foreign.notified().await;
        let Some(hints) = hints.upgrade() else { return };
        hints.look_everywhere();
    }
}

/// What is new since somebody last asked. A hint only makes things quick: the poll finds the same work.
#[derive(Debug, Default)]
pub struct Hints {
    news: Mutex<News>,
    work: Notify,
    settled: Notify,
    /// Armed messages that were cancelled: a call of theirs that has not started must not start any more (I15).
    forbidden: Mutex<HashSet<MessageId>>,
}

/// Where to look for work.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct News {
    /// Queues that got messages.
    pub queues: HashSet<(Lane, Queue)>,
    /// Whether inbox rows wait that nobody hands over.
    pub inbox: bool,
    /// Another process wrote: look at everything.
    pub everywhere: bool,
}

impl Hints {
    /// Takes the news, leaving none.
    pub fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is news.
    pub async fn wait(&self) {
        self.work.notified().await;
    }

    /// Says that a look everywhere is due.
    pub fn look_everywhere(&self) {
        self.tell(|news| news.everywhere = true);
    }

    /// Whether a message that is armed was cancelled in this process since.
    pub fn is_forbidden(&self, id: MessageId) -> bool {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    pub(crate) fn forbid(&self, id: MessageId) {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// These attempts are over.
    fn over(&self, ids: &[MessageId]) {
        let mut forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        if !forbidden.is_empty() {
            forbidden.retain(|id| !ids.contains(id));
        }
    }

    pub(crate) fn queued(&self, queues: impl Iterator<Item = (Lane, Queue)>) {
        self.tell(|news| news.queues.extend(queues));
    }

    pub(crate) fn replayed(&self) {
        self.tell(|news| news.inbox = true);
    }

    pub(crate) fn something_settled(&self) {
        self.settled.notify_waiters();
    }

    /// Resolves after the next commit of outcomes or receipts.
    pub(crate) fn settled(&self) -> impl Future<Output = ()> + '_ {
        let mut notified = Box::pin(self.settled.notified());
        notified.as_mut().enable();
        notified
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.work.notify_one();
    }
}
