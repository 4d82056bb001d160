//! Messages: searching them, and the whole life of one.

use askama::Template;
use axum::extract::{Path, Query};
use domain::MessageId;
use domain::message::State;
use service::operators::Right;
use service::templates::TemplateView;
use service::view::MessageView;
use service::{Kind, Problem};
use store::messages::MessageFilter;

use super::more;
use crate::answer::{Answer, go, show};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;
use crate::words;

const SHOWN: i64 = 50;

#[derive(Template)]
#[template(path = "messages.html")]
struct ListPage {
    page: Page,
    form: Form,
    states: Vec<(&'static str, &'static str)>,
    templates: Vec<TemplateView>,
    messages: Vec<(MessageView, String)>,
    next: Option<String>,
    campaign: Option<String>,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    page: Page,
    message: MessageView,
    to: String,
    title: String,
    fields: Vec<(String, String)>,
    reason: Option<&'static str>,
    can_cancel: bool,
    can_resend: bool,
    rid: Option<RidShown>,
}

/// What WeChat remembers of a call.
struct RidShown {
    rid: String,
    lines: Vec<(&'static str, String)>,
}

pub(crate) async fn list(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    let form = Form::of(query);
    let page = Page::of_app(&visit, "messages", "");
    let title = page.t("消息记录", "Messages").to_owned();
    let (service, app) = (visit.service(), &visit.app);
    let campaign = match form.get("campaign_id").parse().ok() {
        Some(id) => {
            let stored = service.stored_campaign(app, id).await?;
            Some((stored.number, stored.asked.name))
        }
        None => None,
    };
    let filter = MessageFilter {
        campaign: campaign.as_ref().map(|(number, _)| *number),
        state: form.get("state").parse::<State>().ok(),
        // Whoever sees only masked openids must not find out by trying.
        openid: form.some("to").filter(|_| visit.may(Right::Edit)),
        template: None,
        since: day(form.get("since"), 0),
        until: day(form.get("until"), 1),
    };
    let template = form.some("template_id");
    let before = form.get("cursor").parse::<MessageId>().ok();
    let (messages, next) =
        service.messages(app, filter, template.as_deref(), before, SHOWN, visit.lang).await?;
    let kept =
        ["campaign_id", "state", "to", "template_id", "since", "until"].map(|name| (name, form.get(name)));
    let next = more(&page.a("messages"), &kept, next.map(|next| next.to_string()));
    let messages = messages
        .into_iter()
        .map(|message| {
            let to = visit.openid(&message.to);
            (message, to)
        })
        .collect();
    let states = State::ALL.iter().map(|state| (state.as_str(), page.state(state.as_str()))).collect();
    let templates = service.templates(app).await?;
    let campaign = campaign.map(|(_, name)| name);
    Ok(show(&ListPage { page: Page { title, ..page }, form, states, templates, messages, next, campaign }))
}

/// The beginning of a day in Shanghai, or of the one `later` days after it.
fn day(text: &str, later: i64) -> Option<domain::Millis> {
    let at: jiff::Timestamp = format!("{text}T00:00:00+08:00").parse().ok()?;
    Some(at.as_millisecond() + later * domain::clock::DAY)
}

pub(crate) async fn show_one(visit: AppVisit, Path((_, id)): Path<(String, String)>) -> Answer {
    Ok(show(&message_page(&visit, &id, None).await?))
}

async fn message_page(visit: &AppVisit, id: &str, rid: Option<RidShown>) -> Result<MessagePage, Problem> {
    let page = Page::of_app(visit, "messages", "");
    let (service, app) = (visit.service(), &visit.app);
    let message = service.message(app, id_of(id)?, visit.lang).await?;
    let template =
        service.templates(app).await?.into_iter().find(|template| template.id == message.template_id);
    let masked = !visit.may(Right::Edit);
    let values = message.data.iter().map(|(key, value)| {
        let value = if masked { "****".to_owned() } else { value.clone() };
        (key.clone(), value)
    });
    let fields = super::campaigns::in_order(template.as_ref(), values.collect());
    let state = message.state;
    let reason = message.reason.as_deref().and_then(|reason| words::reason(reason, visit.lang));
    Ok(MessagePage {
        to: visit.openid(&message.to),
        title: template.map(|template| template.title).unwrap_or_default(),
        fields,
        reason,
        can_cancel: page.may_send() && matches!(state, "scheduled" | "queued" | "sending"),
        can_resend: page.may_send()
            && matches!(
                state,
                "undelivered" | "refused" | "failed" | "unknown" | "expired" | "cancelled" | "skipped"
            ),
        rid,
        page: Page { title: page.t("消息", "Message").to_owned(), ..page },
        message,
    })
}

pub(crate) async fn act(
    visit: AppVisit,
    Path((_, id, act)): Path<(String, String, String)>,
    _: Form,
) -> Answer {
    visit.need(Right::Send)?;
    let (service, app) = (visit.service(), &visit.app);
    let done = match act.as_str() {
        "cancel" => {
            service.cancel_message(app, id_of(&id)?, visit.lang).await?;
            "cancelled"
        }
        "resend" => {
            service.resend_message(app, id_of(&id)?, visit.lang).await?;
            "resent"
        }
        _ => return Err(no_message().into()),
    };
    visit.did(&format!("POST messages/{act}"), Some(&id)).await;
    Ok(go(&visit.path(&format!("messages/{id}?done={done}"))))
}

/// Asks WeChat what it remembers of the call.
pub(crate) async fn rid(visit: AppVisit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Edit)?;
    let rid = form.get("rid");
    let record = visit.service().rid_record(&visit.app, rid).await?;
    let page = Page::of_app(&visit, "messages", "");
    let lines = vec![
        (page.t("耗时", "Took"), format!("{} ms", record.cost_in_ms)),
        (page.t("请求", "Request"), record.request_body),
        (page.t("回答", "Answer"), record.response_body),
        (page.t("来自", "From"), record.client_ip),
    ];
    let shown = RidShown { rid: rid.to_owned(), lines };
    Ok(show(&message_page(&visit, &id, Some(shown)).await?))
}

fn id_of(text: &str) -> Result<MessageId, Problem> {
    text.parse().map_err(|_| no_message())
}

fn no_message() -> Problem {
    Problem::new(Kind::NotFound, "message_not_found", "没有这条消息。", "There is no such message.")
}
