//! The diagnosis as a page.

use askama::Template;
use service::doctor::Check;
use service::operators::Right;

use crate::answer::{Answer, show};
use crate::layout::Page;
use crate::visit::AppVisit;

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    page: Page,
    checks: Vec<Check>,
}

pub(crate) async fn show_page(visit: AppVisit) -> Answer {
    visit.need(Right::Manage)?;
    let page = Page::of_app(&visit, "doctor", "");
    let title = page.t("一键诊断", "Doctor").to_owned();
    let checks = visit.service().doctor(&visit.app, visit.lang).await;
    Ok(show(&DoctorPage { page: Page { title, ..page }, checks }))
}
