//! `/apps/{app_id}/messages`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::message::State;
use domain::{MessageId, Millis};
use serde::{Deserialize, Serialize};
use service::messages::SendRequest;
use service::problem::FieldError;
use service::view::MessageView;
use service::{Kind, Problem, Scope};
use store::messages::MessageFilter;

use crate::auth::Access;
use crate::body::{Json, Path, Query, bad_cursor, id, limit};
use crate::language::Language;
use crate::problem::{ApiProblem, ProblemBody};

/// The longest `Prefer: wait`.
const LONGEST_WAIT: u64 = 30;

/// A message to send, as in the guide.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct SendBody {
    /// The user's openid; or {"external_id": "…"}, or {"attribute": {"room": "3-1201"}}.
    #[schema(example = "oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s")]
    to: serde_json::Value,
    /// The template's id at WeChat.
    #[schema(example = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ")]
    template_id: String,
    /// Values by key; WeChat's {"value": …} and numbers too.
    #[schema(value_type = Object, example = json!({"thing8": "物业费", "thing5": "请及时缴纳"}))]
    data: serde_json::Value,
    /// The page that the card opens, with URL-encoded parameters.
    page: Option<String>,
    /// formal (default), trial or developer.
    miniprogram_state: Option<String>,
    /// zh_CN (default), en_US, zh_HK or zh_TW.
    lang: Option<String>,
    /// Not before this (RFC 3339 with an offset).
    send_at: Option<String>,
    /// Not after this; 72 hours after it is due unless given.
    expire_at: Option<String>,
    /// urgent, normal (default) or bulk.
    priority: Option<String>,
    /// try (default) or refuse.
    on_empty_balance: Option<String>,
    /// Sends to each where an attribute fits several people; the answer is that of a batch.
    fan_out: Option<bool>,
    /// In a batch: the key of this message.
    idempotency_key: Option<String>,
}

/// Up to 1,000 messages.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct BatchBody {
    messages: Vec<SendBody>,
}

/// The message, or with `fan_out` a verdict for each person.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) enum Accepted {
    /// The message.
    One(Box<MessageView>),
    /// With `fan_out`.
    Each(Verdicts),
}

/// Sends one message.
#[utoipa::path(post, path = "/apps/{app_id}/messages", request_body = SendBody,
    params(("app_id" = String, Path, description = "AppID"), ("Idempotency-Key" = Option<String>, Header, description = "Answers the same message for 24 hours"), ("Prefer" = Option<String>, Header, description = "wait=5: answers when the message settled, or after so many seconds")),
    responses(
        (status = 202, description = "Accepted: it will be sent; with fan_out a verdict for each person", body = Accepted),
        (status = 200, description = "It settled in time (Prefer: wait)", body = MessageView),
    ))]
pub(crate) async fn send(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    headers: HeaderMap,
    Json(request): Json<SendRequest>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    // What is not ASCII is refused by the same rule as what is too long.
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or("\u{1}").to_owned());
    if request.fan_out {
        let answers = access.service().send_to_each(&app, request, key.as_deref(), lang).await?;
        let items = answers.into_iter().map(|answer| Verdict::new(answer, lang)).collect();
        return Ok((StatusCode::ACCEPTED, axum::Json(Verdicts { items })).into_response());
    }
    let sent = access.service().send(&app, request, key.as_deref(), lang).await?;
    let mut message = sent.message;
    let mut status = StatusCode::ACCEPTED;
    if let Some(patience) = wait(&headers) {
        let id: MessageId = id(&message.id, no_message)?;
        message = access.service().wait_for_message(&app, id, patience, lang).await?;
        if settled(&message) {
            status = StatusCode::OK;
        }
    }
    let mut response = (status, axum::Json(message)).into_response();
    if sent.replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn settled(message: &MessageView) -> bool {
    message.state.parse::<State>().is_ok_and(|state| state.list().is_some())
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("prefer")?.to_str().ok()?;
    let seconds = text
        .split([',', ';'])
        .find_map(|part| part.trim().strip_prefix("wait=")?.trim().parse::<u64>().ok())?;
    Some(Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    messages: Vec<serde_json::Value>,
}

/// The verdict on one message of a batch.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Message(Box<MessageView>),
    Problem(ProblemBody),
}

impl Verdict {
    fn new(answer: Result<service::messages::Sent, Problem>, lang: service::Lang) -> Self {
        match answer {
            Ok(sent) => Self::Message(Box::new(sent.message)),
            Err(problem) => Self::Problem(ProblemBody::new(&problem, lang)),
        }
    }
}

/// The verdicts, in the order of the messages.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Verdicts {
    items: Vec<Verdict>,
}

/// Sends up to 1,000 messages, each with its own verdict.
#[utoipa::path(post, path = "/apps/{app_id}/messages/batch", request_body = BatchBody, params(("app_id" = String, Path, description = "AppID")),
    responses(
        (status = 200, description = "A verdict for each", body = Verdicts),
    ))]
pub(crate) async fn batch(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    Json(batch): Json<Batch>,
) -> Result<axum::Json<Verdicts>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let mut requests = Vec::with_capacity(batch.messages.len());
    // One message of the wrong form must not spoil the others.
    let mut unreadable = Vec::new();
    for (at, message) in batch.messages.into_iter().enumerate() {
        match serde_json::from_value::<SendRequest>(message) {
            Ok(request) => requests.push((request, None)),
            Err(error) => unreadable.push((at, error.to_string())),
        }
    }
    let answers = access.service().send_batch(&app, requests, lang).await?;
    let mut items: Vec<Verdict> = answers.into_iter().map(|answer| Verdict::new(answer, lang)).collect();
    for (at, error) in unreadable {
        let problem = Problem::new(
            Kind::Invalid,
            "invalid_body",
            format!("第 {} 条消息的格式有误：{error}", at + 1),
            format!("Message {} is not of the right form: {error}", at + 1),
        );
        items.insert(at.min(items.len()), Verdict::Problem(ProblemBody::new(&problem, lang)));
    }
    Ok(axum::Json(Verdicts { items }))
}

/// One message with its whole life.
#[utoipa::path(get, path = "/apps/{app_id}/messages/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The message's id")),
    responses((status = 200, body = MessageView, description = "The message")))]
pub(crate) async fn show(
    access: Access,
    Language(lang): Language,
    Path((app_id, message)): Path<(String, String)>,
) -> Result<axum::Json<MessageView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().message(&app, id(&message, no_message)?, lang).await?))
}

/// Cancels a message that waits.
#[utoipa::path(post, path = "/apps/{app_id}/messages/{id}/cancel", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The message's id")),
    responses((status = 200, body = MessageView, description = "Cancelled, or its retry is forbidden")))]
pub(crate) async fn cancel(
    access: Access,
    Language(lang): Language,
    Path((app_id, message)): Path<(String, String)>,
) -> Result<axum::Json<MessageView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    Ok(axum::Json(access.service().cancel_message(&app, id(&message, no_message)?, lang).await?))
}

/// Sends a message again that did not arrive.
#[utoipa::path(post, path = "/apps/{app_id}/messages/{id}/resend", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The message's id")),
    responses((status = 200, body = MessageView, description = "Queued again")))]
pub(crate) async fn resend(
    access: Access,
    Language(lang): Language,
    Path((app_id, message)): Path<(String, String)>,
) -> Result<axum::Json<MessageView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    Ok(axum::Json(access.service().resend_message(&app, id(&message, no_message)?, lang).await?))
}

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    state: Option<String>,
    to: Option<String>,
    template_id: Option<String>,
    campaign_id: Option<String>,
    since: Option<String>,
    until: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of messages.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct MessagePage {
    items: Vec<MessageView>,
    next_cursor: Option<String>,
}

/// Messages, newest first; a page may be short while there are more.
#[utoipa::path(get, path = "/apps/{app_id}/messages",
    params(("app_id" = String, Path, description = "AppID"), ("state" = Option<String>, Query, description = "Only this state"), ("to" = Option<String>, Query, description = "Only to this openid"), ("template_id" = Option<String>, Query, description = "Only this template"), ("campaign_id" = Option<String>, Query, description = "Only of this campaign"),
        ("since" = Option<String>, Query, description = "Not older (RFC 3339)"), ("until" = Option<String>, Query, description = "Older"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = MessagePage, description = "A page")))]
pub(crate) async fn list(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<MessagePage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let state = query.state.as_deref().map(str::parse::<State>).transpose().map_err(|error| {
        FieldError::new(
            "/state",
            "invalid_value",
            format!("没有“{}”这种状态。", error.name),
            error.to_string(),
        )
    })?;
    let campaign = match query.campaign_id.as_deref() {
        Some(id) => {
            let id = super::campaigns::campaign_id(id)?;
            Some(access.service().stored_campaign(&app, id).await?.number)
        }
        None => None,
    };
    let filter = MessageFilter {
        campaign,
        state,
        openid: query.to,
        template: None,
        since: query.since.as_deref().map(|text| moment("/since", text)).transpose()?,
        until: query.until.as_deref().map(|text| moment("/until", text)).transpose()?,
    };
    let before = query
        .cursor
        .as_deref()
        .map(|text| text.parse::<MessageId>().map_err(|_| bad_cursor()))
        .transpose()?;
    let (items, next) = access
        .service()
        .messages(&app, filter, query.template_id.as_deref(), before, limit(query.limit), lang)
        .await?;
    Ok(axum::Json(MessagePage { items, next_cursor: next.map(|id| id.to_string()) }))
}

pub(super) fn moment(pointer: &str, text: &str) -> Result<Millis, ApiProblem> {
    text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| {
        FieldError::new(
            pointer,
            "invalid_time",
            format!("“{text}” 不是带时区的时间，例如 2026-11-23T20:00:00+08:00。"),
            format!("\"{text}\" is not a time with an offset, such as 2026-11-23T20:00:00+08:00."),
        )
        .into()
    })
}

fn no_message() -> ApiProblem {
    Problem::new(Kind::NotFound, "message_not_found", "没有这条消息。", "There is no such message.").into()
}
