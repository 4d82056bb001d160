//! Tables for spreadsheets, streamed page by page: a reader that stalls holds neither memory nor the database.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::TryStream;

/// What XLSX is called.
pub(crate) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Whether the caller asks for CSV.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    accepts(headers, "text/csv")
}

/// Whether the caller asks for XLSX.
pub(crate) fn workbook_wanted(headers: &HeaderMap) -> bool {
    accepts(headers, XLSX)
}

fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| {
        accept.split(',').any(|part| part.split(';').next().is_some_and(|kind| kind.trim() == wanted))
    })
}

/// The answer.
pub(crate) fn response<S>(name: &str, parts: S) -> Response
where
    S: TryStream + Send + 'static,
    S::Ok: Into<Bytes>,
    S::Error: Into<axum::BoxError>,
{
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    (headers, Body::from_stream(parts)).into_response()
}
