//! One file per command.

mod app;
pub(crate) mod backup;
pub(crate) mod campaign;
mod cluster;
mod config;
mod copy;
mod demo;
pub(crate) mod doctor;
pub(crate) mod import;
mod key;
pub(crate) mod ledger;
pub(crate) mod master_key;
pub(crate) mod operations;
pub(crate) mod operator;
pub(crate) mod people;
mod send;
mod serve;
mod simulator;
mod templates;
pub(crate) mod upload;

use std::io::IsTerminal;
use std::process::ExitCode;

use store::Role;
use tracing_subscriber::EnvFilter;

use crate::cli::{Arguments, Command, Global, LogFormat};
use crate::config::Config;
use crate::open;
use crate::output;

pub(crate) use simulator::{MiniProgram, new as simulator_new};

/// Runs what was typed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { global, command } = arguments;
    let server = matches!(
        command,
        Command::Serve(_) | Command::Simulator(crate::cli::Simulator { command: None, .. })
    );
    install_log(server, global.log_format);
    match command {
        Command::Demo(demo) => return demo::run(demo).await,
        Command::Serve(serve) => serve::run(&global, serve).await?,
        Command::Simulator(simulator) => simulator::run(&global, simulator).await?,
        Command::App(app) => app::run(&global, app).await?,
        Command::Key(key) => key::run(&global, key).await?,
        Command::Operator(command) => operator::run(&global, command).await?,
        Command::SetupCode => operator::setup_code(&global).await?,
        Command::Send(send) => return send::run(&global, send).await,
        Command::Templates(templates) => templates::run(&global, templates).await?,
        Command::Subscriber(command) => people::subscriber(&global, command).await?,
        Command::Schedule(command) => operations::schedule(&global, command).await?,
        Command::Webhook(command) => operations::webhook(&global, command).await?,
        Command::Quota(command) => operations::quota(&global, command).await?,
        Command::Upload(command) => upload::run(&global, command).await?,
        Command::Ledger(command) => ledger::run(&global, command).await?,
        Command::Guest(command) => people::guest(&global, command).await?,
        Command::Campaign(command) => return campaign::run(&global, command).await,
        Command::Doctor(command) => return Ok(doctor::run(&global, command).await),
        Command::Config(command) => config::run(&global, command).await?,
        Command::Cluster(command) => cluster::run(&global, command).await?,
        Command::Copy(copy) => copy::run(&global, copy).await?,
        Command::Backup(backup) => backup::backup(&global, backup).await?,
        Command::Restore(restore) => backup::restore(&global, restore).await?,
        Command::Release(release) => backup::release(&global, release).await?,
        Command::MasterKey(command) => master_key::run(&global, command).await?,
        Command::Import(command) => import::run(&global, command).await?,
        Command::Migrate(migrate) => config::migrate(&global, &migrate).await?,
        Command::Openapi => output::json(&api::openapi()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The use cases for a command beside a running server.
async fn service_beside(global: &Global) -> anyhow::Result<service::Service> {
    let config = Config::load(global, None, None)?;
    let service = open::service(&config, Role::Guest).await?;
    service.apps().reload().await?;
    service.reload_guests().await?;
    Ok(service)
}

/// Who uses this terminal, for the record.
fn principal() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    format!("cli:{}", user.unwrap_or_else(|| "terminal".to_owned()))
}

/// Logs go to standard error; servers tell what they do, commands only what is wrong. As JSON a line is an object, with the request's
/// id, method and route in `span`.
fn install_log(server: bool, format: LogFormat) {
    let default = if server { "info" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
        }
    }
}

/// Resolves when the process is asked to stop (Ctrl-C, SIGTERM).
async fn asked_to_stop() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
