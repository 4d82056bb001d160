//! The mini program's kit as one plain file, to be downloaded into a project: the same that the package holds.

use axum::http::header;
use axum::response::IntoResponse;

const KIT: &str = include_str!("../../../clients/miniprogram/dist/hongyan.js");

/// The mini program's kit, as one file.
#[utoipa::path(get, path = "/kit/hongyan.js", responses((status = 200, body = String, content_type = "text/javascript", description = "The file")))]
pub(crate) async fn show() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, KIT)
}
