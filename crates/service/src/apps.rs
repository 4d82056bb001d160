//! The registered apps, in memory: a callback must find its keys without asking the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::clock::SECOND;
use domain::{Clock, Millis};
use secrecy::{ExposeSecret, SecretString};
use store::apps::{AppInput, StoredApp};
use store::{Store, StoreError};
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::{Format, Keys, Mode};
use wechat::client::WECHAT;

use crate::checks;
use crate::problem::{FieldError, Kind, Problem};
use crate::settings::Settings;
use crate::{Service, callback};

/// One registered mini program. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct App {
    /// Its number in the database.
    pub number: i64,
    /// WeChat's AppID.
    pub app_id: String,
    /// A name for people.
    pub name: String,
    /// `gh_…`, once a callback told it.
    pub original_id: Option<String>,
    /// AppSecret.
    pub secret: SecretString,
    /// What its callbacks are verified and decrypted with.
    pub keys: Vec<Keys>,
    /// The format that the reply uses.
    pub format: Format,
    /// Where its WeChat is.
    pub api_base_url: String,
    /// A second callback path.
    pub alias: Option<String>,
    /// The rest.
    pub settings: Settings,
    /// When it was registered.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

impl App {
    /// The mode that is set for its callbacks.
    pub fn mode(&self) -> Mode {
        self.keys.first().map_or(Mode::Safe, |keys| keys.mode)
    }
}

impl TryFrom<StoredApp> for App {
    type Error = StoreError;

    fn try_from(stored: StoredApp) -> Result<Self, StoreError> {
        let aes_key = stored
            .aes_key
            .as_ref()
            .map(|key| EncodingAesKey::parse(key.expose_secret()))
            .transpose()
            .map_err(|_| StoreError::Corrupt("app.aes_key"))?;
        let mode = stored.callback_mode.parse().map_err(|_| StoreError::Corrupt("app.callback_mode"))?;
        Ok(Self {
            keys: vec![Keys { app_id: stored.app_id.clone(), token: stored.callback_token, aes_key, mode }],
            format: stored.callback_format.parse().map_err(|_| StoreError::Corrupt("app.callback_format"))?,
            settings: serde_json::from_str(&stored.settings)
                .map_err(|_| StoreError::Corrupt("app.settings"))?,
            number: stored.number,
            app_id: stored.app_id,
            name: stored.name,
            original_id: stored.original_id,
            secret: stored.secret,
            api_base_url: stored.api_base_url,
            alias: stored.alias,
            created_at: stored.created_at,
            updated_at: stored.updated_at,
        })
    }
}

/// The apps as they were last read.
pub struct Apps {
    store: Store,
    clock: Arc<dyn Clock>,
    read: RwLock<Arc<Vec<Arc<App>>>>,
    by_id: RwLock<HashMap<String, Arc<App>>>,
    looked_at: AtomicI64,
}

impl Apps {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            read: RwLock::default(),
            by_id: RwLock::default(),
            looked_at: AtomicI64::new(i64::MIN / 2),
        }
    }

    /// Reads all apps again.
    ///
    /// # Errors
    /// Where the database is away, or what it holds cannot be read.
    pub async fn reload(&self) -> Result<(), StoreError> {
        self.looked_at.store(self.clock.now(), Ordering::Relaxed);
        let apps = self
            .store
            .apps()
            .await?
            .into_iter()
            .map(|stored| App::try_from(stored).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let by_id = apps.iter().map(|app| (app.app_id.clone(), Arc::clone(app))).collect();
        *self.by_id.write().unwrap_or_else(PoisonError::into_inner) = by_id;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(apps);
        Ok(())
    }

    /// All apps, by AppID.
    pub fn all(&self) -> Arc<Vec<Arc<App>>> {
        Arc::clone(&self.read.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The app with this number.
    pub fn by_number(&self, number: i64) -> Option<Arc<App>> {
        self.all().iter().find(|app| app.number == number).cloned()
    }

    /// The app with this AppID; one that was registered a moment ago by another process is found too.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn get(&self, app_id: &str) -> Result<Option<Arc<App>>, StoreError> {
        self.find(|apps| apps.by_id.read().unwrap_or_else(PoisonError::into_inner).get(app_id).cloned()).await
    }

    /// The app whose alias is this path.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn by_alias(&self, path: &str) -> Result<Option<Arc<App>>, StoreError> {
        self.find(|apps| apps.all().iter().find(|app| app.alias.as_deref() == Some(path)).cloned()).await
    }

    async fn find(&self, look: impl Fn(&Self) -> Option<Arc<App>>) -> Result<Option<Arc<App>>, StoreError> {
        if let Some(app) = look(self) {
            return Ok(Some(app));
        }
        // Strangers asking for apps that do not exist must not read the database each time.
        let now = self.clock.now();
        if now - self.looked_at.load(Ordering::Relaxed) < SECOND {
            return Ok(None);
        }
        self.reload().await?;
        Ok(look(self))
    }
}

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
}

impl Service {
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
        let input = input(app_id, Some(&app), &change)?;
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
    let has_key = change.aes_key.is_some()
        || before.is_some_and(|app| app.keys.iter().any(|keys| keys.aes_key.is_some()));
    if before.is_none() && change.secret.as_ref().is_none_or(|secret| secret.expose_secret().is_empty()) {
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
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    Ok(AppInput {
        app_id: app_id.to_owned(),
        name: change.name.clone().or(before.map(|app| app.name.clone())).unwrap_or_else(|| app_id.to_owned()),
        secret: change.secret.clone(),
        callback_token: change.callback_token.clone(),
        aes_key: change.aes_key.clone(),
        callback_mode: mode.to_string(),
        callback_format: change.format.or(before.map(|app| app.format)).unwrap_or(Format::Json).to_string(),
        api_base_url: base,
        alias,
        settings: serde_json::to_string(&settings).unwrap_or_default(),
    })
}

fn missing(pointer: &str, what: &str) -> FieldError {
    FieldError::new(
        pointer,
        "missing",
        format!("缺少 {what}。在微信后台“开发管理”中查看或生成。"),
        format!("{what} is missing; WeChat's console shows or makes it."),
    )
}
