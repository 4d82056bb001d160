//! Apps: one mini program each. Secrets are sealed on the way in and opened only for whoever asks for them. Callback keys
//! that a change replaced are kept beside them until their time is over.

use std::sync::Arc;

use domain::Millis;
use secrecy::SecretString;

use crate::Store;
use crate::db::{self, Db, Row};
use crate::error::StoreError;

/// An app to be registered or changed. `None` among the secrets leaves what stands.
#[derive(Debug, Clone, Default)]
pub struct AppInput {
    /// WeChat's AppID.
    pub app_id: String,
    /// A name for people.
    pub name: String,
    /// AppSecret.
    pub secret: Option<SecretString>,
    /// Token of the message push.
    pub callback_token: Option<SecretString>,
    /// EncodingAESKey of the message push.
    pub aes_key: Option<SecretString>,
    /// plain, compat or safe.
    pub callback_mode: String,
    /// json or xml.
    pub callback_format: String,
    /// Where WeChat's server API is.
    pub api_base_url: String,
    /// A second callback path.
    pub alias: Option<String>,
    /// Everything else, as JSON of the service.
    pub settings: String,
    /// The AppID in the trailer of pushes, where it is not the app's own.
    pub platform_appid: Option<String>,
    /// Where access tokens come from, as JSON of the service; `None` leaves what stands, `Some(None)` is WeChat.
    pub token_source: Option<Option<SecretString>>,
    /// Until when the callback keys that stand now stay valid beside the new ones.
    pub retire_keys: Option<Millis>,
    /// Ends the keys that earlier changes left.
    pub end_previous_keys: bool,
}

/// Callback keys that a change replaced.
#[derive(Debug, Clone)]
pub struct StoredKeys {
    /// Token of the message push.
    pub callback_token: SecretString,
    /// EncodingAESKey of the message push.
    pub aes_key: Option<SecretString>,
    /// plain, compat or safe.
    pub callback_mode: String,
    /// The AppID in the trailer, where it was not the app's own.
    pub platform_appid: Option<String>,
    /// When they end.
    pub expires_at: Millis,
}

/// An app as it is stored.
#[derive(Debug, Clone)]
pub struct StoredApp {
    /// Its number.
    pub number: i64,
    /// WeChat's AppID.
    pub app_id: String,
    /// A name for people.
    pub name: String,
    /// `gh_…`, learned from the first callback.
    pub original_id: Option<String>,
    /// AppSecret.
    pub secret: SecretString,
    /// Token of the message push.
    pub callback_token: SecretString,
    /// EncodingAESKey of the message push.
    pub aes_key: Option<SecretString>,
    /// plain, compat or safe.
    pub callback_mode: String,
    /// json or xml.
    pub callback_format: String,
    /// Where WeChat's server API is.
    pub api_base_url: String,
    /// A second callback path.
    pub alias: Option<String>,
    /// Everything else, as JSON of the service.
    pub settings: String,
    /// The AppID in the trailer of pushes, where it is not the app's own.
    pub platform_appid: Option<String>,
    /// Where access tokens come from, as JSON of the service; `None` is WeChat.
    pub token_source: Option<SecretString>,
    /// Callback keys of before, the longest valid first; some may have ended.
    pub previous_keys: Vec<StoredKeys>,
    /// When it was registered.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

const INSERT: &str = "
insert into app (app_id, name, secret, callback_token, aes_key, callback_mode, callback_format, api_base_url, alias,
    settings, created_at, updated_at, platform_appid, token_source)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $14) on conflict (app_id) do nothing";
const UPDATE: &str = "
update app set name = $2, secret = coalesce($3, secret), callback_token = coalesce($4, callback_token),
    aes_key = coalesce($5, aes_key), callback_mode = $6, callback_format = $7, api_base_url = $8, alias = $9,
    settings = $10, updated_at = $11, platform_appid = $12, token_source = case when $13 then $14 else token_source end
where app_id = $1";
const COLUMNS: &str = "id, app_id, name, original_id, secret, callback_token, aes_key, callback_mode, callback_format, \
    api_base_url, alias, settings, created_at, updated_at, platform_appid, token_source";
const END_PREVIOUS: &str = "delete from previous_keys where expires_at <= $2 or ($3 and app = (select id from app where app_id = $1))";
/// Sealed as they are: a sealed value opens for its app, whichever table it stands in. Of two changes at once the second waits
/// here, and retires what the first one wrote.
const RETIRE: &str = "
insert into previous_keys (app, callback_token, aes_key, callback_mode, platform_appid, retired_at, expires_at)
select id, callback_token, aes_key, callback_mode, platform_appid, $2, $3 from app where app_id = $1<<| for update>>";
/// Somebody who tries keys in WeChat's form leaves a few; more would only cost time at every forged push.
const FEW_PREVIOUS: &str = "
delete from previous_keys where app = (select id from app where app_id = $1) and id not in
    (select k.id from previous_keys k join app a on a.id = k.app where a.app_id = $1 order by k.id desc limit 4)";
const PREVIOUS: &str = "
select k.app, a.app_id, k.callback_token, k.aes_key, k.callback_mode, k.platform_appid, k.expires_at
from previous_keys k join app a on a.id = k.app order by k.expires_at desc, k.id desc";
/// A token of another source is none that may be used.
const DROP_TOKEN: &str =
    "update access_token set expires_at = 0 where app = (select id from app where app_id = $1)";

impl Store {
    /// Registers an app; its secret and callback token must be given.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the AppID or the alias is taken.
    pub async fn insert_app(&self, app: AppInput, now: Millis) -> Result<(), StoreError> {
        if self.write_app(INSERT, app, now).await? == 0 { Err(StoreError::Exists("app_id")) } else { Ok(()) }
    }

    /// Changes an app; gives false where there is none.
    ///
    /// # Errors
    /// [`StoreError::Exists`] where the alias is taken.
    pub async fn update_app(&self, app: AppInput, now: Millis) -> Result<bool, StoreError> {
        Ok(self.write_app(UPDATE, app, now).await? > 0)
    }

    async fn write_app(
        &self,
        statement: &'static str,
        app: AppInput,
        now: Millis,
    ) -> Result<u64, StoreError> {
        let seal = |secret: &Option<SecretString>, name: &str| {
            secret
                .as_ref()
                .map(|secret| self.master.seal(secret, &context(name, &app.app_id), &*self.entropy))
        };
        let (secret, token, key) = (
            seal(&app.secret, "secret"),
            seal(&app.callback_token, "callback_token"),
            seal(&app.aes_key, "aes_key"),
        );
        let source = app.token_source.as_ref().and_then(|source| seal(source, "token_source"));
        let app = Arc::new(app);
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    change_keys(db, &app, now).await?;
                    let done = db::query(statement)
                        .bind(&app.app_id)
                        .bind(&app.name)
                        .bind(secret)
                        .bind(token)
                        .bind(key)
                        .bind(&app.callback_mode)
                        .bind(&app.callback_format)
                        .bind(&app.api_base_url)
                        .bind(&app.alias)
                        .bind(&app.settings)
                        .bind(now)
                        .bind(&app.platform_appid)
                        .bind(app.token_source.is_some())
                        .bind(source)
                        .execute(db)
                        .await;
                    match done {
                        Ok(done) => Ok(done.rows_affected()),
                        Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => {
                            Err(StoreError::Exists("alias"))
                        }
                        Err(error) => Err(error.into()),
                    }
                })
            })
            .await
    }

    /// Notes the `gh_…` name that an app's callbacks carry.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn learn_original_id(&self, app: i64, original_id: String) -> Result<(), StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query("update app set original_id = $2 where id = $1 and original_id is null")
                        .bind(app)
                        .bind(original_id)
                        .execute(db)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// Forgets an app with its keys, token and gate; its messages and ledger stay as the record.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn remove_app(&self, app_id: String) -> Result<bool, StoreError> {
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    for table in [
                        "delete from access_token where app = (select id from app where app_id = $1)",
                        "delete from gate where app = (select id from app where app_id = $1)",
                        "delete from api_key where app = (select id from app where app_id = $1)",
                        "delete from previous_keys where app = (select id from app where app_id = $1)",
                        crate::relay::STOP,
                    ] {
                        db::query(table).bind(&app_id).execute(&mut *db).await?;
                    }
                    let done =
                        db::query("delete from app where app_id = $1").bind(&app_id).execute(db).await?;
                    Ok(done.rows_affected() > 0)
                })
            })
            .await
    }

    /// Deletes callback keys whose time is over.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn end_previous_keys(&self, now: Millis) -> Result<(), StoreError> {
        let over: Option<i64> =
            db::query_scalar("select 1 from previous_keys where expires_at <= $1 limit 1")
                .bind(now)
                .fetch_optional(&self.readers)
                .await?;
        if over.is_none() {
            return Ok(());
        }
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(END_PREVIOUS).bind("").bind(now).bind(false).execute(db).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Every app, by AppID.
    ///
    /// # Errors
    /// Where the database is away, or a secret does not open.
    pub async fn apps(&self) -> Result<Vec<StoredApp>, StoreError> {
        let statement = format!("select {COLUMNS} from app order by app_id");
        let rows = db::query(statement).fetch_all(&self.readers).await?;
        let mut apps = rows.iter().map(|row| self.stored_app(row)).collect::<Result<Vec<_>, _>>()?;
        for row in db::query(PREVIOUS).fetch_all(&self.readers).await? {
            let number: i64 = row.try_get(0)?;
            if let Some(app) = apps.iter_mut().find(|app| app.number == number) {
                app.previous_keys.push(self.stored_keys(&row)?);
            }
        }
        Ok(apps)
    }

    fn stored_keys(&self, row: &Row) -> Result<StoredKeys, StoreError> {
        let app_id: String = row.try_get(1)?;
        Ok(StoredKeys {
            callback_token: self
                .master
                .open(&row.try_get::<Vec<u8>>(2)?, &context("callback_token", &app_id))?,
            aes_key: self.opened(row, 3, "aes_key", &app_id)?,
            callback_mode: row.try_get(4)?,
            platform_appid: row.try_get(5)?,
            expires_at: row.try_get(6)?,
        })
    }

    /// A secret that need not be there.
    fn opened(
        &self,
        row: &Row,
        column: usize,
        name: &str,
        app_id: &str,
    ) -> Result<Option<SecretString>, StoreError> {
        row.try_get::<Option<Vec<u8>>>(column)?
            .map(|sealed| self.master.open(&sealed, &context(name, app_id)))
            .transpose()
    }

    fn stored_app(&self, row: &Row) -> Result<StoredApp, StoreError> {
        let app_id: String = row.try_get(1)?;
        let open = |column: usize, name: &str| -> Result<SecretString, StoreError> {
            self.master.open(&row.try_get::<Vec<u8>>(column)?, &context(name, &app_id))
        };
        Ok(StoredApp {
            number: row.try_get(0)?,
            name: row.try_get(2)?,
            original_id: row.try_get(3)?,
            secret: open(4, "secret")?,
            callback_token: open(5, "callback_token")?,
            aes_key: self.opened(row, 6, "aes_key", &app_id)?,
            callback_mode: row.try_get(7)?,
            callback_format: row.try_get(8)?,
            api_base_url: row.try_get(9)?,
            alias: row.try_get(10)?,
            settings: row.try_get(11)?,
            created_at: row.try_get(12)?,
            updated_at: row.try_get(13)?,
            platform_appid: row.try_get(14)?,
            token_source: self.opened(row, 15, "token_source", &app_id)?,
            previous_keys: Vec::new(),
            app_id,
        })
    }
}

/// What a change does to the keys that stood and to what stands on the old token source, before it is written.
async fn change_keys(db: &mut Db, app: &AppInput, now: Millis) -> Result<(), StoreError> {
    if app.token_source.is_some() {
        db::query(DROP_TOKEN).bind(&app.app_id).execute(&mut *db).await?;
    }
    db::query(END_PREVIOUS).bind(&app.app_id).bind(now).bind(app.end_previous_keys).execute(&mut *db).await?;
    if let Some(until) = app.retire_keys {
        db::query(RETIRE).bind(&app.app_id).bind(now).bind(until).execute(&mut *db).await?;
        db::query(FEW_PREVIOUS).bind(&app.app_id).execute(db).await?;
    }
    Ok(())
}

pub(crate) fn context(name: &str, app_id: &str) -> String {
    format!("app.{name} {app_id}")
}
