//! Registering and changing apps: what `app add`, `app set` and `PUT`/`PATCH /apps/{appid}` give, checked and completed.

use std::sync::Arc;

use domain::clock::HOUR;
use domain::entropy::random_bytes;
use secrecy::{ExposeSecret, SecretString};
use store::StoreError;
use store::apps::AppInput;
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::{Format, Mode};
use wechat::client::WECHAT;

use crate::problem::{FieldError, Kind, Problem};
use crate::settings::Settings;
use crate::token_source::TokenSourceInput;
use crate::{App, Service, callback, checks};

/// What `app add` and `PUT /apps/{appid}` give. `None` keeps what stands (or takes the default).
#[derive(Debug, Clone, Default)]
pub struct AppChange {
    /// A name for people.
    pub name: Option<String>,
    /// AppSecret.
    pub secret: Option<SecretString>,
    /// Token of the message push.
    pub callback_token: Option<SecretString>,
    /// EncodingAESKey of the message push.
    pub aes_key: Option<SecretString>,
    /// plain, compat or safe.
    pub mode: Option<Mode>,
    /// json or xml.
    pub format: Option<Format>,
    /// Where WeChat is.
    pub api_base_url: Option<String>,
    /// A second callback path; empty to remove it.
    pub alias: Option<String>,
    /// Settings by name.
    pub settings: Vec<(String, String)>,
    /// The AppID of the third-party platform that pushes are encrypted for; empty where they are the app's own again.
    pub platform_appid: Option<String>,
    /// Where access tokens come from.
    pub token_source: Option<TokenSourceInput>,
    /// Ends at once the callback keys that earlier changes replaced.
    pub end_previous_keys: bool,
}

impl Service {
    /// A new Token for the message push: 32 letters and digits, none of which is mistaken for another.
    pub fn new_callback_token(&self) -> SecretString {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        let bytes = random_bytes::<32>(&*self.entropy);
        let token: String =
            bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
        token.into()
    }

    /// A new EncodingAESKey for the message push.
    pub fn new_aes_key(&self) -> SecretString {
        EncodingAesKey::from_random(random_bytes(&*self.entropy)).expose().into()
    }

    /// Registers an app.
    ///
    /// # Errors
    /// Wrong fields; `app_exists`.
    pub async fn add_app(&self, app_id: &str, change: AppChange) -> Result<Arc<App>, Problem> {
        let input = input(app_id, None, &change)?;
        match self.store.insert_app(input, self.now()).await {
            Err(StoreError::Exists("app_id")) => Err(Problem::new(
                Kind::Conflict,
                "app_exists",
                format!("小程序 {app_id} 已登记；修改请用 hongyan app set {app_id}。"),
                format!("The app {app_id} is registered already; change it with `hongyan app set {app_id}`."),
            )),
            done => self.changed_app(app_id, done).await,
        }
    }

    /// Changes an app.
    ///
    /// # Errors
    /// Wrong fields; no such app.
    pub async fn set_app(&self, app_id: &str, change: AppChange) -> Result<Arc<App>, Problem> {
        self.apps.reload().await?;
        let app = self.app(app_id).await?;
        let mut input = input(app_id, Some(&app), &change)?;
        let hours = change.settings.iter().any(|(name, _)| name == "previous_keys_hours");
        if changes_keys(&app, &input) {
            let kept = i64::from(settings_of(&input).previous_keys_hours) * HOUR;
            input.retire_keys = (kept > 0).then(|| self.now() + kept);
        }
        // Whoever sets the hours to 0 wants none of the old keys any more.
        input.end_previous_keys |= hours && settings_of(&input).previous_keys_hours == 0;
        if input.retire_keys.is_some() {
            tracing::info!(app = app_id, "callback keys changed; the keys of before stay valid for a while");
        }
        let done = self.store.update_app(input, self.now()).await.map(|_| ());
        self.changed_app(app_id, done).await
    }

    async fn changed_app(&self, app_id: &str, done: Result<(), StoreError>) -> Result<Arc<App>, Problem> {
        match done {
            Err(StoreError::Exists(_)) => Err(Problem::new(
                Kind::Conflict,
                "alias_taken",
                "该回调路径已被另一个小程序使用，请换一个。",
                "Another app has this alias; choose another.",
            )),
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.apps.reload().await?;
                self.app(app_id).await
            }
        }
    }

    /// Forgets an app.
    ///
    /// # Errors
    /// No such app.
    pub async fn remove_app(&self, app_id: &str) -> Result<(), Problem> {
        if !self.store.remove_app(app_id.to_owned()).await? {
            return Err(Problem::no_app(app_id));
        }
        self.refresh().await;
        Ok(())
    }

    /// The app with this AppID.
    ///
    /// # Errors
    /// No such app.
    pub async fn app(&self, app_id: &str) -> Result<Arc<App>, Problem> {
        self.apps.get(app_id).await?.ok_or_else(|| Problem::no_app(app_id))
    }
}

/// Checks a change and completes it from what stands.
fn input(app_id: &str, before: Option<&App>, change: &AppChange) -> Result<AppInput, Problem> {
    let mut errors = Vec::new();
    if !checks::app_id(app_id) {
        errors.push(FieldError::new(
            "/app_id",
            "invalid_app_id",
            format!("AppID 应形如 wxba5fad812f8e6fb9（wx 开头，18 位）；收到的是 {app_id}。在微信后台“开发管理 → 开发设置”中查看。"),
            format!("An AppID looks like wxba5fad812f8e6fb9 (wx, 18 characters), not {app_id}."),
        ));
    }
    let mode = change.mode.or(before.map(App::mode)).unwrap_or(Mode::Safe);
    let platform_appid = match change.platform_appid.as_deref() {
        None => before.and_then(|app| app.platform_appid.clone()),
        Some("") => None,
        Some(platform) => Some(platform.to_owned()),
    };
    if let Some(platform) = &platform_appid {
        errors.extend(platform_errors(platform, mode));
    }
    let token_source = change.token_source.as_ref().map(TokenSourceInput::check).transpose();
    let token_source = token_source.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let from_url = match &token_source {
        Some(source) => source.is_url(),
        None => before.is_some_and(|app| app.token_source.is_url()),
    };
    let has_key = change.aes_key.is_some()
        || before.is_some_and(|app| app.keys.iter().any(|keys| keys.aes_key.is_some()));
    let has_secret = match &change.secret {
        Some(secret) => !secret.expose_secret().is_empty(),
        None => before.is_some_and(App::has_secret),
    };
    if !has_secret && !from_url {
        errors.push(missing("/secret", "AppSecret"));
    }
    if before.is_none() && change.callback_token.is_none() {
        errors.push(missing("/callback_token", "Token"));
    }
    if mode != Mode::Plain && !has_key {
        errors.push(missing("/aes_key", "EncodingAESKey"));
    }
    if let Some(token) = &change.callback_token
        && !callback::token_fits(token.expose_secret())
    {
        errors.push(FieldError::new(
            "/callback_token",
            "invalid_token",
            "Token 应为 3–32 位英文字母或数字。",
            "The Token has 3 to 32 letters or digits.",
        ));
    }
    if let Some(key) = &change.aes_key
        && EncodingAesKey::parse(key.expose_secret()).is_err()
    {
        errors.push(FieldError::new(
            "/aes_key",
            "invalid_aes_key",
            "EncodingAESKey 应为 43 位字母或数字，请从微信后台完整复制。",
            "The EncodingAESKey has 43 letters or digits; copy all of it from WeChat's console.",
        ));
    }
    let base = change
        .api_base_url
        .clone()
        .or(before.map(|app| app.api_base_url.clone()))
        .unwrap_or_else(|| WECHAT.into());
    let base = base.trim_end_matches('/').to_owned();
    if !(base.starts_with("https://") || base.starts_with("http://")) {
        errors.push(FieldError::new(
            "/api_base_url",
            "invalid_url",
            "api_base_url 应以 https:// 或 http:// 开头。",
            "api_base_url begins with https:// or http://.",
        ));
    }
    let alias = match change.alias.as_deref() {
        None => before.and_then(|app| app.alias.clone()),
        Some("") => None,
        Some(text) => {
            let alias = checks::alias(text);
            if alias.is_none() {
                errors.push(FieldError::new(
                    "/alias",
                    "invalid_alias",
                    format!("回调路径 {text} 不可用：只能含字母、数字、- _ . /，且不能与系统路径（/api、/callback 等）相同。"),
                    format!("The alias {text} cannot be used: letters, digits, - _ . / only, and none of the service's own paths."),
                ));
            }
            alias
        }
    };
    let mut settings = before.map(|app| app.settings.clone()).unwrap_or_default();
    for (name, value) in &change.settings {
        if let Err((zh, en)) = settings.set(name, value) {
            errors.push(FieldError::new(format!("/{name}"), "invalid_setting", zh, en));
        }
    }
    if let Err((zh, en)) = settings.check_together() {
        errors.push(FieldError::new("/settings", "invalid_setting", zh, en));
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    // A platform's pushes are XML.
    let format = if change.platform_appid.as_deref().is_some_and(|platform| !platform.is_empty()) {
        change.format.unwrap_or(Format::Xml)
    } else {
        change.format.or(before.map(|app| app.format)).unwrap_or(Format::Json)
    };
    Ok(AppInput {
        app_id: app_id.to_owned(),
        name: change.name.clone().or(before.map(|app| app.name.clone())).unwrap_or_else(|| app_id.to_owned()),
        // The column is never empty; an empty secret is none.
        secret: change.secret.clone().or_else(|| before.is_none().then(|| "".into())),
        callback_token: change.callback_token.clone(),
        aes_key: change.aes_key.clone(),
        callback_mode: mode.to_string(),
        callback_format: format.to_string(),
        api_base_url: base,
        alias,
        settings: serde_json::to_string(&settings).unwrap_or_default(),
        platform_appid,
        token_source: token_source.map(|source| source.to_stored()),
        retire_keys: None,
        end_previous_keys: change.end_previous_keys,
    })
}

fn settings_of(input: &AppInput) -> Settings {
    serde_json::from_str(&input.settings).unwrap_or_default()
}

/// Whether pushes will be verified or decrypted with something else than now.
fn changes_keys(app: &App, input: &AppInput) -> bool {
    let Some(now) = app.keys.first() else { return false };
    let other = |new: Option<&SecretString>, old: Option<&str>| {
        new.is_some_and(|new| Some(new.expose_secret()) != old)
    };
    other(input.callback_token.as_ref(), Some(now.token.expose_secret()))
        || other(input.aes_key.as_ref(), now.aes_key.as_ref().map(EncodingAesKey::expose))
        || input.callback_mode != now.mode.as_str()
        || input.platform_appid != app.platform_appid
}

/// A platform's pushes can be told from forged ones only by their trailer, which plain ones have not.
fn platform_errors(platform: &str, mode: Mode) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !checks::app_id(platform) {
        errors.push(FieldError::new(
            "/platform_appid",
            "invalid_app_id",
            format!("第三方平台的 AppID 应形如 wxba5fad812f8e6fb9；收到的是 {platform}。"),
            format!("A platform's AppID looks like wxba5fad812f8e6fb9, not {platform}."),
        ));
    }
    if mode != Mode::Safe {
        errors.push(FieldError::new(
            "/callback_mode",
            "platform_needs_safe_mode",
            "第三方平台的推送只有安全模式；请将 callback_mode 设为 safe。",
            "A third-party platform pushes in safe mode only; set callback_mode to safe.",
        ));
    }
    errors
}

fn missing(pointer: &str, what: &str) -> FieldError {
    FieldError::new(
        pointer,
        "missing",
        format!("缺少 {what}。在微信后台“开发管理”中查看或生成。"),
        format!("{what} is missing; WeChat's console shows or makes it."),
    )
}
