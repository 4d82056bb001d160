//! Opening what every command needs: the master key, the store, the use cases.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use domain::{Clock, Entropy, FollowingClock, SystemClock, SystemEntropy};
use secrecy::ExposeSecret;
use service::Service;
use store::{MasterKey, OpenOptions, Role, Store};
use wechat::client::{Client, ClientConfig};

use crate::config::{self, Config};

/// What this process has opened: closed before it ends, whichever way the command went.
static OPEN: Mutex<Vec<Store>> = Mutex::new(Vec::new());

/// Closes every database that was opened, so that each is one file again.
pub(crate) async fn close_all() {
    let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    for store in open {
        store.close().await;
    }
}

/// How long a call to WeChat may take: no lease ends during one (architecture: Fencing).
pub(crate) fn call_time(lease: Duration) -> Duration {
    (lease * 5 / 12).min(Duration::from_secs(5))
}

/// Opens the database of a configuration.
pub(crate) async fn service(config: &Config, role: Role) -> anyhow::Result<Service> {
    let entropy = SystemEntropy::new().context("the operating system gives no randomness")?;
    let master = master_key(config, &entropy)?;
    service_with(config, role, master).await
}

/// The same with this master key.
pub(crate) async fn service_with(config: &Config, role: Role, master: MasterKey) -> anyhow::Result<Service> {
    let entropy: Arc<dyn Entropy> =
        Arc::new(SystemEntropy::new().context("the operating system gives no randomness")?);
    // The nodes of a cluster go by the database's clock.
    let clock: Arc<dyn Clock> = if store::store::is_postgres(&config.database_url) {
        Arc::new(FollowingClock::default())
    } else {
        Arc::new(SystemClock)
    };
    let mut options = OpenOptions::new(config.database_url.clone(), master, role);
    options.connections = config.database_connections;
    options.lease = config.lease;
    options.scratch = Some(config.data_dir.clone());
    let store = Store::open(options, Arc::clone(&clock), Arc::clone(&entropy)).await?;
    let client = ClientConfig { call_timeout: call_time(config.lease), ..ClientConfig::default() };
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).push(store.clone());
    let client = Client::new(client).context("the client for WeChat cannot be made")?;
    Ok(Service::new(store, client, clock, entropy))
}

/// The master key that is there already; a command for data that was sealed with some key must not make another.
pub(crate) fn present_master_key(config: &Config) -> anyhow::Result<Option<MasterKey>> {
    if own_key_file(config)?.is_some_and(|path| !path.exists()) {
        return Ok(None);
    }
    let entropy = SystemEntropy::new().context("the operating system gives no randomness")?;
    master_key(config, &entropy).map(Some)
}

/// The key file of the data directory, where no other key was given.
pub(crate) fn own_key_file(config: &Config) -> anyhow::Result<Option<PathBuf>> {
    let given = config::secret("HONGYAN_MASTER_KEY")?.is_some() || config.master_key_file.is_some();
    Ok((!given).then(|| config.data_dir.join("master.key")))
}

/// The master key: from the environment, from the configured file, or from the data directory, where it is made the
/// first time.
fn master_key(config: &Config, entropy: &dyn Entropy) -> anyhow::Result<MasterKey> {
    if let Some(text) = config::secret("HONGYAN_MASTER_KEY")? {
        return MasterKey::parse(&text).context("HONGYAN_MASTER_KEY");
    }
    if let Some(path) = &config.master_key_file {
        return read_key(path);
    }
    let path = config.data_dir.join("master.key");
    if path.exists() {
        return read_key(&path);
    }
    store::private::make_directory(&config.data_dir).with_context(|| {
        format!("the data directory {} cannot be made / 无法创建数据目录", config.data_dir.display())
    })?;
    make_key(&path, entropy)
}

/// The key in a file.
pub(crate) fn read_key(path: &Path) -> anyhow::Result<MasterKey> {
    MasterKey::parse(&config::secret_file(path)?).with_context(|| path.display().to_string())
}

/// A new key, in a file that was not there.
pub(crate) fn make_key(path: &Path, entropy: &dyn Entropy) -> anyhow::Result<MasterKey> {
    let (key, text) = MasterKey::generate(entropy);
    write_private(path, text.expose_secret())
        .with_context(|| format!("the key file {} cannot be written / 无法写入密钥文件", path.display()))?;
    Ok(key)
}

/// Writes a file that only its owner may read, and makes sure that it stays.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
