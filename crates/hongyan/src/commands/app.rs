//! `hongyan app`: registering mini programs.

use std::io::Read;

use anyhow::{Context, bail};
use domain::Millis;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use service::apps::AppChange;
use service::token_source::TokenSourceInput;
use service::view::time;
use service::{App, Service};
use wechat::callback::{Format, Mode};

use super::service_beside;
use crate::cli::{self, FormatName, Global, ModeName, Push, Secret};
use crate::config::{Config, secret_file};
use crate::locale::say;
use crate::output;

pub(crate) async fn run(global: &Global, command: cli::App) -> anyhow::Result<()> {
    let service = service_beside(global).await?;
    match command {
        cli::App::Add(add) => {
            let (change, generated) = change(&service, Some(add.name), &add.secret, add.push, Vec::new())?;
            let app = service.add_app(&add.app_id, change).await?;
            changed(global, &app, generated.as_ref(), service.now());
        }
        cli::App::Set(set) => {
            let end = set.end_previous_keys;
            let (change, generated) = change(&service, set.name, &set.secret, set.push, set.settings)?;
            let change = AppChange { end_previous_keys: end, ..change };
            let app = service.set_app(&set.app_id, change).await?;
            changed(global, &app, generated.as_ref(), service.now());
        }
        cli::App::Show { app_id } => show(global, &*service.app(&app_id).await?, service.now()),
        cli::App::List => {
            let apps = service.apps().all();
            if global.json {
                output::json(&apps.iter().map(|app| value(app, service.now())).collect());
            } else {
                let rows: Vec<_> = apps
                    .iter()
                    .map(|app| {
                        vec![
                            app.app_id.clone(),
                            app.name.clone(),
                            app.mode().to_string(),
                            app.format.to_string(),
                        ]
                    })
                    .collect();
                let headings = [
                    say("AppID", "APPID"),
                    say("名称", "NAME"),
                    say("加解密方式", "MODE"),
                    say("格式", "FORMAT"),
                ];
                output::table(&headings, &rows);
            }
        }
        cli::App::Remove { app_id } => {
            service.remove_app(&app_id).await?;
            output::remark(&format!("{} {app_id}", say("已移除", "Removed")));
        }
    }
    Ok(())
}

/// What was made, to be pasted into WeChat's console.
struct Generated {
    token: String,
    aes_key: String,
}

fn change(
    service: &Service,
    name: Option<String>,
    secret: &Secret,
    push: Push,
    settings: Vec<(String, String)>,
) -> anyhow::Result<(AppChange, Option<Generated>)> {
    let generated = push.generate.then(|| generate(service));
    let from = |given: Option<String>, file: Option<std::path::PathBuf>| match (given, file) {
        (Some(text), _) => Ok(Some(SecretString::from(text))),
        (None, Some(path)) => secret_file(&path).map(Some),
        (None, None) => Ok::<_, anyhow::Error>(None),
    };
    let (mut callback_token, mut aes_key) =
        (from(push.callback_token, push.callback_token_file)?, from(push.aes_key, push.aes_key_file)?);
    if let Some(generated) = &generated {
        callback_token = Some(generated.token.clone().into());
        aes_key = Some(generated.aes_key.clone().into());
    }
    let token_source = token_source(push.token_source, push.token_header_file, push.token_header_env)?;
    let change = AppChange {
        name,
        secret: app_secret(secret)?,
        callback_token,
        aes_key,
        mode: push.callback_mode.map(|mode| match mode {
            ModeName::Plain => Mode::Plain,
            ModeName::Compat => Mode::Compat,
            ModeName::Safe => Mode::Safe,
        }),
        format: push.callback_format.map(|format| match format {
            FormatName::Json => Format::Json,
            FormatName::Xml => Format::Xml,
        }),
        api_base_url: push.api_base_url,
        alias: push.alias,
        settings,
        platform_appid: push.platform_appid,
        token_source,
        end_previous_keys: false,
    };
    Ok((change, generated))
}

fn app_secret(secret: &Secret) -> anyhow::Result<Option<SecretString>> {
    if secret.secret_stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(Some(text.trim().into()));
    }
    if let Some(path) = &secret.secret_file {
        return secret_file(path).map(Some);
    }
    secret.secret_env.as_deref().map(from_environment).transpose()
}

fn from_environment(name: &str) -> anyhow::Result<SecretString> {
    let Ok(value) = std::env::var(name) else {
        bail!("the environment has no {name} / 没有环境变量 {name}");
    };
    Ok(value.into())
}

/// `wechat`, or a URL with the header that it wants.
fn token_source(
    source: Option<String>,
    header_file: Option<std::path::PathBuf>,
    header_env: Option<String>,
) -> anyhow::Result<Option<TokenSourceInput>> {
    let header = match (header_file, header_env) {
        (Some(path), _) => Some(secret_file(&path)?),
        (None, Some(name)) => Some(from_environment(&name)?),
        (None, None) => None,
    };
    Ok(source.map(|source| match source.as_str() {
        "wechat" => TokenSourceInput::Wechat,
        _ => TokenSourceInput::Url { url: source.into(), header },
    }))
}

/// A Token of 32 letters and digits, and an EncodingAESKey.
fn generate(service: &Service) -> Generated {
    Generated {
        token: service.new_callback_token().expose_secret().to_owned(),
        aes_key: service.new_aes_key().expose_secret().to_owned(),
    }
}

fn value(app: &App, now: Millis) -> Value {
    json!({
        "app_id": app.app_id, "name": app.name, "original_id": app.original_id, "callback_mode": app.mode(),
        "callback_format": app.format, "callback_path": format!("/callback/{}", app.app_id), "alias": app.alias,
        "platform_appid": app.platform_appid, "token_source": app.token_source.view(),
        "previous_keys": app.previous_keys(now).into_iter().map(|until| json!({ "valid_until": time(until) })).collect::<Vec<_>>(),
        "api_base_url": app.api_base_url, "settings": app.settings,
    })
}

fn previous_keys(app: &App, now: Millis) -> String {
    let until: Vec<_> = app.previous_keys(now).into_iter().map(time).collect();
    if until.is_empty() { "-".to_owned() } else { until.join(", ") }
}

fn token_source_shown(app: &App) -> String {
    let view = app.token_source.view();
    match (view.url, view.header) {
        (None, _) => view.kind.to_owned(),
        (Some(url), None) => url,
        (Some(url), Some(header)) => format!("{url} ({header}: …)"),
    }
}

fn show(global: &Global, app: &App, now: Millis) {
    if global.json {
        return output::json(&value(app, now));
    }
    let rows = [
        ("AppID", app.app_id.clone()),
        (say("名称", "name"), app.name.clone()),
        (say("原始 ID", "original id"), app.original_id.clone().unwrap_or_else(|| "-".to_owned())),
        (say("消息加解密方式", "callback mode"), app.mode().to_string()),
        (say("数据格式", "data format"), app.format.to_string()),
        (say("推送路径", "callback path"), format!("/callback/{}", app.app_id)),
        (say("回调别名", "alias"), app.alias.clone().unwrap_or_else(|| "-".to_owned())),
        (
            say("第三方平台", "third-party platform"),
            app.platform_appid.clone().unwrap_or_else(|| "-".to_owned()),
        ),
        (say("旧密钥有效至", "previous keys valid until"), previous_keys(app, now)),
        (say("微信接口地址", "WeChat's API"), app.api_base_url.clone()),
        (say("access_token 来源", "token source"), token_source_shown(app)),
        (say("设置", "settings"), serde_json::to_string(&app.settings).unwrap_or_default()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    output::table(&["", ""], &rows);
}

fn changed(global: &Global, app: &App, generated: Option<&Generated>, now: Millis) {
    if global.json {
        let mut all = value(app, now);
        if let Some(generated) = generated {
            all["callback_token"] = generated.token.clone().into();
            all["aes_key"] = generated.aes_key.clone().into();
        }
        return output::json(&all);
    }
    show(global, app, now);
    if let Some(generated) = generated {
        output::line("");
        output::line(say(
            "请在微信后台“开发管理 → 消息推送”中填写（只显示这一次）：",
            "Paste this into WeChat's console, 开发管理 → 消息推送 (shown only once):",
        ));
        // The configuration was read before, to open the database.
        let public_url = Config::load(global, None, None).ok().and_then(|config| config.public_url);
        let base = public_url.unwrap_or_else(|| say("https://你的域名", "https://YOUR-DOMAIN").to_owned());
        output::line(&format!("  URL              {base}/callback/{}", app.app_id));
        output::line(&format!("  Token            {}", generated.token));
        output::line(&format!("  EncodingAESKey   {}", generated.aes_key));
        output::line(&format!("  {} {}", say("消息加解密方式  ", "mode            "), mode_name(app.mode())));
        output::line(&format!(
            "  {} {}",
            say("数据格式        ", "data format     "),
            app.format.to_string().to_uppercase()
        ));
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Plain => "明文模式",
        Mode::Compat => "兼容模式",
        Mode::Safe => "安全模式",
    }
}
