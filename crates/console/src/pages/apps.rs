//! All apps in one list with their health, and how the first one comes about: by the simulated WeChat, or by connecting a real one.

use askama::Template;
use secrecy::SecretString;
use service::Problem;
use service::apps::AppChange;
use service::attention::Health;
use service::operators::Right;

use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage {
    page: Page,
    apps: Vec<(Health, &'static str)>,
    need: usize,
}

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    page: Page,
    can_try: bool,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "connect_app.html")]
struct ConnectPage {
    page: Page,
    form: Form,
    errors: Vec<(String, String)>,
}

pub(crate) async fn list(visit: Visit) -> Answer {
    let page = Page::of(&visit, "apps", "");
    let title = page.t("小程序", "Apps").to_owned();
    let health = visit.service().health().await?;
    let apps: Vec<(Health, &'static str)> = health
        .into_iter()
        .filter_map(|app| {
            let role = visit.operator.role(&app.app_id)?;
            Some((app, crate::words::role(role, visit.lang)))
        })
        .collect();
    let need = apps.iter().filter(|(app, _)| app.alarms + app.warnings > 0).count();
    Ok(show(&AppsPage { page: Page { title, ..page }, apps, need }))
}

pub(crate) async fn start(visit: Visit) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    Ok(show(&start_page(&visit, None)))
}

fn start_page(visit: &Visit, error: Option<String>) -> StartPage {
    let page = Page::of(visit, "apps", "");
    let title = page.t("开始", "Start").to_owned();
    StartPage { page: Page { title, ..page }, can_try: visit.console.options.try_out.is_some(), error }
}

/// The simulated WeChat with its sample app.
pub(crate) async fn try_out(visit: Visit, _: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let Some(try_out) = &visit.console.options.try_out else { return Ok(go("start")) };
    match try_out().await {
        Ok(app_id) => {
            visit.note(None, "POST start/try", Some(&app_id)).await;
            Ok(go(&format!("apps/{app_id}/")))
        }
        Err(problem) => {
            let error = Some(problem.detail(visit.lang).to_owned());
            Ok(show_with(status(problem.kind), &start_page(&visit, error)))
        }
    }
}

pub(crate) async fn connect(visit: Visit) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    Ok(show(&connect_page(&visit, Form::default(), Vec::new())))
}

fn connect_page(visit: &Visit, form: Form, errors: Vec<(String, String)>) -> ConnectPage {
    let page = Page::of(visit, "apps", "");
    let title = page.t("接入我的小程序", "Connect my mini program").to_owned();
    ConnectPage { page: Page { title, ..page }, form, errors }
}

/// Registers an app, its callback keys made here; whether the AppSecret is right the guide says.
pub(crate) async fn add(visit: Visit, form: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let service = visit.service();
    let change = AppChange {
        name: form.some("name"),
        secret: form.some("secret").map(SecretString::from),
        callback_token: Some(service.new_callback_token()),
        aes_key: Some(service.new_aes_key()),
        mode: form.some("mode").and_then(|mode| mode.parse().ok()),
        format: form.some("format").and_then(|format| format.parse().ok()),
        api_base_url: form.some("api_base_url"),
        ..AppChange::default()
    };
    match service.add_app(form.get("app_id"), change).await {
        Ok(app) => {
            visit.note(Some(&app), "PUT apps", Some(&app.app_id)).await;
            Ok(go(&format!("apps/{}/connect", app.app_id)))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &connect_page(&visit, form, errors)))
        }
    }
}

/// The wrong fields of a problem by their names, or the whole under no name.
pub(crate) fn fields(problem: &Problem, lang: service::Lang) -> Vec<(String, String)> {
    if problem.errors.is_empty() {
        return vec![(String::new(), problem.detail(lang).to_owned())];
    }
    let field = |error: &service::problem::FieldError| {
        (error.pointer.trim_start_matches('/').to_owned(), error.detail(lang).to_owned())
    };
    problem.errors.iter().map(field).collect()
}
