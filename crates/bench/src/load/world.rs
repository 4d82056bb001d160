//! The database that is served: an app, its template, and a million subscribers with one grant each. Made once;
//! every run gets a copy of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use domain::{Entropy, SeededEntropy, SystemClock, SystemEntropy};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use service::apps::AppChange;
use service::{Scope, Service};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use store::testing::{SAFE, TempPostgres};
use store::{MasterKey, OpenOptions, Role, Store};
use wechat::callback::Mode;
use wechat::callback::crypto::EncodingAesKey;
use wechat::client::{Client, ClientConfig};

use super::report::note;

pub(crate) const TOKEN: &str = "benchToken2026";
pub(crate) const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
pub(crate) const APP: &str = simulator::SAMPLE_APPID;
pub(crate) const TEMPLATE: &str = "4ondVRxk4L20ihrJ3iI15BDK72XatGPxE0MeCVwHasQ";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const ORIGINAL_ID: &str = "gh_ea84a199bf81";

/// The seeded database and what belongs to it.
pub(crate) struct World {
    directory: tempfile::TempDir,
    master: MasterKey,
    /// The master key as a file holds it.
    pub(crate) master_text: SecretString,
    /// In random order.
    pub(crate) openids: Vec<String>,
    pub(crate) key: SecretString,
    /// Where it was copied to, where the runs are on PostgreSQL.
    postgres: Option<TempPostgres>,
}

/// A copy of the database that a run may use up.
pub(crate) struct Copy {
    _directory: tempfile::TempDir,
    /// The file; on PostgreSQL there is none.
    pub(crate) path: PathBuf,
    pub(crate) url: String,
}

/// What the runs are served from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    /// A throw-away server, every commit synced.
    Postgres,
}

/// The database that is copied for each run on PostgreSQL.
const MODEL: &str = "model";

impl World {
    /// Makes the database; `wechat` is the simulator that the app's templates come from.
    pub(crate) async fn make(rows: usize, wechat: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let entropy = SeededEntropy::new(1);
        let (master, master_text) = MasterKey::generate(&entropy);
        let openids: Vec<String> = (0..rows).map(|_| openid(&entropy)).collect();
        let mut world =
            Self { directory, master, master_text, openids, key: SecretString::from(""), postgres: None };
        let path = world.directory.path().join("hongyan.db");
        let service = world.service(&file_url(&path)).await?;
        let sample = simulator::sample_app();
        let app = service
            .add_app(
                APP,
                AppChange {
                    name: Some(sample.name),
                    secret: Some(sample.secret.into()),
                    callback_token: Some(TOKEN.into()),
                    aes_key: Some(AES_KEY.into()),
                    mode: Some(Mode::Plain),
                    api_base_url: Some(wechat.to_owned()),
                    settings: vec![
                        ("rate_per_second".into(), "0".into()),
                        ("concurrency".into(), "256".into()),
                    ],
                    ..AppChange::default()
                },
            )
            .await
            .map_err(|problem| anyhow::anyhow!("{problem}"))?;
        service.sync_templates(&app).await.map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let template = service.store().template(app.number, TEMPLATE).await?.context("no template")?.number;
        // Otherwise the first callback would teach it and write.
        service.store().learn_original_id(app.number, ORIGINAL_ID.into()).await?;
        let (_, key) = service
            .create_key("bench", None, &[Scope::Send, Scope::Read, Scope::Manage])
            .await
            .map_err(|problem| anyhow::anyhow!("{problem}"))?;
        world.key = key;
        seed(&path, service.store(), &world.openids, template).await?;
        drop(service);
        note(&format!("{rows} subscribers: {} MB", std::fs::metadata(&path)?.len() >> 20));
        Ok(world)
    }

    /// Makes the database on this engine.
    pub(crate) async fn make_on(engine: Engine, rows: usize, wechat: &str) -> anyhow::Result<Self> {
        let mut world = Self::make(rows, wechat).await?;
        if engine == Engine::Sqlite {
            return Ok(world);
        }
        let server = TempPostgres::start(&SAFE).map_err(anyhow::Error::msg)?;
        server.create(MODEL, "template0").map_err(anyhow::Error::msg)?;
        let from = world.open(&file_url(&world.directory.path().join("hongyan.db")), Role::Worker).await?;
        let to = world.open(&server.url_of(MODEL), Role::Guest).await?;
        let compared = store::copying::copy(&from, &to, |_, _| {}).await?;
        anyhow::ensure!(compared.iter().all(|pair| pair.from == pair.to), "the copy differs: {compared:?}");
        from.close().await;
        to.close().await;
        let mut db = sqlx::PgConnection::connect(&server.url_of(MODEL)).await?;
        sqlx::raw_sql("vacuum analyze").execute(&mut db).await?;
        db.close().await?;
        note("copied to PostgreSQL");
        world.postgres = Some(server);
        Ok(world)
    }

    /// A copy of the database.
    pub(crate) fn copy(&self) -> anyhow::Result<Copy> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("hongyan.db");
        if let Some(server) = &self.postgres {
            let url = server.copy_of(MODEL).map_err(anyhow::Error::msg)?;
            return Ok(Copy { _directory: directory, path, url });
        }
        std::fs::copy(self.directory.path().join("hongyan.db"), &path)?;
        let url = file_url(&path);
        Ok(Copy { _directory: directory, path, url })
    }

    /// The use cases on top of a database.
    pub(crate) async fn service(&self, url: &str) -> anyhow::Result<Service> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new()?);
        let store = self.open(url, Role::Worker).await?;
        Ok(Service::new(store, Client::new(ClientConfig::default())?, Arc::new(SystemClock), entropy))
    }

    async fn open(&self, url: &str, role: Role) -> anyhow::Result<Store> {
        let options = OpenOptions::new(url, self.master.clone(), role);
        Ok(Store::open(options, Arc::new(SystemClock), Arc::new(SystemEntropy::new()?)).await?)
    }

    /// Requests for the REST interface: one message each, for one subscriber after the other.
    pub(crate) fn sends(&self, count: usize) -> Vec<Vec<u8>> {
        let key = self.key.expose_secret();
        self.openids
            .iter()
            .cycle()
            .take(count)
            .map(|openid| {
                let body = json!({ "to": openid, "template_id": TEMPLATE,
                    "data": { "thing8": "物业费", "thing5": "请于本月底前缴纳" } })
                .to_string();
                post(
                    &format!("/api/v1/apps/{APP}/messages"),
                    &format!("authorization: Bearer {key}\r\n"),
                    &body,
                )
            })
            .collect()
    }

    /// Callbacks as WeChat pushes them: somebody accepts the template, each event another one.
    pub(crate) fn callbacks(&self, mode: Mode, count: usize, now: i64) -> anyhow::Result<Vec<Vec<u8>>> {
        let key = EncodingAesKey::parse(AES_KEY)?;
        let entropy = SeededEntropy::new(3);
        let (timestamp, nonce) = (now.to_string(), "1320562132");
        let signed = wechat::callback::signature::sign(&[TOKEN, &timestamp, nonce]);
        let mut all = Vec::with_capacity(count);
        for (number, openid) in self.openids.iter().cycle().take(count).enumerate() {
            // Beyond one event a person, another second: otherwise it would be the same event again.
            let at = now - i64::try_from(number / self.openids.len()).unwrap_or(0);
            let event = json!({ "ToUserName": ORIGINAL_ID, "FromUserName": openid, "CreateTime": at, "MsgType": "event",
                "Event": "subscribe_msg_popup_event",
                "List": [{ "PopupScene": "0", "SubscribeStatusString": "accept", "TemplateId": TEMPLATE }] })
            .to_string();
            let query = format!("signature={signed}&timestamp={timestamp}&nonce={nonce}&openid={openid}");
            let (query, body) = if mode == Mode::Safe {
                let mut random = [0; 16];
                entropy.fill(&mut random);
                let encrypted = key.encrypt(random, event.as_bytes(), APP);
                let signed = wechat::callback::signature::sign(&[TOKEN, &timestamp, nonce, &encrypted]);
                let body = json!({ "ToUserName": ORIGINAL_ID, "Encrypt": encrypted }).to_string();
                (format!("{query}&encrypt_type=aes&msg_signature={signed}"), body)
            } else {
                (query, event)
            };
            all.push(post(&format!("/callback/{APP}?{query}"), "", &body));
        }
        Ok(all)
    }
}

/// Gives a template an audience: the first so many people, each with one grant.
pub(crate) async fn audience(copy: &Copy, world: &World, template: &str, count: usize) -> anyhow::Result<()> {
    let service = world.service(&copy.url).await?;
    service.apps().reload().await?;
    let app = service.app(APP).await.map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let template = service.store().template(app.number, template).await?.context("no template")?.number;
    let people = &world.openids[..count.min(world.openids.len())];
    if service.store().is_shared() {
        seed_postgres(&copy.url, service.store(), people, template).await?;
    } else {
        seed(&copy.path, service.store(), people, template).await?;
    }
    service.store().close().await;
    Ok(())
}

/// A request as it goes over the wire.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn openid(entropy: &SeededEntropy) -> String {
    let mut random = [0u8; 22];
    entropy.fill(&mut random);
    let tail: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
    format!("oG0NJ5{tail}")
}

const SUBSCRIBERS: &str = "
insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open)
select v->>0, $2, v->>1, 1, 1780000000000, 1, true, 1780000000000, 0, 0 from (select value v from json_each($1))";

fn file_url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn seed_postgres(url: &str, store: &Store, openids: &[String], template: i64) -> anyhow::Result<()> {
    let mut db = sqlx::PgConnection::connect(url).await?;
    for part in openids.chunks(20_000) {
        let lanes: Vec<i16> = part
            .iter()
            .map(|openid| i16::try_from(store.lanes().of_openid(openid).0))
            .collect::<Result<_, _>>()?;
        sqlx::query(
            "insert into subscription (lane, template, openid, status, status_at, balance, known, last_grant_at, refused_at, found_open)
             select lane, $3, openid, 1, 1780000000000, 1, true, 1780000000000, 0, 0 from unnest($1::smallint[], $2::text[]) b (lane, openid)",
        )
        .bind(lanes)
        .bind(part)
        .bind(template)
        .execute(&mut db)
        .await?;
    }
    sqlx::raw_sql("vacuum analyze subscription").execute(&mut db).await?;
    Ok(db.close().await?)
}

/// Subscribers come in no order, as in life.
async fn seed(path: &Path, store: &Store, openids: &[String], template: i64) -> anyhow::Result<()> {
    let mut db: SqliteConnection = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-1000000")
        .connect()
        .await?;
    for part in openids.chunks(100_000) {
        sqlx::raw_sql("begin immediate").execute(&mut db).await?;
        for chunk in part.chunks(5_000) {
            let rows: Vec<_> =
                chunk.iter().map(|openid| (store.lanes().of_openid(openid).0, openid)).collect();
            sqlx::query(SUBSCRIBERS)
                .bind(serde_json::to_string(&rows)?)
                .bind(template)
                .execute(&mut db)
                .await?;
        }
        sqlx::raw_sql("commit").execute(&mut db).await?;
    }
    sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(&mut db).await?;
    Ok(())
}
