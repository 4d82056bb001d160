//! The guide that connects a real mini program: what to paste at WeChat and where to click, each step checked, waiting included.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use service::apps::AppChange;
use service::doctor::{Check, is_news, refusal};
use service::operators::Right;
use service::{Lang, Problem};

use crate::Console;
use crate::answer::{Answer, show};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;

/// What WeChat's pages look like changes; when the texts were last compared with them stands beside them.
static GUIDE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../assets/guide.json")).unwrap_or_default());

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    page: Page,
    checked: String,
    push: String,
    allow_list: String,
    templates: String,
    warnings: Vec<String>,
    url: String,
    /// Whether WeChat could use it: https, and not this machine.
    usable: bool,
    mode: String,
    format: String,
    /// Shown in the answer that made them, and never again.
    fresh: Option<Fresh>,
    checks: Vec<Check>,
    news: News,
}

struct Fresh {
    token: String,
    aes_key: String,
    colleague: String,
}

#[derive(Template)]
#[template(path = "connect_wait.html")]
struct WaitPart {
    page: Page,
    news: News,
}

/// What came from WeChat in the last minutes.
struct News {
    good: Option<String>,
    refused: Option<(String, &'static str)>,
}

fn text(id: &str, lang: Lang) -> String {
    let steps = GUIDE["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let step = steps.iter().find(|step| step["id"] == id);
    let word = if lang == Lang::Zh { "zh" } else { "en" };
    step.and_then(|step| step[word].as_str()).unwrap_or_default().to_owned()
}

pub(crate) async fn show_page(visit: AppVisit, headers: HeaderMap) -> Answer {
    visit.need(Right::Manage)?;
    Ok(show(&connect_page(&visit, &headers, None).await?))
}

/// New Token and EncodingAESKey; those of before stay valid for a while.
pub(crate) async fn save(visit: AppVisit, State(_): State<Console>, headers: HeaderMap, _: Form) -> Answer {
    visit.need(Right::Manage)?;
    let service = visit.service();
    let (token, aes_key): (SecretString, SecretString) =
        (service.new_callback_token(), service.new_aes_key());
    let change = AppChange {
        callback_token: Some(token.clone()),
        aes_key: Some(aes_key.clone()),
        ..AppChange::default()
    };
    service.set_app(&visit.app.app_id, change).await?;
    visit.did("PATCH apps", Some("callback_token, aes_key")).await;
    let url = callback_url(&visit, &headers);
    let (token, aes_key) = (token.expose_secret().to_owned(), aes_key.expose_secret().to_owned());
    let step = text("push", visit.lang);
    let colleague = format!(
        "{step}\n\nURL: {url}\nToken: {token}\nEncodingAESKey: {aes_key}\n{}: {}\n{}: {}",
        pick(visit.lang, "消息加解密方式", "Mode"),
        mode(&visit),
        pick(visit.lang, "数据格式", "Format"),
        visit.app.format.as_str().to_uppercase(),
    );
    Ok(show(&connect_page(&visit, &headers, Some(Fresh { token, aes_key, colleague })).await?))
}

async fn connect_page(
    visit: &AppVisit,
    headers: &HeaderMap,
    fresh: Option<Fresh>,
) -> Result<ConnectPage, Problem> {
    let page = Page::of_app(visit, "connect", "");
    let title = page.t("接入向导", "Connect").to_owned();
    let checks = visit.service().check_connection(&visit.app, visit.lang).await;
    let url = callback_url(visit, headers);
    let local = ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| url.contains(local));
    let word = if visit.lang == Lang::Zh { "zh" } else { "en" };
    let warnings = GUIDE["warnings"].as_array().into_iter().flatten();
    Ok(ConnectPage {
        checked: GUIDE["checked"].as_str().unwrap_or_default().to_owned(),
        push: text("push", visit.lang),
        allow_list: text("allow_list", visit.lang),
        templates: text("templates", visit.lang),
        warnings: warnings.filter_map(|warning| warning[word].as_str()).map(str::to_owned).collect(),
        usable: url.starts_with("https://") && !local,
        url,
        mode: mode(visit).to_owned(),
        format: visit.app.format.as_str().to_uppercase(),
        fresh,
        checks,
        news: news(visit),
        page: Page { title, ..page },
    })
}

/// What has come meanwhile, for whoever has pressed the button at WeChat.
pub(crate) async fn wait(visit: AppVisit) -> Answer {
    visit.need(Right::Manage)?;
    Ok(show(&WaitPart { page: Page::of_app(&visit, "connect", ""), news: news(&visit) }))
}

fn news(visit: &AppVisit) -> News {
    let now = visit.service().now();
    let arrivals = visit.service().arrivals(&visit.app);
    let latest = arrivals.into_iter().find(|arrival| is_news(arrival, now));
    let at = latest.map(|arrival| service::view::time(arrival.at));
    match latest.and_then(|arrival| arrival.refused) {
        Some(reason) => {
            let (zh, en) = refusal(reason);
            News { good: None, refused: at.map(|at| (at, pick(visit.lang, zh, en))) }
        }
        None => News { good: at, refused: None },
    }
}

fn pick(lang: Lang, zh: &'static str, en: &'static str) -> &'static str {
    if lang == Lang::Zh { zh } else { en }
}

fn mode(visit: &AppVisit) -> &'static str {
    match visit.app.mode().as_str() {
        "plain" => pick(visit.lang, "明文模式", "明文模式 (plain)"),
        "compat" => pick(visit.lang, "兼容模式", "兼容模式 (compatible)"),
        _ => pick(visit.lang, "安全模式", "安全模式 (safe)"),
    }
}

/// Where WeChat shall push: by `public_url`, else as the browser came here.
fn callback_url(visit: &AppVisit, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("127.0.0.1:8700");
    let guessed = || format!("http://{host}");
    let base = visit.console.options.public_url.clone().unwrap_or_else(guessed);
    let path = visit.app.alias.clone().unwrap_or_else(|| format!("/callback/{}", visit.app.app_id));
    format!("{}{path}", base.trim_end_matches('/'))
}
