//! Configuration: flags over environment (`HONGYAN_…`) over the file over the defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use domain::Millis;
use domain::clock::DAY;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::retention::Periods;

use crate::cli::Global;

/// The commented file that `hongyan config default` prints.
pub(crate) const DEFAULT_FILE: &str = include_str!("../hongyan.default.toml");

/// The file. Unknown words are refused, so that a typing error does not pass silently.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    database_url: Option<String>,
    listen: Option<SocketAddr>,
    public_listen: Option<SocketAddr>,
    master_key_file: Option<PathBuf>,
    webhooks_allow_private: Option<bool>,
    public_url: Option<String>,
    trusted_proxies: Option<Vec<IpAddr>>,
    database_connections: Option<u32>,
    node_name: Option<String>,
    lease_seconds: Option<u32>,
    retention: Retention,
}

/// Days that things are kept; 0: for ever.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Retention {
    callbacks_days: Option<u32>,
    contents_days: Option<u32>,
    messages_days: Option<u32>,
    audit_days: Option<u32>,
    webhooks_days: Option<u32>,
    statistics_days: Option<u32>,
}

/// More is a typing error.
const MOST_DAYS: u32 = 36_500;

impl Retention {
    fn periods(&self) -> anyhow::Result<Periods> {
        let usual = Periods::default();
        let of = |name: &str, file: Option<u32>, least: u32, usual: Option<Millis>| {
            let variable = format!("HONGYAN_RETENTION_{}", name.to_uppercase());
            let days = number(&variable, 0..=MOST_DAYS)?.or(file);
            match days {
                None => Ok(usual),
                Some(0) => Ok(None),
                Some(days) if (least..=MOST_DAYS).contains(&days) => Ok(Some(Millis::from(days) * DAY)),
                Some(days) => bail!(
                    "retention.{name} is 0 (for ever) or {least} to {MOST_DAYS}, not {days} / retention.{name} 应为 0（不删除）或 {least} 到 {MOST_DAYS}"
                ),
            }
        };
        let periods = Periods {
            // Longer than an event may be replayed unnoticed (I2).
            callbacks: of("callbacks_days", self.callbacks_days, 8, usual.callbacks)?,
            // Longer than a message lives by itself.
            contents: of("contents_days", self.contents_days, 7, usual.contents)?,
            messages: of("messages_days", self.messages_days, 7, usual.messages)?,
            audit: of("audit_days", self.audit_days, 1, usual.audit)?,
            webhooks: of("webhooks_days", self.webhooks_days, 4, usual.webhooks)?,
            statistics: of("statistics_days", self.statistics_days, 2, usual.statistics)?,
        };
        Ok(periods)
    }
}

/// What a command works with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) database_url: String,
    pub(crate) listen: SocketAddr,
    pub(crate) public_listen: Option<SocketAddr>,
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) webhooks_allow_private: bool,
    /// Where the outside reaches the service.
    pub(crate) public_url: Option<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Connections to PostgreSQL at most.
    pub(crate) database_connections: u32,
    /// What this node is called in a cluster.
    pub(crate) node_name: String,
    /// How long a node's lanes stay its own after it was last heard of.
    pub(crate) lease: Duration,
    /// How long things are kept.
    pub(crate) retention: Periods,
}

/// The address of `serve` unless another is given.
pub(crate) const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8700);

impl Config {
    /// Puts the layers together.
    pub(crate) fn load(
        global: &Global,
        listen: Option<SocketAddr>,
        public_listen: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let file = match &global.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let data_dir =
            global.data_dir.clone().or(file.data_dir).unwrap_or_else(|| PathBuf::from("hongyan-data"));
        let default_url = || format!("sqlite:{}", data_dir.join("hongyan.db").display());
        let secret_url = match &global.database_url {
            Some(_) => None,
            None => secret("HONGYAN_DATABASE_URL")?.map(|url| url.expose_secret().to_owned()),
        };
        Ok(Self {
            database_url: global
                .database_url
                .clone()
                .or(secret_url)
                .or(file.database_url)
                .unwrap_or_else(default_url),
            database_connections: number("HONGYAN_DATABASE_CONNECTIONS", 4..=1_000)?
                .or(file.database_connections)
                .unwrap_or(store::OpenOptions::CONNECTIONS),
            node_name: std::env::var("HONGYAN_NODE_NAME")
                .ok()
                .filter(|name| !name.is_empty())
                .or(file.node_name)
                .unwrap_or_else(host_name),
            lease: Duration::from_secs(u64::from(
                number("HONGYAN_LEASE_SECONDS", 6..=600)?.or(file.lease_seconds).unwrap_or(12),
            )),
            listen: listen.or(file.listen).unwrap_or_else(|| LISTEN.into()),
            public_listen: public_listen.or(file.public_listen),
            master_key_file: file.master_key_file,
            webhooks_allow_private: flag("HONGYAN_WEBHOOKS_ALLOW_PRIVATE")?
                .or(file.webhooks_allow_private)
                .unwrap_or(false),
            public_url: public_url(file.public_url)?,
            trusted_proxies: trusted_proxies()?.or(file.trusted_proxies).unwrap_or_default(),
            retention: file.retention.periods()?,
            data_dir,
        })
    }
}

/// Where the outside reaches the service, without a slash at its end.
fn public_url(from_file: Option<String>) -> anyhow::Result<Option<String>> {
    let given = std::env::var("HONGYAN_PUBLIC_URL").ok().filter(|url| !url.is_empty()).or(from_file);
    let Some(url) = given else { return Ok(None) };
    if !wechat::client::is_outside_url(&url) || url.contains('?') {
        bail!(
            "public_url begins with https:// or http:// and has no ?, not {url} / public_url 应以 https:// 开头，不含 ?"
        );
    }
    Ok(Some(url.trim_end_matches('/').to_owned()))
}

/// Addresses with commas from the environment.
fn trusted_proxies() -> anyhow::Result<Option<Vec<IpAddr>>> {
    let Ok(text) = std::env::var("HONGYAN_TRUSTED_PROXIES") else { return Ok(None) };
    let parse = |part: &str| {
        let what = "HONGYAN_TRUSTED_PROXIES is a list of addresses with commas / 应为用逗号分开的 IP 地址";
        part.trim().parse::<IpAddr>().with_context(|| format!("{what}: {part}"))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(parse).collect::<Result<_, _>>().map(Some)
}

/// The machine's name.
fn host_name() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let named = named.trim();
    if named.is_empty() { "hongyan".to_owned() } else { named.to_owned() }
}

/// A number from the environment.
fn number(name: &str, range: std::ops::RangeInclusive<u32>) -> anyhow::Result<Option<u32>> {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => bail!(
            "{name} is a number from {} to {}, not {text} / {name} 应为 {} 到 {} 的整数",
            range.start(),
            range.end(),
            range.start(),
            range.end()
        ),
    }
}

/// Yes or no from the environment.
fn flag(name: &str) -> anyhow::Result<Option<bool>> {
    match std::env::var(name).unwrap_or_default().as_str() {
        "" => Ok(None),
        "true" | "1" => Ok(Some(true)),
        "false" | "0" => Ok(Some(false)),
        other => bail!("{name} is true or false, not {other} / {name} 只能是 true 或 false"),
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration {} cannot be read / 无法读取配置文件", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("the configuration {} is wrong / 配置文件有误", path.display()))
}

/// A secret from `NAME`, or from the file that `NAME_FILE` names; a trailing line break is dropped.
pub(crate) fn secret(name: &str) -> anyhow::Result<Option<SecretString>> {
    let direct = std::env::var(name).ok().filter(|value| !value.is_empty());
    let file = std::env::var_os(format!("{name}_FILE")).filter(|value| !value.is_empty());
    match (direct, file) {
        (Some(_), Some(_)) => {
            bail!("{name} and {name}_FILE are both set; keep one / {name} 与 {name}_FILE 只能设置一个")
        }
        (Some(value), None) => Ok(Some(value.into())),
        (None, Some(path)) => secret_file(Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// A secret from a file.
pub(crate) fn secret_file(path: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the secret file {} cannot be read / 无法读取密钥文件", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_valid_and_says_what_the_defaults_are() {
        let file: File = toml::from_str(DEFAULT_FILE).unwrap();
        assert!(file.listen.is_none(), "every line is commented out");
        let uncommented =
            DEFAULT_FILE.lines().filter_map(|line| line.strip_prefix("#: ")).collect::<Vec<_>>().join("\n");
        let file: File = toml::from_str(&uncommented).unwrap();
        assert_eq!(file.listen, Some(LISTEN.into()));
        assert_eq!(file.retention.periods().unwrap(), Periods::default(), "the file shows the defaults");
        let odd = |text: &str| toml::from_str::<File>(text).unwrap().retention.periods();
        assert_eq!(odd("retention = { callbacks_days = 0 }").unwrap().callbacks, None, "for ever");
        assert!(odd("retention = { callbacks_days = 7 }").is_err(), "shorter than events are known");
        assert!(toml::from_str::<File>("lisen = \"127.0.0.1:1\"").is_err());
    }
}
