//! The diagnosis as a page: of the app, and for administrators of the installation.

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
    /// What all apps share; nothing for those who may see only theirs.
    installation: Vec<Check>,
}

pub(crate) async fn show_page(visit: AppVisit) -> Answer {
    visit.need(Right::Manage)?;
    let page = Page::of_app(&visit, "doctor", "");
    let title = page.t("一键诊断", "Doctor").to_owned();
    let (service, lang) = (visit.service(), visit.lang);
    let installation =
        async { if page.admin { service.doctor_installation(lang, false).await } else { Vec::new() } };
    let (checks, installation) = futures::join!(service.doctor(&visit.app, lang), installation);
    Ok(show(&DoctorPage { page: Page { title, ..page }, checks, installation }))
}
