//! Callbacks on their way to a team's other server: queued in the commit of their inbox row, read by the engine, marked by
//! what became of them. The content is sealed, and goes once it was delivered or given up; the mark stays.

use domain::{InboxId, Millis};

use crate::Store;
use crate::db::{self, Db, Row};
use crate::error::StoreError;
use crate::hot::append::NewInboxRow;
use crate::hot::{hex, json, uuid, values};
use crate::messages::first_id_of;

/// What a callback consists of for whoever gets it passed on: byte for byte as WeChat sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The query string, without its `?`.
    pub query: String,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Pushed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pushed({} bytes)", self.body.len())
    }
}

/// How a callback that is being appended is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewRelay {
    /// Later, from the queue: the sealed content.
    Queued(Vec<u8>),
    /// At once, by whoever appends it; only the mark is kept.
    AtOnce,
}

/// Where a callback stands on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayState {
    /// It is tried, again where need be.
    Waiting,
    /// The other server answered 2xx.
    Delivered,
    /// It is not tried any more.
    GivenUp,
    /// It was passed on at once, and nobody knows (yet) what came of it.
    UnderWay,
}

impl RelayState {
    fn code(self) -> i16 {
        match self {
            Self::Waiting => 1,
            Self::Delivered => 2,
            Self::GivenUp => 3,
            Self::UnderWay => 4,
        }
    }

    fn from_code(code: i16) -> Self {
        match code {
            1 => Self::Waiting,
            2 => Self::Delivered,
            3 => Self::GivenUp,
            _ => Self::UnderWay,
        }
    }
}

/// What is known of a callback's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelay {
    /// Where it stands.
    pub state: RelayState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was last tried.
    pub last_at: Option<Millis>,
    /// The HTTP status that the other server answered.
    pub last_status: Option<i64>,
    /// Why there was none.
    pub last_error: Option<String>,
    /// When it is tried next, while it waits.
    pub due_at: Millis,
}

/// A callback that is due.
#[derive(Debug, Clone)]
pub struct DueRelay {
    /// Its inbox row.
    pub id: InboxId,
    /// How often it was tried.
    pub attempts: i64,
    /// What to pass on; none where it cannot be opened any more.
    pub pushed: Option<Pushed>,
}

/// What came of one try.
#[derive(Debug, Clone)]
pub struct RelayTried {
    /// Its inbox row.
    pub id: InboxId,
    /// When.
    pub at: Millis,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// Where it stands now.
    pub state: RelayState,
    /// When it is tried next, where it waits.
    pub due_at: Millis,
}

const INSERT: &str = "
insert into relay (inbox, lane, app, event_at, digest, state, attempts, due_at, content)";
const ONCE: &str = "on conflict do nothing returning inbox";
const APPS: &str = "
with recursive next (app) as (
    select * from (select app from relay where state = 1 order by app limit 1) lowest
    union all
    select (select app from relay where state = 1 and app > next.app order by app limit 1) from next where app is not null
)
select app from next where app is not null";
const DUE: &str = "
select inbox, attempts, content from relay where state = 1 and app = $1 and due_at <= $2 order by app, inbox limit $3";
const TRIED: &str = "
update relay set state = b.state, attempts = relay.attempts + 1, due_at = b.due_at, last_at = b.last_at,
    last_status = b.last_status, last_error = b.last_error, content = case when b.state = 1 then relay.content end
from [$1: lane int2, id id, state int2, due_at int8, last_at int8, last_status int8, last_error text] b
where relay.lane = b.lane and relay.inbox = b.id and relay.state in (1, 4)";
const OVER: &str = "
update relay set state = 3, content = null where <<inbox|(lane, inbox)>> in
    (select <<inbox|lane, inbox>> from relay where state = 1 and app = $1 and inbox < $2 order by inbox limit 5000)";
const STOPPED: &str = "
update relay set state = 3, content = null, last_error = 'relay_url was removed' where app = $1 and state = 1";
/// What a removed app leaves; `$1` is its AppID.
pub(crate) const STOP: &str = "
update relay set state = 3, content = null, last_error = 'the app was removed'
where state = 1 and app = (select id from app where app_id = $1)";

/// Queues the rows of a batch that are to be passed on; gives those that were passed on (or queued) before.
pub(crate) async fn queue(db: &mut Db, rows: &[&NewInboxRow]) -> Result<Vec<InboxId>, StoreError> {
    let mut before = Vec::new();
    for part in rows.chunks(values::MOST) {
        let query = values::insert(db.engine(), INSERT, part, ONCE, |query, row| {
            let (state, content) = match &row.relay {
                Some(NewRelay::Queued(content)) => (RelayState::Waiting, Some(content.as_slice())),
                _ => (RelayState::UnderWay, None),
            };
            query
                .bind(row.id.0.as_bytes().as_slice())
                .bind(row.id.lane().0)
                .bind(row.app)
                .bind(row.event_at)
                .bind(row.digest.as_slice())
                .bind(state.code())
                .bind(0i64)
                .bind(row.received_at)
                .bind(content)
        });
        let written = query
            .fetch_all(&mut *db)
            .await?
            .iter()
            .map(|row| Ok(InboxId(uuid(row.try_get(0)?)?)))
            .collect::<Result<std::collections::HashSet<_>, StoreError>>()?;
        before.extend(part.iter().map(|row| row.id).filter(|id| !written.contains(id)));
    }
    Ok(before)
}

impl Store {
    /// Seals what is to be passed on, for the row with this id.
    pub fn seal_relay(&self, id: InboxId, pushed: &Pushed) -> NewRelay {
        let head = serde_json::json!([pushed.query, pushed.content_type]).to_string();
        let plain = [head.as_bytes(), b"\n", &pushed.body].concat();
        NewRelay::Queued(self.master.seal_bytes(&plain, &context(id), &*self.entropy))
    }

    /// The apps that have something to pass on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn relay_apps(&self) -> Result<Vec<i64>, StoreError> {
        Ok(db::query_scalar(APPS).fetch_all(&self.readers).await?)
    }

    /// An app's callbacks that are due, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn relay_due(&self, app: i64, now: Millis, limit: i64) -> Result<Vec<DueRelay>, StoreError> {
        db::query(DUE)
            .bind(app)
            .bind(now)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?
            .iter()
            .map(|row| {
                let id = InboxId(uuid(row.try_get(0)?)?);
                let content: Option<Vec<u8>> = row.try_get(2)?;
                let pushed = content.and_then(|sealed| self.opened_relay(id, &sealed));
                Ok(DueRelay { id, attempts: row.try_get(1)?, pushed })
            })
            .collect()
    }

    fn opened_relay(&self, id: InboxId, sealed: &[u8]) -> Option<Pushed> {
        let plain = self.master.open_bytes(sealed, &context(id)).ok()?;
        let end = plain.iter().position(|byte| *byte == b'\n')?;
        let (query, content_type) = serde_json::from_slice(&plain[..end]).ok()?;
        Some(Pushed { query, content_type, body: plain[end + 1..].to_vec() })
    }

    /// Keeps what came of tries; returns when it is durable.
    ///
    /// # Errors
    /// Where the database is away: then it must be kept and given again, or it is passed on twice.
    pub async fn relay_tried(&self, tried: &[RelayTried]) -> Result<(), StoreError> {
        let rows: Vec<_> = tried
            .iter()
            .map(|one| {
                let (lane, id) = (one.id.lane().0, hex(one.id.0));
                (lane, id, one.state.code(), one.due_at, one.at, one.status, one.error.as_deref())
            })
            .collect();
        let rows = json(&rows)?;
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(TRIED).bind(rows).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Ends what waits of an app that passes nothing on any more.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn relay_stopped(&self, app: i64) -> Result<u64, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move { Ok(db::query(STOPPED).bind(app).execute(db).await?.rows_affected()) })
            })
            .await
    }

    /// Gives up what came before `before` and still waits, some thousands at a time; gives how many.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn relay_over(&self, before: Millis) -> Result<u64, StoreError> {
        let before = first_id_of(before);
        let mut over = Vec::new();
        for app in self.relay_apps().await? {
            let oldest: Option<Vec<u8>> = db::query_scalar(
                "select inbox from relay where state = 1 and app = $1 order by inbox limit 1",
            )
            .bind(app)
            .fetch_optional(&self.readers)
            .await?;
            over.extend(oldest.filter(|oldest| *oldest < before).map(|_| app));
        }
        let mut count = 0;
        for app in over {
            let before = before.clone();
            count += self
                .writer
                .cold(move |db, _| {
                    Box::pin(async move {
                        Ok(db::query(OVER).bind(app).bind(before).execute(db).await?.rows_affected())
                    })
                })
                .await?;
        }
        Ok(count)
    }

    /// How many callbacks wait, by app.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn relay_backlog(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        let count = "select app, count(*) from relay where state = 1 group by app";
        Ok(db::query_as(count).fetch_all(&self.readers).await?)
    }

    /// What is known of a callback's way; none where it was not to be passed on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn relay_of(&self, id: InboxId) -> Result<Option<StoredRelay>, StoreError> {
        let row = db::query(
            "select state, attempts, last_at, last_status, last_error, due_at from relay where lane = $2 and inbox = $1",
        )
        .bind(id.0.as_bytes().as_slice())
        .bind(id.lane().0)
        .fetch_optional(&self.readers)
        .await?;
        row.as_ref().map(stored).transpose()
    }
}

fn stored(row: &Row) -> Result<StoredRelay, StoreError> {
    Ok(StoredRelay {
        state: RelayState::from_code(row.try_get(0)?),
        attempts: row.try_get(1)?,
        last_at: row.try_get(2)?,
        last_status: row.try_get(3)?,
        last_error: row.try_get(4)?,
        due_at: row.try_get(5)?,
    })
}

pub(crate) fn context(id: InboxId) -> String {
    format!("relay {id}")
}
