//! `/apps/{app_id}/subscriptions` and `/apps/{app_id}/ledger`.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use service::grants::{BalanceSummary, EntryRequest, EntryWritten};
use service::subscriptions::{EntryView, SubscriptionView};
use service::{App, Lang, Problem, Scope, Service};

use crate::auth::Access;
use crate::body::{Json, Path, Query, bad_cursor, limit};
use crate::csv;
use crate::language::Language;
use crate::problem::{ApiProblem, ProblemBody};

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    openid: Option<String>,
    template_id: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A page of subscriptions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubscriptionPage {
    items: Vec<SubscriptionView>,
    next_cursor: Option<String>,
}

/// Who subscribed to what, and how many grants are left.
#[utoipa::path(get, path = "/apps/{app_id}/subscriptions",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = Option<String>, Query, description = "Only this person's"), ("template_id" = Option<String>, Query, description = "Only this template"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, body = SubscriptionPage, description = "A page")))]
pub(crate) async fn list(
    access: Access,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<SubscriptionPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let after = match query.cursor.as_deref() {
        None => None,
        Some(text) => Some(service::subscriptions::read_key(text).ok_or_else(bad_cursor)?),
    };
    let (items, next) = access
        .service()
        .subscriptions(&app, query.openid.as_deref(), query.template_id.as_deref(), after, limit(query.limit))
        .await?;
    let next_cursor = next.map(|key| service::subscriptions::write_key(&key));
    Ok(axum::Json(SubscriptionPage { items, next_cursor }))
}

/// A page of ledger entries.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EntryPage {
    items: Vec<EntryView>,
    next_cursor: Option<String>,
    /// How the balance came to be, where one person's and one template's is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<BalanceSummary>,
}

/// The entries that explain a balance, oldest first; without an openid those of everybody. With `Accept: text/csv` all of
/// everybody's, streamed as a table.
#[utoipa::path(get, path = "/apps/{app_id}/ledger",
    params(("app_id" = String, Path, description = "AppID"), ("openid" = Option<String>, Query, description = "Whose"), ("template_id" = Option<String>, Query, description = "Which template; all of the person's where it is left out"), ("cursor" = Option<String>, Query, description = "next_cursor of the page before"), ("limit" = Option<i64>, Query, description = "1 to 500, 50 unless given")),
    responses((status = 200, description = "A page, or a table", content((EntryPage = "application/json"), (String = "text/csv")))))]
pub(crate) async fn ledger(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    Query(query): Query<ListQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let service = access.service();
    if csv::wanted(&headers) && query.openid.is_none() {
        let after = query.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
        return Ok(table(service.clone(), app, after, lang));
    }
    let Some(openid) = query.openid.as_deref() else {
        let after = query.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
        let (items, next) = service.ledger(&app, after, limit(query.limit), lang).await?;
        let page = EntryPage { items, next_cursor: next.map(|id| id.to_string()), summary: None };
        return Ok(axum::Json(page).into_response());
    };
    let summary = match &query.template_id {
        Some(template_id) => service.balance_of(&app, openid, template_id, lang).await?,
        None => None,
    };
    let templates = match query.template_id {
        Some(template_id) => vec![template_id],
        None => {
            let (subscriptions, _) = service.subscriptions(&app, Some(openid), None, None, 500).await?;
            subscriptions.into_iter().map(|subscription| subscription.template_id).collect()
        }
    };
    let mut items = Vec::new();
    for template_id in templates {
        items.extend(service.ledger_of(&app, openid, &template_id, lang).await?);
    }
    items.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(axum::Json(EntryPage { items, next_cursor: None, summary }).into_response())
}

const COLUMNS: [&str; 8] = ["at", "openid", "template_id", "kind", "delta", "balance", "evidence", "note"];
const ROWS: i64 = 1_000;

/// The whole ledger from an entry on: each page is read when the one before is on its way.
fn table(service: Service, app: Arc<App>, after: i64, lang: Lang) -> Response {
    let pages = futures::stream::try_unfold(Some(after), move |after| {
        let (service, app) = (service.clone(), Arc::clone(&app));
        async move {
            let Some(after) = after else { return Ok::<_, Problem>(None) };
            let (items, next) = service.ledger(&app, after, ROWS, lang).await?;
            let rows = items.iter().map(|entry| {
                [
                    entry.at.clone(),
                    entry.openid.clone(),
                    entry.template_id.clone(),
                    entry.kind.to_owned(),
                    entry.delta.to_string(),
                    entry.balance.to_string(),
                    entry.evidence.to_string(),
                    entry.note.clone().unwrap_or_default(),
                ]
            });
            Ok(Some((Bytes::from(service::csv::rows(rows)), next)))
        }
    });
    let head = futures::stream::once(std::future::ready(Ok(service::csv::head(&COLUMNS))));
    csv::response("ledger", futures::StreamExt::chain(head, pages))
}

/// Entries by hand: one, or a list.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) enum EntriesBody {
    /// Up to 1,000.
    Many {
        /// Each with a verdict of its own.
        entries: Vec<EntryRequest>,
    },
    /// One.
    One(EntryRequest),
}

/// What became of each entry.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct EntryVerdicts {
    items: Vec<EntryVerdict>,
}

/// The verdict on one entry.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryVerdict {
    Subscription(EntryWritten),
    Problem(ProblemBody),
}

/// What became of the one entry, or of each.
#[derive(utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) enum Written {
    /// Of the one.
    One(EntryWritten),
    /// Of a list.
    Each(EntryVerdicts),
}

/// Writes entries by hand: adjust (with a note) or import. One entry answers itself or its problem, a list a verdict for each. With an
/// Idempotency-Key the same list is written once.
#[utoipa::path(post, path = "/apps/{app_id}/ledger", request_body = EntriesBody, params(("app_id" = String, Path, description = "AppID"), ("Idempotency-Key" = Option<String>, Header, description = "Written once within 24 hours")),
    responses((status = 200, description = "A verdict for each, or the one entry", body = Written)))]
pub(crate) async fn write(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<serde_json::Value>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Manage).await?;
    let key = headers.get("idempotency-key").map(|value| value.to_str().unwrap_or("\u{1}").to_owned());
    // Told apart by hand: an untagged reading would not say what is wrong.
    let many = body.get("entries").is_some();
    let requests: Vec<EntryRequest> = if many {
        let entries = body.get("entries").cloned().unwrap_or_default();
        crate::body::read(entries.to_string().as_bytes())?
    } else {
        vec![crate::body::read(body.to_string().as_bytes())?]
    };
    let service = access.service();
    let written = service.write_entries(&app, requests, &access.principal(), key.as_deref()).await?;
    let mut response = if many {
        let items = written
            .verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Ok(written) => EntryVerdict::Subscription(written),
                Err(problem) => EntryVerdict::Problem(ProblemBody::new(&problem, lang)),
            })
            .collect();
        axum::Json(EntryVerdicts { items }).into_response()
    } else {
        let mut verdicts = written.verdicts.into_iter();
        axum::Json(verdicts.next().transpose()?).into_response()
    };
    if written.replayed {
        response.headers_mut().insert("idempotent-replayed", axum::http::HeaderValue::from_static("true"));
    }
    Ok(response)
}
