//! Webhooks out: endpoints, events, and what became of each delivery. An event is written in the commit that it tells of; who gets
//! it is decided when the deliverer first sees it. Used by the service and the engine.

use domain::Millis;
use secrecy::SecretString;
use uuid::Uuid;

use crate::Store;
use crate::db::{self, Db, Row};
use crate::error::StoreError;
use crate::hot::json;

/// Where events go.
#[derive(Clone)]
pub struct Webhook {
    /// Its number.
    pub number: i64,
    /// Its id.
    pub id: Uuid,
    /// Of which app; none: of all.
    pub app: Option<i64>,
    /// Where to; of a robot only its host.
    pub url: String,
    /// How it is told: `standard`, or a robot's.
    pub form: String,
    /// Of a robot, whose address is a secret: where to.
    pub sealed_url: Option<SecretString>,
    /// Kinds of events.
    pub events: Vec<String>,
    /// A note.
    pub note: Option<String>,
    /// What signs.
    pub secret: SecretString,
    /// What signs too, until a moment.
    pub previous: Option<(SecretString, Millis)>,
    /// Whether anything is delivered.
    pub enabled: bool,
    /// Why not.
    pub disabled_because: Option<String>,
    /// Since when every try failed.
    pub failing_since: Option<Millis>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Millis,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("number", &self.number)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number: never given twice.
    pub number: i64,
    /// The app.
    pub app: i64,
    /// message.accepted, campaign.finished …
    pub kind: String,
    /// What is told, as JSON.
    pub body: String,
    /// When it was noticed.
    pub created_at: Option<Millis>,
}

/// A delivery that is due.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// The event.
    pub event: Event,
    /// How often it was tried.
    pub attempts: i64,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, again where need be.
    Waiting,
    /// Answered 2xx.
    Delivered,
    /// Not tried any more.
    GivenUp,
}

impl DeliveryState {
    fn code(self) -> i16 {
        match self {
            Self::Waiting => 1,
            Self::Delivered => 2,
            Self::GivenUp => 3,
        }
    }
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub struct DeliveryTried {
    /// The endpoint.
    pub webhook: i64,
    /// The event.
    pub event: i64,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it was tried.
    pub at: Millis,
    /// The answer's status.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<String>,
    /// When it is tried again.
    pub due_at: Millis,
}

/// A delivery as it is shown.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    /// The event.
    pub event: Event,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub due_at: Millis,
    /// When it was tried last.
    pub last_at: Option<Millis>,
    /// What was answered.
    pub last_status: Option<i64>,
    /// Why nothing was.
    pub last_error: Option<String>,
}

const ANYBODY: &str = "select exists (select 1 from webhook where enabled)";
const MESSAGE_EVENTS: &str = "
insert into webhook_event (app, kind, body)
select m.app, b.kind, <<json_object|cast(json_build_object>>('message_id', b.told, 'state', b.state, 'to', m.openid, 'template', m.template,
    'campaign', case when m.queue >= 1099511627776 then m.queue - 1099511627776 end)<<| as text)>>
from [$1: id id, kind text, told text, state text] b join message m on m.id = b.id{m.id}";
const READ: &str = "
select number, id, app, url, events, note, secret, previous_secret, previous_until, enabled, disabled_because, failing_since,
    created_by, created_at, form, sealed_url from webhook";

/// Whether anybody wants to know anything: without endpoints an event costs this question per commit.
pub(crate) async fn anybody(db: &mut Db) -> Result<bool, StoreError> {
    Ok(db::query_scalar(ANYBODY).fetch_one(db).await?)
}

/// Notes what became of messages: id in hex, state.
pub(crate) async fn note_messages(
    db: &mut Db,
    moves: &[(String, domain::message::State)],
) -> Result<(), StoreError> {
    let told: Vec<_> = moves
        .iter()
        .filter(|(_, state)| !state.is_open() || *state == domain::message::State::Unknown)
        .filter_map(|(id, state)| {
            let uuid = Uuid::try_parse(id).ok()?;
            Some((id, format!("message.{}", state.as_str()), uuid.to_string(), state.as_str()))
        })
        .collect();
    if told.is_empty() || !anybody(db).await? {
        return Ok(());
    }
    db::query(MESSAGE_EVENTS).bind(json(&told)?).execute(db).await?;
    Ok(())
}

/// Notes one event, where anybody wants to know.
pub(crate) async fn note(db: &mut Db, events: &[(i64, String, String)]) -> Result<(), StoreError> {
    if events.is_empty() || !anybody(db).await? {
        return Ok(());
    }
    db::query(
        "insert into webhook_event (app, kind, body) select b.app, b.kind, b.body from [$1: app int8, kind text, body text] b",
    )
    .bind(json(events)?)
    .execute(db)
    .await?;
    Ok(())
}

pub(crate) fn context(id: Uuid) -> String {
    format!("webhook.secret {id}")
}

impl Store {
    /// Notes something that happened, for whoever wants to know.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn tell(&self, app: i64, kind: &str, body: String) -> Result<(), StoreError> {
        let event = (app, kind.to_owned(), body);
        self.writer.cold(move |db, _| Box::pin(async move { note(db, &[event]).await })).await
    }

    /// Keeps an endpoint, new or changed.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn put_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        let place = context(webhook.id);
        let secret = self.master.seal(&webhook.secret, &place, &*self.entropy);
        let sealed_url = webhook.sealed_url.as_ref().map(|url| self.master.seal(url, &place, &*self.entropy));
        let previous = webhook
            .previous
            .as_ref()
            .map(|(secret, until)| (self.master.seal(secret, &place, &*self.entropy), *until));
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(
                        "insert into webhook (id, app, url, events, note, secret, previous_secret, previous_until, enabled,
                             disabled_because, failing_since, created_by, created_at, form, sealed_url)
                         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
                         on conflict (id) do update set url = excluded.url, events = excluded.events, note = excluded.note,
                             secret = excluded.secret, previous_secret = excluded.previous_secret,
                             previous_until = excluded.previous_until, enabled = excluded.enabled,
                             disabled_because = excluded.disabled_because, failing_since = excluded.failing_since,
                             sealed_url = excluded.sealed_url",
                    )
                    .bind(webhook.id.as_bytes().to_vec())
                    .bind(webhook.app)
                    .bind(webhook.url)
                    .bind(json(&webhook.events)?)
                    .bind(webhook.note)
                    .bind(secret)
                    .bind(previous.as_ref().map(|(secret, _)| secret.clone()))
                    .bind(previous.map(|(_, until)| until))
                    .bind(webhook.enabled)
                    .bind(webhook.disabled_because)
                    .bind(webhook.failing_since)
                    .bind(webhook.created_by)
                    .bind(webhook.created_at)
                    .bind(webhook.form)
                    .bind(sealed_url)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Tells one endpoint something, whatever it wants to know.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn tell_one(
        &self,
        webhook: i64,
        app: i64,
        kind: &'static str,
        body: String,
        now: Millis,
    ) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let event: i64 = db::query_scalar(
                        "insert into webhook_event (app, kind, body, created_at) values ($1, $2, $3, $4) returning number",
                    )
                    .bind(app)
                    .bind(kind)
                    .bind(body)
                    .bind(now)
                    .fetch_one(&mut *db)
                    .await?;
                    db::query(
                        "insert into webhook_delivery (webhook, event, state, attempts, due_at) values ($1, $2, 1, 0, $3)",
                    )
                    .bind(webhook)
                    .bind(event)
                    .bind(now)
                    .execute(db)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Forgets an endpoint and what waits for it.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_webhook(&self, number: i64) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("delete from webhook_delivery where webhook = $1")
                        .bind(number)
                        .execute(&mut *db)
                        .await?;
                    db::query("delete from webhook where number = $1").bind(number).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// All endpoints, in the order of their making.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let query = db::query(format!("{READ} order by number"));
        query.fetch_all(&self.readers).await?.iter().map(|row| self.read_webhook(row)).collect()
    }

    fn read_webhook(&self, row: &Row) -> Result<Webhook, StoreError> {
        let id = crate::hot::uuid(row.try_get(1)?)?;
        let open = |sealed: Vec<u8>| self.master.open(&sealed, &context(id));
        let previous = row.try_get::<Option<Vec<u8>>>(7)?.map(open).transpose()?;
        let events: String = row.try_get(4)?;
        Ok(Webhook {
            number: row.try_get(0)?,
            id,
            app: row.try_get(2)?,
            url: row.try_get(3)?,
            events: serde_json::from_str(&events).map_err(|_| StoreError::Corrupt("webhook.events"))?,
            note: row.try_get(5)?,
            secret: open(row.try_get(6)?)?,
            previous: previous.zip(row.try_get(8)?),
            enabled: row.try_get(9)?,
            disabled_because: row.try_get(10)?,
            failing_since: row.try_get(11)?,
            created_by: row.try_get(12)?,
            created_at: row.try_get(13)?,
            form: row.try_get(14)?,
            sealed_url: row.try_get::<Option<Vec<u8>>>(15)?.map(open).transpose()?,
        })
    }

    /// Decides who gets the events that are new: an event that nobody wants is gone. Gives how many were looked at.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn share_events(&self, now: Millis, limit: i64) -> Result<usize, StoreError> {
        let waiting: bool =
            db::query_scalar("select exists (select 1 from webhook_event where created_at is null)")
                .fetch_one(&self.readers)
                .await?;
        if !waiting {
            return Ok(0);
        }
        self.writer.cold_bulk(move |db, _| Box::pin(share(db, now, limit))).await
    }

    /// The next deliveries of an endpoint, oldest event first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn due_deliveries(
        &self,
        webhook: i64,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let rows = db::query(
            "select e.number, e.app, e.kind, e.body, e.created_at, d.attempts from webhook_delivery d
             join webhook_event e on e.number = d.event
             where d.webhook = $1 and d.state = 1 and d.due_at <= $2 order by d.due_at, d.event limit $3",
        )
        .bind(webhook)
        .bind(now)
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok(DueDelivery { event: event(row)?, attempts: row.try_get(5)? })).collect()
    }

    /// Keeps what became of deliveries, and of their endpoint. Where two have tried at once, what is delivered stays so.
    ///
    /// # Errors
    /// Where the database is away: then they are made again.
    pub async fn deliveries_tried(&self, tried: Vec<DeliveryTried>) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    for one in tried {
                        db::query(
                            "update webhook_delivery set state = $3, attempts = attempts + 1, last_at = $4, last_status = $5,
                                 last_error = $6, due_at = $7 where webhook = $1 and event = $2 and (state = 1 or $3 = 2)",
                        )
                        .bind(one.webhook)
                        .bind(one.event)
                        .bind(one.state.code())
                        .bind(one.at)
                        .bind(one.status.map(i64::from))
                        .bind(one.error)
                        .bind(one.due_at)
                        .execute(&mut *db)
                        .await?;
                        let failing = match one.state {
                            DeliveryState::Delivered => "update webhook set failing_since = null where number = $1 and failing_since is not null and $2 > 0",
                            _ => "update webhook set failing_since = coalesce(failing_since, $2) where number = $1",
                        };
                        db::query(failing).bind(one.webhook).bind(one.at).execute(&mut *db).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Stops an endpoint, unless that was done.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn disable_webhook(&self, number: i64, because: String) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query(
                        "update webhook set enabled = false, disabled_because = $2 where number = $1 and enabled",
                    )
                    .bind(number)
                    .bind(because)
                    .execute(db)
                    .await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }

    /// The deliveries of an endpoint, newest event first; some before an event's number.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn deliveries(
        &self,
        webhook: i64,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<StoredDelivery>, StoreError> {
        let rows = db::query(
            "select e.number, e.app, e.kind, e.body, e.created_at, d.attempts, d.state, d.due_at, d.last_at, d.last_status, d.last_error
             from webhook_delivery d join webhook_event e on e.number = d.event
             where d.webhook = $1 and d.event < $2 order by d.event desc limit $3",
        )
        .bind(webhook)
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(StoredDelivery {
                    event: event(row)?,
                    attempts: row.try_get(5)?,
                    state: match row.try_get(6)? {
                        1 => DeliveryState::Waiting,
                        2 => DeliveryState::Delivered,
                        _ => DeliveryState::GivenUp,
                    },
                    due_at: row.try_get(7)?,
                    last_at: row.try_get(8)?,
                    last_status: row.try_get(9)?,
                    last_error: row.try_get(10)?,
                })
            })
            .collect()
    }

    /// Delivers again what an endpoint got, or did not get, since a moment; gives how many.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn replay_deliveries(
        &self,
        webhook: i64,
        since: Millis,
        now: Millis,
        delivered_too: bool,
    ) -> Result<u64, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    let done = db::query(
                        "update webhook_delivery set state = 1, attempts = 0, due_at = $3 where webhook = $1
                         and (state = 3 or (state = 2 and $4) or (state = 1 and due_at > $3))
                         and event in (select number from webhook_event where created_at >= $2)",
                    )
                    .bind(webhook)
                    .bind(since)
                    .bind(now)
                    .bind(delivered_too)
                    .execute(db)
                    .await?;
                    Ok(done.rows_affected())
                })
            })
            .await
    }

    /// Forgets events of before a moment, with their deliveries.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn forget_events(&self, before: Millis, limit: i64) -> Result<u64, StoreError> {
        self.writer
            .cold_bulk(move |db, _| {
                Box::pin(async move {
                    // The lowest numbers are the oldest, but for a moment: nobody reads all events to find that out.
                    let old: Vec<i64> = db::query_scalar(
                        "select x.number from (select number, created_at from webhook_event order by number limit $2) x
                         where x.created_at < $1",
                    )
                    .bind(before)
                    .bind(limit)
                    .fetch_all(&mut *db)
                    .await?;
                    if old.is_empty() {
                        return Ok(0);
                    }
                    let batch = json(&old)?;
                    db::query(
                        "delete from webhook_delivery where (webhook, event) in
                             (select w.number, b.number from [$1 each: number int8] b cross join webhook w)",
                    )
                    .bind(&batch)
                    .execute(&mut *db)
                    .await?;
                    let gone = db::query(
                        "delete from webhook_event where number in (select b.number from [$1 each: number int8] b)",
                    )
                    .bind(batch)
                    .execute(db)
                    .await?;
                    Ok(gone.rows_affected())
                })
            })
            .await
    }
}

fn event(row: &Row) -> Result<Event, StoreError> {
    Ok(Event {
        number: row.try_get(0)?,
        app: row.try_get(1)?,
        kind: row.try_get(2)?,
        body: row.try_get(3)?,
        created_at: row.try_get(4)?,
    })
}

/// An endpoint takes a kind by its name, by its sort (`message.*`), or all (`*`). Of two that share at once each takes other
/// events.
async fn share(db: &mut Db, now: Millis, limit: i64) -> Result<usize, StoreError> {
    let new: Vec<i64> = db::query_scalar(
        "select number from webhook_event where created_at is null order by number limit $1<<| for update skip locked>>",
    )
    .bind(limit)
    .fetch_all(&mut *db)
    .await?;
    let batch = json(&new)?;
    db::query(
        "insert into webhook_delivery (webhook, event, state, attempts, due_at)
         select w.number, e.number, 1, 0, $2 from [$1 each: number int8] b
         join webhook_event e on e.number = b.number
         join webhook w on w.enabled and (w.app is null or w.app = e.app)
             and exists (select 1 from <<json_each(w.events) k|jsonb_array_elements_text(w.events::jsonb) k (value)>>
             where k.value in (e.kind, '*', substr(e.kind, 1, <<instr|strpos>>(e.kind, '.')) || '*'))
         where true on conflict do nothing",
    )
    .bind(&batch)
    .bind(now)
    .execute(&mut *db)
    .await?;
    // By endpoint, as the key of deliveries is; a cross join keeps its order.
    db::query(
        "delete from webhook_event where number in (select b.number from [$1 each: number int8] b)
         and not exists (select 1 from webhook w cross join webhook_delivery d
             where d.webhook = w.number and d.event = webhook_event.number)",
    )
    .bind(&batch)
    .execute(&mut *db)
    .await?;
    db::query("update webhook_event set created_at = $2 where number in (select b.number from [$1 each: number int8] b)")
        .bind(batch)
        .bind(now)
        .execute(db)
        .await?;
    Ok(new.len())
}
