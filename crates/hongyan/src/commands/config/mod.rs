//! `hongyan config` and `hongyan migrate`.

mod caddy;
mod front;
mod nginx;
mod systemd;

use serde_json::json;
use store::Role;

use self::front::Front;
use crate::cli::{ConfigCommand, Global, Listens, Migrate};
use crate::config::{Config, DEFAULT_FILE};
use crate::locale::say;
use crate::open;
use crate::output;

pub(crate) async fn run(global: &Global, command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Default => output::line(DEFAULT_FILE.trim_end()),
        ConfigCommand::Nginx(listens) => {
            let front = front(&listens.load(global)?).await?;
            print(&nginx::site(&front), &front.remarks);
        }
        ConfigCommand::Caddy(listens) => {
            let front = front(&listens.load(global)?).await?;
            print(&caddy::site(&front), &front.remarks);
        }
        ConfigCommand::Systemd(listens) => {
            let config = listens.load(global)?;
            let program = std::env::current_exe().unwrap_or_default();
            let unit = systemd::Unit::of(&config, global, |name| std::env::var_os(name), &program);
            print(&unit.text(), &unit.remarks);
        }
        ConfigCommand::Check(listens) => {
            let config = listens.load(global)?;
            let pending = store::store::pending_migrations(&config.database_url).await?;
            let exists = exists(&config, pending.len())?;
            let shown = store::store::shown_url(&config.database_url);
            // Checking must not make a database where there is none.
            let apps = if exists {
                let service = open::service(&config, Role::Guest).await?;
                service.apps().reload().await?;
                Some(service.apps().all().len())
            } else {
                None
            };
            if global.json {
                output::json(&json!({ "database_url": shown, "data_dir": config.data_dir,
                    "listen": config.listen, "public_listen": config.public_listen, "database_exists": exists,
                    "apps": apps, "pending_migrations": pending }));
                return Ok(());
            }
            output::line(&format!("data_dir       {}", config.data_dir.display()));
            output::line(&format!("database_url   {shown}"));
            output::line(&format!("listen         {}", config.listen));
            if let Some(address) = config.public_listen {
                output::line(&format!("public_listen  {address}"));
            }
            output::line(&match apps {
                Some(count) => format!(
                    "{} {count}",
                    say(
                        "配置与主密钥正确；已登记小程序：",
                        "The configuration and the master key are right; apps:"
                    )
                ),
                None => say(
                    "配置正确；数据库会在首次使用时创建。",
                    "The configuration is right; the database is made when it is first used.",
                )
                .to_owned(),
            });
        }
    }
    Ok(())
}

impl Listens {
    fn load(&self, global: &Global) -> anyhow::Result<Config> {
        Config::load(global, self.listen, self.public_listen)
    }
}

/// Whether there is a database: one that was never migrated holds nothing of ours.
fn exists(config: &Config, pending: usize) -> anyhow::Result<bool> {
    Ok(if store::store::is_postgres(&config.database_url) {
        pending < store::store::migrations()
    } else {
        store::store::sqlite_path(&config.database_url)?.exists()
    })
}

/// What a proxy has to know, the apps' aliases among it. A database that is older than this program is left as it is.
async fn front(config: &Config) -> anyhow::Result<Front> {
    let pending = store::store::pending_migrations(&config.database_url).await?;
    let mut aliases = Vec::new();
    if pending.is_empty() && exists(config, 0)? {
        let service = open::service(config, Role::Guest).await?;
        service.apps().reload().await?;
        aliases.extend(service.apps().all().iter().filter_map(|app| app.alias.clone()));
        aliases.sort();
    }
    let mut front = Front::of(config, aliases);
    if !pending.is_empty() {
        front.remarks.push(
            say(
                "数据库尚未建立或版本较旧，未读取小程序的回调别名；之后请重新生成。",
                "There is no database of this version yet, so the apps' aliases were not read: print this again later.",
            )
            .to_owned(),
        );
    }
    Ok(front)
}

/// The example on standard output, what to know beside it on standard error (and in the example).
fn print(text: &str, remarks: &[String]) {
    output::line(text.trim_end());
    for remark in remarks {
        output::remark(remark);
    }
}

pub(crate) async fn migrate(global: &Global, arguments: &Migrate) -> anyhow::Result<()> {
    let config = Config::load(global, None, None)?;
    let pending = store::store::pending_migrations(&config.database_url).await?;
    if pending.is_empty() {
        output::line(say("数据库已是最新版本。", "The database is of this version already."));
        return Ok(());
    }
    for step in &pending {
        output::line(step);
    }
    if !arguments.dry_run {
        open::service(&config, Role::Guest).await?;
        output::line(say("迁移完成。", "Migrated."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `HONGYAN_TEST_WRITE=1 cargo test -p hongyan packaged` writes them anew.
    #[test]
    fn the_packaged_examples_are_what_the_commands_print() {
        let front =
            Front::of(&front::tests::config(Some("https://notify.example.com"), &["127.0.0.1"]), Vec::new());
        let packaging = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
        for (name, text) in [
            ("nginx.conf", nginx::site(&front)),
            ("Caddyfile", caddy::site(&front)),
            ("hongyan.service", systemd::tests::packaged().text()),
        ] {
            let path = packaging.join(name);
            if std::env::var_os("HONGYAN_TEST_WRITE").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{name}");
        }
    }
}
