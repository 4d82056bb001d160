//! An app's settings, its guests.

use askama::Template;
use secrecy::SecretString;
use service::apps::AppChange;
use service::operators::Right;
use service::people::GuestView;

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;

/// A setting as a field: its name, what it is, a hint.
struct Setting {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: String,
    choices: &'static [&'static str],
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    page: Page,
    name: String,
    api_base_url: String,
    alias: String,
    mode: String,
    format: String,
    settings: Vec<Setting>,
    guests: Vec<GuestView>,
    errors: Vec<(String, String)>,
}

/// Name, labels, hints, choices.
type Line =
    (&'static str, (&'static str, &'static str), (&'static str, &'static str), &'static [&'static str]);

const LINES: [Line; 14] = [
    (
        "trial",
        ("试发模式", "Trial mode"),
        ("开启后只有试发名单里的人会收到。", "Only guests receive."),
        &["false", "true"],
    ),
    (
        "approval_above",
        ("超过多少人要审批", "Approval above"),
        ("空 = 不需要。审批人不能是创建者。", "Empty: never. Somebody other than the creator approves."),
        &[],
    ),
    (
        "daily_budget",
        ("每日发送预算", "Daily budget"),
        ("每天最多调用发送接口多少次；空 = 不限。", "Send calls a day at most; empty: no limit."),
        &[],
    ),
    ("rate_per_second", ("每秒最多发送", "A second at most"), ("0 = 不限。", "0: no limit."), &[]),
    ("concurrency", ("同时进行的调用", "Calls at the same time"), ("1 到 1000。", "1 to 1000."), &[]),
    (
        "on_unknown",
        ("待确认的消息", "Unknown messages"),
        (
            "hold：保留待确认；resend：自动重发（可能重复）；give_up：记为失败。",
            "hold; resend (may repeat); give_up.",
        ),
        &["hold", "resend", "give_up"],
    ),
    (
        "customer_service",
        ("客服消息", "Chats"),
        (
            "transfer：转给微信客服工具；silent：不回应；relay：交给推送转发。",
            "transfer to WeChat's tool; silent; relay.",
        ),
        &["transfer", "silent", "relay"],
    ),
    (
        "relay_url",
        ("推送转发", "Relay"),
        ("原样转发给你原来的服务器；空 = 不转发。", "Every push is passed on as it came; empty: none."),
        &[],
    ),
    (
        "callback_tolerance",
        ("推送可以多旧（秒）", "Age of pushes (s)"),
        ("超过的会被搁置。", "Older ones are set aside."),
        &[],
    ),
    (
        "previous_keys_hours",
        ("旧 Token 和密钥有效几小时", "Hours of old keys"),
        ("更换之后。", "After a change."),
        &[],
    ),
    (
        "ask",
        ("邀请订阅的规则", "Rules of asking"),
        (
            "JSON：{\"模板 ID\": {\"priority\": 1, \"cool_down_hours\": 72, \"keep\": 1}}；空 = 所有模板。",
            "JSON: {\"TEMPLATE_ID\": {\"priority\": 1, \"cool_down_hours\": 72, \"keep\": 1}}; empty: every template.",
        ),
        &[],
    ),
    (
        "reports",
        ("小程序上报的授权", "Reports of the mini program"),
        (
            "count：先记账，以微信推送为准；ignore：只留存。",
            "count: until WeChat's push says it; ignore: kept as evidence.",
        ),
        &["count", "ignore"],
    ),
    (
        "template_aliases",
        ("模板别名", "Template aliases"),
        (
            "JSON：{\"fee\": \"模板 ID\"}；多个小程序用同一个别名，发送时就不必区分模板 ID。",
            "JSON: {\"fee\": \"TEMPLATE_ID\"}; the same alias in several apps spares telling their ids apart.",
        ),
        &[],
    ),
    (
        "attributes",
        ("用户属性", "Attributes"),
        (
            "JSON：{\"room\": {\"key\": true}, \"phone\": {\"key\": true, \"sensitive\": true}}",
            "JSON: {\"room\": {\"key\": true}, \"phone\": {\"key\": true, \"sensitive\": true}}",
        ),
        &[],
    ),
];

pub(crate) async fn show_page(visit: AppVisit) -> Answer {
    visit.need(Right::Manage)?;
    Ok(show(&settings_page(&visit, None, Vec::new()).await?))
}

async fn settings_page(
    visit: &AppVisit,
    form: Option<&Form>,
    errors: Vec<(String, String)>,
) -> Result<SettingsPage, service::Problem> {
    let page = Page::of_app(visit, "settings", "");
    let title = page.t("小程序设置", "Settings").to_owned();
    let app = &visit.app;
    let all = serde_json::to_value(&app.settings).unwrap_or_default();
    let settings = LINES
        .iter()
        .filter(|(name, ..)| all.get(name).is_some())
        .map(|(name, label, hint, choices)| Setting {
            name,
            label: page.t(label.0, label.1),
            hint: page.t(hint.0, hint.1),
            value: match (form, &all[name]) {
                (Some(form), _) => form.get(name).to_owned(),
                (None, serde_json::Value::Null) => String::new(),
                (None, serde_json::Value::String(text)) => text.clone(),
                (None, serde_json::Value::Object(map)) if map.is_empty() => String::new(),
                (None, value) => value.to_string(),
            },
            choices,
        })
        .collect();
    let given =
        |name: &str, stored: &str| form.map_or_else(|| stored.to_owned(), |form| form.get(name).to_owned());
    Ok(SettingsPage {
        name: given("name", &app.name),
        api_base_url: given("api_base_url", &app.api_base_url),
        alias: given("alias", app.alias.as_deref().unwrap_or_default()),
        mode: given("mode", app.mode().as_str()),
        format: given("format", app.format.as_str()),
        settings,
        guests: visit.service().guests(app).await?,
        errors,
        page: Page { title, ..page },
    })
}

pub(crate) async fn save(visit: AppVisit, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    let (service, app) = (visit.service(), &visit.app);
    let stored = serde_json::to_value(&app.settings).unwrap_or_default();
    let mut settings = Vec::new();
    for (name, ..) in LINES {
        let Some(before) = stored.get(name) else { continue };
        let value = match (form.get(name), before) {
            ("", serde_json::Value::Object(_)) => "{}",
            (value, _) => value,
        };
        settings.push((name.to_owned(), value.to_owned()));
    }
    let changed = |name: &str, before: &str| form.some(name).filter(|value| value != before);
    let change = AppChange {
        name: changed("name", &app.name),
        secret: form.some("secret").map(SecretString::from),
        callback_token: form.some("callback_token").map(SecretString::from),
        aes_key: form.some("aes_key").map(SecretString::from),
        mode: changed("mode", app.mode().as_str()).and_then(|mode| mode.parse().ok()),
        format: changed("format", app.format.as_str()).and_then(|format| format.parse().ok()),
        api_base_url: changed("api_base_url", &app.api_base_url),
        alias: (form.get("alias") != app.alias.as_deref().unwrap_or_default())
            .then(|| form.get("alias").to_owned()),
        settings,
        ..AppChange::default()
    };
    match service.set_app(&app.app_id, change).await {
        Ok(_) => {
            visit.did("PATCH apps", Some(&app.app_id)).await;
            Ok(go(&visit.path("settings?done=saved")))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &settings_page(&visit, Some(&form), errors).await?))
        }
    }
}

/// Adds or removes somebody who receives on trial.
pub(crate) async fn guest(visit: AppVisit, form: Form) -> Answer {
    visit.need(Right::Manage)?;
    let (openid, service) = (form.get("openid"), visit.service());
    if form.get("remove").is_empty() {
        service.put_guest(&visit.app, openid, form.some("note")).await?;
        visit.did("PUT guests", Some(openid)).await;
    } else {
        service.remove_guest(&visit.app, openid).await?;
        visit.did("DELETE guests", Some(openid)).await;
    }
    Ok(go(&visit.path("settings?done=saved")))
}
