//! `/apps/{app_id}/campaigns/{id}/results`: the three closing lists, streamed as a table or as one JSON array.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::message::List;
use futures::{Stream, StreamExt};
use serde::Deserialize;
use service::campaigns::Line;
use service::problem::FieldError;
use service::{Problem, Scope};

use super::campaigns::campaign_id;
use crate::auth::Access;
use crate::body::{Path, Query};
use crate::csv;
use crate::problem::ApiProblem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultsQuery {
    list: Option<String>,
}

/// What became of each recipient. CSV with `Accept: text/csv`, XLSX with its own type, else one JSON array; everybody unless `list` is given.
#[utoipa::path(get, path = "/apps/{app_id}/campaigns/{id}/results",
    params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The campaign's id"), ("list" = Option<String>, Query, description = "sent, not_sent or unknown; everybody unless given")),
    responses((status = 200, description = "The list", content((Vec<Line> = "application/json"), (String = "text/csv")))))]
pub(crate) async fn results(
    access: Access,
    Path((app_id, campaign)): Path<(String, String)>,
    Query(query): Query<ResultsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let list = query.list.as_deref().map(str::parse::<List>).transpose().map_err(|_| {
        ApiProblem::from(FieldError::new(
            "/list",
            "invalid_list",
            "list 只能是 sent、not_sent 或 unknown；不传表示全部。",
            "list is sent, not_sent or unknown; leave it out for everybody.",
        ))
    })?;
    let service = access.service();
    let (stored, lines) = service.campaign_results(&app, campaign_id(&campaign)?, list).await?;
    let name = format!("campaign-{}-{}", stored.number, query.list.as_deref().unwrap_or("all"));
    if csv::workbook_wanted(&headers) {
        let columns = service.list_columns(&stored).await?;
        return Ok(workbook(&name, service.results_workbook(&name, columns, lines).await?));
    }
    if csv::wanted(&headers) {
        let columns = service.list_columns(&stored).await?;
        return Ok(csv::response(&name, service::csv::list(columns, lines)));
    }
    Ok(array(lines))
}

type Lines = Result<Vec<Line>, Problem>;

/// A whole XLSX.
pub(crate) fn workbook(name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}.xlsx\"");
    ([(header::CONTENT_TYPE, csv::XLSX.to_owned()), (header::CONTENT_DISPOSITION, disposition)], bytes)
        .into_response()
}

/// One array, begun before its end is known.
fn array(lines: impl Stream<Item = Lines> + Send + 'static) -> Response {
    let mut first = true;
    let items = lines.map(move |page| {
        page.map(|lines| {
            let mut text = String::new();
            for line in &lines {
                text.push(if std::mem::take(&mut first) { '[' } else { ',' });
                text.push_str(&serde_json::to_string(line).unwrap_or_default());
            }
            Bytes::from(text)
        })
    });
    let state = (Box::pin(items), true, false);
    let body = futures::stream::try_unfold(state, |(mut items, empty, ended)| async move {
        if ended {
            return Ok::<_, Problem>(None);
        }
        match items.next().await {
            Some(page) => Ok(Some((page?, (items, false, false)))),
            None => Ok(Some((Bytes::from(if empty { "[]" } else { "]" }), (items, false, true)))),
        }
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
}
