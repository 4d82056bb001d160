//! Campaigns: the list, one with its live progress, what can be done with it, the three lists.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::IntoResponse;
use domain::message::List;
use domain::{InboxId, MessageId};
use service::campaigns::{CampaignView, CountsView, DryRun, Forecast, Resend, no_campaign};
use service::operators::Right;
use service::recipient::Recipient;
use service::{Kind, Problem};
use store::messages::MessageFilter;
use uuid::Uuid;

use super::chart::parts;
use super::more;
use crate::answer::{Answer, go, show};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;
use crate::words;

const SHOWN: i64 = 50;
/// Messages that are looked at for the kinds of errors.
const LOOKED_AT: i64 = 500;

#[derive(Template)]
#[template(path = "campaigns.html")]
struct ListPage {
    page: Page,
    campaigns: Vec<CampaignView>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "campaign.html")]
struct CampaignPage {
    page: Page,
    live: Live,
    title_of_template: String,
    fields: Vec<(String, String)>,
    audience: String,
    errors: Vec<Trouble>,
    recent: Vec<(String, String)>,
    can_approve: bool,
}

/// The part that changes.
#[derive(Template)]
#[template(path = "campaign_live.html")]
struct LivePart {
    page: Page,
    live: Live,
}

#[derive(Template)]
#[template(path = "campaign_forecast.html")]
struct ForecastPart {
    page: Page,
    campaign: CampaignView,
    forecast: Forecast,
}

#[derive(Template)]
#[template(path = "campaign_dry_run.html")]
struct DryRunPage {
    page: Page,
    campaign: CampaignView,
    run: DryRun,
}

/// A campaign and what is drawn of it.
struct Live {
    campaign: CampaignView,
    bar: String,
    rows: Vec<(&'static str, i64)>,
    sent: i64,
    not_sent: i64,
    unknown: i64,
    open: i64,
    because: Option<String>,
    moving: bool,
    /// Seconds until its end, at the present rate.
    left: Option<i64>,
}

/// Messages that failed alike.
struct Trouble {
    errcode: i64,
    count: usize,
    text: String,
}

pub(crate) async fn list(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    let query = Form::of(query);
    let page = Page::of_app(&visit, "campaigns", "");
    let title = page.t("发送任务", "Campaigns").to_owned();
    let before = query.get("cursor").parse().ok();
    let (campaigns, next) = visit.service().campaign_page(&visit.app, before, SHOWN).await?;
    let next = more(&page.a("campaigns"), &[], next.map(|next| next.to_string()));
    Ok(show(&ListPage { page: Page { title, ..page }, campaigns, next }))
}

/// Recipients of whom is known what became of them.
pub(crate) fn ended(counts: &CountsView) -> i64 {
    counts.recipients - open(counts)
}

fn open(counts: &CountsView) -> i64 {
    counts.todo + counts.scheduled + counts.queued + counts.sending
}

fn live_of(campaign: CampaignView, page: &Page) -> Live {
    let c = campaign.counts;
    let rows = vec![
        ("delivered", c.delivered),
        ("accepted", c.accepted),
        ("undelivered", c.undelivered),
        ("refused", c.refused),
        ("failed", c.failed),
        ("unknown", c.unknown),
        ("expired", c.expired),
        ("cancelled", c.cancelled),
        ("skipped", c.skipped),
        ("sending", c.sending),
        ("queued", c.queued),
        ("scheduled", c.scheduled),
        ("todo", c.todo),
    ];
    let drawn: Vec<(&str, i64, String)> = rows
        .iter()
        .map(|(state, n)| {
            let colour =
                if matches!(*state, "queued" | "scheduled" | "todo") { "none" } else { words::colour(state) };
            (colour, *n, format!("{} {}", page.state(state), words::number(*n)))
        })
        .collect();
    let bar = parts(&drawn, page.t("发送结果的分布", "How it stands"));
    let open = open(&c);
    let because = campaign.paused_because.as_deref().filter(|because| !service::attention::by_hand(because));
    let because = because.map(|because| service::attention::paused_because(because, page.lang));
    let moving = matches!(campaign.state, "running" | "cancelling" | "scheduled" | "awaiting_approval");
    let left = (campaign.state == "running" && campaign.rate > 0.1)
        .then(|| (open as f64 / campaign.rate).ceil() as i64);
    Live {
        bar,
        rows,
        sent: c.accepted + c.delivered,
        not_sent: c.undelivered + c.refused + c.failed + c.expired + c.cancelled + c.skipped,
        unknown: c.unknown,
        open,
        because,
        moving,
        left,
        campaign,
    }
}

pub(crate) async fn show_one(visit: AppVisit, Path((_, id)): Path<(String, String)>) -> Answer {
    let id = id_of(&id)?;
    let page = Page::of_app(&visit, "campaigns", "");
    let (service, app) = (visit.service(), &visit.app);
    let campaign = service.campaign(app, id).await?;
    let template =
        service.templates(app).await?.into_iter().find(|template| template.id == campaign.template_id);
    let written = campaign.data.as_object().into_iter().flatten();
    let written =
        written.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let fields = in_order(template.as_ref(), written);
    let audience = audience(&campaign, &page);
    let errors = if campaign.counts.failed + campaign.counts.undelivered > 0 {
        troubles(&visit, id).await?
    } else {
        Vec::new()
    };
    let draft = campaign.state == "draft";
    let recent = if draft && page.may_send() { recent(&visit).await? } else { Vec::new() };
    let can_approve = campaign.state == "awaiting_approval"
        && page.may_send()
        && campaign.created_by != visit.operator.principal();
    let title = campaign.name.clone();
    let title_of_template = template.map(|template| template.title).unwrap_or_default();
    let live = live_of(campaign, &page);
    let page = Page { title, ..page };
    Ok(show(&CampaignPage { page, live, title_of_template, fields, audience, errors, recent, can_approve }))
}

/// The part that changes, for whoever looks on.
pub(crate) async fn live(
    visit: AppVisit,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    let page = Page::of_app(&visit, "campaigns", "");
    let campaign = visit.service().campaign(&visit.app, id_of(&id)?).await?;
    let moved = campaign.state != Form::of(query).get("state");
    let live = live_of(campaign, &page);
    let mut answer = show(&LivePart { page, live });
    if moved {
        // Another state has other buttons.
        answer.headers_mut().insert("hx-refresh", axum::http::HeaderValue::from_static("true"));
    }
    Ok(answer)
}

pub(crate) async fn forecast(visit: AppVisit, Path((_, id)): Path<(String, String)>, _: Form) -> Answer {
    visit.need(Right::Edit)?;
    let id = id_of(&id)?;
    let forecast = visit.service().forecast(&visit.app, id).await?;
    let campaign = visit.service().campaign(&visit.app, id).await?;
    let page = Page::of_app(&visit, "campaigns", "");
    Ok(show(&ForecastPart { page, campaign, forecast }))
}

/// To oneself, before everybody gets it.
pub(crate) async fn test(visit: AppVisit, Path((_, id)): Path<(String, String)>, form: Form) -> Answer {
    visit.need(Right::Send)?;
    let to = Recipient::Openid(form.get("openid").to_owned());
    let row = form.get("row").parse().ok();
    let sent = visit.service().test_send(&visit.app, id_of(&id)?, to, row, visit.lang).await?;
    visit.did("POST campaigns/test", Some(&id)).await;
    Ok(go(&visit.path(&format!("messages/{}?done=sent", sent.message.id))))
}

pub(crate) async fn act(
    visit: AppVisit,
    Path((_, id, act)): Path<(String, String, String)>,
    form: Form,
) -> Answer {
    let (service, app, by) = (visit.service(), &visit.app, visit.operator.principal());
    let uuid = id_of(&id)?;
    let right = if matches!(act.as_str(), "copy" | "remove" | "dry-run") { Right::Edit } else { Right::Send };
    visit.need(right)?;
    let mut to = format!("campaigns/{id}");
    let done = match act.as_str() {
        "start" => {
            let campaign = service.start_campaign(app, uuid, &by).await?;
            if campaign.state == "awaiting_approval" { "asked" } else { "started" }
        }
        "approve" => {
            service.approve_campaign(app, uuid, &by).await?;
            "approved"
        }
        "withdraw" => {
            service.withdraw_campaign(app, uuid).await?;
            "withdrawn"
        }
        "pause" => {
            service.pause_campaign(app, uuid, &by).await?;
            "paused"
        }
        "resume" => {
            service.resume_campaign(app, uuid).await?;
            "resumed"
        }
        "cancel" => {
            service.cancel_campaign(app, uuid).await?;
            "cancelled"
        }
        "resend-failed" => {
            let states: Vec<&str> = form.all("state").collect();
            let which = if states.is_empty() {
                Resend::default()
            } else {
                serde_json::from_value(serde_json::json!({ "states": states })).map_err(|_| no_campaign())?
            };
            service.resend_failed(app, uuid, &which).await?;
            "resent"
        }
        "copy" => {
            to = format!("campaigns/{}", service.copy_campaign(app, uuid, &by).await?.id);
            "copied"
        }
        "remove" => {
            service.remove_campaign(app, uuid).await?;
            to = "campaigns".to_owned();
            "removed"
        }
        "dry-run" => {
            let run = service.dry_run(app, uuid).await?;
            let campaign = service.campaign(app, uuid).await?;
            let page = Page::of_app(&visit, "campaigns", "");
            let title = page.t("预演（不发送）", "Dry run").to_owned();
            return Ok(show(&DryRunPage { page: Page { title, ..page }, campaign, run }));
        }
        _ => return Err(no_campaign().into()),
    };
    visit.did(&format!("POST campaigns/{act}"), Some(&id)).await;
    Ok(go(&visit.path(&format!("{to}?done={done}"))))
}

/// A closing list, as XLSX or CSV.
pub(crate) async fn results(
    visit: AppVisit,
    Path((_, id, list)): Path<(String, String, String)>,
    Query(query): Query<Vec<(String, String)>>,
) -> Answer {
    // The lists name people and what was written to them.
    visit.need(Right::Edit)?;
    let service = visit.service();
    let wanted = if list == "all" { None } else { Some(list.parse::<List>().map_err(|_| no_campaign())?) };
    let (stored, lines) = service.campaign_results(&visit.app, id_of(&id)?, wanted).await?;
    let columns = service.list_columns(&stored).await?;
    let name = format!("campaign-{}-{list}", stored.number);
    visit.did("GET campaigns/results", Some(&id)).await;
    if Form::of(query).get("as") == "xlsx" {
        let bytes = service.results_workbook(&name, columns, lines).await?;
        return Ok(workbook(&name, bytes));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.csv\"")),
    ];
    Ok((headers, Body::from_stream(service::csv::list(columns, lines))).into_response())
}

/// A whole XLSX.
pub(crate) fn workbook(name: &str, bytes: Vec<u8>) -> axum::response::Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet".to_owned(),
        ),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.xlsx\"")),
    ];
    (headers, bytes).into_response()
}

/// Values by their labels, in the order of the card.
pub(crate) fn in_order(
    template: Option<&service::templates::TemplateView>,
    mut values: BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for field in template.map(|template| template.fields.as_slice()).unwrap_or_default() {
        if let Some(value) = values.remove(&field.key) {
            let label = if field.label.is_empty() { &field.key } else { &field.label };
            fields.push((label.clone(), value));
        }
    }
    fields.extend(values);
    fields
}

/// Whom it goes to, in words.
fn audience(campaign: &CampaignView, page: &Page) -> String {
    let audience = &campaign.audience;
    let words = |value: &serde_json::Value| {
        let all = value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        all.collect::<Vec<_>>().join(page.t("、", ", "))
    };
    match audience["kind"].as_str() {
        Some("segment") => {
            let mut text = page.t("人群", "Segment").to_owned();
            if audience["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
                text.push_str(&format!("：{}", words(&audience["tags"])));
            }
            if audience["where"].is_object() {
                text.push_str(&format!(" {}", audience["where"]));
            }
            text
        }
        Some("upload") => page.t("上传的表格", "An uploaded sheet").to_owned(),
        Some("recipients") => page.t("给定的名单", "A given list").to_owned(),
        _ => page.t("所有订阅过这个模板的用户", "Everybody who subscribed to this template").to_owned(),
    }
}

/// Failed messages by their errcode, from the newest on.
async fn troubles(visit: &AppVisit, id: Uuid) -> Result<Vec<Trouble>, Problem> {
    let service = visit.service();
    let number = service.stored_campaign(&visit.app, id).await?.number;
    let mut by_code: BTreeMap<i64, (usize, String)> = BTreeMap::new();
    for state in [domain::message::State::Failed, domain::message::State::Undelivered] {
        let filter = MessageFilter { campaign: Some(number), state: Some(state), ..MessageFilter::default() };
        let (messages, _) =
            service.messages(&visit.app, filter, None, None::<MessageId>, LOOKED_AT, visit.lang).await?;
        for message in messages {
            let entry = by_code.entry(message.errcode.unwrap_or(0)).or_insert((0, message.explanation));
            entry.0 += 1;
        }
    }
    let mut troubles: Vec<Trouble> =
        by_code.into_iter().map(|(errcode, (count, text))| Trouble { errcode, count, text }).collect();
    troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.count));
    Ok(troubles)
}

/// Who subscribed in the last minutes: one of them is the reader.
async fn recent(visit: &AppVisit) -> Result<Vec<(String, String)>, Problem> {
    let (rows, _) = visit.service().callbacks(&visit.app, None, None::<InboxId>, SHOWN).await?;
    let mut recent: Vec<(String, String)> = Vec::new();
    for row in rows {
        if row.kind == "popup" && !recent.iter().any(|(openid, _)| *openid == row.openid) && recent.len() < 5
        {
            recent.push((row.openid, row.received_at));
        }
    }
    Ok(recent)
}

fn id_of(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| no_campaign())
}

/// What stands in the way of something that a page offers.
pub(crate) fn missing(zh: &str, en: &str) -> Problem {
    Problem::new(Kind::NotFound, "not_found", zh, en)
}
