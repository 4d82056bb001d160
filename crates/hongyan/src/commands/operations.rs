//! `hongyan schedule`, `hongyan webhook`, `hongyan quota`: campaigns that recur, where events go, what may still be sent.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service::schedules::ScheduleView;
use service::webhooks::{Form, WebhookRequest, WebhookView};
use uuid::Uuid;

use super::{principal, service_beside};
use crate::cli::Global;
use crate::locale::say;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Makes a schedule
    Add {
        /// The AppID
        app_id: String,
        /// A name for people; its campaigns have it with the day
        #[arg(long)]
        name: String,
        /// Minute, hour, day of month, month, weekday: '0 9 25 * *'
        #[arg(long)]
        cron: String,
        /// The time zone that these are meant in
        #[arg(long, default_value = "Asia/Shanghai")]
        time_zone: String,
        /// The campaign, as JSON like the API's, without name and send_at; @FILE reads a file
        #[arg(long, value_name = "JSON|@FILE")]
        campaign: String,
        /// Sent up to so many minutes late; later a draft waits for somebody
        #[arg(long, value_name = "N")]
        late_minutes: Option<u32>,
    },
    /// Lists an app's schedules
    List {
        /// The AppID
        app_id: String,
    },
    /// Lets it fire again
    Enable {
        /// The AppID
        app_id: String,
        /// The schedule's id
        schedule: Uuid,
    },
    /// Lets it rest
    Disable {
        /// The AppID
        app_id: String,
        /// The schedule's id
        schedule: Uuid,
    },
    /// Forgets one; the campaigns that it made stay
    Remove {
        /// The AppID
        app_id: String,
        /// The schedule's id
        schedule: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Makes an endpoint; prints its secret this once
    Add {
        /// Where to
        url: String,
        /// A kind of event: message.refused, campaign.*, *
        #[arg(long = "event", required = true)]
        events: Vec<String>,
        /// Only of this app
        #[arg(long)]
        app: Option<String>,
        /// A note
        #[arg(long)]
        note: Option<String>,
        /// standard, or a group robot: wecom, dingtalk, feishu
        #[arg(long, value_parser = form)]
        form: Option<Form>,
        /// The secret of a robot that signs
        #[arg(long, value_name = "FILE")]
        sign_secret_file: Option<PathBuf>,
    },
    /// Lists all
    List,
    /// Sends a test event
    Test {
        /// The endpoint's id
        webhook: Uuid,
    },
    /// Delivers again, after it was disabled
    Enable {
        /// The endpoint's id
        webhook: Uuid,
    },
    /// Delivers nothing for now
    Disable {
        /// The endpoint's id
        webhook: Uuid,
    },
    /// Gives it a new secret; that of before signs too for a day
    Rotate {
        /// The endpoint's id
        webhook: Uuid,
    },
    /// Delivers again what was given up
    Replay {
        /// The endpoint's id
        webhook: Uuid,
        /// Events since this (RFC 3339 with an offset)
        #[arg(long)]
        since: String,
        /// Also those that were delivered
        #[arg(long)]
        delivered_too: bool,
    },
    /// Forgets one
    Remove {
        /// The endpoint's id
        webhook: Uuid,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Quota {
    /// The AppID
    app_id: String,
    /// Sets WeChat's call counters back: ten times a month, for all calls of the app. Takes the AppID once more
    #[arg(long, value_name = "APPID")]
    clear: Option<String>,
}

pub(crate) async fn schedule(global: &Global, command: Schedule) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let views = match command {
        Schedule::Add { app_id, name, cron, time_zone, campaign, late_minutes } => {
            let text = match campaign.strip_prefix('@') {
                Some(file) => std::fs::read_to_string(file).with_context(|| file.to_owned())?,
                None => campaign,
            };
            let campaign: Value = serde_json::from_str(&text)
                .context(say("--campaign 不是有效的 JSON", "--campaign is not JSON"))?;
            let asked = json!({ "name": name, "cron": cron, "time_zone": time_zone, "campaign": campaign,
                "late_minutes": late_minutes });
            let app = service.app(&app_id).await?;
            vec![service.add_schedule(&app, serde_json::from_value(asked)?, &principal()).await?]
        }
        Schedule::List { app_id } => service.schedules(&*service.app(&app_id).await?).await?,
        Schedule::Enable { app_id, schedule } => {
            let app = service.app(&app_id).await?;
            vec![service.change_schedule(&app, schedule, json!({ "enabled": true })).await?]
        }
        Schedule::Disable { app_id, schedule } => {
            let app = service.app(&app_id).await?;
            vec![service.change_schedule(&app, schedule, json!({ "enabled": false })).await?]
        }
        Schedule::Remove { app_id, schedule } => {
            let app = service.app(&app_id).await?;
            return Ok(service.remove_schedule(&app, schedule).await?);
        }
    };
    show_schedules(global, &views)
}

fn show_schedules(global: &Global, views: &[ScheduleView]) -> anyhow::Result<()> {
    if global.json {
        output::json(&serde_json::to_value(views)?);
        return Ok(());
    }
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            let asked = &view.asked;
            vec![
                view.id.clone(),
                format!("{} {}", asked.cron, asked.time_zone),
                or_none(&view.next_at),
                or_none(&view.last_result),
                asked.name.clone(),
            ]
        })
        .collect();
    output::table(
        &["ID", say("时间", "WHEN"), say("下次", "NEXT"), say("上次", "LAST"), say("名称", "NAME")],
        &rows,
    );
    Ok(())
}

fn form(word: &str) -> Result<Form, String> {
    word.parse().map_err(|()| format!("{word} is none of standard, wecom, dingtalk, feishu"))
}

pub(crate) async fn webhook(global: &Global, command: Webhook) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let views = match command {
        Webhook::Add { url, events, app, note, form, sign_secret_file } => {
            let sign_secret = match sign_secret_file {
                Some(file) => Some(crate::config::secret_file(&file)?.expose_secret().to_owned()),
                None => None,
            };
            let form = form.unwrap_or_default();
            let request = WebhookRequest { url, events, app_id: app, note, form, sign_secret };
            vec![service.add_webhook(request, &principal()).await?]
        }
        Webhook::List => service.webhooks().await?,
        Webhook::Test { webhook } => {
            service.test_webhook(webhook).await?;
            return Ok(());
        }
        Webhook::Enable { webhook } => {
            vec![service.change_webhook(webhook, &json!({ "enabled": true })).await?]
        }
        Webhook::Disable { webhook } => {
            vec![service.change_webhook(webhook, &json!({ "enabled": false })).await?]
        }
        Webhook::Rotate { webhook } => vec![service.rotate_webhook(webhook).await?],
        Webhook::Replay { webhook, since, delivered_too } => {
            let since = since
                .parse::<jiff::Timestamp>()
                .context(say("--since 应为带时区的时间", "--since is a time with an offset"))?;
            let count = service.replay_webhook(webhook, since.as_millisecond(), delivered_too).await?;
            output::line(&count.to_string());
            return Ok(());
        }
        Webhook::Remove { webhook } => return Ok(service.remove_webhook(webhook).await?),
    };
    show_webhooks(global, &views)
}

fn show_webhooks(global: &Global, views: &[WebhookView]) -> anyhow::Result<()> {
    if global.json {
        output::json(&serde_json::to_value(views)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = views
        .iter()
        .map(|view| {
            let state = match (&view.disabled_because, view.enabled) {
                (_, true) => say("启用", "enabled").to_owned(),
                (Some(because), false) => because.clone(),
                (None, false) => say("停用", "disabled").to_owned(),
            };
            vec![view.id.clone(), view.url.clone(), view.events.join(","), state]
        })
        .collect();
    output::table(&["ID", "URL", say("事件", "EVENTS"), say("状态", "STATE")], &rows);
    if let Some(secret) = views.iter().find_map(|view| view.secret.as_ref()) {
        output::remark(say("签名密钥只显示这一次：", "The secret, shown this once:"));
        output::line(secret);
    }
    Ok(())
}

pub(crate) async fn quota(global: &Global, command: Quota) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let app = service.app(&command.app_id).await?;
    if let Some(confirm) = command.clear {
        return Ok(service.clear_quota(&app, &confirm).await?);
    }
    let view = service.quota(&app).await?;
    if global.json {
        output::json(&serde_json::to_value(&view)?);
        return Ok(());
    }
    output::line(&format!("{}: {} / {}", say("微信配额", "WeChat's quota"), view.used, view.daily_limit));
    if let Some(budget) = view.daily_budget {
        output::line(&format!("{}: {} / {budget}", say("预算", "budget"), view.budget_taken));
    }
    Ok(())
}
