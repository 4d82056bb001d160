//! `/apps/{app_id}/uploads`: spreadsheets of recipients.

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartRejection};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use service::problem::FieldError;
use service::uploads::{UploadRequest, UploadView};
use service::{Kind, Lang, Problem, Scope};
use uuid::Uuid;

use super::results::workbook;
use crate::auth::Access;
use crate::body::{Json, Path};
use crate::language::Language;
use crate::problem::ApiProblem;

/// What is sent as a form.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its shape is used, for the document")]
pub(crate) struct UploadForm {
    /// The file: XLSX, XLS, HTML, CSV or text.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// The template that it is for.
    template_id: Option<String>,
    /// {"key":{"column":"手机号","by":"phone"},"fields":{"amount3":"金额|money"}}
    mapping: Option<String>,
    /// Which sheet.
    sheet: Option<String>,
    /// The row with the names of the columns; 0: there is none.
    header_row: Option<u32>,
    /// leave_out
    errors: Option<String>,
    /// leave_out, keep
    hidden_rows: Option<String>,
    /// leave_out, keep
    total_rows: Option<String>,
    /// all, most_recent, leave_out
    several: Option<String>,
    /// mend, keep
    lost_zeros: Option<String>,
    /// mend, keep
    full_width: Option<String>,
    /// leave_out, keep
    same_today: Option<String>,
}

/// The latest uploads.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UploadPage {
    #[schema(value_type = Vec<UploadView>)]
    items: Vec<Value>,
    next_cursor: Option<String>,
}

/// Reads a file of recipients, checks every cell and asks what is doubtful; nothing is sent.
#[utoipa::path(post, path = "/apps/{app_id}/uploads", request_body(content = UploadForm, content_type = "multipart/form-data"), params(("app_id" = String, Path, description = "AppID")),
    responses((status = 201, body = UploadView, description = "What was found")))]
pub(crate) async fn add(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, axum::Json<Value>), ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    let mut form = form.map_err(|_| no_form())?;
    let (mut file, mut asked) = (None, Map::new());
    while let Some(field) = form.next_field().await.map_err(|_| unreadable())? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let called = field.file_name().unwrap_or("upload").to_owned();
            file = Some((called, field.bytes().await.map_err(|_| unreadable())?.to_vec()));
        } else {
            let value = value(&name, field).await?;
            asked.insert(name, value);
        }
    }
    let Some((name, bytes)) = file else { return Err(no_file().into()) };
    let asked = UploadRequest::parse(Value::Object(asked))?;
    let view = access.service().upload(&app, &name, bytes, asked, &access.principal()).await?;
    Ok((StatusCode::CREATED, told(&view, lang)))
}

/// The latest uploads, newest first.
#[utoipa::path(get, path = "/apps/{app_id}/uploads", params(("app_id" = String, Path, description = "AppID")),
    responses((status = 200, body = UploadPage, description = "Up to 100")))]
pub(crate) async fn list(
    access: Access,
    Language(lang): Language,
    Path(app_id): Path<String>,
) -> Result<axum::Json<UploadPage>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    let views = access.service().upload_views(&app).await?;
    Ok(axum::Json(UploadPage {
        items: views.iter().map(|view| view.told(lang)).collect(),
        next_cursor: None,
    }))
}

/// What was found in an upload.
#[utoipa::path(get, path = "/apps/{app_id}/uploads/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The upload's id")),
    responses((status = 200, body = UploadView, description = "The upload")))]
pub(crate) async fn show(
    access: Access,
    Language(lang): Language,
    Path((app_id, upload)): Path<(String, String)>,
) -> Result<axum::Json<Value>, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(told(&access.service().upload_view(&app, upload_id(&upload)?).await?, lang))
}

/// Reads the file again: other columns, another sheet, answers to what was asked.
#[utoipa::path(patch, path = "/apps/{app_id}/uploads/{id}", request_body = UploadRequest, params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The upload's id")),
    responses((status = 200, body = UploadView, description = "What was found")))]
pub(crate) async fn change(
    access: Access,
    Language(lang): Language,
    Path((app_id, upload)): Path<(String, String)>,
    Json(change): Json<Value>,
) -> Result<axum::Json<Value>, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    Ok(told(&access.service().read_upload_again(&app, upload_id(&upload)?, change).await?, lang))
}

/// Forgets an upload; campaigns that were made of it keep their rows.
#[utoipa::path(delete, path = "/apps/{app_id}/uploads/{id}", params(("app_id" = String, Path, description = "AppID"), ("id" = String, Path, description = "The upload's id")),
    responses((status = 204, description = "Forgotten")))]
pub(crate) async fn remove(
    access: Access,
    Path((app_id, upload)): Path<(String, String)>,
) -> Result<StatusCode, ApiProblem> {
    let app = access.app(&app_id, Scope::Send).await?;
    access.service().forget_upload(&app, upload_id(&upload)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An empty sheet with a column per field of the template and one that says who.
#[utoipa::path(get, path = "/apps/{app_id}/templates/{template_id}/sheet", params(("app_id" = String, Path, description = "AppID"), ("template_id" = String, Path, description = "The template's id")),
    responses((status = 200, description = "XLSX", content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")))]
pub(crate) async fn blank(
    access: Access,
    Path((app_id, template)): Path<(String, String)>,
) -> Result<Response, ApiProblem> {
    let app = access.app(&app_id, Scope::Read).await?;
    Ok(workbook("recipients", access.service().blank_sheet(&app, &template).await?))
}

fn told(view: &UploadView, lang: Lang) -> axum::Json<Value> {
    axum::Json(view.told(lang))
}

/// A part of the form as JSON.
async fn value(name: &str, field: Field<'_>) -> Result<Value, ApiProblem> {
    let text = field.text().await.map_err(|_| unreadable())?;
    match name {
        "mapping" => serde_json::from_str(&text).map_err(|error| {
            FieldError::new(
                "/mapping",
                "invalid_json",
                format!("mapping 应是 JSON：{error}。例如 {{\"key\":{{\"column\":\"手机号\",\"by\":\"phone\"}},\"fields\":{{\"amount3\":\"金额|money\"}}}}。"),
                format!("mapping is JSON: {error}. For example {{\"key\":{{\"column\":\"手机号\",\"by\":\"phone\"}},\"fields\":{{\"amount3\":\"金额|money\"}}}}."),
            )
            .into()
        }),
        "header_row" => text.trim().parse::<u32>().map(Value::from).map_err(|_| {
            FieldError::new("/header_row", "invalid_row", "header_row 应是行号；没有表头填 0。", "header_row is the number of a row; 0 where there is none.").into()
        }),
        _ => Ok(Value::String(text)),
    }
}

fn upload_id(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| {
        Problem::new(Kind::NotFound, "upload_not_found", "没有这个上传文件。", "There is no such upload.")
    })
}

fn no_form() -> Problem {
    Problem::new(
        Kind::Malformed,
        "no_form",
        "请用 multipart/form-data 上传，文件放在 file 字段里。",
        "Send multipart/form-data with the file in the field `file`.",
    )
}

fn no_file() -> FieldError {
    FieldError::new("/file", "missing", "表单里没有 file 字段。", "The form has no field `file`.")
}

fn unreadable() -> Problem {
    Problem::new(
        Kind::Malformed,
        "body_unreadable",
        "上传中断，或文件超过 16 MiB。请拆分，或另存为 XLSX（通常小得多）。",
        "The upload broke off, or is larger than 16 MiB. Split it, or save it as XLSX, which is much smaller.",
    )
}
