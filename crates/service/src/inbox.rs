//! The inbox as people see it: what WeChat pushed, the verdict, what it changed.

use domain::InboxId;
use serde::Serialize;
use serde_json::Value;
use store::callbacks::StoredCallback;
use store::hot::append::{InboxKind, Verdict};
use store::relay::RelayState;

use crate::problem::{Kind, Problem};
use crate::view::time;
use crate::{App, Service};

/// A row of the inbox.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CallbackView {
    /// Its id.
    pub id: String,
    /// When it came.
    pub received_at: String,
    /// The event's CreateTime.
    pub event_at: Option<String>,
    /// popup, change, sent, erasure, event, chat, unreadable.
    pub kind: &'static str,
    /// FromUserName.
    pub openid: String,
    /// How often WeChat pushed it; more than one where it was re-pushed.
    pub pushes: i64,
    /// `applied`, `ignored`, `quarantined`; null while it waits.
    #[schema(value_type = Option<String>)]
    pub verdict: Option<Verdict>,
    /// Why.
    pub reason: Option<String>,
    /// What it changed.
    #[schema(value_type = Vec<Object>)]
    pub effects: Value,
    /// When.
    pub applied_at: Option<String>,
    /// What WeChat sent, decrypted (only for one row).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How it was passed on to `relay_url` (only for one row, and only where it was to be).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayView>,
}

/// How a callback was passed on.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RelayView {
    /// `waiting`, `delivered`, `given_up`; `under_way` for a chat of whose passing on nothing is known.
    #[schema(value_type = String)]
    pub state: RelayState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was last tried.
    pub last_at: Option<String>,
    /// The HTTP status that the other server answered last.
    pub last_status: Option<i64>,
    /// Why it answered none.
    pub last_error: Option<String>,
    /// When it is tried next, while it waits.
    pub next_at: Option<String>,
}

impl Service {
    /// A page of the inbox, newest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn callbacks(
        &self,
        app: &App,
        verdict: Option<Verdict>,
        before: Option<InboxId>,
        limit: i64,
    ) -> Result<(Vec<CallbackView>, Option<InboxId>), Problem> {
        let (rows, next) = self.store.callbacks(app.number, verdict, before, limit).await?;
        Ok((rows.into_iter().map(|row| view(row, false)).collect(), next))
    }

    /// One row with its text.
    ///
    /// # Errors
    /// `callback_not_found`.
    pub async fn callback(&self, app: &App, id: InboxId) -> Result<CallbackView, Problem> {
        let row = self.store.callback(app.number, id).await?.ok_or_else(no_callback)?;
        let relay = self.store.relay_of(id).await?.map(|relay| RelayView {
            state: relay.state,
            attempts: relay.attempts,
            last_at: relay.last_at.map(time),
            last_status: relay.last_status,
            last_error: relay.last_error,
            next_at: (relay.state == RelayState::Waiting).then(|| time(relay.due_at)),
        });
        Ok(CallbackView { relay, ..view(row, true) })
    }

    /// Lets a row that was set aside take effect.
    ///
    /// # Errors
    /// `callback_not_found`, `not_replayable`.
    pub async fn replay_callback(&self, app: &App, id: InboxId) -> Result<CallbackView, Problem> {
        if !self.store.replay(app.number, id).await? {
            let row = self.callback(app, id).await?;
            if row.verdict == Some(Verdict::Quarantined) && row.kind == InboxKind::Unreadable.as_str() {
                return self.read_again(app, id, row).await;
            }
            return Err(Problem::new(
                Kind::Conflict,
                "not_replayable",
                "只有被隔离或忽略的订阅事件可以重新处理。",
                "Only subscribe events that were quarantined or ignored can be replayed.",
            ));
        }
        self.callback(app, id).await
    }
}

impl Service {
    /// What could not be read when it came may be readable by a later version. It belongs to a person then, and so to
    /// another lane: it becomes a row of its own.
    async fn read_again(&self, app: &App, id: InboxId, row: CallbackView) -> Result<CallbackView, Problem> {
        let text = row.body.unwrap_or_default();
        let Some(new) = self.readable_row(app, text.as_bytes()) else {
            return Err(Problem::new(
                Kind::Conflict,
                "still_unreadable",
                "这条推送仍然无法解析，不能重新处理；请查看其内容，升级后再试。",
                "The callback still cannot be read; look at its text, and try again after an upgrade.",
            ));
        };
        let other = new.id;
        self.store.append(vec![new]).await?;
        self.store.replayed_as(id, other, self.now()).await?;
        self.store.hints().look_everywhere();
        self.callback(app, other).await
    }
}

fn no_callback() -> Problem {
    Problem::new(Kind::NotFound, "callback_not_found", "没有这条推送记录。", "There is no such callback.")
}

fn view(row: StoredCallback, with_body: bool) -> CallbackView {
    CallbackView {
        id: row.id.to_string(),
        received_at: time(row.received_at),
        event_at: (row.event_at > 0).then(|| time(row.event_at)),
        kind: row.kind.as_str(),
        openid: row.openid,
        pushes: row.pushes,
        verdict: row.verdict,
        reason: row.reason,
        effects: row
            .effects
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Array(Vec::new())),
        applied_at: row.applied_at.map(time),
        body: with_body.then_some(row.body),
        relay: None,
    }
}
