//! `hongyan config` and `hongyan migrate`.

use serde_json::json;
use store::Role;

use crate::cli::{ConfigCommand, Global, Migrate};
use crate::config::{Config, DEFAULT_FILE};
use crate::locale::say;
use crate::open;
use crate::output;

pub(crate) async fn run(global: &Global, command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Default => output::line(DEFAULT_FILE.trim_end()),
        ConfigCommand::Check => {
            let config = Config::load(global, None, None)?;
            let pending = store::store::pending_migrations(&config.database_url).await?;
            let exists = if store::store::is_postgres(&config.database_url) {
                // One that was never migrated holds nothing of ours.
                pending.len() < store::store::migrations()
            } else {
                store::store::sqlite_path(&config.database_url)?.exists()
            };
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
