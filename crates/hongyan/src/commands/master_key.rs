//! `hongyan master-key`: another key in the place of the one that seals the secrets (I12).

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use domain::SystemEntropy;
use secrecy::ExposeSecret;
use serde_json::json;
use store::Role;

use crate::cli::Global;
use crate::config::{self, Config};
use crate::locale::say;
use crate::{open, output};

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKey {
    /// Seals everything with another key; nothing may serve the database meanwhile. Broken off, it is ended by giving the same again
    Change(Change),
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The file of the new key; made where there is none. Needed where the present key is not the data directory's own
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(crate) async fn run(global: &Global, MasterKey::Change(asked): MasterKey) -> anyhow::Result<()> {
    let config = Config::load(global, None, None)?;
    let own = open::own_key_file(&config)?;
    let Some(present) = open::present_master_key(&config)? else {
        bail!(say(
            "没有找到现在的主密钥：这里还没有安装过 hongyan，或 --data-dir 不对。",
            "There is no master key: nothing is installed here, or --data-dir is another one."
        ));
    };
    let to = match (&asked.to, &own) {
        (Some(to), _) => to.clone(),
        (None, Some(own)) => own.with_extension("key.next"),
        (None, None) => bail!(say(
            "现在的主密钥由环境变量或 master_key_file 指定：请用 --to 指定新密钥的文件，更换后再把设置改为它。",
            "The present key is named by a variable or by master_key_file: name a file for the new one by --to, and \
             point the setting there afterwards."
        )),
    };
    let entropy = SystemEntropy::new().context("the operating system gives no randomness")?;
    let next = if to.exists() { open::read_key(&to)? } else { open::make_key(&to, &entropy)? };
    let (from, id) = (present.id(), next.id());
    if from == id {
        bail!("{} {}", to.display(), say("就是现在的主密钥。", "is the present key already."));
    }
    let service = open::service_with(&config, Role::Worker, next.in_place_of(present)).await?;
    let done = service.store().change_master_key().await?;
    let kept = match &own {
        Some(own) if asked.to.is_none() => Some(take_place(&to, own, &from)?),
        _ => None,
    };
    let file = own.filter(|_| asked.to.is_none()).unwrap_or(to);
    if global.json {
        output::json(&json!({ "from": from, "to": id, "secrets": done.secrets, "people": done.people,
            "key_file": file, "former_key_file": kept }));
        return Ok(());
    }
    output::line(&format!("{} {from} → {id}", say("主密钥已更换", "The master key was changed:")));
    for (what, count) in [
        (say("重新加密的密钥", "secrets sealed anew"), done.secrets),
        (say("有敏感属性的人", "people with sensitive attributes"), done.people),
    ] {
        output::line(&format!("{what} {count}"));
    }
    match &kept {
        Some(kept) => {
            output::line(&format!("{} {}", say("旧密钥保留为", "The former key is kept as"), kept.display()))
        }
        None => output::line(&format!(
            "{} {}",
            say(
                "启动前请把 HONGYAN_MASTER_KEY(_FILE) 或 master_key_file 指向",
                "Before you serve, point HONGYAN_MASTER_KEY(_FILE) or master_key_file to"
            ),
            file.display()
        )),
    }
    output::line(say(
        "更换前的备份仍要用旧密钥恢复：备份都更新之后再删除它。小程序里的会话已失效，会自动重新登录。",
        "Backups of before still need the former key: delete it when the last of them is gone. Sessions of mini programs are over; they \
         sign in again by themselves.",
    ));
    Ok(())
}

/// The new key's file becomes the data directory's own, the former key stands beside it from then on; there is no moment without a key.
fn take_place(next: &Path, own: &Path, former: &str) -> anyhow::Result<PathBuf> {
    let kept = own.with_extension(format!("key.{former}"));
    if !kept.exists() {
        open::write_private(&kept, config::secret_file(own)?.expose_secret())
            .with_context(|| format!("{} cannot be written / 无法写入", kept.display()))?;
    }
    std::fs::rename(next, own).with_context(|| format!("{} cannot be replaced / 无法替换", own.display()))?;
    Ok(kept)
}
