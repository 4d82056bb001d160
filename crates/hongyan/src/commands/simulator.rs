//! `hongyan simulator`: WeChat in a box, alone; and what goes wrong at a running one.

mod faults;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use domain::{Clock, Entropy, SystemClock, SystemEntropy};
use simulator::SimulatorConfig;
use tokio::net::TcpListener;

use super::asked_to_stop;
use crate::cli;
use crate::locale::say;
use crate::output;

/// Somebody's own mini program, as the command line names it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MiniProgram {
    /// A folder that the simulator serves.
    folder: Option<PathBuf>,
    /// What the phone opens in place of its own page.
    pub(crate) address: Option<String>,
}

impl MiniProgram {
    /// A folder or an address.
    pub(crate) fn parse(given: Option<&str>) -> anyhow::Result<Self> {
        let Some(given) = given else { return Ok(Self::default()) };
        if given.starts_with("http://") || given.starts_with("https://") {
            return Ok(Self { folder: None, address: Some(given.to_owned()) });
        }
        let folder = Path::new(given);
        ensure!(
            folder.join("index.html").is_file(),
            "{given}: {}",
            say(
                "目录里没有 index.html；请给出 H5 构建的输出目录（uni-app 为 dist/build/h5），或 http:// 地址。",
                "there is no index.html in it; give the folder of an H5 build (dist/build/h5 of uni-app), or an http:// address.",
            )
        );
        Ok(Self { folder: Some(folder.to_owned()), address: Some(simulator::MINI_PROGRAM.to_owned()) })
    }
}

/// The simulator with the real clock and randomness.
pub(crate) fn new(base_url: &str, mini_program: &MiniProgram) -> anyhow::Result<simulator::Simulator> {
    let entropy = SystemEntropy::new().context("the operating system gives no randomness")?;
    let mut config = SimulatorConfig::new(
        Arc::new(|| SystemClock.now()),
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes)),
    );
    config.public_base_url = Some(base_url.to_owned());
    config.mini_program.clone_from(&mini_program.folder);
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
    let mini_program = MiniProgram::parse(arguments.mini_program.as_deref())?;
    let sim = new(&url, &mini_program)?;
    let sample = simulator::api::AppSpec { mini_program: mini_program.address, ..simulator::sample_app() };
    sim.put_app(simulator::SAMPLE_APPID, sample).map_err(|error| anyhow::anyhow!("{error}"))?;
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
