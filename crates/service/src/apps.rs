//! The registered apps, in memory: a callback must find its keys without asking the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::clock::SECOND;
use domain::{Clock, Millis};
use secrecy::{ExposeSecret, SecretString};
use store::apps::StoredApp;
use store::{Store, StoreError};
use wechat::callback::crypto::EncodingAesKey;
use wechat::callback::{Format, Keys, Mode};

pub use crate::registering::AppChange;
use crate::settings::Settings;
use crate::token_source::TokenSource;

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
    /// What its callbacks are verified and decrypted with: the present keys, then those of before, the longest valid
    /// first. Which of them are valid is [`App::keys_at`]'s to say.
    pub(crate) keys: Vec<Keys>,
    /// When the keys of before end, in their order.
    pub(crate) previous_until: Vec<Millis>,
    /// The AppID of the third-party platform that its callbacks are encrypted for, where it is one.
    pub platform_appid: Option<String>,
    /// Where its access token comes from.
    pub token_source: TokenSource,
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

    /// Whether an AppSecret is known.
    pub fn has_secret(&self) -> bool {
        !self.secret.expose_secret().is_empty()
    }

    /// The keys that are valid now: the present ones first.
    pub fn keys_at(&self, now: Millis) -> &[Keys] {
        let previous = self.previous_until.iter().take_while(|until| **until > now).count();
        &self.keys[..self.keys.len().min(previous + 1)]
    }

    /// Until when the keys that earlier changes replaced are valid, the longest first.
    pub fn previous_keys(&self, now: Millis) -> Vec<Millis> {
        self.previous_until.iter().copied().take_while(|until| *until > now).collect()
    }
}

impl TryFrom<StoredApp> for App {
    type Error = StoreError;

    fn try_from(stored: StoredApp) -> Result<Self, StoreError> {
        let platform = stored.platform_appid.as_deref();
        let mut all = vec![keys(
            &stored.app_id,
            platform,
            stored.callback_token,
            stored.aes_key.as_ref(),
            &stored.callback_mode,
        )?];
        let mut previous_until = Vec::new();
        for before in stored.previous_keys {
            let platform = before.platform_appid.as_deref();
            all.push(keys(
                &stored.app_id,
                platform,
                before.callback_token,
                before.aes_key.as_ref(),
                &before.callback_mode,
            )?);
            previous_until.push(before.expires_at);
        }
        Ok(Self {
            keys: all,
            previous_until,
            platform_appid: stored.platform_appid,
            token_source: TokenSource::from_stored(stored.token_source.as_ref())
                .ok_or(StoreError::Corrupt("app.token_source"))?,
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

fn keys(
    app_id: &str,
    platform: Option<&str>,
    token: SecretString,
    aes_key: Option<&SecretString>,
    mode: &str,
) -> Result<Keys, StoreError> {
    let aes_key = aes_key
        .map(|key| EncodingAesKey::parse(key.expose_secret()))
        .transpose()
        .map_err(|_| StoreError::Corrupt("app.aes_key"))?;
    let mode = mode.parse().map_err(|_| StoreError::Corrupt("app.callback_mode"))?;
    Ok(Keys { app_id: platform.unwrap_or(app_id).to_owned(), token, aes_key, mode })
}

/// The apps as they were last read.
pub struct Apps {
    store: Store,
    clock: Arc<dyn Clock>,
    read: RwLock<Arc<Vec<Arc<App>>>>,
    by_id: RwLock<HashMap<String, Arc<App>>>,
    looked_at: AtomicI64,
    /// One reading at a time: an older one must not take the place of a newer.
    turn: tokio::sync::Mutex<()>,
}

impl Apps {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            read: RwLock::default(),
            by_id: RwLock::default(),
            looked_at: AtomicI64::new(i64::MIN / 2),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Reads all apps again.
    ///
    /// # Errors
    /// Where the database is away, or what it holds cannot be read.
    pub async fn reload(&self) -> Result<(), StoreError> {
        self.looked_at.store(self.clock.now(), Ordering::Relaxed);
        let _turn = self.turn.lock().await;
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
