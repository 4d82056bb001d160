//! API keys: made, shown once, revoked.

use askama::Template;
use axum::extract::Path;
use secrecy::ExposeSecret;
use service::operators::Right;
use service::{Problem, Scope};

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::Visit;

/// A key as it is shown.
struct Key {
    number: i64,
    name: String,
    app: String,
    scopes: String,
    created_at: String,
    revoked_at: Option<String>,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    page: Page,
    keys: Vec<Key>,
    fresh: Option<String>,
    errors: Vec<(String, String)>,
}

const SCOPES: [(Scope, &str, &str); 4] = [
    (Scope::Send, "发送：消息、表格、任务", "messages, sheets, campaigns"),
    (Scope::Read, "读取", "reading"),
    (Scope::Manage, "管理", "everything else that writes"),
    (Scope::Token, "access_token", "the access token"),
];

pub(crate) async fn list(visit: Visit) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    Ok(show(&page(&visit, None, Vec::new()).await?))
}

async fn page(
    visit: &Visit,
    fresh: Option<String>,
    errors: Vec<(String, String)>,
) -> Result<KeysPage, Problem> {
    let page = Page::of(visit, "keys", "");
    let title = page.t("接口密钥（API Key）", "API keys").to_owned();
    let service = visit.service();
    let app = |number: Option<i64>| match number {
        Some(number) => {
            service.apps().by_number(number).map_or_else(|| "?".to_owned(), |app| app.name.clone())
        }
        None => page.t("所有小程序", "every app").to_owned(),
    };
    let mut keys: Vec<Key> = service
        .list_keys()
        .await?
        .into_iter()
        .map(|key| Key {
            number: key.number,
            name: key.name,
            app: app(key.app),
            scopes: key.scopes,
            created_at: service::view::time(key.created_at),
            revoked_at: key.revoked_at.map(service::view::time),
        })
        .collect();
    keys.reverse();
    Ok(KeysPage { page: Page { title, ..page }, keys, fresh, errors })
}

pub(crate) async fn add(visit: Visit, form: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let scopes: Vec<Scope> = form.all("scope").filter_map(|scope| scope.parse().ok()).collect();
    let name = form.some("name").unwrap_or_else(|| "console".to_owned());
    match visit.service().create_key(&name, form.some("app").as_deref(), &scopes).await {
        Ok((number, key)) => {
            visit.note(None, "POST keys", Some(&format!("{number} {name}"))).await;
            Ok(show(&page(&visit, Some(key.expose_secret().to_owned()), Vec::new()).await?))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &page(&visit, None, errors).await?))
        }
    }
}

pub(crate) async fn revoke(visit: Visit, Path(number): Path<i64>, _: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    visit.service().revoke_key(number).await?;
    visit.note(None, "DELETE keys", Some(&number.to_string())).await;
    Ok(go("keys?done=revoked"))
}

/// What a key may be made for.
pub(crate) fn scopes(page: &Page) -> Vec<(&'static str, &'static str)> {
    SCOPES.iter().map(|(scope, zh, en)| (scope.as_str(), page.t(zh, en))).collect()
}
