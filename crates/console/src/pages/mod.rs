//! The pages. One file each; what they have in common stands here.

mod analytics;
mod apps;
mod audit;
mod callbacks;
mod campaigns;
mod chart;
mod compose;
mod connect;
mod doctor;
mod entry;
mod keys;
mod messages;
mod operators;
mod overview;
mod people;
mod settings;
mod templates;
mod uploads;
mod webhooks;

use axum::Router;
use axum::routing::{get, post};

use crate::Console;
use crate::layout::Page;

/// A line of a menu: section, path, label.
type Line = (&'static str, &'static str, &'static str);

/// The pages of an app that the role sees.
pub(crate) fn menu(page: &Page) -> Vec<Line> {
    let mut lines = vec![("overview", "", page.t("概览", "Overview"))];
    if page.may_edit() {
        lines.push(("compose", "compose", page.t("发消息", "Compose")));
        lines.push(("uploads", "uploads", page.t("表格", "Sheets")));
    }
    lines.extend([
        ("campaigns", "campaigns", page.t("发送任务", "Campaigns")),
        ("messages", "messages", page.t("消息记录", "Messages")),
        ("people", "subscribers", page.t("用户", "Subscribers")),
        ("templates", "templates", page.t("模板", "Templates")),
        ("analytics", "analytics", page.t("统计", "Analytics")),
        ("ask-again", "ask-again", page.t("待补订用户", "Ask again")),
    ]);
    if page.may_manage() {
        lines.push(("callbacks", "callbacks", page.t("推送接收记录", "Callbacks")));
        lines.push(("connect", "connect", page.t("接入向导", "Connect")));
        lines.push(("doctor", "doctor", page.t("一键诊断", "Doctor")));
        lines.push(("settings", "settings", page.t("小程序设置", "Settings")));
    }
    lines
}

/// The pages of the installation that the operator sees.
pub(crate) fn system_menu(page: &Page) -> Vec<Line> {
    let mut lines = vec![("apps", "apps", page.t("小程序", "Apps"))];
    if page.admin {
        lines.extend([
            ("operators", "operators", page.t("成员与权限", "Operators")),
            ("keys", "keys", page.t("接口密钥", "API keys")),
            ("webhooks", "webhooks", page.t("事件通知", "Webhooks")),
            ("audit", "audit", page.t("操作日志", "Audit log")),
        ]);
    }
    lines.push(("account", "account", page.t("我的账号", "My account")));
    lines
}

/// Every page.
pub(crate) fn all() -> Router<Console> {
    let app = Router::new()
        .route("/", get(overview::overview_page))
        .route("/quota", get(overview::show_quota))
        .route("/compose", get(compose::compose).post(compose::submit))
        .route("/compose/preview", post(compose::preview))
        .route("/compose/forecast", post(compose::forecast))
        .route("/uploads", get(uploads::list).post(uploads::add))
        .route("/uploads/{id}", get(uploads::show_one).post(uploads::change))
        .route("/uploads/{id}/remove", post(uploads::remove))
        .route("/campaigns", get(campaigns::list))
        .route("/campaigns/{id}", get(campaigns::show_one))
        .route("/campaigns/{id}/live", get(campaigns::live))
        .route("/campaigns/{id}/forecast", post(campaigns::forecast))
        .route("/campaigns/{id}/test", post(campaigns::test))
        .route("/campaigns/{id}/results/{list}", get(campaigns::results))
        .route("/campaigns/{id}/{act}", post(campaigns::act))
        .route("/messages", get(messages::list))
        .route("/messages/{id}", get(messages::show_one))
        .route("/messages/{id}/rid", post(messages::rid))
        .route("/messages/{id}/{act}", post(messages::act))
        .route("/subscribers", get(people::list))
        .route("/subscribers/import", post(people::import))
        .route("/subscribers/{openid}", get(people::show_one).post(people::save))
        .route("/subscribers/{openid}/ledger", post(people::adjust))
        .route("/subscribers/{openid}/export", get(people::export))
        .route("/subscribers/{openid}/erase", post(people::erase))
        .route("/templates", get(templates::list))
        .route("/templates/sync", post(templates::sync))
        .route("/templates/{id}/remove", post(templates::remove))
        .route("/templates/{id}/sheet", get(templates::sheet))
        .route("/templates/{id}/code", get(templates::code))
        .route("/library", get(templates::library))
        .route("/library/{tid}", get(templates::keywords).post(templates::add))
        .route("/analytics", get(analytics::show_page))
        .route("/ask-again", get(analytics::ask_again))
        .route("/callbacks", get(callbacks::list))
        .route("/callbacks/{id}", get(callbacks::show_one))
        .route("/callbacks/{id}/replay", post(callbacks::replay))
        .route("/connect", get(connect::show_page).post(connect::save))
        .route("/connect/wait", get(connect::wait))
        .route("/doctor", get(doctor::show_page))
        .route("/settings", get(settings::show_page).post(settings::save))
        .route("/settings/guests", post(settings::guest));
    Router::new()
        .route("/", get(entry::home))
        .route("/switch", get(entry::switch))
        .route("/language", get(entry::language))
        .route("/setup", get(entry::setup).post(entry::claim))
        .route("/login", get(entry::login).post(entry::sign_in))
        .route("/logout", post(entry::sign_out))
        .route("/account", get(entry::account).post(entry::change_password))
        .route("/apps", get(apps::list))
        .route("/start", get(apps::start))
        .route("/start/try", post(apps::try_out))
        .route("/start/connect", get(apps::connect).post(apps::add))
        .route("/operators", get(operators::list).post(operators::add))
        .route("/operators/{name}", post(operators::change))
        .route("/operators/{name}/remove", post(operators::remove))
        .route("/keys", get(keys::list).post(keys::add))
        .route("/keys/{number}/revoke", post(keys::revoke))
        .route("/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/webhooks/{id}", get(webhooks::show_one))
        .route("/webhooks/{id}/{act}", post(webhooks::act))
        .route("/audit", get(audit::list))
        .route("/apps/{app_id}/", get(overview::overview_page))
        .nest("/apps/{app_id}", app)
}

/// Where a list goes on, beside what it is filtered by.
pub(crate) fn more(path: &str, filter: &[(&str, &str)], cursor: Option<String>) -> Option<String> {
    let cursor = cursor?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in filter.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    query.append_pair("cursor", &cursor);
    Some(format!("{path}?{}", query.finish()))
}

/// Whether a field is among the wrong ones.
pub(crate) fn has_error(errors: &[(String, String)], name: &str) -> bool {
    errors.iter().any(|(field, _)| field == name)
}

/// A count of the interface as a number of pages.
pub(crate) fn count(n: &u64) -> i64 {
    i64::try_from(*n).unwrap_or(i64::MAX)
}

/// Fields and values in one line.
pub(crate) fn flat(data: &serde_json::Value) -> String {
    let pair = |(key, value): (&String, &serde_json::Value)| {
        format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    data.as_object().into_iter().flatten().map(pair).collect::<Vec<_>>().join("  ")
}

pub(crate) fn flat_map(data: &serde_json::Map<String, serde_json::Value>) -> String {
    flat(&serde_json::Value::Object(data.clone()))
}
