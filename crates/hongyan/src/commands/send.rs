//! `hongyan send`: one message. Beside a running server it is that server that sends it; without one, `--wait` sends
//! from here.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use engine::Engine;
use serde_json::{Value, json};
use service::messages::SendRequest;
use service::{App, Service};
use store::Role;

use crate::cli::{self, Global};
use crate::config::Config;
use crate::locale::{lang, say};
use crate::{open, output};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(global: &Global, arguments: cli::Send) -> anyhow::Result<ExitCode> {
    let config = Config::load(global, None, None)?;
    let shared = store::store::is_postgres(&config.database_url);
    let mut served = store::store::is_served(&config.database_url)?;
    let role = if arguments.wait && !served && !shared { Role::Worker } else { Role::Guest };
    let service = open::service(&config, role).await?;
    served |= shared && service.is_worked().await?;
    let alone = arguments.wait && !served;
    service.apps().reload().await?;
    service.reload_guests().await?;
    let app = service.app(&arguments.app_id).await?;
    let to = recipient(&service, &app, &arguments.to).await?;
    let data: serde_json::Map<String, Value> =
        arguments.data.into_iter().map(|(key, value)| (key, value.into())).collect();
    let request: SendRequest = serde_json::from_value(
        json!({ "to": to, "template_id": arguments.template, "data": data, "page": arguments.page }),
    )?;
    let sent = service.send(&app, request, None, lang()).await?;
    let mut message = sent.message;
    if arguments.wait {
        let engine = if alone {
            Some(Engine::start(service.clone(), engine::Options::default()).await?)
        } else {
            None
        };
        message = service.wait_for_message(&app, message.id.parse()?, PATIENCE, lang()).await?;
        if let Some(engine) = engine {
            engine.stop().await;
        }
    }
    if global.json {
        output::json(&serde_json::to_value(&message)?);
    } else {
        output::line(&format!("{}  {}", message.id, message.state));
        output::line(&message.explanation);
        if !arguments.wait && !served {
            output::remark(say(
                "目前没有运行中的 hongyan serve：启动后才会发送（或用 --wait 立即发送）。",
                "No `hongyan serve` is running: the message leaves when one starts (or send it now with --wait).",
            ));
        }
    }
    let taken = !arguments.wait || matches!(message.state, "accepted" | "delivered");
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn recipient(service: &Service, app: &App, to: &str) -> anyhow::Result<String> {
    if to != "last" {
        return Ok(to.to_owned());
    }
    let Some((openid, at)) = service.store().last_openid(app.number).await? else {
        bail!(say(
            "还没有任何用户订阅过。请先在小程序里点一次订阅，或直接给出 --to OPENID。",
            "Nobody has subscribed yet. Subscribe once in the mini program, or give --to OPENID.",
        ));
    };
    output::remark(&format!("--to {openid}  ({})", service::view::time(at)));
    Ok(openid)
}
