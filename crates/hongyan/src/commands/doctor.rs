//! `hongyan doctor`: checks the installation and its apps, beside a running server or where nothing works any more. Its exit code is
//! for monitoring: 0 all right (warnings too, unless `--strict`), 1 something does not work, 2 asked wrongly.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::stream::{self, StreamExt};
use serde_json::json;
use service::doctor::{Check, Verdict, hopeless, worst};
use service::{Kind, Service};
use store::{OpenError, Role};
use wechat::client::OutsideCall;

use crate::cli::Global;
use crate::config::Config;
use crate::locale::{lang, say};
use crate::{open, output};

const USAGE: u8 = 2;
const PATIENCE: Duration = Duration::from_secs(5);
/// Apps that are checked at the same time.
const AT_A_TIME: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The AppID of an app to check too; without it only what all apps share is checked
    #[arg(conflicts_with = "all")]
    app_id: Option<String>,
    /// Checks every app
    #[arg(long)]
    all: bool,
    /// Exit code 1 for warnings too
    #[arg(long)]
    strict: bool,
    /// Reads the whole of an SQLite file, however large
    #[arg(long)]
    deep: bool,
    /// The address of the service on this machine [default: 127.0.0.1:8700]
    #[arg(long, env = "HONGYAN_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(global: &Global, command: Doctor) -> ExitCode {
    let config = match Config::load(global, command.listen, None) {
        Ok(config) => config,
        Err(error) => {
            output::failed(&error);
            return ExitCode::from(USAGE);
        }
    };
    let checks = match examine(&config, &command).await {
        Ok(checks) => checks,
        Err(Stopped::Hopeless(check)) => vec![*check],
        Err(Stopped::Usage(error)) => {
            output::failed(&error);
            return ExitCode::from(USAGE);
        }
    };
    if global.json {
        output::json(&json!({ "verdict": worst(&checks), "checks": checks }));
    } else {
        print(&checks);
    }
    let bad = if command.strict { Verdict::Warn } else { Verdict::Fail };
    if worst(&checks) >= bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Why there are no checks.
enum Stopped {
    /// Nothing else can be checked.
    Hopeless(Box<Check>),
    /// It was asked wrongly.
    Usage(anyhow::Error),
}

async fn examine(config: &Config, command: &Doctor) -> Result<Vec<Check>, Stopped> {
    let service = opened(config).await?;
    let mut all = vec![check_service(&service, config).await];
    let apps = match &command.app_id {
        Some(app_id) => match service.app(app_id).await {
            Ok(app) => vec![app],
            Err(problem) if problem.kind == Kind::NotFound => return Err(Stopped::Usage(problem.into())),
            Err(_) => Vec::new(),
        },
        None if command.all => service.apps().all().iter().cloned().collect(),
        None => Vec::new(),
    };
    all.extend(service.doctor_installation(lang(), command.deep).await);
    // Each waits for WeChat most of the time.
    let each = apps.iter().map(|app| service.doctor(app, lang()));
    all.extend(stream::iter(each).buffered(AT_A_TIME).concat().await);
    Ok(all)
}

/// Opens the database without making or changing anything: what is not there is a finding.
async fn opened(config: &Config) -> Result<Service, Stopped> {
    let titles = ("数据库", "Database");
    let nothing = |detail: String, remedy: (&str, &str)| {
        Stopped::Hopeless(Box::new(hopeless("database", lang(), titles, (detail.clone(), detail), remedy)))
    };
    let away = (
        "检查 PostgreSQL 是否在运行、网络与密码，以及 database_url；SQLite 则检查文件与权限。",
        "See whether PostgreSQL runs, and look at network, password and database_url; with SQLite at the file and its rights.",
    );
    let url = store::store::shown_url(&config.database_url);
    if !store::store::is_postgres(&config.database_url) {
        let path = store::store::sqlite_path(&config.database_url)
            .map_err(|error| nothing(error.to_string(), away))?;
        if !path.exists() {
            return Err(nothing(
                format!("{}: {}", path.display(), say("没有这个数据库文件。", "there is no such file.")),
                (
                    "检查 HONGYAN_DATA_DIR / --data-dir 与 database_url；第一次使用请先运行 hongyan serve。",
                    "Look at HONGYAN_DATA_DIR / --data-dir and database_url; the first time, `hongyan serve` makes it.",
                ),
            ));
        }
    }
    match store::store::pending_migrations(&config.database_url).await {
        Ok(pending) if pending.is_empty() => {}
        Ok(pending) => {
            return Err(nothing(
                format!(
                    "{url}: {} {}",
                    say("有迁移没有执行：", "migrations have not run:"),
                    pending.join(", ")
                ),
                (
                    "运行 hongyan migrate（或启动新版本的 hongyan serve）。",
                    "Run `hongyan migrate` (or start `hongyan serve` of this version).",
                ),
            ));
        }
        Err(error) => return Err(nothing(format!("{url}: {error}"), away)),
    }
    // Opening would make one.
    if matches!(open::present_master_key(config), Ok(None)) {
        let (zh, en) =
            ("没有主密钥，无法打开已保存的密钥。", "There is no master key to open the stored secrets with.");
        return Err(Stopped::Hopeless(Box::new(hopeless(
            "master_key",
            lang(),
            ("主密钥", "Master key"),
            (zh.to_owned(), en.to_owned()),
            (
                "设置 HONGYAN_MASTER_KEY，或把 master.key 放回数据目录。",
                "Set HONGYAN_MASTER_KEY, or put master.key back into the data directory.",
            ),
        ))));
    }
    let service = match open::service(config, Role::Guest).await {
        Ok(service) => service,
        Err(error) => {
            let key = matches!(error.downcast_ref::<OpenError>(), Some(OpenError::WrongMasterKey { .. }));
            let said = format!("{error:#}");
            let hopeless = if key {
                let titles = ("主密钥", "Master key");
                let remedy = ("换回原来的主密钥。", "Give the key of before.");
                hopeless("master_key", lang(), titles, (said.clone(), said), remedy)
            } else {
                hopeless("database", lang(), titles, (said.clone(), said), away)
            };
            return Err(Stopped::Hopeless(Box::new(hopeless)));
        }
    };
    if let Some(url) = &config.public_url {
        service.set_public_url(url.clone());
    }
    if let Err(error) = service.apps().reload().await {
        return Err(nothing(error.to_string(), away));
    }
    Ok(service)
}

/// Whether a service answers on this machine, and what it says of itself.
async fn check_service(service: &Service, config: &Config) -> Check {
    let titles = ("本机的服务", "The service on this machine");
    let mut check = hopeless("service", lang(), titles, Default::default(), ("", ""));
    let address = reachable(config.listen);
    let url = format!("http://{address}/readyz");
    let call = OutsideCall { post: None, url: &url, query: None, headers: &[], time: PATIENCE, limit: 4_096 };
    check.remedy = None;
    match service.client().outside(&call).await {
        Ok(answer) if answer.status == 200 => {
            check.verdict = Verdict::Ok;
            check.detail = format!("{address} {}", say("已就绪。", "is ready."));
        }
        Ok(answer) => {
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            check.detail =
                format!("{address} {} {}: {said}", say("未就绪，", "is not ready,"), answer.status);
            check.remedy = Some(say("按其它各项的说明处理。", "See what the other checks say.").to_owned());
        }
        Err(error) => {
            check.verdict = Verdict::Skipped;
            check.detail = format!(
                "{address}: {error} {}",
                say(
                    "（本机没有服务在监听该地址，或监听在别处；是否有服务在工作，见“分片与节点”。）",
                    "(no service listens there; whether one works at all is told by \"Lanes and nodes\")"
                )
            );
        }
    }
    check
}

/// Where to reach what listens on every address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn print(checks: &[Check]) {
    let mut of: Option<&str> = None;
    for check in checks {
        let app = check.app_id.as_deref();
        if app.is_some() && app != of {
            output::line(&format!("\n{}", app.unwrap_or_default()));
        }
        of = app;
        let verdict = match check.verdict {
            Verdict::Ok => say("[正常]", "[ok]  "),
            Verdict::Warn => say("[注意]", "[warn]"),
            Verdict::Fail => say("[问题]", "[FAIL]"),
            Verdict::Skipped => say("[未查]", "[--]  "),
        };
        output::line(&format!("{verdict} {}: {}", check.title, check.detail));
        if let Some(remedy) = &check.remedy {
            output::line(&format!("       → {remedy}"));
        }
    }
}
