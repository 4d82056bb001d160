//! What campaigns cost: whole ones, growing ones, and what an urgent message notices of one.

pub(crate) mod cluster;
pub(crate) mod latency;
pub(crate) mod scale;
pub(crate) mod whole;

use anyhow::{Context, anyhow, ensure};
use serde_json::{Value, json};
use service::campaigns::CampaignRequest;
use service::{App, Service};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};
use uuid::Uuid;

/// The template whose subscribers a campaign is for; the other one has a million of them.
pub(crate) const NOTICE: &str = "3gMbhH_bFuZlXiaJffCqXlNoqKvJwz_zUSmr-z1jEyo";

/// A draft for every subscriber of the template.
pub(crate) fn request() -> Value {
    json!({ "name": "bench", "template_id": NOTICE, "audience": { "kind": "subscribers" },
        "data": { "thing1": "幸福物业", "thing4": "3 栋", "name2": "张三", "phone_number3": "0571-88886666", "thing19": "水管检修" } })
}

/// Starts a campaign in this process.
pub(crate) async fn start(service: &Service, app: &App) -> anyhow::Result<Uuid> {
    let request: CampaignRequest = serde_json::from_value(request())?;
    let drafted =
        service.draft_campaign(app, request, "bench", None).await.map_err(|problem| anyhow!("{problem}"))?;
    let id: Uuid = drafted.campaign.id.parse()?;
    service.start_campaign(app, id, "bench").await.map_err(|problem| anyhow!("{problem}"))?;
    Ok(id)
}

/// Lets everybody of the large template wait: in a campaign that is paused, and in one whose time has not come.
pub(crate) async fn crowd(service: &Service, app: &App, people: usize) -> anyhow::Result<()> {
    let mut asked = json!({ "name": "waiting", "template_id": crate::load::world::TEMPLATE, "on_empty_balance": "try",
        "audience": { "kind": "subscribers" }, "data": { "thing8": "物业费", "thing5": "请于本月底前缴纳" } });
    let people = i64::try_from(people)?;
    for ahead in [false, true] {
        if ahead {
            asked["send_at"] = service::view::time(service.now() + 86_400_000).into();
        }
        let request: CampaignRequest = serde_json::from_value(asked.clone())?;
        let drafted = service
            .draft_campaign(app, request, "bench", None)
            .await
            .map_err(|problem| anyhow!("{problem}"))?;
        let id: Uuid = drafted.campaign.id.parse()?;
        service.start_campaign(app, id, "bench").await.map_err(|problem| anyhow!("{problem}"))?;
        if !ahead {
            service.pause_campaign(app, id, "bench").await.map_err(|problem| anyhow!("{problem}"))?;
        }
        loop {
            let view = service.campaign(app, id).await.map_err(|problem| anyhow!("{problem}"))?;
            if view.counts.queued + view.counts.scheduled >= people * 99 / 100 && view.counts.todo == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    if service.store().is_shared() { Ok(()) } else { calm(service.store().path()).await }
}

/// Waits until what was written is where it belongs: the disk's work for the crowd is not the campaign's.
async fn calm(path: &std::path::Path) -> anyhow::Result<()> {
    let mut db = SqliteConnectOptions::new().filename(path).connect().await?;
    loop {
        let row = sqlx::query("pragma wal_checkpoint(passive)").fetch_one(&mut db).await?;
        if row.try_get::<i64, _>(1)? == row.try_get::<i64, _>(2)? {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    db.close().await?;
    let path = path.to_owned();
    Ok(tokio::task::spawn_blocking(move || std::fs::File::open(path)?.sync_all()).await??)
}

/// Waits until it is finished, and that everybody was sent to.
pub(crate) async fn finish(service: &Service, app: &App, id: Uuid, recipients: usize) -> anyhow::Result<()> {
    loop {
        let view = service.campaign(app, id).await.map_err(|problem| anyhow!("{problem}"))?;
        if view.state == "finished" {
            let sent = view.counts.accepted + view.counts.delivered;
            ensure!(usize::try_from(sent)? == recipients, "{recipients} recipients, but {:?}", view.counts);
            return Ok(());
        }
        ensure!(view.state == "running", "{} {:?}", view.state, view.paused_because);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The app of the bench.
pub(crate) async fn app(service: &Service) -> anyhow::Result<std::sync::Arc<App>> {
    service.app(crate::load::world::APP).await.map_err(|problem| anyhow!("{problem}")).context("the app")
}
