//! Webhooks out, by the Standard Webhooks specification (standardwebhooks.com): endpoints, what they get, what became of it.

mod robots;

use base64::Engine as _;
use domain::Millis;
use domain::clock::HOUR;
use domain::entropy::random_bytes;
use hmac::{Hmac, KeyInit as _, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use store::webhooks::{Event, StoredDelivery, Webhook};
use uuid::Uuid;
use wechat::client::is_outside_url;

pub use self::robots::{ROBOT_PAUSE, RobotPost, robot_refusal};
use crate::Service;
use crate::problem::{FieldError, Kind, Problem};
use crate::view::time;

/// How long the secret of before still signs.
const OVERLAP: Millis = 24 * HOUR;
/// What secrets begin with, by the specification.
const PREFIX: &str = "whsec_";
/// The kinds of events.
pub const KINDS: [&str; 25] = [
    "message.accepted",
    "message.delivered",
    "message.undelivered",
    "message.refused",
    "message.failed",
    "message.unknown",
    "message.expired",
    "message.cancelled",
    "message.skipped",
    "campaign.awaiting_approval",
    "campaign.scheduled",
    "campaign.running",
    "campaign.paused",
    "campaign.cancelling",
    "campaign.cancelled",
    "campaign.finished",
    "subscription.accepted",
    "subscription.rejected",
    "subscription.refused",
    "alarm.gate_closed",
    "alarm.budget",
    "alarm.template",
    "alarm.schedule",
    "alarm.webhook",
    "alarm.certificate",
];

/// How an endpoint is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// By the Standard Webhooks specification.
    #[default]
    Standard,
    /// A group robot of WeCom (企业微信).
    Wecom,
    /// A group robot of DingTalk (钉钉).
    Dingtalk,
    /// A group robot of Feishu (飞书).
    Feishu,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Wecom, Self::Dingtalk, Self::Feishu];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Wecom => "wecom",
            Self::Dingtalk => "dingtalk",
            Self::Feishu => "feishu",
        }
    }

    /// Of a stored endpoint.
    pub fn of(webhook: &Webhook) -> Self {
        webhook.form.parse().unwrap_or_default()
    }
}

impl std::str::FromStr for Form {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|form| form.as_str() == word).ok_or(())
    }
}

/// An endpoint as it is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where to: https, or http inside a network of your own.
    pub url: String,
    /// Kinds of events: `message.refused`, `campaign.*`, `*`.
    pub events: Vec<String>,
    /// Only of this app; of all that the key sees unless given.
    #[serde(default)]
    pub app_id: Option<String>,
    /// A note.
    #[serde(default)]
    pub note: Option<String>,
    /// standard, or a group robot: wecom, dingtalk, feishu.
    #[serde(default)]
    pub form: Form,
    /// Of a robot that signs: its secret.
    #[serde(default)]
    pub sign_secret: Option<String>,
}

/// An endpoint.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WebhookView {
    /// Its id.
    pub id: String,
    /// Where to; of a robot only its host, since the rest is a secret.
    pub url: String,
    /// standard, or a group robot.
    pub form: Form,
    /// Kinds of events.
    pub events: Vec<String>,
    /// Only of this app.
    pub app_id: Option<String>,
    /// A note.
    pub note: Option<String>,
    /// Whether anything is delivered.
    pub enabled: bool,
    /// Why not.
    pub disabled_because: Option<String>,
    /// Since when every try failed.
    pub failing_since: Option<String>,
    /// What signs: shown once, when it is made or rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: String,
}

/// A delivery.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DeliveryView {
    /// The event's id, as the header `webhook-id` has it.
    pub event_id: String,
    /// Its kind.
    pub kind: String,
    /// waiting, delivered, given_up.
    #[schema(value_type = String)]
    pub state: store::webhooks::DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// When it happened.
    pub at: Option<String>,
    /// When it is tried next.
    pub due_at: Option<String>,
    /// When it was tried last.
    pub last_at: Option<String>,
    /// The last answer's status.
    pub last_status: Option<i64>,
    /// Why there was none.
    pub last_error: Option<String>,
}

/// A request ready to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The header `webhook-id`: the same for every try of an event.
    pub id: String,
    /// The header `webhook-timestamp`: seconds, of this try.
    pub timestamp: String,
    /// The header `webhook-signature`.
    pub signature: String,
    /// The body.
    pub body: String,
}

impl Service {
    /// The endpoints that a caller sees: all, or those of its apps.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn webhooks(&self) -> Result<Vec<WebhookView>, Problem> {
        Ok(self.store.webhooks().await?.into_iter().map(|webhook| self.webhook_view(webhook)).collect())
    }

    /// Makes an endpoint; its secret is shown this once.
    ///
    /// # Errors
    /// `validation_failed`.
    pub async fn add_webhook(&self, request: WebhookRequest, by: &str) -> Result<WebhookView, Problem> {
        let app = self.checked_webhook(&request)?;
        let robot = request.form != Form::Standard;
        let secret = match (robot, request.sign_secret) {
            (true, secret) => secret.unwrap_or_default().into(),
            (false, _) => self.new_webhook_secret(),
        };
        let webhook = Webhook {
            number: 0,
            id: domain::MessageId::new(self.now(), domain::Lane(0), &*self.entropy).0,
            app,
            url: if robot { robots::shown(&request.url) } else { request.url.clone() },
            sealed_url: robot.then(|| request.url.into()),
            form: request.form.as_str().to_owned(),
            events: request.events,
            note: request.note,
            secret,
            previous: None,
            enabled: true,
            disabled_because: None,
            failing_since: None,
            created_by: by.to_owned(),
            created_at: self.now(),
        };
        self.store.put_webhook(webhook.clone()).await?;
        let secret = (!robot).then(|| webhook.secret.expose_secret().to_owned());
        Ok(WebhookView { secret, ..self.webhook_view(webhook) })
    }

    /// Tells an endpoint that it is there.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn test_webhook(&self, id: Uuid) -> Result<(), Problem> {
        let webhook = self.stored_webhook(id).await?;
        let any = || self.apps.all().first().map_or(0, |app| app.number);
        let app = webhook.app.unwrap_or_else(any);
        Ok(self.store.tell_one(webhook.number, app, "alarm.test", "{}".to_owned(), self.now()).await?)
    }

    /// Changes an endpoint: url, events, note, or `enabled` again.
    ///
    /// # Errors
    /// `webhook_not_found`, `validation_failed`.
    pub async fn change_webhook(&self, id: Uuid, change: &Value) -> Result<WebhookView, Problem> {
        let mut webhook = self.stored_webhook(id).await?;
        let mut request = WebhookRequest {
            url: text(change, "url").unwrap_or_else(|| webhook.url.clone()),
            events: match change.get("events") {
                Some(events) => serde_json::from_value(events.clone()).map_err(|error| unreadable(&error))?,
                None => webhook.events.clone(),
            },
            app_id: None,
            note: text(change, "note").or_else(|| webhook.note.clone()),
            form: Form::of(&webhook),
            sign_secret: None,
        };
        if request.form != Form::Standard {
            if request.url == webhook.url {
                request.url = webhook
                    .sealed_url
                    .as_ref()
                    .map_or_else(String::new, |url| url.expose_secret().to_owned());
            }
            self.checked_webhook(&request)?;
            webhook.sealed_url = Some(request.url.clone().into());
            request.url = robots::shown(&request.url);
        } else {
            self.checked_webhook(&request)?;
        }
        (webhook.url, webhook.events, webhook.note) = (request.url, request.events, request.note);
        if let Some(enabled) = change.get("enabled").and_then(Value::as_bool) {
            webhook.enabled = enabled;
            if enabled {
                (webhook.disabled_because, webhook.failing_since) = (None, None);
            }
        }
        self.store.put_webhook(webhook.clone()).await?;
        Ok(self.webhook_view(webhook))
    }

    /// Gives an endpoint a new secret; that of before signs too for a day.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn rotate_webhook(&self, id: Uuid) -> Result<WebhookView, Problem> {
        let mut webhook = self.stored_webhook(id).await?;
        let before = std::mem::replace(&mut webhook.secret, self.new_webhook_secret());
        webhook.previous = Some((before, self.now() + OVERLAP));
        self.store.put_webhook(webhook.clone()).await?;
        let secret = webhook.secret.expose_secret().to_owned();
        Ok(WebhookView { secret: Some(secret), ..self.webhook_view(webhook) })
    }

    /// Forgets an endpoint.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn remove_webhook(&self, id: Uuid) -> Result<(), Problem> {
        let webhook = self.stored_webhook(id).await?;
        Ok(self.store.remove_webhook(webhook.number).await?)
    }

    /// What became of an endpoint's deliveries, newest first; the event before which the next page begins.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn webhook_deliveries(
        &self,
        id: Uuid,
        before: Option<i64>,
        limit: i64,
    ) -> Result<(Vec<DeliveryView>, Option<i64>), Problem> {
        let webhook = self.stored_webhook(id).await?;
        let deliveries = self.store.deliveries(webhook.number, before, limit).await?;
        let next = (deliveries.len() as i64 == limit)
            .then(|| deliveries.last().map(|delivery| delivery.event.number))
            .flatten();
        Ok((deliveries.into_iter().map(delivery_view).collect(), next))
    }

    /// Delivers again what was given up since a moment, and with `delivered_too` everything; gives how many.
    ///
    /// # Errors
    /// `webhook_not_found`.
    pub async fn replay_webhook(&self, id: Uuid, since: Millis, delivered_too: bool) -> Result<u64, Problem> {
        let webhook = self.stored_webhook(id).await?;
        Ok(self.store.replay_deliveries(webhook.number, since, self.now(), delivered_too).await?)
    }

    /// An event as it goes to an endpoint, signed.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn signed_event(&self, webhook: &Webhook, event: &Event) -> Result<Signed, Problem> {
        let now = self.now();
        let body = json!({ "type": event.kind, "timestamp": event.created_at.map(time), "data": self.told(event).await? });
        let (id, timestamp, body) = (event_id(event.number), (now / 1_000).to_string(), body.to_string());
        let content = format!("{id}.{timestamp}.{body}");
        let mut signatures = vec![sign(&webhook.secret, &content)];
        if let Some((previous, until)) = &webhook.previous
            && *until > now
        {
            signatures.push(sign(previous, &content));
        }
        Ok(Signed { id, timestamp, signature: signatures.join(" "), body })
    }

    /// The event with the names that the interface has for things.
    pub(crate) async fn told(&self, event: &Event) -> Result<Value, Problem> {
        let mut told: Value = serde_json::from_str(&event.body).unwrap_or_default();
        told["app_id"] = self.apps.by_number(event.app).map(|app| app.app_id.clone()).into();
        if let Some(template) = told["template"].as_i64() {
            told["template_id"] =
                self.store.template_by_number(template).await?.map(|found| found.template_id).into();
        }
        if let Some(campaign) = told["campaign"].as_i64() {
            told["campaign_id"] =
                self.live_campaign(campaign).await?.map(|live| live.stored.asked.id.to_string()).into();
        }
        if let Some(told) = told.as_object_mut() {
            told.remove("template");
            told.remove("campaign");
        }
        Ok(told)
    }

    fn checked_webhook(&self, request: &WebhookRequest) -> Result<Option<i64>, Problem> {
        let mut errors = Vec::new();
        if !is_outside_url(&request.url) {
            errors.push(FieldError::new(
                "/url",
                "invalid_url",
                "url 应以 https:// 或 http:// 开头，不含用户名、密码和 #。",
                "url begins with https:// or http://, without a user, a password or a #.",
            ));
        }
        if request.events.is_empty() {
            errors.push(FieldError::new(
                "/events",
                "missing",
                "events 至少要有一种事件；全部事件写 *。",
                "events names one kind at least; all of them are *.",
            ));
        }
        for (at, event) in request.events.iter().enumerate() {
            let sort = event.strip_suffix('*');
            let known = event == "*"
                || sort.is_some_and(|sort| {
                    sort.ends_with('.') && KINDS.iter().any(|kind| kind.starts_with(sort))
                })
                || KINDS.contains(&event.as_str());
            if !known {
                errors.push(FieldError::new(
                    format!("/events/{at}"),
                    "unknown_event",
                    format!("没有事件 {event}。可用：{}，或 message.*、campaign.*、subscription.*、alarm.*、*。", KINDS.join("、")),
                    format!("There is no event {event}. There are {}, and message.*, campaign.*, subscription.*, alarm.*, *.", KINDS.join(", ")),
                ));
            }
        }
        let mut app = None;
        if let Some(app_id) = &request.app_id {
            match self.apps.all().iter().find(|one| one.app_id == *app_id) {
                Some(found) => app = Some(found.number),
                None => errors.push(FieldError::new(
                    "/app_id",
                    "unknown_app",
                    format!("没有小程序 {app_id}。"),
                    format!("There is no app {app_id}."),
                )),
            }
        }
        if errors.is_empty() { Ok(app) } else { Err(Problem::fields(errors)) }
    }

    fn new_webhook_secret(&self) -> SecretString {
        let random = random_bytes::<32>(&*self.entropy);
        format!("{PREFIX}{}", base64::engine::general_purpose::STANDARD.encode(random)).into()
    }

    async fn stored_webhook(&self, id: Uuid) -> Result<Webhook, Problem> {
        self.store.webhooks().await?.into_iter().find(|webhook| webhook.id == id).ok_or_else(|| {
            Problem::new(
                Kind::NotFound,
                "webhook_not_found",
                "没有这个 Webhook。",
                "There is no such webhook.",
            )
        })
    }

    fn webhook_view(&self, webhook: Webhook) -> WebhookView {
        WebhookView {
            id: webhook.id.to_string(),
            app_id: webhook.app.and_then(|app| Some(self.apps.by_number(app)?.app_id.clone())),
            form: Form::of(&webhook),
            url: webhook.url,
            events: webhook.events,
            note: webhook.note,
            enabled: webhook.enabled,
            disabled_because: webhook.disabled_because,
            failing_since: webhook.failing_since.map(time),
            secret: None,
            created_by: webhook.created_by,
            created_at: time(webhook.created_at),
        }
    }
}

/// The id of an event as receivers see it.
pub fn event_id(number: i64) -> String {
    format!("evt_{number}")
}

fn sign(secret: &SecretString, content: &str) -> String {
    let engine = base64::engine::general_purpose::STANDARD;
    let key = secret.expose_secret().strip_prefix(PREFIX).unwrap_or_default();
    // Every secret was made here.
    let key = engine.decode(key).unwrap_or_default();
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
    mac.update(content.as_bytes());
    format!("v1,{}", engine.encode(mac.finalize().into_bytes()))
}

fn delivery_view(delivery: StoredDelivery) -> DeliveryView {
    let waiting = delivery.state == store::webhooks::DeliveryState::Waiting;
    DeliveryView {
        event_id: event_id(delivery.event.number),
        kind: delivery.event.kind,
        state: delivery.state,
        attempts: delivery.attempts,
        at: delivery.event.created_at.map(time),
        due_at: waiting.then(|| time(delivery.due_at)),
        last_at: delivery.last_at.map(time),
        last_status: delivery.last_status,
        last_error: delivery.last_error,
    }
}

fn text(change: &Value, name: &str) -> Option<String> {
    change.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn unreadable(error: &serde_json::Error) -> Problem {
    Problem::new(
        Kind::Invalid,
        "invalid_body",
        format!("请求内容的格式有误：{error}"),
        format!("The request is not of the right form: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the specification.
    #[test]
    fn the_example_of_the_specification() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let content = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(sign(&secret, content), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
