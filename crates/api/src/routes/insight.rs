//! `/apps/{app_id}/doctor`, `/attention`, `/statistics`, `/template-library`: how an app is, what needs somebody, what happened, what could
//! be chosen.

use axum::http::StatusCode;
use domain::clock::{DAY, HOUR};
use serde::{Deserialize, Serialize};
use service::Scope;
use service::arrivals::Arrival;
use service::attention::{Attention, Health};
use service::doctor::{Check, Verdict, worst};
use service::statistics::{By, Stretch};

use super::messages::moment;
use super::templates::TemplateBody;
use crate::auth::Access;
use crate::body::{Json, Path, Query, bad_cursor};
use crate::language::Language;
use crate::problem::ApiProblem;

/// What was checked, and the last requests to the callback address.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Diagnosis {
    /// The worst of all checks.
    verdict: Verdict,
    checks: Vec<Check>,
    arrivals: Vec<Arrival>,
}

/// What was checked of the installation.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InstallationDiagnosis {
    /// The worst of all checks.
    verdict: Verdict,
    checks: Vec<Check>,
}

/// Checks what all apps share: the database, the lanes, webhooks, the address and its certificate. For keys of all apps.
#[utoipa::path(get, path = "/doctor",
    responses((status = 200, body = InstallationDiagnosis, description = "The checks")))]
pub(crate) async fn installation(
    access: Access,
    Language(lang): Language,
) -> Result<axum::Json<InstallationDiagnosis>, ApiProblem> {
    access.everywhere(Scope::Read)?;
    let checks = access.service().doctor_installation(lang, false).await;
    Ok(axum::Json(InstallationDiagnosis { verdict: worst(&checks), checks }))
}

/// Checks an app's set-up, asking WeChat where that is needed, and (for keys of all apps) what all apps share. Takes some seconds.
#[utoipa::path(get, path = "/apps/{app_id}/doctor", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = Diagnosis, description = "The checks")))]
pub(crate) async fn doctor(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
) -> Result<axum::Json<Diagnosis>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let service = access.service();
    let installation =
        async { if access.sees_all() { service.doctor_installation(lang, false).await } else { Vec::new() } };
    let (mut checks, installation) = futures::join!(service.doctor(&app, lang), installation);
    checks.extend(installation);
    Ok(axum::Json(Diagnosis { verdict: worst(&checks), checks, arrivals: service.arrivals(&app) }))
}

/// What needs somebody, the worst first.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AttentionPage {
    items: Vec<Attention>,
    next_cursor: Option<String>,
}

/// What needs somebody in an app, each with what to do.
#[utoipa::path(get, path = "/apps/{app_id}/attention", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = AttentionPage, description = "All of it")))]
pub(crate) async fn attention(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
) -> Result<axum::Json<AttentionPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let items = access.service().attention(&app, lang).await?;
    Ok(axum::Json(AttentionPage { items, next_cursor: None }))
}

/// How the apps are.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct HealthPage {
    items: Vec<Health>,
    next_cursor: Option<String>,
}

/// How every app is that the key sees, those that need somebody first.
#[utoipa::path(get, path = "/attention",
    responses((status = 200, body = HealthPage, description = "All of them")))]
pub(crate) async fn health(access: Access) -> Result<axum::Json<HealthPage>, ApiProblem> {
    access.may(Scope::Read)?;
    let service = access.service();
    let apps = service.apps().all();
    let sees = |health: &Health| apps.iter().any(|app| app.app_id == health.app_id && access.sees(app));
    let items = service.health().await?.into_iter().filter(sees).collect();
    Ok(axum::Json(HealthPage { items, next_cursor: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatisticsQuery {
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    by: By,
}

/// Stretches of time.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct StatisticsPage {
    items: Vec<Stretch>,
    next_cursor: Option<String>,
}

/// What happened by the hour or day and template: popups, messages, callbacks. The last seven days unless told otherwise.
#[utoipa::path(get, path = "/apps/{app_id}/statistics", params(("app_id" = String, Path, description = "AppID"), ("since" = Option<String>, Query, description = "RFC 3339"), ("until" = Option<String>, Query, description = "RFC 3339"), ("by" = Option<String>, Query, description = "hour or day")),
    responses((status = 200, body = StatisticsPage, description = "Stretches in which something happened")))]
pub(crate) async fn statistics(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<StatisticsQuery>,
) -> Result<axum::Json<StatisticsPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let now = access.service().now();
    let until = query.until.as_deref().map(|text| moment("/until", text)).transpose()?.unwrap_or(now + HOUR);
    let since =
        query.since.as_deref().map(|text| moment("/since", text)).transpose()?.unwrap_or(now - 7 * DAY);
    let items = access.service().statistics(&app, since, until, query.by).await?;
    Ok(axum::Json(StatisticsPage { items, next_cursor: None }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LibraryQuery {
    #[serde(default)]
    words: String,
    cursor: Option<String>,
}

/// A title of the public library.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TitleBody {
    tid: i64,
    title: String,
    /// `one_time` or `long_term`.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A page of the public library.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LibraryBody {
    /// The mini program's categories.
    categories: Vec<String>,
    items: Vec<TitleBody>,
    next_cursor: Option<String>,
}

/// Titles of the public template library in the mini program's categories; with `words` those that hold them.
#[utoipa::path(get, path = "/apps/{app_id}/template-library", params(("app_id" = String, Path, description = "AppID"), ("words" = Option<String>, Query, description = "Words of the title"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, body = LibraryBody, description = "A page")))]
pub(crate) async fn library(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<LibraryQuery>,
) -> Result<axum::Json<LibraryBody>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let start = query.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
    let page = access.service().library(&app, &query.words, start).await?;
    let title = |title: wechat::client::LibraryTitle| TitleBody {
        tid: title.tid,
        title: title.title,
        kind: title.kind.as_str(),
    };
    Ok(axum::Json(LibraryBody {
        categories: page.categories.into_iter().map(|category| category.name).collect(),
        items: page.titles.into_iter().map(title).collect(),
        next_cursor: page.next.map(|next| next.to_string()),
    }))
}

/// A keyword that a library template offers.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeywordBody {
    kid: i64,
    name: String,
    example: String,
    kind: String,
}

/// The keywords of a library template.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeywordPage {
    items: Vec<KeywordBody>,
    next_cursor: Option<String>,
}

/// The keywords that a library template offers.
#[utoipa::path(get, path = "/apps/{app_id}/template-library/{tid}", params(("app_id" = String, Path, description = "AppID"), ("tid" = String, Path, description = "The title's number")),
    responses((status = 200, body = KeywordPage, description = "All of them")))]
pub(crate) async fn keywords(
    access: Access,
    Path((app_id, tid)): Path<(String, String)>,
) -> Result<axum::Json<KeywordPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let items = access.service().library_keywords(&app, &tid).await?.into_iter().map(|keyword| KeywordBody {
        kid: keyword.kid,
        name: keyword.name,
        example: keyword.example,
        kind: keyword.rule,
    });
    Ok(axum::Json(KeywordPage { items: items.collect(), next_cursor: None }))
}

/// A template of the library that is taken.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTemplate {
    /// The title's number.
    tid: String,
    /// 2 to 5 keywords, in the order of the card.
    keywords: Vec<i64>,
    /// What it is for, 15 characters at most.
    scene: String,
}

/// Takes a template from the library. Changes the account at WeChat.
#[utoipa::path(post, path = "/apps/{app_id}/templates", request_body = NewTemplate, params(("app_id" = String, Path, description = "AppID")),
    responses((status = 201, body = TemplateBody, description = "Taken")))]
pub(crate) async fn add_template(
    access: Access,
    Path(app_id): Path<String>,
    Json(new): Json<NewTemplate>,
) -> Result<(StatusCode, axum::Json<TemplateBody>), ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let template = access.service().add_template(&app, &new.tid, &new.keywords, &new.scene).await?;
    Ok((StatusCode::CREATED, axum::Json(template.into())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteQuery {
    #[serde(default)]
    confirm: String,
}

/// Deletes a template at WeChat: every grant for it is lost.
#[utoipa::path(delete, path = "/apps/{app_id}/templates/{template_id}", params(("app_id" = String, Path, description = "AppID"), ("template_id" = String, Path, description = "The template's id"), ("confirm" = String, Query, description = "The template's id once more")),
    responses((status = 204, description = "Deleted")))]
pub(crate) async fn remove_template(
    access: Access,
    Path((app_id, template)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Result<StatusCode, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    access.service().delete_template(&app, &template, &query.confirm).await?;
    Ok(StatusCode::NO_CONTENT)
}
