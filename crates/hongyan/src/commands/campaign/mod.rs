//! `hongyan campaign`: one notice to many, from the draft to the closing lists. Beside a running server it is that server
//! that sends.

mod arguments;
mod draft;
mod progress;
mod results;

use std::process::ExitCode;

use domain::message::List;
use serde_json::Value;
use service::campaigns::{CampaignView, Resend, no_campaign};
use service::recipient::Recipient;
use service::{App, Service};
use uuid::Uuid;

pub(crate) use self::arguments::Campaign;
use self::arguments::{Named, Resending};
use super::{principal, service_beside};
use crate::cli::Global;
use crate::locale::{lang, say};
use crate::output;

pub(crate) async fn run(global: &Global, command: Campaign) -> anyhow::Result<ExitCode> {
    let service = service_beside(global).await?;
    let by = principal();
    match command {
        Campaign::Create(create) => {
            let app = service.app(&create.app_id).await?;
            let (start, watch) = (create.start, create.watch);
            let request = draft::request(*create)?;
            let mut view = service.draft_campaign(&app, request, &by, None).await?.campaign;
            if start {
                view = service.start_campaign(&app, id(&view.id)?, &by).await?;
            }
            if watch {
                return progress::watch(global, &service, &app, id(&view.id)?).await;
            }
            show(global, &view)?;
        }
        Campaign::List { app_id } => {
            let app = service.app(&app_id).await?;
            let (views, _) = service.campaign_page(&app, None, 200).await?;
            list(global, &views)?;
        }
        Campaign::Show(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.campaign(&app, id).await?.explained(lang()))?;
        }
        Campaign::Forecast(named) => {
            let (app, id) = named.open(&service).await?;
            pairs(global, serde_json::to_value(service.forecast(&app, id).await?)?);
        }
        Campaign::DryRun(named) => {
            let (app, id) = named.open(&service).await?;
            output::json(&serde_json::to_value(service.dry_run(&app, id).await?)?);
        }
        Campaign::Test { named, to, row } => {
            let (app, id) = named.open(&service).await?;
            let sent = service.test_send(&app, id, Recipient::Openid(to), row, lang()).await?;
            output::line(&format!("{}  {}", sent.message.id, sent.message.state));
        }
        Campaign::Start { named, watch } => {
            let (app, id) = named.open(&service).await?;
            let view = service.start_campaign(&app, id, &by).await?;
            if watch {
                return progress::watch(global, &service, &app, id).await;
            }
            show(global, &view)?;
        }
        Campaign::Approve(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.approve_campaign(&app, id, &by).await?)?;
        }
        Campaign::Withdraw(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.withdraw_campaign(&app, id).await?)?;
        }
        Campaign::Pause(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.pause_campaign(&app, id, &by).await?)?;
        }
        Campaign::Resume(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.resume_campaign(&app, id).await?)?;
        }
        Campaign::Cancel(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.cancel_campaign(&app, id).await?)?;
        }
        Campaign::ResendFailed { named, states } => {
            let (app, id) = named.open(&service).await?;
            let states = (!states.is_empty()).then(|| states.into_iter().map(Resending::state).collect());
            show(global, &service.resend_failed(&app, id, &Resend { states }).await?)?;
        }
        Campaign::Copy(named) => {
            let (app, id) = named.open(&service).await?;
            show(global, &service.copy_campaign(&app, id, &by).await?)?;
        }
        Campaign::Remove(named) => {
            let (app, id) = named.open(&service).await?;
            service.remove_campaign(&app, id).await?;
        }
        Campaign::Results { named, list, xlsx } => {
            let (app, id) = named.open(&service).await?;
            let list = list.as_deref().map(str::parse::<List>).transpose()?;
            results::print(global, &service, (&app, id), list, xlsx.as_deref()).await?;
        }
        Campaign::Watch(named) => {
            let (app, id) = named.open(&service).await?;
            return progress::watch(global, &service, &app, id).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Named {
    async fn open(self, service: &Service) -> anyhow::Result<(std::sync::Arc<App>, Uuid)> {
        Ok((service.app(&self.app_id).await?, id(&self.campaign)?))
    }
}

fn id(text: &str) -> anyhow::Result<Uuid> {
    text.parse().map_err(|_| no_campaign().into())
}

fn show(global: &Global, view: &CampaignView) -> anyhow::Result<()> {
    if global.json {
        output::json(&serde_json::to_value(view)?);
        return Ok(());
    }
    output::line(&format!("{}  {}  {}", view.id, view.state, view.name));
    if let Some(because) = &view.paused_because {
        output::line(because);
    }
    output::line(&progress::counts(&view.counts));
    if view.state == "awaiting_approval" {
        output::remark(say(
            "人数超过 approval_above，需要另一位成员审批：campaign approve（或接口 /approve，用另一个密钥）。",
            "It has more recipients than approval_above: somebody else has to approve it (campaign approve, or the API's /approve with another key).",
        ));
    }
    Ok(())
}

fn list(global: &Global, views: &[CampaignView]) -> anyhow::Result<()> {
    if global.json {
        output::json(&serde_json::to_value(views)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            vec![
                view.id.clone(),
                view.state.to_owned(),
                view.counts.recipients.to_string(),
                (view.counts.accepted + view.counts.delivered).to_string(),
                view.created_at.clone(),
                view.name.clone(),
            ]
        })
        .collect();
    output::table(
        &[
            "ID",
            say("状态", "STATE"),
            say("人数", "RECIPIENTS"),
            say("已发", "SENT"),
            say("创建时间", "CREATED"),
            say("名称", "NAME"),
        ],
        &rows,
    );
    Ok(())
}

/// An object as two columns.
fn pairs(global: &Global, value: Value) {
    match value {
        Value::Object(pairs) if !global.json => {
            for (name, value) in pairs {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                output::line(&format!("{name:<20} {value}"));
            }
        }
        value => output::json(&value),
    }
}
