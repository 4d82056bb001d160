//! The operation log.

use askama::Template;
use axum::extract::Query;
use service::audit::DeedView;
use service::operators::Right;

use super::more;
use crate::answer::{Answer, show};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::Visit;

const SHOWN: i64 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    page: Page,
    chosen: String,
    deeds: Vec<DeedView>,
    next: Option<String>,
}

pub(crate) async fn list(visit: Visit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let query = Form::of(query);
    let page = Page::of(&visit, "audit", "");
    let title = page.t("操作日志", "Audit log").to_owned();
    let chosen = query.get("app").to_owned();
    let app = visit.apps().into_iter().find(|app| app.app_id == chosen);
    let (deeds, next) =
        visit.service().deeds(app.as_deref(), query.get("cursor").parse().ok(), SHOWN).await?;
    let next = more("audit", &[("app", chosen.as_str())], next.map(|next| next.to_string()));
    Ok(show(&AuditPage { page: Page { title, ..page }, chosen, deeds, next }))
}
