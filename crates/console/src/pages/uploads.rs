//! Sheets: uploading, what is wrong with which cell, columns mapped by choosing, questions answered; then a campaign is made of it.

use askama::Template;
use axum::extract::{Multipart, Path};
use serde_json::{Map, Value, json};
use service::operators::Right;
use service::templates::TemplateView;
use service::uploads::{Question, UploadRequest, UploadView};
use service::{Kind, Problem};
use uuid::Uuid;

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::{Form, stale};
use crate::layout::Page;
use crate::visit::AppVisit;

#[derive(Template)]
#[template(path = "uploads.html")]
struct ListPage {
    page: Page,
    templates: Vec<TemplateView>,
    uploads: Vec<UploadView>,
    errors: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "upload.html")]
struct UploadPage {
    page: Page,
    upload: UploadView,
    template: Option<TemplateView>,
    keys: Vec<String>,
    errors: Vec<(String, String)>,
}

pub(crate) async fn list(visit: AppVisit) -> Answer {
    visit.need(Right::Edit)?;
    Ok(show(&list_page(&visit, Vec::new()).await?))
}

async fn list_page(visit: &AppVisit, errors: Vec<(String, String)>) -> Result<ListPage, Problem> {
    let page = Page::of_app(visit, "uploads", "");
    let title = page.t("表格", "Sheets").to_owned();
    let (service, app) = (visit.service(), &visit.app);
    let templates = service.templates(app).await?.into_iter().filter(|template| !template.gone).collect();
    let uploads = service.upload_views(app).await?;
    Ok(ListPage { page: Page { title, ..page }, templates, uploads, errors })
}

pub(crate) async fn add(visit: AppVisit, mut parts: Multipart) -> Answer {
    visit.need(Right::Edit)?;
    let (mut file, mut given) = (None, Vec::new());
    while let Some(part) = parts.next_field().await.map_err(|_| too_large())? {
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            let called = part.file_name().unwrap_or("upload").to_owned();
            file = Some((called, part.bytes().await.map_err(|_| too_large())?.to_vec()));
        } else {
            given.push((name, part.text().await.map_err(|_| stale())?));
        }
    }
    let form = Form::of(given);
    form.proves(&visit.session)?;
    let (name, bytes) = file.filter(|(_, bytes)| !bytes.is_empty()).ok_or_else(no_file)?;
    let request = UploadRequest { template_id: form.some("template_id"), ..UploadRequest::default() };
    let by = visit.operator.principal();
    match visit.service().upload(&visit.app, &name, bytes, request, &by).await {
        Ok(upload) => {
            visit.did("POST uploads", Some(&upload.upload_id)).await;
            Ok(go(&visit.path(&format!("uploads/{}", upload.upload_id))))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &list_page(&visit, errors).await?))
        }
    }
}

pub(crate) async fn show_one(visit: AppVisit, Path((_, id)): Path<(String, String)>) -> Answer {
    visit.need(Right::Edit)?;
    Ok(show(&upload_page(&visit, id_of(&id)?, Vec::new()).await?))
}

async fn upload_page(
    visit: &AppVisit,
    id: Uuid,
    errors: Vec<(String, String)>,
) -> Result<UploadPage, Problem> {
    let page = Page::of_app(visit, "uploads", "");
    let (service, app) = (visit.service(), &visit.app);
    let upload = service.upload_view(app, id).await?;
    let asked = service.upload_asked(app, id).await?;
    let template =
        service.templates(app).await?.into_iter().find(|one| Some(&one.id) == asked.template_id.as_ref());
    let mut keys = vec!["openid".to_owned(), "external_id".to_owned()];
    keys.extend(app.settings.attributes.iter().filter(|(_, kind)| kind.key).map(|(name, _)| name.clone()));
    let title = upload.name.clone();
    Ok(UploadPage { page: Page { title, ..page }, upload, template, keys, errors })
}

/// Reads the sheet again, with other columns or answers.
pub(crate) async fn change(visit: AppVisit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Edit)?;
    let uuid = id_of(&id)?;
    let mut change = Map::new();
    let choices =
        ["errors", "hidden_rows", "total_rows", "several", "lost_zeros", "full_width", "same_today"];
    for name in choices {
        if let Some(choice) = form.some(&format!("choice.{name}")) {
            change.insert(name.to_owned(), choice.into());
        }
    }
    if let Some(sheet) = form.some("sheet") {
        change.insert("sheet".to_owned(), sheet.into());
    }
    if let Ok(row) = form.get("header_row").parse::<u32>() {
        change.insert("header_row".to_owned(), row.into());
    }
    if let Some(column) = form.some("key_column") {
        let columns: Map<String, Value> = form
            .below("field.")
            .into_iter()
            .filter(|(_, column)| !column.is_empty())
            .map(|(key, column)| (key, Value::from(column)))
            .collect();
        let by = form.some("key_by").unwrap_or_else(|| "openid".to_owned());
        change.insert(
            "mapping".to_owned(),
            json!({ "key": { "column": column, "by": by }, "fields": columns }),
        );
    }
    match visit.service().read_upload_again(&visit.app, uuid, Value::Object(change)).await {
        Ok(_) => {
            visit.did("PATCH uploads", Some(&id)).await;
            Ok(go(&visit.path(&format!("uploads/{id}"))))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &upload_page(&visit, uuid, errors).await?))
        }
    }
}

pub(crate) async fn remove(visit: AppVisit, Path((_, id)): Path<(String, String)>, _: Form) -> Answer {
    visit.need(Right::Edit)?;
    visit.service().forget_upload(&visit.app, id_of(&id)?).await?;
    visit.did("DELETE uploads", Some(&id)).await;
    Ok(go(&visit.path("uploads?done=removed")))
}

/// An answer to a question, in words.
pub(crate) fn choice(question: &Question, choice: &str, page: &Page) -> String {
    let (zh, en) = match (question.code.as_str(), choice) {
        ("errors", "leave_out") => {
            ("跳过有误的行，列入未发送", "leave these rows out; they are listed as not sent")
        }
        ("several", "all") => ("每个人都发", "to each of them"),
        ("several", "most_recent") => ("只发给最近订阅的那位", "to whoever subscribed last"),
        (_, "leave_out") => ("不发送这些行", "not sent"),
        (_, "keep") => ("照常发送", "sent as they are"),
        (_, "mend") => ("按原意修正", "taken as they were meant"),
        _ => return choice.to_owned(),
    };
    page.t(zh, en).to_owned()
}

/// Words in the page's language.
pub(crate) fn words<'w>(words: &'w service::uploads::Words, page: &Page) -> &'w str {
    page.t(&words.zh, &words.en)
}

/// Rows as they are named: 3, 5, 8 …
pub(crate) fn rows(rows: &[u32], count: &u64) -> String {
    let mut text = rows.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    if *count > rows.len() as u64 {
        text.push_str(" …");
    }
    text
}

/// One of the first values of a column.
pub(crate) fn sample<'c>(column: &'c service::uploads::Column, at: &usize) -> &'c str {
    column.samples.get(*at).map_or("", String::as_str)
}

/// A cell of a row that is shown whole.
pub(crate) fn cell<'r>(row: &'r service::uploads::WrongRow, at: &usize) -> &'r str {
    row.cells.get(*at).map_or("", String::as_str)
}

/// The column that a field takes its value from, without its format.
pub(crate) fn column_of<'m>(upload: &'m UploadView, key: &str) -> &'m str {
    upload.report.mapping.fields.get(key).map_or("", String::as_str)
}

fn id_of(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| {
        Problem::new(Kind::NotFound, "upload_not_found", "没有这个上传文件。", "There is no such upload.")
    })
}

fn no_file() -> Problem {
    Problem::new(Kind::Invalid, "no_file", "请选择一个文件。", "Choose a file.")
}

fn too_large() -> Problem {
    Problem::new(
        Kind::Malformed,
        "body_unreadable",
        "上传中断，或文件超过 16 MiB。请拆分，或另存为 XLSX（通常小得多）。",
        "The upload broke off, or is larger than 16 MiB. Split it, or save it as XLSX, which is much smaller.",
    )
}
