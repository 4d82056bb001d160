//! `hongyan backup`, `hongyan restore`, `hongyan release`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use domain::{Clock, SystemClock, SystemEntropy};
use serde_json::json;
use service::view::time;
use store::Role;
use store::backup::Holds;
use store::restored::Restored;

use super::{principal, service_beside};
use crate::cli::Global;
use crate::config::Config;
use crate::locale::say;
use crate::{open, output};

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// Where to; it holds personal data
    file: PathBuf,
    /// Replaces a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["file", "done_to"]))]
pub(crate) struct Restore {
    /// The backup
    file: Option<PathBuf>,
    /// Keeps a database that is there aside, under another name
    #[arg(long, conflicts_with = "done_to")]
    force: bool,
    /// The database was put back to this moment by other means (a snapshot, PostgreSQL's own): makes it safe to serve
    #[arg(long, value_name = "TIME")]
    done_to: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["app_id", "all"]))]
pub(crate) struct Release {
    /// The AppID
    app_id: Option<String>,
    /// Every app
    #[arg(long)]
    all: bool,
    /// Lets them send; without it, it only says what to look at
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn backup(global: &Global, asked: Backup) -> anyhow::Result<()> {
    let config = Config::load(global, None, None)?;
    let held =
        store::backup::backup(&config.database_url, &asked.file, SystemClock.now(), asked.force).await?;
    if global.json {
        output::json(&json!({ "file": asked.file, "backup": held_json(&held) }));
        return Ok(());
    }
    output::line(&format!("{}  {}", asked.file.display(), size(held.bytes)));
    show(&held);
    output::remark(&format!(
        "{} {}",
        say(
            "校验通过。主密钥不在备份里：请另外保管它（没有它，备份里的 AppSecret 等无法解开）。主密钥编号",
            "Checked. The master key is not in it: keep it elsewhere (without it, the secrets in the backup cannot be opened). Its id is"
        ),
        held.master_key
    ));
    output::remark(say(
        "备份含有用户的 openid 与消息内容，请限制访问并按保留时长删除。",
        "It holds people's openids and what they were sent: restrict who may read it, and delete it in time.",
    ));
    Ok(())
}

pub(crate) async fn restore(global: &Global, asked: Restore) -> anyhow::Result<()> {
    let config = Config::load(global, None, None)?;
    let Some(file) = asked.file else {
        return mark(global, &config, &asked.done_to.unwrap_or_default()).await;
    };
    if store::store::is_postgres(&config.database_url) {
        return Err(store::backup::BackupError::Postgres.into());
    }
    let Some(master) = open::present_master_key(&config)? else {
        let held = store::backup::check(&file).await?;
        bail!(
            "{} {}",
            say(
                "恢复需要备份所用的主密钥：放到数据目录的 master.key，或设置 HONGYAN_MASTER_KEY。密钥编号",
                "Restoring needs the master key that the backup was made with: put it into the data directory as master.key, or set HONGYAN_MASTER_KEY. Its id is"
            ),
            held.master_key
        );
    };
    let entropy = SystemEntropy::new().context("the operating system gives no randomness")?;
    let done = store::backup::restore(
        &file,
        &config.database_url,
        master,
        asked.force,
        Arc::new(SystemClock),
        Arc::new(entropy),
    )
    .await?;
    if global.json {
        output::json(
            &json!({ "backup": held_json(&done.held), "restored": done.restored, "kept_aside": done.aside }),
        );
        return Ok(());
    }
    show(&done.held);
    if let Some(aside) = &done.aside {
        output::remark(&format!(
            "{} {}",
            say("原来的数据库保留在", "The database of before is kept as"),
            aside.display()
        ));
    }
    tell(&done.restored);
    Ok(())
}

/// A database that came back by other means.
async fn mark(global: &Global, config: &Config, to: &str) -> anyhow::Result<()> {
    let moment: jiff::Timestamp = to.parse().with_context(|| {
        format!(
            "{} {to}",
            say(
                "时间应写作 2026-11-23T20:00:00+08:00，不是",
                "A time is written 2026-11-23T20:00:00+08:00, not"
            )
        )
    })?;
    let service = open::service(config, Role::Worker).await?;
    let store = service.store();
    if !store.running().await?.is_empty() {
        bail!(say("还有节点在运行，请先全部停止。", "Nodes are running: stop them all first."));
    }
    let restored = store.mark_restored(moment.as_millisecond(), store.now().await?, "restore").await?;
    if global.json {
        output::json(&json!({ "restored": restored }));
    } else {
        tell(&restored);
    }
    Ok(())
}

fn tell(restored: &Restored) {
    let rows = [
        (say("改为待确认的消息", "messages that are unknown now"), restored.unknown),
        (say("暂停的发送任务", "campaigns paused"), restored.campaigns),
        (say("跳过到期一次的定时任务", "schedules that skip what was due"), restored.schedules),
        (say("暂停发送的小程序", "apps that hold their sending"), restored.apps),
    ];
    output::line(&format!("{} {}", say("数据截至", "The data is of"), time(restored.backup_at)));
    for (what, count) in rows {
        output::line(&format!("  {count:>8}  {what}"));
    }
    output::remark(say(
        "现在可以启动服务：会接收微信推送和接口请求，但不发送。核对后执行 hongyan release --all（先列出要核对的内容，加 --yes 才恢复发送）。\
         恢复点之后的订阅、发送、删除请求不在库中：请再次提交其间的删除请求。",
        "It may be served now: callbacks and calls are taken, nothing is sent. Look at `hongyan release --all`, which lists what to check \
         and with --yes lets it send. What came after that moment is not in it: ask again for erasures that were asked for since.",
    ));
}

pub(crate) async fn release(global: &Global, asked: Release) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    let mut held = service.held_back().await?;
    if let Some(app_id) = &asked.app_id {
        service.app(app_id).await?;
        held.retain(|one| one.app_id == *app_id);
    }
    if asked.yes {
        for one in &held {
            let app = service.app(&one.app_id).await?;
            service.release(&app, &principal()).await?;
        }
    }
    if global.json {
        output::json(&json!({ "released": asked.yes, "apps": held }));
        return Ok(());
    }
    if held.is_empty() {
        output::remark(say("没有因恢复而暂停的小程序。", "No app is held back by a restore."));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = held
        .iter()
        .map(|one| {
            vec![
                one.app_id.clone(),
                one.name.clone(),
                one.backup_at.clone(),
                one.restored_at.clone(),
                one.unknown.to_string(),
                one.paused.join(", "),
            ]
        })
        .collect();
    let headings = [
        "APPID",
        say("名称", "NAME"),
        say("数据截至", "DATA OF"),
        say("恢复于", "RESTORED"),
        say("待确认", "UNKNOWN"),
        say("暂停的任务", "PAUSED CAMPAIGNS"),
    ];
    output::table(&headings, &rows);
    output::remark(if asked.yes {
        say("已恢复发送。", "They send again.")
    } else {
        say(
            "待确认的消息可能已经发出，只有手动重发才会再次发送；暂停的任务请逐个继续或取消。核对后加 --yes 恢复发送。",
            "Unknown messages may have been sent: only a resend by hand sends them again. Resume or cancel each paused campaign. \
             With --yes, they send.",
        )
    });
    Ok(())
}

fn show(held: &Holds) {
    let rows: Vec<Vec<String>> =
        held.rows.iter().map(|(what, count)| vec![(*what).to_owned(), count.to_string()]).collect();
    output::table(&[say("内容", "WHAT"), say("行数", "ROWS")], &rows);
    output::line(&format!(
        "{} {}  {} {}",
        say("余额与明细相符", "balances that equal their entries"),
        held.accounts,
        say("未结束的消息", "messages under way"),
        held.open
    ));
}

fn held_json(held: &Holds) -> serde_json::Value {
    let rows: serde_json::Map<String, serde_json::Value> =
        held.rows.iter().map(|(what, count)| ((*what).to_owned(), (*count).into())).collect();
    json!({ "bytes": held.bytes, "at": held.backup_at.map(time), "version": held.version, "master_key": held.master_key,
        "rows": rows, "accounts": held.accounts, "open": held.open })
}

fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let mebibytes = bytes as f64 / 1_048_576.0;
    format!("{mebibytes:.1} MiB")
}
