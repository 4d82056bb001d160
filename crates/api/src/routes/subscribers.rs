//! `/apps/{app_id}/subscribers` and `/apps/{app_id}/guests`.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use service::Scope;
use service::erasure::ErasureView;
use service::people::{GuestView, Imported, PersonRequest, PersonView};
use service::problem::FieldError;

use crate::auth::Access;
use crate::body::{Json, Path, Query, Raw, bad_cursor, limit};
use crate::language::Language;
use crate::problem::{ApiProblem, ProblemBody};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    external_id: Option<String>,
    /// `room:3-1201`
    attribute: Option<String>,
    tag: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of people.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PersonPage {
    items: Vec<PersonView>,
    next_cursor: Option<String>,
}

/// What the team knows of people; a page may be short while there are more.
#[utoipa::path(get, path = "/apps/{app_id}/subscribers", params(("app_id" = String, Path, description = "AppID"), ("external_id" = Option<String>, Query, description = "Whoever has it"), ("attribute" = Option<String>, Query, description = "A key attribute and its value: room:3-1201"), ("tag" = Option<String>, Query, description = "Only those with this tag"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = PersonPage, description = "A page")))]
pub(crate) async fn list(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<PersonPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let after = query.cursor.as_deref().map(cursor).transpose()?;
    let found_by = match (query.external_id.as_deref(), query.attribute.as_deref()) {
        (Some(external_id), _) => Some((store::people::EXTERNAL_ID, external_id)),
        (None, Some(attribute)) => Some(attribute.split_once(':').ok_or_else(|| {
            FieldError::new(
                "/attribute",
                "invalid_value",
                "attribute 写作 名称:值，例如 room:3-1201。",
                "attribute is written name:value, such as room:3-1201.",
            )
        })?),
        (None, None) => None,
    };
    let (items, next) =
        access.service().people(&app, found_by, query.tag.as_deref(), after, limit(query.limit)).await?;
    let next_cursor = next.map(|(lane, openid)| format!("{lane}:{openid}"));
    Ok(axum::Json(PersonPage { items, next_cursor }))
}

fn cursor(text: &str) -> Result<(i64, String), ApiProblem> {
    let (lane, openid) = text.split_once(':').ok_or_else(bad_cursor)?;
    Ok((lane.parse().map_err(|_| bad_cursor())?, openid.to_owned()))
}

/// People, each with a verdict.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PersonVerdicts {
    items: Vec<PersonVerdict>,
}

/// The verdict on one person.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PersonVerdict {
    Subscriber(Box<PersonView>),
    Problem(ProblemBody),
}

/// Up to 1,000 people.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct People {
    subscribers: Vec<PersonRequest>,
}

/// Keeps what is known of up to 1,000 people, in place of what was.
#[utoipa::path(put, path = "/apps/{app_id}/subscribers", request_body = People, params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = PersonVerdicts, description = "A verdict for each")))]
pub(crate) async fn put_all(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    Json(people): Json<People>,
) -> Result<axum::Json<PersonVerdicts>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let verdicts = access.service().put_people(&app, people.subscribers).await?;
    let items = verdicts
        .into_iter()
        .map(|verdict| match verdict {
            Ok((person, _)) => PersonVerdict::Subscriber(Box::new(person)),
            Err(problem) => PersonVerdict::Problem(ProblemBody::new(&problem, lang)),
        })
        .collect();
    Ok(axum::Json(PersonVerdicts { items }))
}

/// Keeps the people of a table: CSV in UTF-8 whose head names openid, external_id, unionid, tags, and any attributes.
#[utoipa::path(post, path = "/apps/{app_id}/subscribers/import", request_body(content = String, content_type = "text/csv"), params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = Imported, description = "How many were kept, and which rows were not")))]
pub(crate) async fn import(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    Raw(body): Raw,
) -> Result<axum::Json<Imported>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let rows = service::csv::table(&body)?;
    Ok(axum::Json(access.service().import_people(&app, rows, lang).await?))
}

/// What is known of one person.
#[utoipa::path(get, path = "/apps/{app_id}/subscribers/{openid}", params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Who")),
    responses((status = 200, body = PersonView, description = "The person")))]
pub(crate) async fn show(
    access: Access,
    Path((app_id, openid)): Path<(String, String)>,
) -> Result<axum::Json<PersonView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(access.service().person(&app, &openid).await?))
}

/// Keeps what is known of one person, in place of what was.
#[utoipa::path(put, path = "/apps/{app_id}/subscribers/{openid}", request_body = PersonRequest, params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Who")),
    responses((status = 200, body = PersonView, description = "Changed"), (status = 201, body = PersonView, description = "New")))]
pub(crate) async fn put(
    access: Access,
    Path((app_id, openid)): Path<(String, String)>,
    Json(request): Json<PersonRequest>,
) -> Result<(StatusCode, axum::Json<PersonView>), ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let (person, created) = access.service().put_person(&app, &openid, request).await?;
    Ok((if created { StatusCode::CREATED } else { StatusCode::OK }, axum::Json(person)))
}

/// Erases a person: deletes what is known, balances, statuses and ledger, and takes openid and content out of messages and
/// callbacks. Messages that wait for the person are skipped.
#[utoipa::path(delete, path = "/apps/{app_id}/subscribers/{openid}",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Whom")),
    responses((status = 200, body = ErasureView, description = "Erased; zeros where nothing was known of the person"),
        (status = 202, body = ErasureView, description = "It takes longer (a message is being sent, or no worker runs) and goes on by itself")))]
pub(crate) async fn erase(
    access: Access,
    Path((app_id, openid)): Path<(String, String)>,
) -> Result<(StatusCode, axum::Json<ErasureView>), ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let view = access.service().erase_person(&app, &openid).await?;
    let status = if view.state == "erased" { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(view)))
}

/// Everything kept of one person: what the team knows, subscriptions and ledger, messages, callbacks, lines of lists, deeds. Noted in
/// the operation log.
#[utoipa::path(get, path = "/apps/{app_id}/subscribers/{openid}/export",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Whose")),
    responses((status = 200, body = serde_json::Value, description = "One JSON object; empty lists where nothing is known of the person")))]
pub(crate) async fn export(
    access: Access,
    Language(lang): Language,
    Path((app_id, openid)): Path<(String, String)>,
) -> Result<axum::Json<serde_json::Value>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let principal = access.principal();
    Ok(axum::Json(access.service().export_person(&app, &openid, &principal, lang).await?))
}

/// The guests of an app: who receives while it is on trial.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct GuestList {
    items: Vec<GuestView>,
    next_cursor: Option<String>,
}

/// Who receives while the app is on trial.
#[utoipa::path(get, path = "/apps/{app_id}/guests", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = GuestList, description = "All of them")))]
pub(crate) async fn guests(
    access: Access,
    Path(app_id): Path<String>,
) -> Result<axum::Json<GuestList>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(axum::Json(GuestList { items: access.service().guests(&app).await?, next_cursor: None }))
}

/// A guest's note.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuestBody {
    /// Whose telephone that is.
    #[serde(default)]
    note: Option<String>,
}

/// Adds a guest.
#[utoipa::path(put, path = "/apps/{app_id}/guests/{openid}", request_body(content = Option<GuestBody>), params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Who")),
    responses((status = 200, body = GuestView, description = "The guest")))]
pub(crate) async fn put_guest(
    access: Access,
    Path((app_id, openid)): Path<(String, String)>,
    Raw(body): Raw,
) -> Result<axum::Json<GuestView>, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let body: GuestBody =
        if body.trim_ascii().is_empty() { GuestBody::default() } else { crate::body::read(&body)? };
    Ok(axum::Json(access.service().put_guest(&app, &openid, body.note).await?))
}

/// Removes a guest.
#[utoipa::path(delete, path = "/apps/{app_id}/guests/{openid}", params(("app_id" = String, Path, description = "AppID"), ("openid" = String, Path, description = "Who")),
    responses((status = 204, description = "Removed")))]
pub(crate) async fn remove_guest(
    access: Access,
    Path((app_id, openid)): Path<(String, String)>,
) -> Result<StatusCode, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    access.service().remove_guest(&app, &openid).await?;
    Ok(StatusCode::NO_CONTENT)
}
