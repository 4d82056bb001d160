//! API keys: made once, shown once, kept as a digest.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use domain::Millis;
use domain::clock::SECOND;
use domain::entropy::random_bytes;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::keys::StoredKey;

use crate::Service;
use crate::problem::{Kind, Problem};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Messages, uploads, campaigns.
    Send,
    /// Every reading call but the access token.
    Read,
    /// Everything else that writes.
    Manage,
    /// The access token.
    Token,
}

impl Scope {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Token => "token",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Send, Self::Read, Self::Manage, Self::Token]
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| {
                format!(
                    "{word} is no scope: send, read, manage or token / 权限只能是 send、read、manage、token"
                )
            })
    }
}

/// Whoever calls, as its key says.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key's number.
    pub number: i64,
    /// The key's name.
    pub name: String,
    app: Option<i64>,
    scopes: String,
}

impl Caller {
    /// Whether the key has a scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.split(',').any(|word| word == scope.as_str())
    }

    /// Who it is, for the record: names may be given twice, numbers are not.
    pub fn principal(&self) -> String {
        format!("key:{} {}", self.number, self.name)
    }

    /// Whether the key sees an app (I16).
    pub fn sees(&self, app: i64) -> bool {
        self.app.is_none_or(|only| only == app)
    }
}

/// Keys that were valid a moment ago. Short, so that a revocation by another process is noticed.
#[derive(Default)]
pub(crate) struct KeyCache(Mutex<HashMap<[u8; 32], (Caller, Millis)>>);

const CACHED: Millis = 5 * SECOND;

impl KeyCache {
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Service {
    /// Makes a key; its text is given once and never again.
    ///
    /// # Errors
    /// No such app; no scope.
    pub async fn create_key(
        &self,
        name: &str,
        app_id: Option<&str>,
        scopes: &[Scope],
    ) -> Result<(i64, SecretString), Problem> {
        if scopes.is_empty() {
            return Err(Problem::new(
                Kind::Invalid,
                "no_scope",
                "至少要有一个权限：send、read、manage、token。",
                "A key needs at least one scope: send, read, manage or token.",
            ));
        }
        let app = match app_id {
            Some(app_id) => Some(self.app(app_id).await?.number),
            None => None,
        };
        let bytes = random_bytes::<32>(&*self.entropy);
        let text = format!("hy_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes));
        let words = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
        let number = self.store.insert_key(name.to_owned(), digest(&text), app, words, self.now()).await?;
        Ok((number, SecretString::from(text)))
    }

    /// Ends a key.
    ///
    /// # Errors
    /// No such valid key.
    pub async fn revoke_key(&self, number: i64) -> Result<(), Problem> {
        let done = self.store.revoke_key(number, self.now()).await?;
        self.keys.forget();
        if done {
            return Ok(());
        }
        Err(Problem::new(
            Kind::NotFound,
            "key_not_found",
            format!("没有编号为 {number} 的有效密钥；用 hongyan key list 查看。"),
            format!("There is no valid key with the number {number}; `hongyan key list` shows them."),
        ))
    }

    /// All keys, without their texts.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn list_keys(&self) -> Result<Vec<StoredKey>, Problem> {
        Ok(self.store.keys().await?)
    }

    /// Who calls with this key.
    ///
    /// # Errors
    /// `unauthorized`.
    pub async fn authenticate(&self, key: &SecretString) -> Result<Caller, Problem> {
        let digest = digest(key.expose_secret());
        let now = self.now();
        if let Some((caller, until)) = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)
            && *until > now
        {
            return Ok(caller.clone());
        }
        let Some(stored) = self.store.key_by_digest(digest).await? else { return Err(unauthorized()) };
        let caller =
            Caller { number: stored.number, name: stored.name, app: stored.app, scopes: stored.scopes };
        self.keys
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest, (caller.clone(), now + CACHED));
        Ok(caller)
    }
}

/// The answer to a missing or wrong key.
pub fn unauthorized() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "unauthorized",
        "需要有效的接口密钥：请求头 Authorization: Bearer hy_…；用 hongyan key create 生成。",
        "A valid API key is needed: header `Authorization: Bearer hy_…`; `hongyan key create` makes one.",
    )
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
