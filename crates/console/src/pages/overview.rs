//! What an app does today, and what needs somebody.

use askama::Template;
use domain::clock::{DAY, HOUR};
use service::attention::Attention;
use service::campaigns::CampaignView;
use service::statistics::{By, Totals, day_of};
use service::view::time;

use super::chart::{Bar, bars};
use crate::answer::{Answer, show};
use crate::layout::Page;
use crate::visit::AppVisit;
use crate::words;

/// Campaigns that are looked at, from the newest on.
const LOOKED_AT: i64 = 50;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    page: Page,
    today: Totals,
    attention: Vec<(Attention, Option<String>)>,
    running: Vec<CampaignView>,
    callbacks: String,
    last_callback: Option<String>,
}

#[derive(Template)]
#[template(path = "quota.html")]
struct QuotaPart {
    page: Page,
    quota: Result<service::quota::QuotaView, String>,
}

pub(crate) async fn show_quota(visit: AppVisit) -> Answer {
    let quota =
        visit.service().quota(&visit.app).await.map_err(|problem| problem.detail(visit.lang).to_owned());
    Ok(show(&QuotaPart { page: Page::of_app(&visit, "overview", ""), quota }))
}

pub(crate) async fn overview_page(visit: AppVisit) -> Answer {
    let page = Page::of_app(&visit, "overview", "");
    let title = page.t("概览", "Overview").to_owned();
    let (service, app, now) = (visit.service(), &visit.app, visit.service().now());
    let hours = service.statistics(app, now - DAY, now + HOUR, By::Hour).await?;
    let midnight = time(day_of(now));
    let today =
        Totals::sum(hours.iter().filter(|stretch| stretch.from >= midnight).map(|stretch| &stretch.totals));
    let by_hour: Vec<Bar> = (0..24)
        .map(|back| {
            let from = time((now - (23 - back) * HOUR).div_euclid(HOUR) * HOUR);
            let value = hours.iter().filter(|one| one.from == from).map(|one| one.totals.callbacks).sum();
            let label = from.get(11..13).unwrap_or_default().to_owned();
            Bar { text: format!("{label}:00  {}", words::number(value)), label, value }
        })
        .collect();
    let callbacks = bars(&by_hour, page.t("每小时收到的微信推送", "Callbacks by the hour"));
    let attention = service.attention(app, visit.lang).await?;
    let attention = attention
        .into_iter()
        .map(|one| {
            let link = link(&one, &page);
            (one, link)
        })
        .collect();
    let (campaigns, _) = service.campaign_page(app, None, LOOKED_AT).await?;
    let under_way = ["running", "scheduled", "paused", "cancelling"];
    let running = campaigns.into_iter().filter(|campaign| under_way.contains(&campaign.state)).collect();
    let last_callback = service.last_callback(app).await?.map(|at| ago(now - at, &page));
    Ok(show(&OverviewPage {
        page: Page { title, ..page },
        today,
        attention,
        running,
        callbacks,
        last_callback,
    }))
}

/// The page where it is seen to, for those who may.
fn link(one: &Attention, page: &Page) -> Option<String> {
    let target = one.target.as_deref().unwrap_or_default();
    match one.code {
        "campaign_paused" | "awaiting_approval" => Some(page.a(&format!("campaigns/{target}"))),
        "template_changed" | "no_templates" => Some(page.a("templates")),
        "quarantined" if page.may_manage() => Some(page.a("callbacks")),
        "gate_closed" | "no_callbacks" | "certificate" if page.may_manage() => Some(page.a("doctor")),
        "webhook_disabled" if page.admin => Some(format!("webhooks/{target}")),
        "budget" | "trial" if page.may_manage() => Some(page.a("settings")),
        _ => None,
    }
}

/// How long ago.
pub(crate) fn ago(millis: i64, page: &Page) -> String {
    let (n, zh, en) = match millis / 1000 {
        s if s < 60 => return page.t("刚刚", "just now").to_owned(),
        s if s < 3600 => (s / 60, "分钟前", "min ago"),
        s if s < 86_400 => (s / 3600, "小时前", "h ago"),
        s => (s / 86_400, "天前", "days ago"),
    };
    format!("{n} {}", page.t(zh, en))
}
