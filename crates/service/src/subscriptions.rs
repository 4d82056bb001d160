//! Who subscribed to what, and why a balance is what it is.

use domain::ledger::{Reason, available};
use serde::Serialize;
use serde_json::{Value, json};
use store::subscriptions::{StoredSubscription, SubscriptionKey};

use wechat::Lang;

use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};

/// One subscriber × template.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SubscriptionView {
    /// Whose.
    pub openid: String,
    /// WeChat's template id.
    pub template_id: String,
    /// `one_time` or `long_term`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `accept`, `reject` or `unknown`.
    pub status: &'static str,
    /// Grants by the ledger; nothing is counted for long-term templates.
    pub balance: i64,
    /// The balance less what is under way.
    pub available: i64,
    /// `known` or `unverified`.
    pub certainty: &'static str,
    /// The latest event.
    pub last_event_at: Option<String>,
}

/// A ledger entry.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EntryView {
    /// Whose.
    pub openid: String,
    /// WeChat's template id.
    pub template_id: String,
    /// When it was written.
    pub at: String,
    /// grant, spend, found, zeroed …
    pub kind: &'static str,
    /// How much.
    pub delta: i64,
    /// The balance after it.
    pub balance: i64,
    /// What proves it.
    #[schema(value_type = Object)]
    pub evidence: Value,
    /// A person's remark.
    pub note: Option<String>,
    /// What it says, in a sentence.
    pub explanation: String,
}

impl Service {
    /// Subscriptions: one person's, or a page of everybody's.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn subscriptions(
        &self,
        app: &App,
        openid: Option<&str>,
        template_id: Option<&str>,
        after: Option<SubscriptionKey>,
        limit: i64,
    ) -> Result<(Vec<SubscriptionView>, Option<SubscriptionKey>), Problem> {
        let (stored, next) = match openid {
            Some(openid) => (self.store.subscriptions_of(app.number, openid, template_id).await?, None),
            None => self.store.subscriptions(app.number, template_id, after, limit).await?,
        };
        Ok((stored.into_iter().map(subscription).collect(), next))
    }

    /// The entries that explain one balance, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn ledger_of(
        &self,
        app: &App,
        openid: &str,
        template_id: &str,
        lang: Lang,
    ) -> Result<Vec<EntryView>, Problem> {
        let entries = self.store.ledger_of(app.number, openid, template_id).await?;
        Ok(entries.iter().map(|stored| entry(openid, template_id, stored, lang)).collect())
    }

    /// A page of all entries, oldest first, and the number of its last.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn ledger(
        &self,
        app: &App,
        after: i64,
        limit: i64,
        lang: Lang,
    ) -> Result<(Vec<EntryView>, Option<i64>), Problem> {
        let rows = self.store.ledger(app.number, after, limit).await?;
        let full = i64::try_from(rows.len()).unwrap_or(0) == limit;
        let next = rows.last().filter(|_| full).map(|(_, _, stored)| stored.id);
        Ok((
            rows.iter()
                .map(|(openid, template_id, stored)| entry(openid, template_id, stored, lang))
                .collect(),
            next,
        ))
    }
}

/// Where a page of subscriptions goes on, as a text.
pub fn write_key((lane, template, openid): &SubscriptionKey) -> String {
    format!("{lane}.{template}.{openid}")
}

/// What [`write_key`] wrote.
pub fn read_key(text: &str) -> Option<SubscriptionKey> {
    let mut parts = text.splitn(3, '.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned()))
}

fn subscription(stored: StoredSubscription) -> SubscriptionView {
    let s = stored.subscription;
    SubscriptionView {
        openid: stored.openid,
        template_id: stored.template_id,
        kind: stored.kind.as_str(),
        status: s.status.as_str(),
        balance: s.balance,
        available: available(s.balance, stored.reserved),
        certainty: if s.known { "known" } else { "unverified" },
        last_event_at: (s.status_at > 0).then(|| time(s.status_at)),
    }
}

fn entry(
    openid: &str,
    template_id: &str,
    stored: &store::hot::accounts::StoredEntry,
    lang: Lang,
) -> EntryView {
    let e = &stored.entry;
    EntryView {
        openid: openid.to_owned(),
        template_id: template_id.to_owned(),
        at: time(e.written_at),
        kind: e.kind.as_str(),
        delta: e.delta,
        balance: e.balance,
        evidence: evidence(stored),
        note: stored.note.clone(),
        explanation: crate::grants::explained(stored, lang),
    }
}

/// What proves an entry: the callback or the message it stems from, or who wrote it.
fn evidence(stored: &store::hot::accounts::StoredEntry) -> Value {
    let e = &stored.entry;
    let mut evidence =
        json!({ "reason": e.reason.as_str(), "act_at": time(e.act_at), "reference": e.reference });
    match e.reason {
        Reason::Send | Reason::Refused43101 => evidence["message_id"] = json!(e.reference),
        Reason::Popup | Reason::ChangeReject | Reason::FoundCancelled | Reason::LateGrantAfterRefusal => {
            evidence["callback_id"] = json!(e.reference);
        }
        _ => {}
    }
    if let Some(author) = &stored.author {
        evidence["by"] = json!(author);
    }
    evidence
}
