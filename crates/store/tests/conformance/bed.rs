//! The test bed: a store with its lanes taken, time that stands still, and short words for what tests do all the time.

use std::sync::Arc;

use domain::ledger::{Subscription, TemplateKind};
use domain::message::{Outcome, State};
use domain::{Clock, Entropy, InboxId, Lane, ManualClock, MessageId, Millis, SeededEntropy};
use sha2::{Digest, Sha256};
use store::changes::ReadyKey;
use store::hot::append::{Appended, InboxKind, NewInboxRow};
use store::hot::apply::{Act, ActKind, Application, Pending, ToApply};
use store::hot::arm::Arm;
use store::hot::claim::Waiting;
use store::hot::enqueue::{Enqueued, Idempotency, NewMessage, Priority, Queue};
use store::hot::settle::{Settled, Settlement};
use store::lanes::Epochs;
use store::messages::StoredMessage;
use store::templates::SyncedTemplate;
use store::testing::TempPostgres;
use store::{MasterKey, OpenOptions, Role, Store};

/// The app of nearly every test.
pub(crate) const APP: i64 = 1;
/// The template of nearly every test.
pub(crate) const T: &str = "template-one";
/// Of one store to the tests' PostgreSQL, which many tests share.
const CONNECTIONS: u32 = 6;
/// When every test begins.
pub(crate) const START: Millis = 1_800_000_000_000;

/// A store and what a test needs beside it.
pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<SeededEntropy>,
    pub(crate) master: MasterKey,
    pub(crate) epochs: Epochs,
    /// Number of [`T`].
    pub(crate) template: i64,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) url: String,
}

/// An armed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) settlement: Settlement,
    pub(crate) queue: Queue,
    pub(crate) due_at: Millis,
    pub(crate) expire_at: Millis,
}

impl Bed {
    /// A fresh SQLite store as a worker has it.
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = url(&dir);
        Self::new(url, dir).await
    }

    /// A fresh database of the tests' PostgreSQL; none where there is no PostgreSQL.
    pub(crate) async fn postgres(test: &str) -> Option<Self> {
        let url = fresh_database(test).await?;
        Some(Self::new(url, tempfile::tempdir().unwrap()).await)
    }

    /// A database of a server that the test started itself.
    pub(crate) async fn at(url: String) -> Self {
        Self::new(url, tempfile::tempdir().unwrap()).await
    }

    async fn new(url: String, dir: tempfile::TempDir) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let entropy = Arc::new(SeededEntropy::new(7));
        let (master, _) = MasterKey::generate(&*entropy);
        let mut options = OpenOptions::new(url.clone(), master.clone(), Role::Worker);
        options.connections = CONNECTIONS;
        let store = Store::open(options, clock.clone(), entropy.clone()).await.unwrap();
        let epochs = store.take_all_lanes("bed".into(), START).await.unwrap();
        let mut bed = Self { store, clock, entropy, master, epochs, template: 0, dir, url };
        bed.template = bed.sync(T, TemplateKind::OneTime).await;
        bed
    }

    /// Opens the same database once more.
    pub(crate) async fn open(&self, role: Role) -> Result<Store, store::OpenError> {
        let mut options = OpenOptions::new(self.url.clone(), self.master.clone(), role);
        options.connections = CONNECTIONS;
        Store::open(options, self.clock.clone(), self.entropy.clone()).await
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// A page of ending what is over; on a shared database, all lanes of it.
    pub(crate) async fn expire(
        &self,
        now: Millis,
        after: Option<ReadyKey>,
        examined: i64,
    ) -> (u64, Option<ReadyKey>) {
        let lanes: Vec<Lane> = self.store.lanes().iter().collect();
        let mut all = 0;
        let mut after = after;
        loop {
            let (ended, next) = self.store.expire(&lanes, now, after, examined).await.unwrap();
            all += ended;
            // Of a shared database the end of a lane is a page of its own.
            let ends = next.as_ref().is_none_or(|next| !self.store.is_shared() || next.1 != i64::MIN);
            if ends {
                return (all, next);
            }
            after = next;
        }
    }

    /// What waits, in all lanes.
    pub(crate) async fn waiting(&self) -> Vec<Waiting> {
        let lanes: Vec<Lane> = self.store.lanes().iter().collect();
        self.store.waiting(&lanes).await.unwrap()
    }

    /// What waits to be applied, in arrival order, whether the engine reads it lane by lane or not.
    pub(crate) async fn pending(&self, after: Option<InboxId>, limit: i64) -> Vec<Pending> {
        if !self.store.is_shared() {
            return self.store.pending(Lane(0), after, limit).await.unwrap();
        }
        let mut all = Vec::new();
        for lane in self.store.lanes().iter() {
            all.extend(self.store.pending(lane, after, limit).await.unwrap());
        }
        all.sort_by_key(|row| row.id);
        all.truncate(usize::try_from(limit).unwrap());
        all
    }

    /// What owners before these left.
    pub(crate) async fn orphans(&self, epochs: &Epochs, at: Millis, limit: i64) -> Vec<Settlement> {
        let mut all = Vec::new();
        for held in epochs.iter() {
            all.extend(self.store.orphans(held, at, limit).await.unwrap());
        }
        all.truncate(usize::try_from(limit).unwrap());
        all
    }

    pub(crate) fn lane(&self, openid: &str) -> Lane {
        self.store.lanes().of_openid(openid)
    }

    /// Makes a template known as `kind`; gives its number.
    pub(crate) async fn sync(&self, template_id: &str, kind: TemplateKind) -> i64 {
        let template = SyncedTemplate {
            template_id: template_id.into(),
            title: template_id.into(),
            kind,
            content: String::new(),
            example: String::new(),
            fields: "[]".into(),
        };
        self.store.sync_templates(APP, vec![template], self.now()).await.unwrap();
        self.store.template(APP, template_id).await.unwrap().unwrap().number
    }

    /// An inbox row; its digest is that of kind, openid, time and body.
    pub(crate) fn row(&self, kind: InboxKind, openid: &str, event_at: Millis, body: &str) -> NewInboxRow {
        let text = format!("{}|{openid}|{event_at}|{body}", kind.as_str());
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(text)[..16]);
        NewInboxRow {
            id: InboxId::new(self.now(), self.lane(openid), &*self.entropy),
            app: APP,
            event_at,
            digest,
            received_at: self.now(),
            kind,
            openid: openid.into(),
            body: body.into(),
            verdict: None,
            reason: None,
            relay: None,
        }
    }

    /// What the owner makes of an appended row.
    pub(crate) fn to_apply(&self, row: &NewInboxRow, acts: Vec<Act>) -> ToApply {
        ToApply {
            id: row.id,
            epoch: self.epochs.of(row.id.lane()),
            app: APP,
            openid: row.openid.clone(),
            at: self.now(),
            acts,
            set_aside: None,
            erase: None,
        }
    }

    /// Appends an event and gives what there is to apply.
    pub(crate) async fn arrive(&self, kind: InboxKind, openid: &str, acts: Vec<Act>) -> ToApply {
        let unique = format!("{acts:?} {}", self.entropy.next_u64());
        let row = self.row(kind, openid, self.now(), &unique);
        let to_apply = self.to_apply(&row, acts);
        assert_eq!(self.store.append(vec![row]).await.unwrap(), [Appended::New]);
        to_apply
    }

    /// Appends an event and applies it.
    pub(crate) async fn event(&self, openid: &str, acts: Vec<Act>) -> Application {
        let row = self.arrive(InboxKind::Popup, openid, acts).await;
        self.store.apply(vec![row]).await.unwrap()[0]
    }

    /// So many accepts in popups, now.
    pub(crate) async fn grant(&self, openid: &str, count: usize) {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(
                self.arrive(InboxKind::Popup, openid, vec![act(T, ActKind::Grant { at: self.now() })]).await,
            );
        }
        let outcome = self.store.apply(events).await.unwrap();
        assert!(outcome.iter().all(|done| *done == Application::Done), "{outcome:?}");
    }

    /// The sent event of a message to `openid`.
    pub(crate) async fn receipt(&self, openid: &str, msgid: Option<u64>, code: i64) -> Application {
        let row = self.arrive(InboxKind::Sent, openid, vec![receipt(msgid, code, self.now())]).await;
        self.store.apply(vec![row]).await.unwrap()[0]
    }

    /// A message that is due now, of [`T`] and normal priority.
    pub(crate) fn message(&self, openid: &str) -> NewMessage {
        NewMessage {
            id: MessageId::new(self.now(), self.lane(openid), &*self.entropy),
            app: APP,
            template: self.template,
            openid: openid.into(),
            queue: Queue::single(APP, Priority::Normal),
            data: r#"{"thing1":"水费"}"#.into(),
            page: Some("pages/bill?id=1".into()),
            version: "formal".into(),
            lang: "zh_CN".into(),
            due_at: self.now(),
            expire_at: self.now() + 72 * 3_600_000,
            state: State::Queued,
            idempotency: None,
            needs_grant: false,
        }
    }

    /// Such a message with an idempotency key.
    pub(crate) fn keyed(&self, openid: &str, key: &str, body: u8) -> NewMessage {
        let lane = self.store.lanes().of_key(APP, key);
        let idempotency = Some(Idempotency { lane, key: key.into(), digest: [body; 32] });
        NewMessage { idempotency, ..self.message(openid) }
    }

    pub(crate) async fn enqueue(&self, message: NewMessage) -> Enqueued {
        self.store.enqueue(vec![message]).await.unwrap()[0]
    }

    /// Enqueues a plain message.
    pub(crate) async fn queued(&self, openid: &str) -> MessageId {
        let message = self.message(openid);
        let id = message.id;
        assert_eq!(self.enqueue(message).await, Enqueued::Accepted);
        id
    }

    /// Arms a message that waits, whatever its queue; panics where it does not wait.
    pub(crate) async fn arm(&self, id: MessageId) -> Flight {
        let (arm, flight) = self.ready(id).await;
        assert_eq!(self.store.arm(vec![arm]).await.unwrap(), [true], "{id} is armed");
        flight
    }

    /// What arming a waiting message takes, and the flight that it begins.
    pub(crate) async fn ready(&self, id: MessageId) -> (Arm, Flight) {
        let stored = self.stored(id).await;
        let heads = self.store.claim(id.lane(), stored.queue, self.now(), 10_000).await.unwrap();
        let head = heads.into_iter().find(|head| head.id == id).expect("the message waits and is due");
        let epoch = self.epochs.of(id.lane());
        let attempt = head.attempts + 1;
        let (queue, due_at) = (head.queue, head.due_at);
        let arm = Arm {
            lane: head.lane,
            epoch,
            queue,
            due_at,
            id,
            before: head.state,
            attempt,
            at: self.now(),
            doubtful: false,
        };
        let settlement = Settlement {
            lane: head.lane,
            epoch,
            id,
            attempt,
            template: head.template,
            openid: head.openid,
            attempt_at: self.now(),
            at: self.now(),
            result: Settled::Outcome(Outcome::Unknown),
            errcode: None,
            errmsg: None,
        };
        (arm, Flight { settlement, queue, due_at, expire_at: head.expire_at })
    }

    /// Settles an attempt; gives whether it counted.
    pub(crate) async fn settle(&self, flight: &Flight, result: Settled) -> bool {
        let settlement = Settlement { result, at: self.now(), ..flight.settlement.clone() };
        self.store.settle(vec![settlement]).await.unwrap()[0]
    }

    /// Enqueues, arms, settles.
    pub(crate) async fn sent(&self, openid: &str, outcome: Outcome) -> MessageId {
        let id = self.queued(openid).await;
        let flight = self.arm(id).await;
        assert!(self.settle(&flight, Settled::Outcome(outcome)).await);
        id
    }

    pub(crate) async fn stored(&self, id: MessageId) -> StoredMessage {
        self.store.message(APP, id).await.unwrap().expect("the message is stored")
    }

    pub(crate) async fn state(&self, id: MessageId) -> State {
        self.stored(id).await.position.state
    }

    /// Subscription and open messages of [`T`].
    pub(crate) async fn subscription(&self, openid: &str) -> (Subscription, i64) {
        let found = self.store.subscriptions_of(APP, openid, Some(T)).await.unwrap();
        found.into_iter().next().map(|s| (s.subscription, s.reserved)).unwrap_or_default()
    }

    pub(crate) async fn balance(&self, openid: &str) -> i64 {
        self.subscription(openid).await.0.balance
    }

    /// I8 for everybody: the entries add up to the balance, each to the balance beside it, oldest first.
    pub(crate) async fn check_ledgers(&self) -> usize {
        let (all, next) = self.store.subscriptions(APP, None, None, 100_000).await.unwrap();
        assert_eq!(next, None);
        for s in &all {
            let entries = self.store.ledger_of(APP, &s.openid, &s.template_id).await.unwrap();
            let mut sum = 0;
            for stored in &entries {
                sum += stored.entry.delta;
                assert_eq!(stored.entry.balance, sum, "{} {entries:?}", s.openid);
                assert!(sum >= 0);
            }
            assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id), "oldest first");
            assert_eq!(s.subscription.balance, sum, "{} {entries:?}", s.openid);
        }
        all.len()
    }
}

impl Flight {
    /// Tried again from now on.
    pub(crate) fn again(&self, due_at: Millis, ambiguous: bool) -> Settled {
        Settled::Again { queue: self.queue, due_at, expire_at: self.expire_at, ambiguous }
    }

    pub(crate) fn given_back(&self) -> Settled {
        Settled::GivenBack { queue: self.queue, due_at: self.due_at, expire_at: self.expire_at }
    }
}

pub(crate) fn url(dir: &tempfile::TempDir) -> String {
    format!("sqlite:{}", dir.path().join("hongyan.db").display())
}

pub(crate) fn act(template_id: &str, kind: ActKind) -> Act {
    Act { template_id: template_id.into(), kind }
}

pub(crate) fn receipt(msgid: Option<u64>, code: i64, at: Millis) -> Act {
    let status = if code == 0 { "success" } else { "failed:system failed" }.to_owned();
    act(T, ActKind::Receipt { msgid, code, status, at })
}

/// The n-th person.
pub(crate) fn openid(n: usize) -> String {
    format!("oTEST{n:023}")
}

pub(crate) const ACCEPTED: Outcome = Outcome::Accepted { msgid: None };

pub(crate) fn accepted(msgid: u64) -> Outcome {
    Outcome::Accepted { msgid: Some(msgid) }
}

/// A URL of an empty database, in the one PostgreSQL of this process.
pub(crate) async fn fresh_database(test: &str) -> Option<String> {
    let test = test.to_owned();
    let made =
        tokio::task::spawn_blocking(move || Some(TempPostgres::shared(&test)?.fresh_database().unwrap()));
    made.await.unwrap()
}

/// A connection beside the store's, for what a test looks at with its own words.
pub(crate) enum Raw {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Raw {
    pub(crate) async fn of(bed: &Bed) -> Self {
        use sqlx::ConnectOptions;
        if bed.store.is_shared() {
            let options: sqlx::postgres::PgConnectOptions = bed.url.parse().unwrap();
            return Self::Postgres(options.connect().await.unwrap());
        }
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(bed.store.path()).read_only(true);
        Self::Sqlite(options.connect().await.unwrap())
    }

    pub(crate) async fn number(&mut self, sql: &'static str) -> i64 {
        match self {
            Self::Sqlite(db) => sqlx::query_scalar(sql).fetch_one(db).await.unwrap(),
            Self::Postgres(db) => sqlx::query_scalar(sql).fetch_one(db).await.unwrap(),
        }
    }

    /// An id and two numbers.
    pub(crate) async fn rows(&mut self, sql: &'static str) -> Vec<(Vec<u8>, i64, i64)> {
        match self {
            Self::Sqlite(db) => sqlx::query_as(sql).fetch_all(db).await.unwrap(),
            Self::Postgres(db) => sqlx::query_as(sql).fetch_all(db).await.unwrap(),
        }
    }

    /// The tables in which a word stands, as text or inside bytes: every row of every table is looked at.
    pub(crate) async fn tables_with(&mut self, word: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (table, test) in self.tables().await {
            let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table} t where {test}"));
            let (text, hex) = (word.to_owned(), hex(word));
            let count: i64 = match self {
                Self::Sqlite(db) => sqlx::query_scalar(sql).bind(text).bind(hex).fetch_one(db).await.unwrap(),
                Self::Postgres(db) => {
                    sqlx::query_scalar(sql).bind(text).bind(hex).fetch_one(db).await.unwrap()
                }
            };
            if count > 0 {
                found.push(table);
            }
        }
        found.sort_unstable();
        found
    }

    /// Every table, with what tells whether a row of it holds `$1`, or as hex `$2`.
    async fn tables(&mut self) -> Vec<(String, String)> {
        match self {
            Self::Sqlite(db) => {
                let sql = "select m.name, group_concat('instr(cast(t.' || c.name || ' as text), $1) > 0 or instr(lower(hex(t.' || c.name
                    || ')), $2) > 0', ' or ') from sqlite_schema m join pragma_table_info(m.name) c
                    where m.type = 'table' and m.name not like 'sqlite_%' group by m.name";
                sqlx::query_as(sql).fetch_all(db).await.unwrap()
            }
            Self::Postgres(db) => {
                let sql = "select c.relname::text, 'strpos(t::text, $1) > 0 or strpos(t::text, $2) > 0' from pg_class c
                    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition";
                sqlx::query_as(sql).fetch_all(db).await.unwrap()
            }
        }
    }
}

fn hex(word: &str) -> String {
    word.bytes().map(|byte| format!("{byte:02x}")).collect()
}
