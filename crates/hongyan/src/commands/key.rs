//! `hongyan key`: API keys.

use secrecy::ExposeSecret;
use serde_json::json;
use service::view::time;

use super::service_beside;
use crate::cli::{self, Global};
use crate::locale::say;
use crate::output;

pub(crate) async fn run(global: &Global, command: cli::Key) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    match command {
        cli::Key::Create(create) => {
            let (number, key) =
                service.create_key(&create.name, create.app.as_deref(), &create.scope).await?;
            if global.json {
                output::json(&json!({ "id": number, "name": create.name, "key": key.expose_secret() }));
            } else {
                output::line(key.expose_secret());
                output::remark(say(
                    "请立即保存：这个密钥只显示这一次。",
                    "Keep it now: this key is shown only once.",
                ));
            }
        }
        cli::Key::List => {
            let keys = service.list_keys().await?;
            let apps = service.apps();
            let app = |number: Option<i64>| match number {
                Some(number) => {
                    apps.by_number(number).map_or_else(|| "?".to_owned(), |app| app.app_id.clone())
                }
                None => say("全部", "all").to_owned(),
            };
            if global.json {
                output::json(
                    &keys
                        .iter()
                        .map(|key| {
                            json!({ "id": key.number, "name": key.name, "app_id": key.app.map(|number| app(Some(number))),
                                "scopes": key.scopes.split(',').collect::<Vec<_>>(), "created_at": time(key.created_at),
                                "revoked_at": key.revoked_at.map(time) })
                        })
                        .collect(),
                );
                return Ok(());
            }
            let rows: Vec<_> = keys
                .into_iter()
                .map(|key| {
                    let state = if key.revoked_at.is_some() {
                        say("已吊销", "revoked")
                    } else {
                        say("有效", "valid")
                    };
                    vec![
                        key.number.to_string(),
                        key.name,
                        app(key.app),
                        key.scopes,
                        time(key.created_at),
                        state.to_owned(),
                    ]
                })
                .collect();
            let headings = [
                "ID",
                say("名称", "NAME"),
                say("小程序", "APP"),
                say("权限", "SCOPES"),
                say("创建于", "CREATED"),
                say("状态", "STATE"),
            ];
            output::table(&headings, &rows);
        }
        cli::Key::Revoke { number } => {
            service.revoke_key(number).await?;
            output::remark(&format!("{} {number}", say("已吊销密钥", "Revoked key")));
        }
    }
    Ok(())
}
