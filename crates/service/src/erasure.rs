//! Erasing a person (I17): what WeChat's events demand, and what the API is asked for. The engine does it.
//!
//! Source: official page "授权用户信息变更" (under 事件通知): when a user takes back what they gave, what was taken back is
//! to be deleted; when a user's account is closed, everything of theirs is.

use std::time::Duration;

use domain::InboxId;
use serde::Serialize;
use serde_json::Value;
use wechat::callback::event::{Kind, Push};

use crate::people::not_an_openid;
use crate::problem::Problem;
use crate::{App, Service, checks};

/// How long an answer waits for the engine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be erased of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Everything.
    Person,
    /// The values of all fields of their messages.
    Values,
    /// The values of fields of these kinds (`name`, `phone_number`, `car_number`).
    Fields(Vec<String>),
}

impl What {
    /// As it is stored: `person`, `values`, `fields:name,phone_number`.
    pub fn to_stored(&self) -> String {
        match self {
            Self::Person => store::erasure::PERSON.to_owned(),
            Self::Values => "values".to_owned(),
            Self::Fields(kinds) => format!("fields:{}", kinds.join(",")),
        }
    }

    /// Reads what is stored; what is unknown erases no less than everything that could be meant.
    pub fn from_stored(stored: &str) -> Self {
        match stored.split_once(':') {
            Some(("fields", kinds)) => Self::Fields(kinds.split(',').map(str::to_owned).collect()),
            _ if stored == "values" => Self::Values,
            _ => Self::Person,
        }
    }
}

/// How far an erasure is.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ErasureView {
    /// `erased`, or `erasing` where it goes on by itself.
    pub state: &'static str,
    /// Balances and statuses that were deleted.
    pub subscriptions: u64,
    /// Entries of the ledger that were deleted.
    pub ledger_entries: u64,
    /// Messages whose recipient, fields and page were taken out.
    pub messages: u64,
    /// Callbacks whose openid and text were taken out.
    pub callbacks: u64,
}

impl Service {
    /// Erases a person; waits until it is done, for some seconds at most. What waits for the person is not sent.
    ///
    /// # Errors
    /// Not an openid; the database is away.
    pub async fn erase_person(&self, app: &App, openid: &str) -> Result<ErasureView, Problem> {
        if !checks::openid(openid) {
            return Err(not_an_openid("/openid").into());
        }
        let id = self.store.ask_erasure(app.number, openid, What::Person.to_stored(), self.now()).await?;
        tracing::info!(app = app.app_id, %id, "a person is to be erased");
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(view) = self.erasure(id).await? {
                return Ok(view);
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(ErasureView {
                    state: "erasing",
                    subscriptions: 0,
                    ledger_entries: 0,
                    messages: 0,
                    callbacks: 0,
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What an erasure has done, once it is through.
    async fn erasure(&self, id: InboxId) -> Result<Option<ErasureView>, Problem> {
        let Some(status) = self.store.erasure(id).await?.filter(|status| status.erased) else {
            return Ok(None);
        };
        let told: Value =
            status.counts.and_then(|counts| serde_json::from_str(&counts).ok()).unwrap_or_default();
        let count = |name: &str| told["counts"][name].as_u64().unwrap_or(0);
        Ok(Some(ErasureView {
            state: "erased",
            subscriptions: count("subscriptions"),
            ledger_entries: count("ledger_entries"),
            messages: count("messages"),
            callbacks: count("callbacks"),
        }))
    }
}

/// What an event demands to be erased; `None` where it demands nothing, or does not say of whom.
pub fn demand(push: &Push) -> Option<What> {
    let Kind::OtherEvent(name) = &push.kind else { return None };
    push.open_id.as_ref()?;
    match name.as_str() {
        "user_authorization_cancellation" => Some(What::Person),
        "user_authorization_revoke" => taken_back(push.revoke_info.as_deref().unwrap_or_default()),
        _ => None,
    }
}

/// `RevokeInfo`: what of it can stand in a message's fields. Some of it has a kind of its own; an address, an invoice, a
/// mail address or a place may stand in any text; what a phone's devices gave (camera, microphone, pictures, files, steps)
/// cannot be here.
fn taken_back(code: &str) -> Option<What> {
    let fields = |kind: &str| Some(What::Fields(vec![kind.to_owned()]));
    match code.trim() {
        "1" => fields("car_number"),
        "6" | "19" => fields("name"),
        "8" => fields("phone_number"),
        "4" | "5" | "7" | "12" | "14" | "15" | "20" => None,
        // 2 address, 3 invoice, 13 and 18 place, 16 mail; 301 everything; and codes that are not known yet.
        _ => Some(What::Values),
    }
}
