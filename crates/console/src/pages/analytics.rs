//! The way from popup to delivery per template and day, and whom to ask again.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Query;
use domain::clock::{DAY, HOUR};
use service::ask_again::AskAgain;
use service::statistics::{By, Totals, day_of};
use service::templates::TemplateView;

use super::chart::{Bar, bars};
use super::more;
use crate::answer::{Answer, show};
use crate::form::Form;
use crate::layout::Page;
use crate::visit::AppVisit;
use crate::words;

#[derive(Template)]
#[template(path = "analytics.html")]
struct AnalyticsPage {
    page: Page,
    days: i64,
    templates: Vec<(String, Totals)>,
    rows: Vec<(String, String, Totals)>,
    chart: String,
}

#[derive(Template)]
#[template(path = "ask_again.html")]
struct AskAgainPage {
    page: Page,
    templates: Vec<TemplateView>,
    chosen: String,
    people: Vec<(AskAgain, String)>,
    next: Option<String>,
}

pub(crate) async fn show_page(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    let page = Page::of_app(&visit, "analytics", "");
    let title = page.t("统计", "Analytics").to_owned();
    let days = Form::of(query).get("days").parse().unwrap_or(14).clamp(1, 90);
    let (service, app, now) = (visit.service(), &visit.app, visit.service().now());
    let since = day_of(now) - (days - 1) * DAY;
    let stretches = service.statistics(app, since, now + HOUR, By::Day).await?;
    let titles: BTreeMap<String, String> =
        service.templates(app).await?.into_iter().map(|template| (template.id, template.title)).collect();
    let name = |id: &str| titles.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let mut by_template: BTreeMap<String, Vec<Totals>> = BTreeMap::new();
    let mut by_day: BTreeMap<String, i64> = BTreeMap::new();
    let mut rows = Vec::new();
    for stretch in &stretches {
        let day = stretch.from.get(..10).unwrap_or_default().to_owned();
        *by_day.entry(day.clone()).or_default() += stretch.totals.sent;
        if let Some(id) = &stretch.template_id {
            by_template.entry(id.clone()).or_default().push(stretch.totals);
            rows.push((day, name(id), stretch.totals));
        }
    }
    rows.reverse();
    let templates = by_template.iter().map(|(id, totals)| (name(id), Totals::sum(totals.iter()))).collect();
    let drawn: Vec<Bar> = (0..days)
        .map(|at| {
            let day = service::view::time(since + at * DAY).get(..10).unwrap_or_default().to_owned();
            let value = by_day.get(&day).copied().unwrap_or(0);
            Bar {
                label: day.get(5..).unwrap_or_default().to_owned(),
                value,
                text: format!("{day}  {}", words::number(value)),
            }
        })
        .collect();
    let chart = bars(&drawn, page.t("每天发送的消息", "Messages sent by day"));
    Ok(show(&AnalyticsPage { page: Page { title, ..page }, days, templates, rows, chart }))
}

pub(crate) async fn ask_again(visit: AppVisit, Query(query): Query<Vec<(String, String)>>) -> Answer {
    let query = Form::of(query);
    let page = Page::of_app(&visit, "ask-again", "");
    let title = page.t("待补订用户", "Ask again").to_owned();
    let (service, app) = (visit.service(), &visit.app);
    let templates: Vec<TemplateView> =
        service.templates(app).await?.into_iter().filter(|one| !one.gone).collect();
    let chosen = query
        .some("template_id")
        .or_else(|| templates.first().map(|template| template.id.clone()))
        .unwrap_or_default();
    let (mut people, mut next) = (Vec::new(), None);
    if !chosen.is_empty() {
        let before = query.get("cursor").parse().ok();
        let (found, on) = service.ask_again(app, &chosen, 0, before).await?;
        people = found
            .into_iter()
            .map(|one| {
                let shown = visit.openid(&one.openid);
                (one, shown)
            })
            .collect();
        next = on.map(|on| on.to_string());
    }
    let next = more(&page.a("ask-again"), &[("template_id", chosen.as_str())], next);
    Ok(show(&AskAgainPage { page: Page { title, ..page }, templates, chosen, people, next }))
}

/// A share in hundredths.
pub(crate) fn share(part: &i64, of: &i64) -> String {
    if *of == 0 { "—".to_owned() } else { format!("{:.0} %", *part as f64 * 100.0 / *of as f64) }
}
