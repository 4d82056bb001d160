//! The way in: claiming a fresh installation, signing in and out, the language, one's own password.

use std::net::SocketAddr;

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use cookie::{Cookie, SameSite};
use secrecy::{ExposeSecret, SecretString};
use service::{Lang, Problem};

use crate::Console;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::{Form, OpenForm};
use crate::layout::Page;
use crate::visit::{LANGUAGE, Visit, address, cookie};

type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    page: Page,
    code: String,
    name: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    page: Page,
    name: String,
    next: String,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    page: Page,
    roles: Vec<(String, &'static str, &'static str)>,
    error: Option<String>,
}

/// The first page: the app, where there is only one.
pub(crate) async fn home(visit: Visit) -> Answer {
    let apps = visit.apps();
    Ok(match apps.as_slice() {
        [] if visit.operator.may_everywhere(service::operators::Right::Manage) => go("start"),
        [app] => go(&format!("apps/{}/", app.app_id)),
        _ => go("apps"),
    })
}

/// From one app to another.
pub(crate) async fn switch(_: Visit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    let app = Form::of(query);
    Ok(go(&format!("apps/{}/", crate::form::path_segment(app.get("app")))))
}

pub(crate) async fn language(
    State(console): State<Console>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let query = Form::of(query);
    let to = if query.get("to") == "en" { "en" } else { "zh" };
    let mut response = go(&inside(query.get("back")));
    set_cookie(&mut response, &console, LANGUAGE, to, Some(365));
    Ok(response)
}

pub(crate) async fn setup(State(console): State<Console>, headers: HeaderMap) -> Answer {
    if console.service.is_claimed().await? {
        return Ok(go("login"));
    }
    let page = outside(&console, &headers, "设置管理员", "Set up");
    Ok(show(&SetupPage { page, code: String::new(), name: String::new(), error: None }))
}

pub(crate) async fn claim(
    State(console): State<Console>,
    peer: Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm,
) -> Answer {
    let from = address(&console, &headers, peer.map(|peer| peer.0.0));
    let (code, name) = (form.get("code").to_owned(), form.get("name").to_owned());
    let password = form.secret("password");
    let claimed = match same(&password, &form) {
        Ok(()) => console.service.claim(&code, &name, &password, &from).await,
        Err(problem) => Err(problem),
    };
    match claimed {
        Ok(session) => Ok(signed_in(go("start"), &console, &session)),
        Err(problem) => {
            let page = outside(&console, &headers, "设置管理员", "Set up");
            let error = Some(problem.detail(page.lang).to_owned());
            Ok(show_with(status(problem.kind), &SetupPage { page, code, name, error }))
        }
    }
}

pub(crate) async fn login(
    State(console): State<Console>,
    headers: HeaderMap,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    if !console.service.is_claimed().await? {
        return Ok(go("setup"));
    }
    let page = outside(&console, &headers, "登录", "Sign in");
    let next = Form::of(query).get("next").to_owned();
    Ok(show(&LoginPage { page, name: String::new(), next, error: None }))
}

pub(crate) async fn sign_in(
    State(console): State<Console>,
    peer: Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm,
) -> Answer {
    let from = address(&console, &headers, peer.map(|peer| peer.0.0));
    let (name, next) = (form.get("name").to_owned(), form.get("next").to_owned());
    match console.service.sign_in(&name, &form.secret("password"), &from).await {
        Ok(session) => {
            // Whoever was signed in here before is so no longer.
            if let Some(before) = cookie(&headers, console.options.session_name()).map(SecretString::from) {
                console.service.sign_out(&before).await?;
            }
            Ok(signed_in(go(&inside(&next)), &console, &session))
        }
        Err(problem) => {
            let page = outside(&console, &headers, "登录", "Sign in");
            let error = Some(problem.detail(page.lang).to_owned());
            Ok(show_with(status(problem.kind), &LoginPage { page, name, next, error }))
        }
    }
}

pub(crate) async fn sign_out(State(console): State<Console>, headers: HeaderMap, _: Form) -> Answer {
    if let Some(session) = cookie(&headers, console.options.session_name()).map(SecretString::from) {
        console.service.sign_out(&session).await?;
    }
    let mut response = go("login");
    set_cookie(&mut response, &console, console.options.session_name(), "", Some(-1));
    Ok(response)
}

pub(crate) async fn account(visit: Visit) -> Answer {
    Ok(show(&account_page(&visit, None).await?))
}

/// One's own password; every session ends, this one too.
pub(crate) async fn change_password(visit: Visit, peer: Peer, headers: HeaderMap, form: Form) -> Answer {
    let name = visit.operator.name.clone();
    let from = address(&visit.console, &headers, peer.map(|peer| peer.0.0));
    let password = form.secret("password");
    let changed = async {
        same(&password, &form)?;
        visit.service().sign_in(&name, &form.secret("old"), &from).await?;
        visit.service().change_operator(&name, Some(&password), None).await
    };
    match changed.await {
        Ok(_) => {
            visit.note(None, "PATCH operators", Some(&name)).await;
            Ok(go("login"))
        }
        Err(problem) => {
            let error = Some(problem.detail(visit.lang).to_owned());
            Ok(show_with(status(problem.kind), &account_page(&visit, error).await?))
        }
    }
}

async fn account_page(visit: &Visit, error: Option<String>) -> Result<AccountPage, Problem> {
    let page = Page::of(visit, "account", "");
    let title = page.t("我的账号", "My account").to_owned();
    let role = |app: &std::sync::Arc<service::App>| {
        let role = visit.operator.role(&app.app_id)?;
        Some((
            app.name.clone(),
            crate::words::role(role, visit.lang),
            crate::words::role_may(role, visit.lang),
        ))
    };
    let roles = visit.apps().iter().filter_map(role).collect();
    Ok(AccountPage { page: Page { title, ..page }, roles, error })
}

fn same(password: &SecretString, form: &Form) -> Result<(), Problem> {
    if password.expose_secret() == form.secret("again").expose_secret() {
        return Ok(());
    }
    Err(service::problem::FieldError::new(
        "/again",
        "passwords_differ",
        "两次输入的密码不一样。",
        "The two passwords differ.",
    )
    .into())
}

fn outside(console: &Console, headers: &HeaderMap, zh: &str, en: &str) -> Page {
    let lang = crate::visit::language(headers);
    let title = if lang == Lang::Zh { zh } else { en };
    Page::outside(console, lang, title)
}

/// A place of ours to go back to, and nobody else's. Control characters are none of ours: browsers leave tabs and line breaks out
/// of an address, and `/<tab>/evil.example` would become `//evil.example`.
fn inside(back: &str) -> String {
    let back = back.trim_start_matches('/');
    let ours = !back.contains("://") && !back.contains('\\') && !back.contains(char::is_control);
    if ours { back.to_owned() } else { String::new() }
}

fn signed_in(mut response: Response, console: &Console, session: &SecretString) -> Response {
    set_cookie(&mut response, console, console.options.session_name(), session.expose_secret(), None);
    response
}

fn set_cookie(response: &mut Response, console: &Console, name: &str, value: &str, days: Option<i64>) {
    let mut cookie = Cookie::build((name.to_owned(), value.to_owned()))
        .path(console.options.base())
        .http_only(true)
        .secure(console.options.secure())
        .same_site(SameSite::Lax)
        .build();
    if let Some(days) = days {
        cookie.set_max_age(cookie::time::Duration::days(days));
    }
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_is_sent_elsewhere() {
        for (back, to) in [
            ("apps/wx/campaigns?done=saved", "apps/wx/campaigns?done=saved"),
            ("/apps/wx/", "apps/wx/"),
            ("//evil.example/", "evil.example/"),
            ("https://evil.example/", ""),
            ("\\\\evil.example", ""),
            ("/\t/evil.example/", ""),
            ("\t//evil.example/", ""),
            ("/\r\n/evil.example/", ""),
        ] {
            assert_eq!(super::inside(back), to, "{back}");
        }
    }
}
