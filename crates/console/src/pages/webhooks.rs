//! Where events go: endpoints by the Standard Webhooks specification, and group robots.

use askama::Template;
use axum::extract::Path;
use serde_json::json;
use service::operators::Right;
use service::webhooks::{DeliveryView, KINDS, WebhookRequest, WebhookView};
use service::{Kind, Problem};
use uuid::Uuid;

use super::apps::fields;
use crate::answer::{Answer, go, show, show_with, status};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::Visit;

const SHOWN: i64 = 50;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct ListPage {
    page: Page,
    webhooks: Vec<WebhookView>,
    form: Form,
    errors: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "webhook.html")]
struct WebhookPage {
    page: Page,
    webhook: WebhookView,
    deliveries: Vec<DeliveryView>,
}

pub(crate) async fn list(visit: Visit) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    Ok(show(&list_page(&visit, Form::default(), Vec::new()).await?))
}

async fn list_page(visit: &Visit, form: Form, errors: Vec<(String, String)>) -> Result<ListPage, Problem> {
    let page = Page::of(visit, "webhooks", "");
    let title = page.t("事件通知（Webhook）", "Webhooks").to_owned();
    let webhooks = visit.service().webhooks().await?;
    Ok(ListPage { page: Page { title, ..page }, webhooks, form, errors })
}

pub(crate) async fn add(visit: Visit, form: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let mut events: Vec<String> = form.all("event").map(str::to_owned).collect();
    events.extend(form.get("more").split([',', ' ']).filter(|kind| !kind.is_empty()).map(str::to_owned));
    let request = WebhookRequest {
        url: form.get("url").to_owned(),
        events,
        app_id: form.some("app"),
        note: form.some("note"),
        form: form.some("form").and_then(|word| word.parse().ok()).unwrap_or_default(),
        sign_secret: form.some("sign_secret"),
    };
    match visit.service().add_webhook(request, &visit.operator.principal()).await {
        Ok(webhook) => {
            visit.note(None, "POST webhooks", Some(&webhook.id)).await;
            Ok(show(&webhook_page(&visit, webhook).await?))
        }
        Err(problem) => {
            let errors = fields(&problem, visit.lang);
            Ok(show_with(status(problem.kind), &list_page(&visit, form, errors).await?))
        }
    }
}

pub(crate) async fn show_one(visit: Visit, Path(id): Path<String>) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let webhook = visit.service().webhooks().await?.into_iter().find(|webhook| webhook.id == id);
    Ok(show(&webhook_page(&visit, webhook.ok_or_else(no_webhook)?).await?))
}

async fn webhook_page(visit: &Visit, webhook: WebhookView) -> Result<WebhookPage, Problem> {
    let page = Page::of(visit, "webhooks", "");
    let title = page.t("事件通知", "Webhook").to_owned();
    let (deliveries, _) = visit.service().webhook_deliveries(id_of(&webhook.id)?, None, SHOWN).await?;
    Ok(WebhookPage { page: Page { title, ..page }, webhook, deliveries })
}

pub(crate) async fn act(visit: Visit, Path((id, act)): Path<(String, String)>, _: Form) -> Answer {
    visit.need_everywhere(Right::Manage)?;
    let (service, uuid) = (visit.service(), id_of(&id)?);
    match act.as_str() {
        "enable" | "disable" => {
            service.change_webhook(uuid, &json!({ "enabled": act == "enable" })).await?;
            visit.note(None, "PATCH webhooks", Some(&id)).await;
        }
        "rotate" => {
            let webhook = service.rotate_webhook(uuid).await?;
            visit.note(None, "PATCH webhooks", Some(&id)).await;
            return Ok(show(&webhook_page(&visit, webhook).await?));
        }
        "test" => service.test_webhook(uuid).await?,
        "remove" => {
            service.remove_webhook(uuid).await?;
            visit.note(None, "DELETE webhooks", Some(&id)).await;
            return Ok(go("webhooks?done=removed"));
        }
        _ => return Err(no_webhook().into()),
    }
    Ok(go(&format!("webhooks/{id}?done=saved")))
}

/// The kinds of events that a page offers: all of a sort, and the alarms.
pub(crate) fn kinds(page: &Page) -> [(&'static str, &'static str); 6] {
    [
        ("alarm.*", page.t("告警", "alarms")),
        ("campaign.awaiting_approval", page.t("任务待审批", "campaigns that await approval")),
        ("campaign.finished", page.t("任务完成", "campaigns that are finished")),
        ("campaign.*", page.t("任务的所有变化", "every change of campaigns")),
        ("message.*", page.t("每条消息的结果", "what became of each message")),
        ("subscription.*", page.t("订阅与拒收", "subscriptions")),
    ]
}

/// How many kinds there are, for the hint beside them.
pub(crate) fn all_kinds() -> String {
    KINDS.join(" ")
}

fn id_of(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| no_webhook())
}

fn no_webhook() -> Problem {
    Problem::new(Kind::NotFound, "webhook_not_found", "没有这个 Webhook。", "There is no such webhook.")
}
