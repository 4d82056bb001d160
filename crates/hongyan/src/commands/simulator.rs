//! `hongyan simulator`: WeChat in a box, alone; and what goes wrong at a running one.

mod faults;

use std::sync::Arc;

use anyhow::Context;
use domain::{Clock, Entropy, SystemClock, SystemEntropy};
use simulator::SimulatorConfig;
use tokio::net::TcpListener;

use super::asked_to_stop;
use crate::cli;
use crate::locale::say;
use crate::output;

/// The simulator with the real clock and randomness.
pub(crate) fn new(base_url: &str) -> anyhow::Result<simulator::Simulator> {
    let entropy = SystemEntropy::new().context("the operating system gives no randomness")?;
    let mut config = SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    );
    config.public_base_url = Some(base_url.to_owned());
    Ok(simulator::Simulator::new(config))
}

pub(crate) async fn run(global: &cli::Global, arguments: cli::Simulator) -> anyhow::Result<()> {
    match arguments.command {
        Some(cli::SimulatorCommand::Faults(command)) => faults::run(global, command).await,
        None => serve(&arguments).await,
    }
}

async fn serve(arguments: &cli::Simulator) -> anyhow::Result<()> {
    let script = match &arguments.faults {
        Some(file) => Some(faults::read(file)?),
        None => None,
    };
    let listener = TcpListener::bind(arguments.listen).await.with_context(|| {
        format!("{0} cannot be listened on; choose another with --listen / 无法监听 {0}", arguments.listen)
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    let sim = new(&url)?;
    sim.put_app(simulator::SAMPLE_APPID, simulator::sample_app())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    if let Some(script) = script {
        let rules = script.rules.len();
        sim.set_faults(simulator::SAMPLE_APPID, script)
            .map_err(|refusal| anyhow::anyhow!("{}{refusal}", say("故障脚本有误：", "The fault script: ")))?;
        output::line(&format!("{} {rules}", say("故障规则：", "Fault rules in force:")));
    }
    output::line(&format!("{} {url}/", say("模拟手机：", "The phone:")));
    output::line(&format!("{} {url}  (--api-base-url)", say("模拟的微信服务端：", "WeChat's server API:")));
    output::line(&format!(
        "{} {}  AppSecret {}",
        say("示例小程序：", "The sample app:"),
        simulator::SAMPLE_APPID,
        simulator::sample_app().secret
    ));
    simulator::serve(listener, sim, asked_to_stop()).await?;
    Ok(())
}
