//! `/apps/{app_id}/campaigns`.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::campaigns::{CampaignRequest, CampaignView, DryRun, Forecast, Resend, no_campaign};
use service::recipient::Recipient;
use service::view::MessageView;
use service::{Problem, Scope};
use uuid::Uuid;

use crate::auth::Access;
use crate::body::{Json, Path, Query, Raw, bad_cursor, id, limit};
use crate::language::Language;
use crate::problem::ApiProblem;

/// How often a change of the counts is told.
const TELL: Duration = Duration::from_millis(500);

/// A campaign to draft, as in the guide.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct CampaignBody {
    /// A name for people.
    #[schema(example = "七月物业费")]
    name: String,
    /// The template's id at WeChat.
    template_id: String,
    /// Values by key; those that an upload's mapping fills may be left out. Placeholders: {{column}}, {{fee|money}}, {{day|date}}, {{at|time}}, {{who|default:业主}}.
    #[schema(value_type = Object, example = json!({"thing8": "物业费 {{fee|money}} 元"}))]
    data: Value,
    /// The page that the card opens; values of placeholders are URL-encoded.
    page: Option<String>,
    /// formal (default), trial or developer.
    miniprogram_state: Option<String>,
    /// zh_CN (default), en_US, zh_HK or zh_TW.
    lang: Option<String>,
    /// {"kind":"subscribers"}, {"kind":"segment","tags":[…],"where":{…}}, {"kind":"recipients","recipients":[{"to":…,"vars":{…}}]} or
    /// {"kind":"upload","upload_id":…}.
    #[schema(value_type = Object, example = json!({"kind": "subscribers"}))]
    audience: Value,
    /// Not before this (RFC 3339 with an offset).
    send_at: Option<String>,
    /// Not after this; 72 hours after the start unless given.
    expire_at: Option<String>,
    /// Messages a second at most, below the app's rate.
    rate_per_second: Option<u32>,
    /// {"from":"08:00","to":"21:00","time_zone":"Asia/Shanghai"}
    #[schema(value_type = Option<Object>)]
    window: Option<Value>,
    /// {"late_minutes":120}: where it could not begin in time, it begins so late at most; later it is paused.
    #[schema(value_type = Option<Object>)]
    misfire: Option<Value>,
    /// refuse (default: whoever has no grant left is skipped) or try.
    on_empty_balance: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of campaigns.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CampaignPage {
    items: Vec<CampaignView>,
    next_cursor: Option<String>,
}

/// Campaigns, newest first.
#[utoipa::path(get, path = "/apps/{app_id}/campaigns", params(("app_id" = String, Path, description = "AppID"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = CampaignPage, description = "A page")))]
pub(crate) async fn list(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<CampaignPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let before = query.cursor.as_deref().map(str::parse).transpose().map_err(|_| bad_cursor())?;
    let (items, next) = access.service().campaign_page(&app, before, limit(query.limit)).await?;
    let items = items.into_iter().map(|view| view.explained(lang)).collect();
    Ok(axum::Json(CampaignPage { items, next_cursor: next.map(|number| number.to_string()) }))
}

/// Drafts a campaign; nothing is sent before it is started.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns", request_body = CampaignBody, params(("app_id" = String, Path, description = "AppID"), ("Idempotency-Key" = Option<String>, Header, description = "Answers the same draft for 24 hours")),
    responses((status = 201, body = CampaignView, description = "A draft")))]
pub(crate) async fn draft(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    headers: axum::http::HeaderMap,
    Json(request): Json<CampaignRequest>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or("\u{1}").to_owned());
    let drafted = access.service().draft_campaign(&app, request, &access.principal(), key.as_deref()).await?;
    let mut response = (StatusCode::CREATED, axum::Json(drafted.campaign.explained(lang))).into_response();
    if drafted.replayed {
        response.headers_mut().insert("idempotent-replayed", axum::http::HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// One campaign with its counts.
#[utoipa::path(get, path = "/apps/{app_id}/campaigns/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "The campaign")))]
pub(crate) async fn show(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().campaign(&app, campaign_id(&campaign)?).await?.explained(lang)))
}

/// Changes a draft: what is given takes the place of what was asked.
#[utoipa::path(patch, path = "/apps/{app_id}/campaigns/{id}", request_body(content = Object, description = "Some fields of a draft"), params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "The draft")))]
pub(crate) async fn redraft(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
    Json(change): Json<Value>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let view = access.service().redraft_campaign(&app, campaign_id(&campaign)?, change).await?;
    Ok(axum::Json(view.explained(lang)))
}

/// Removes a draft.
#[utoipa::path(delete, path = "/apps/{app_id}/campaigns/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn remove(
    access: Access,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<StatusCode, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    access.service().remove_campaign(&app, campaign_id(&campaign)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new draft that says the same.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/copy", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 201, body = CampaignView, description = "A draft")))]
pub(crate) async fn copy(
    access: Access,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<(StatusCode, axum::Json<CampaignView>), ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let view = access.service().copy_campaign(&app, campaign_id(&campaign)?, &access.principal()).await?;
    Ok((StatusCode::CREATED, axum::Json(view)))
}

/// What a start would do now.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/forecast", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = Forecast, description = "The forecast")))]
pub(crate) async fn forecast(
    access: Access,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<Forecast>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    Ok(axum::Json(access.service().forecast(&app, campaign_id(&campaign)?).await?))
}

/// Makes every message and sends none: the forecast, the first messages, the first mistakes.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/dry-run", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = DryRun, description = "What would be sent")))]
pub(crate) async fn dry_run(
    access: Access,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<DryRun>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    Ok(axum::Json(access.service().dry_run(&app, campaign_id(&campaign)?).await?))
}

/// Whom a campaign is tried with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestBody {
    /// The openid (or how to find it) that gets the message.
    #[schema(value_type = Value)]
    to: Recipient,
    /// The line of the list whose text is sent; the first unless given.
    row: Option<i64>,
}

/// Sends the text of one recipient to somebody of one's choice: a single urgent message.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/test", request_body = TestBody, params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 202, body = MessageView, description = "It will be sent")))]
pub(crate) async fn test(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
    Json(body): Json<TestBody>,
) -> Result<(StatusCode, axum::Json<MessageView>), ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let sent = access.service().test_send(&app, campaign_id(&campaign)?, body.to, body.row, lang).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(sent.message)))
}

/// Starts a draft. Where it is larger than `approval_above` of the app, it waits for somebody else's approval.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/start", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "Started, or waiting for approval")))]
pub(crate) async fn start(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let id = campaign_id(&campaign)?;
    let by = access.principal();
    Ok(axum::Json(access.service().start_campaign(&app, id, &by).await?.explained(lang)))
}

/// Approves what somebody else made; it starts.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/approve", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "Started")))]
pub(crate) async fn approve(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let id = campaign_id(&campaign)?;
    let by = access.principal();
    Ok(axum::Json(access.service().approve_campaign(&app, id, &by).await?.explained(lang)))
}

/// Takes a request for approval back.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/withdraw", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "A draft again")))]
pub(crate) async fn withdraw(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let id = campaign_id(&campaign)?;
    Ok(axum::Json(access.service().withdraw_campaign(&app, id).await?.explained(lang)))
}

/// Stops it: when this answers, no call of it starts any more.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/pause", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "Paused")))]
pub(crate) async fn pause(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let id = campaign_id(&campaign)?;
    let by = access.principal();
    Ok(axum::Json(access.service().pause_campaign(&app, id, &by).await?.explained(lang)))
}

/// Goes on.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/resume", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "Running, or scheduled")))]
pub(crate) async fn resume(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let id = campaign_id(&campaign)?;
    Ok(axum::Json(access.service().resume_campaign(&app, id).await?.explained(lang)))
}

/// Ends it: what waits is not sent.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/cancel", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "Being cancelled")))]
pub(crate) async fn cancel(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let id = campaign_id(&campaign)?;
    Ok(axum::Json(access.service().cancel_campaign(&app, id).await?.explained(lang)))
}

/// Which of those that were not sent are tried again.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct ResendBody {
    /// failed, undelivered and expired unless given; also refused and skipped.
    states: Option<Vec<service::campaigns::Resendable>>,
}

/// Tries again what was not sent: the same messages, a new attempt each.
#[utoipa::path(post, path = "/apps/{app_id}/campaigns/{id}/resend-failed", request_body(content = Option<ResendBody>), params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = CampaignView, description = "Running again")))]
pub(crate) async fn resend_failed(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
    Raw(body): Raw,
) -> Result<axum::Json<CampaignView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let which: Resend =
        if body.trim_ascii().is_empty() { Resend::default() } else { crate::body::read(&body)? };
    let view = access.service().resend_failed(&app, campaign_id(&campaign)?, &which).await?;
    Ok(axum::Json(view.explained(lang)))
}

/// One event of a campaign's progress.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct ProgressEvent {
    /// counts.
    event: String,
    /// The campaign as GET answers it, in JSON.
    data: String,
}

/// The campaign as server-sent events, `counts`, whenever something changed; ends with the campaign.
#[utoipa::path(get, path = "/apps/{app_id}/campaigns/{id}/progress", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id")),
    responses((status = 200, body = ProgressEvent, content_type = "text/event-stream", description = "event: counts, data: the campaign")))]
pub(crate) async fn progress(
    access: Access,
    Language(lang): Language,
    Path((app_id, campaign)): Path<(String, String)>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let id = campaign_id(&campaign)?;
    let service = access.service().clone();
    // A campaign that is not there is a problem, not an empty stream.
    let first = service.campaign(&app, id).await?.explained(lang);
    let stream = futures::stream::unfold((None, Some(first)), move |(told, next)| {
        let (service, app) = (service.clone(), std::sync::Arc::clone(&app));
        async move {
            let over = |view: &CampaignView| matches!(view.state, "finished" | "cancelled");
            let mut told: Option<CampaignView> = told;
            let mut next = next;
            loop {
                if let Some(view) = next.take() {
                    let text = serde_json::to_string(&view).unwrap_or_default();
                    let event = Event::default().event("counts").data(text);
                    return Some((Ok(event), (Some(view), None)));
                }
                if told.as_ref().is_some_and(over) {
                    return None;
                }
                tokio::time::sleep(TELL).await;
                let view = service.campaign(&app, id).await.ok()?.explained(lang);
                let same = told.as_ref().is_some_and(|told| {
                    (told.counts, told.state, &told.paused_because)
                        == (view.counts, view.state, &view.paused_because)
                });
                if same {
                    told = Some(view);
                } else {
                    next = Some(view);
                }
            }
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

pub(super) fn campaign_id(text: &str) -> Result<Uuid, ApiProblem> {
    id(text, || Problem::into(no_campaign()))
}
