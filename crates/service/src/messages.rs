//! Messages: accepting them after every check that can be made before the call, and everything one may ask or do
//! afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::clock::{HOUR, MINUTE};
use domain::message::State;
use domain::{MessageId, Millis};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::hot::enqueue::{Enqueued, Idempotency, NewMessage, Priority, Queue};
use store::messages::MessageFilter;
use store::messages::StoredMessage;
use wechat::{Lang, template};

use crate::problem::{FieldError, Kind, Problem};
use crate::recipient::Recipient;
use crate::view::MessageView;
use crate::{App, Service, checks};

/// How long a message may wait unless it says otherwise: so that each one settles.
const LIFE: Millis = 72 * HOUR;
/// `send_at` up to so long ago means now.
const LATE: Millis = 5 * MINUTE;
/// Furthest future.
const FAR: Millis = 366 * 24 * HOUR;
/// Messages of one batch call.
pub const BATCH: usize = 1_000;

/// A request to send one message, as it stands in interfaces.md.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// To whom.
    pub to: Recipient,
    /// Which template.
    pub template_id: String,
    /// Values by key; WeChat's `{"value": …}` too, numbers too.
    #[serde(default)]
    pub data: BTreeMap<String, Value>,
    /// The page that the card opens.
    #[serde(default)]
    pub page: Option<String>,
    /// developer, trial or formal.
    #[serde(default)]
    pub miniprogram_state: Option<String>,
    /// zh_CN, en_US, zh_HK, zh_TW.
    #[serde(default)]
    pub lang: Option<String>,
    /// Not before this (RFC 3339 with an offset).
    #[serde(default)]
    pub send_at: Option<String>,
    /// Not after this.
    #[serde(default)]
    pub expire_at: Option<String>,
    /// urgent, normal or bulk.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// What is done where the balance is empty.
    #[serde(default)]
    pub on_empty_balance: Option<OnEmptyBalance>,
    /// Sends to each, where an attribute fits several people.
    #[serde(default)]
    pub fan_out: bool,
    /// The caller's key, in a batch.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

/// What is done where the balance is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEmptyBalance {
    /// Tried all the same: WeChat knows better.
    Try,
    /// 422 `no_grant`.
    Refuse,
}

/// An accepted message.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The message.
    pub message: MessageView,
    /// Whether the key answered an earlier one.
    pub replayed: bool,
}

impl Service {
    /// Accepts one message: when this returns, it is durable.
    ///
    /// # Errors
    /// `validation_failed` with each wrong field, `no_grant`, `idempotency_key_reused`, `store_unavailable`.
    pub async fn send(
        &self,
        app: &App,
        request: SendRequest,
        key: Option<&str>,
        lang: Lang,
    ) -> Result<Sent, Problem> {
        let mut sent = self.send_batch(app, vec![(request, key.map(str::to_owned))], lang).await?;
        sent.pop().unwrap_or_else(|| Err(Problem::new(Kind::Unavailable, "store_unavailable", "", "")))
    }

    /// Accepts one message for each person whom `to` means (`fan_out`), each with its own verdict. A key makes one for each.
    ///
    /// # Errors
    /// As [`Service::send`].
    pub async fn send_to_each(
        &self,
        app: &App,
        request: SendRequest,
        key: Option<&str>,
        lang: Lang,
    ) -> Result<Vec<Result<Sent, Problem>>, Problem> {
        let people = self.meant(app, &request.to).await?;
        let requests = people
            .into_iter()
            .map(|openid| {
                let key = key.map(|key| format!("{key}#{openid}"));
                (SendRequest { to: Recipient::Openid(openid), fan_out: false, ..request.clone() }, key)
            })
            .collect();
        self.send_batch(app, requests, lang).await
    }

    /// Accepts up to 1,000 messages, each with its own verdict, in one commit.
    ///
    /// # Errors
    /// Where the batch as a whole cannot be taken.
    pub async fn send_batch(
        &self,
        app: &App,
        requests: Vec<(SendRequest, Option<String>)>,
        lang: Lang,
    ) -> Result<Vec<Result<Sent, Problem>>, Problem> {
        if requests.len() > BATCH {
            return Err(Problem::new(
                Kind::Invalid,
                "batch_too_large",
                format!("一次最多 {BATCH} 条消息，收到 {} 条；请分批发送。", requests.len()),
                format!("{BATCH} messages at once at most, not {}; send several batches.", requests.len()),
            ));
        }
        let mut verdicts = Vec::with_capacity(requests.len());
        let mut rows = Vec::new();
        for (mut request, key) in requests {
            request.template_id = app.settings.template_id(request.template_id);
            let key = key.or_else(|| request.idempotency_key.clone());
            let checked = self.checked(app, &request, key.as_deref()).await;
            verdicts.push(checked.map(|row| {
                let handed_in = StoredMessage::handed_in(&row, request.template_id);
                rows.push(row);
                handed_in
            }));
        }
        let mut kept = self.store.enqueue(rows).await?.into_iter();
        let mut answers = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            answers.push(match verdict {
                Err(problem) => Err(problem),
                Ok(handed_in) => match kept.next() {
                    Some(Enqueued::Accepted) => {
                        Ok(Sent { message: MessageView::new(app, handed_in, None, lang), replayed: false })
                    }
                    Some(Enqueued::Replayed(earlier)) => self
                        .message(app, earlier, lang)
                        .await
                        .map(|message| Sent { message, replayed: true }),
                    Some(Enqueued::KeyReused) => Err(key_reused()),
                    Some(Enqueued::NoGrant) | None => Err(Problem::new(
                        Kind::Invalid,
                        "no_grant",
                        "该用户对此模板没有可用的订阅次数。请先在小程序里再次邀请订阅；若仍要尝试，请去掉 on_empty_balance 或改为 try。",
                        "This user has no grant left for the template. Ask again in the mini program; to try all the same, leave out on_empty_balance or set it to try.",
                    )),
                },
            });
        }
        Ok(answers)
    }

    /// Everything that can be known to be wrong before the call.
    async fn checked(
        &self,
        app: &App,
        request: &SendRequest,
        key: Option<&str>,
    ) -> Result<NewMessage, Problem> {
        let now = self.now();
        let mut errors = Vec::new();
        let openid = match self.meant_one(app, &request.to).await {
            Err(problem) if problem.errors.is_empty() => return Err(problem),
            meant => meant.map_err(|problem| errors.extend(problem.errors)),
        };
        let data = values(&request.data, &mut errors);
        let template = self.template(app, &request.template_id).await?;
        match &template {
            None => errors.push(unknown_template(app, &request.template_id)),
            Some(template) if template.gone => errors.push(template_gone(&request.template_id)),
            Some(template) => {
                errors.extend(template::check(&template.fields, &data).iter().map(field_error));
            }
        }
        let page = request.page.as_deref().map(checks::page).transpose().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let version = one_of(
            "/miniprogram_state",
            request.miniprogram_state.as_deref(),
            &["formal", "trial", "developer"],
            &mut errors,
        );
        let card_lang =
            one_of("/lang", request.lang.as_deref(), &["zh_CN", "en_US", "zh_HK", "zh_TW"], &mut errors);
        let due_at = due_at(request.send_at.as_deref(), now, &mut errors);
        let expire_at = expire_at(request.expire_at.as_deref(), due_at.max(now), now, &mut errors);
        if key.is_some_and(|key| !is_key(key)) {
            errors.push(bad_key());
        }
        let (Ok(openid), Some(template), true) = (openid, template, errors.is_empty()) else {
            return Err(Problem::fields(errors));
        };
        if !self.may_receive(app, &openid) {
            return Err(FieldError::new(
                "/to",
                "not_a_guest",
                "小程序处于试用模式，只有访客名单里的人会收到。请先加入：hongyan guest add，或关闭 trial。",
                "The app is on trial: only its guests receive. Add the person first (hongyan guest add), or switch trial off.",
            )
            .into());
        }
        let lane = self.store.lanes().of_openid(&openid);
        let data = serde_json::to_string(&data).unwrap_or_default();
        let priority = request.priority.unwrap_or(Priority::Normal);
        let needs_grant = request.on_empty_balance == Some(OnEmptyBalance::Refuse)
            && template.kind == domain::ledger::TemplateKind::OneTime;
        let idempotency = key.map(|key| Idempotency {
            lane: self.store.lanes().of_key(app.number, key),
            key: key.to_owned(),
            digest: digest(&(
                &openid,
                &request.template_id,
                &data,
                &page,
                &version,
                &card_lang,
                &request.send_at,
                &request.expire_at,
                priority,
                needs_grant,
            )),
        });
        Ok(NewMessage {
            id: MessageId::new(now, lane, &*self.entropy),
            app: app.number,
            template: template.number,
            openid,
            queue: Queue::single(app.number, priority),
            data,
            page,
            version,
            lang: card_lang,
            due_at: due_at.max(now),
            expire_at,
            state: if due_at > now { State::Scheduled } else { State::Queued },
            idempotency,
            needs_grant,
        })
    }

    /// One message.
    ///
    /// # Errors
    /// `message_not_found`.
    pub async fn message(&self, app: &App, id: MessageId, lang: Lang) -> Result<MessageView, Problem> {
        let stored = self.store.message(app.number, id).await?.ok_or_else(no_message)?;
        Ok(self.shown(app, vec![stored], lang).await?.remove(0))
    }

    /// One message once it is no longer queued or being sent, or as it is when the patience is over.
    ///
    /// # Errors
    /// `message_not_found`.
    pub async fn wait_for_message(
        &self,
        app: &App,
        id: MessageId,
        patience: Duration,
        lang: Lang,
    ) -> Result<MessageView, Problem> {
        let stored = self.store.wait_settled(app.number, id, patience).await?.ok_or_else(no_message)?;
        Ok(self.shown(app, vec![stored], lang).await?.remove(0))
    }

    /// Shows messages; those that wait with the reason why all of their app wait.
    async fn shown(
        &self,
        app: &App,
        messages: Vec<StoredMessage>,
        lang: Lang,
    ) -> Result<Vec<MessageView>, Problem> {
        let waits = messages.iter().any(|message| message.position.state == State::Queued);
        let gate = if waits { self.store.gate(app.number).await? } else { None };
        Ok(messages.into_iter().map(|stored| MessageView::new(app, stored, gate.as_ref(), lang)).collect())
    }

    /// A page of messages, newest first, and where the next begins.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn messages(
        &self,
        app: &App,
        mut filter: MessageFilter,
        template_id: Option<&str>,
        before: Option<MessageId>,
        limit: i64,
        lang: Lang,
    ) -> Result<(Vec<MessageView>, Option<MessageId>), Problem> {
        if let Some(template_id) = template_id {
            let template_id = app.settings.template_id(template_id.to_owned());
            let Some(template) = self.store.template(app.number, &template_id).await? else {
                return Ok((Vec::new(), None));
            };
            filter.template = Some(template.number);
        }
        let page = self.store.messages(app.number, filter, before, limit).await?;
        Ok((self.shown(app, page.items, lang).await?, page.next))
    }

    /// Cancels a message that is not yet under way; forbids another attempt of one that is, or that is `unknown`.
    ///
    /// # Errors
    /// `already_settled`, `message_not_found`.
    pub async fn cancel_message(&self, app: &App, id: MessageId, lang: Lang) -> Result<MessageView, Problem> {
        let (before, after) = self.store.cancel(app.number, id).await?.ok_or_else(no_message)?;
        if before == after
            && !(before.cancel_requested && matches!(before.state, State::Sending | State::Unknown))
            && before.state != State::Cancelled
        {
            return Err(too_late(before.state, "取消", "be cancelled"));
        }
        self.message(app, id, lang).await
    }

    /// Sends a message again that did not arrive: the same message, a new attempt.
    ///
    /// # Errors
    /// `already_settled`, `message_not_found`.
    pub async fn resend_message(&self, app: &App, id: MessageId, lang: Lang) -> Result<MessageView, Problem> {
        let now = self.now();
        let (before, after) =
            self.store.resend(app.number, id, now, now + LIFE).await?.ok_or_else(no_message)?;
        if before == after {
            return Err(too_late(before.state, "重发", "be sent again"));
        }
        self.message(app, id, lang).await
    }
}

fn no_message() -> Problem {
    Problem::new(Kind::NotFound, "message_not_found", "没有这条消息。", "There is no such message.")
}

fn too_late(state: State, zh: &str, en: &str) -> Problem {
    Problem::new(
        Kind::Conflict,
        "already_settled",
        format!("消息现在的状态是 {}，不能再{zh}。", state.as_str()),
        format!("The message is {} and can no longer {en}.", state.as_str()),
    )
}

/// Whether this can be an idempotency key.
pub(crate) fn is_key(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|b| (0x20..0x7f).contains(&b))
}

pub(crate) fn bad_key() -> FieldError {
    FieldError::new(
        "/idempotency_key",
        "invalid_idempotency_key",
        "Idempotency-Key 应为 1–255 个可见的 ASCII 字符。",
        "An Idempotency-Key has 1 to 255 visible ASCII characters.",
    )
}

pub(crate) fn key_reused() -> Problem {
    Problem::new(
        Kind::Invalid,
        "idempotency_key_reused",
        "该 Idempotency-Key 在 24 小时内已用于另一个内容不同的请求；重试请保持内容不变，新的请求请换一个键。",
        "This Idempotency-Key was used within 24 hours for a request with another body. Keep the body when retrying, take a new key for a new request.",
    )
}

/// The app has no such template.
pub(crate) fn unknown_template(app: &App, template_id: &str) -> FieldError {
    let app_id = &app.app_id;
    FieldError::new(
        "/template_id",
        "unknown_template",
        format!(
            "小程序 {app_id} 没有模板 {template_id}。请用 hongyan templates sync {app_id} 同步后，在模板列表里核对模板 ID。"
        ),
        format!(
            "The app {app_id} has no template {template_id}. Run `hongyan templates sync {app_id}`, then compare the id with the list."
        ),
    )
}

/// WeChat has it no longer.
pub(crate) fn template_gone(template_id: &str) -> FieldError {
    FieldError::new(
        "/template_id",
        "template_gone",
        format!("模板 {template_id} 已不在微信后台，请换用现有模板。"),
        format!("WeChat no longer has the template {template_id}; use one that exists."),
    )
}

/// A field that does not fit its template.
pub(crate) fn field_error(problem: &template::FieldProblem) -> FieldError {
    FieldError::new(
        format!("/data/{}", problem.key.replace('~', "~0").replace('/', "~1")),
        problem.code.as_str(),
        problem.detail(Lang::Zh),
        problem.detail(Lang::En),
    )
}

/// The values as text; WeChat's own form is taken too. Nothing is trimmed or rewritten (I13).
pub(crate) fn values(
    data: &BTreeMap<String, Value>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (key, value) in data {
        let inner = value.as_object().and_then(|object| object.get("value")).unwrap_or(value);
        match inner {
            Value::String(text) => drop(values.insert(key.clone(), text.clone())),
            Value::Number(number) => drop(values.insert(key.clone(), number.to_string())),
            _ => {
                // Known to be wrong already: the field checks need not call it missing as well.
                values.insert(key.clone(), String::new());
                errors.push(FieldError::new(
                    format!("/data/{key}"),
                    "wrong_type",
                    format!("{key} 的值应是文字或数字，或写成 {{\"value\": \"…\"}}。"),
                    format!("{key} must be a text or a number, or {{\"value\": \"…\"}}."),
                ));
            }
        }
    }
    values
}

pub(crate) fn one_of(
    pointer: &str,
    given: Option<&str>,
    allowed: &[&str],
    errors: &mut Vec<FieldError>,
) -> String {
    match given {
        None => allowed[0].to_owned(),
        Some(word) if allowed.contains(&word) => word.to_owned(),
        Some(word) => {
            let all = allowed.join(", ");
            errors.push(FieldError::new(
                pointer,
                "invalid_value",
                format!("“{word}” 不可用，只能是 {all}。"),
                format!("\"{word}\" is not one of {all}."),
            ));
            allowed[0].to_owned()
        }
    }
}

fn moment(pointer: &str, text: &str, errors: &mut Vec<FieldError>) -> Option<Millis> {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => Some(moment.as_millisecond()),
        Err(_) => {
            errors.push(FieldError::new(
                pointer,
                "invalid_time",
                format!("“{text}” 不是带时区的时间，例如 2026-11-23T20:00:00+08:00。"),
                format!("\"{text}\" is not a time with an offset, such as 2026-11-23T20:00:00+08:00."),
            ));
            None
        }
    }
}

pub(crate) fn due_at(send_at: Option<&str>, now: Millis, errors: &mut Vec<FieldError>) -> Millis {
    let Some(at) = send_at.and_then(|text| moment("/send_at", text, errors)) else { return now };
    if at < now - LATE || at > now + FAR {
        errors.push(FieldError::new(
            "/send_at",
            "invalid_time",
            "send_at 不能早于 5 分钟前，也不能晚于一年后。",
            "send_at may lie five minutes in the past and a year in the future at most.",
        ));
    }
    at
}

pub(crate) fn expire_at(
    expire_at: Option<&str>,
    due_at: Millis,
    now: Millis,
    errors: &mut Vec<FieldError>,
) -> Millis {
    let Some(text) = expire_at else { return due_at + LIFE };
    let Some(at) = moment("/expire_at", text, errors) else { return due_at + LIFE };
    if at <= due_at || at > now + FAR + LIFE {
        errors.push(FieldError::new(
            "/expire_at",
            "invalid_time",
            "expire_at 必须晚于发送时间。",
            "expire_at must lie after the time of sending.",
        ));
    }
    at
}

pub(crate) fn digest<T: serde::Serialize>(parts: &T) -> [u8; 32] {
    Sha256::digest(serde_json::to_vec(parts).unwrap_or_default()).into()
}
