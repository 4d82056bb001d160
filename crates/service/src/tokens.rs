//! Access tokens (I11): one call to WeChat at a time per app, the result shared by all; a token that WeChat
//! rejected is replaced only if it is still the one in use; forced refreshes are rationed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock, Millis};
use secrecy::{ExposeSecret, SecretString};
use store::tokens::{Forced, StoredToken};
use store::{Store, StoreError};
use tokio::time::Instant;
use wechat::client::{CallError, Client};
use wechat::token::{ForcedRefreshes, needs_refresh};

use crate::App;
use crate::token_source::{NoToken, TokenSource};

/// A token to call with.
#[derive(Clone)]
pub struct Token {
    /// The token.
    pub secret: SecretString,
    /// Which one: to be given to [`Tokens::replace`] when WeChat rejects it.
    pub version: i64,
    /// When it ends.
    pub expires_at: Millis,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token(version {})", self.version)
    }
}

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// WeChat refused to give one, or could not be reached.
    #[error(transparent)]
    Call(Arc<CallError>),
    /// The team's token server gave none.
    #[error(transparent)]
    Source(#[from] NoToken),
    /// The token is rejected, and it may not be forced anew yet.
    #[error("the access token is rejected and forced refreshes are used up for now")]
    Rationed,
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Cell = Arc<tokio::sync::Mutex<Held>>;

/// An app's token as this process knows it.
#[derive(Default)]
struct Held {
    token: Option<StoredToken>,
    /// The app's `updated_at` when it was read: a change of the app may have ended it.
    as_of: Millis,
}
/// When WeChat last failed to give a token, by app.
type Failures = Mutex<HashMap<i64, (Instant, TokenError)>>;

/// How long a node may take to fetch a token before another one does, in milliseconds; longer than the call's time-out.
const DUTY: Millis = 10_000;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The tokens of all apps.
pub struct Tokens {
    store: Store,
    client: Client,
    clock: Arc<dyn Clock>,
    cells: Mutex<HashMap<i64, Cell>>,
    failures: Failures,
    /// Who asks WeChat, among the nodes of a cluster.
    name: String,
}

impl Tokens {
    pub(crate) fn new(store: Store, client: Client, clock: Arc<dyn Clock>, name: String) -> Self {
        Self { store, client, clock, cells: Mutex::default(), failures: Failures::default(), name }
    }

    fn cell(&self, app: i64) -> Cell {
        Arc::clone(self.cells.lock().unwrap_or_else(PoisonError::into_inner).entry(app).or_default())
    }

    /// A valid token; WeChat is asked only where none is.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn get(&self, app: &App) -> Result<Token, TokenError> {
        let (cell, asked) = (self.cell(app.number), Instant::now());
        let mut held = cell.lock().await;
        let now = self.clock.now();
        if held.as_of == app.updated_at
            && let Some(token) = held.token.as_ref().filter(|token| valid(token, now))
        {
            return Ok(give(token));
        }
        // Another process (or an earlier start) may have one.
        *held = Held { token: self.store.token(app.number).await?, as_of: app.updated_at };
        if let Some(token) = held.token.as_ref().filter(|token| valid(token, now)) {
            return Ok(give(token));
        }
        self.failed_since(app, asked)?;
        let fetched = self.alone(app, &mut held.token, None).await;
        self.remember(app, fetched)
    }

    /// The failure of a call that was under way when this one asked: it is shared as a token would be, so that a hundred
    /// callers do not wait for a hundred time-outs one after the other.
    fn failed_since(&self, app: &App, asked: Instant) -> Result<(), TokenError> {
        match self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(&app.number) {
            Some((failed, error)) if *failed >= asked => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn remember(&self, app: &App, fetched: Result<Token, TokenError>) -> Result<Token, TokenError> {
        if let Err(error) = &fetched {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.insert(app.number, (Instant::now(), error.clone()));
        }
        fetched
    }

    /// A token in place of the one with `rejected`; whoever comes second gets what the first one fetched.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn replace(&self, app: &App, rejected: i64) -> Result<Token, TokenError> {
        let (cell, asked) = (self.cell(app.number), Instant::now());
        let mut held = cell.lock().await;
        let stored = self.store.token(app.number).await?;
        if let Some(token) = &stored
            && token.version != rejected
            && valid(token, self.clock.now())
        {
            let token = give(token);
            *held = Held { token: stored, as_of: app.updated_at };
            return Ok(token);
        }
        let old = stored.as_ref().map(|token| token.token.clone());
        *held = Held { token: stored, as_of: app.updated_at };
        self.failed_since(app, asked)?;
        let fetched = self.alone(app, &mut held.token, None).await;
        let token = self.remember(app, fetched)?;
        // In normal mode WeChat gives the same token as long as it believes in it; so does a token server.
        match old.filter(|old| old.expose_secret() == token.secret.expose_secret()) {
            Some(rejected) => {
                let fetched = self.alone(app, &mut held.token, Some(&rejected)).await;
                self.remember(app, fetched)
            }
            None => Ok(token),
        }
    }

    /// Fetches a token while no other node does; whoever waited takes what the other one fetched.
    async fn alone(
        &self,
        app: &App,
        held: &mut Option<StoredToken>,
        rejected: Option<&SecretString>,
    ) -> Result<Token, TokenError> {
        if !self.store.is_shared() {
            return self.fetch(app, held, rejected).await;
        }
        let duty = format!("token:{}", app.number);
        let known = held.as_ref().map(|token| token.version);
        while !self.store.take_duty(&duty, &self.name, DUTY).await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // Another node may have been faster.
        *held = self.store.token(app.number).await?;
        let fresh =
            held.as_ref().filter(|token| Some(token.version) != known && valid(token, self.clock.now()));
        let fetched = match fresh {
            Some(token) => Ok(give(token)),
            None => self.fetch(app, held, rejected).await,
        };
        if let Err(error) = self.store.give_back_duty(&duty, &self.name).await {
            tracing::warn!(%error, "the duty to fetch tokens could not be given back; it ends by itself");
        }
        fetched
    }

    /// Fetches a token; with the one that was rejected and came again, a new one by force.
    async fn fetch(
        &self,
        app: &App,
        held: &mut Option<StoredToken>,
        rejected: Option<&SecretString>,
    ) -> Result<Token, TokenError> {
        let force = rejected.is_some();
        let now = self.clock.now();
        let before = held.as_ref().map_or_else(Default::default, |token| token.forced);
        let forced = if force { next_forced(before, now).ok_or(TokenError::Rationed)? } else { before };
        let version = held.as_ref().map_or(0, |token| token.version);
        let grant = match &app.token_source {
            TokenSource::Url(source) => source.ask(&self.client, rejected).await?,
            TokenSource::Wechat => self
                .client
                .stable_token(&app.api_base_url, &app.app_id, &app.secret, force)
                .await
                .map_err(|error| TokenError::Call(Arc::new(error)))?,
        };
        let lifetime = i64::try_from(grant.expires_in.as_millis()).unwrap_or(0);
        let swapped =
            self.store.swap_token(app.number, version, &grant.token, now, now + lifetime, forced).await?;
        if !swapped {
            tracing::info!(app = app.app_id, "another process refreshed the access token first");
        }
        *held = self.store.token(app.number).await?;
        let token = held.as_ref().ok_or(StoreError::Corrupt("access_token"))?;
        tracing::info!(app = app.app_id, version = token.version, force, "access token obtained");
        Ok(give(token))
    }
}

fn give(token: &StoredToken) -> Token {
    Token { secret: token.token.clone(), version: token.version, expires_at: token.expires_at }
}

/// Whether a token can still be used.
fn valid(token: &StoredToken, now: Millis) -> bool {
    let lifetime = u64::try_from(token.expires_at - token.obtained_at).unwrap_or(0);
    !needs_refresh(token.obtained_at, Duration::from_millis(lifetime), now)
}

/// The ration after one more forced refresh, or `None` where it must wait.
fn next_forced(before: Forced, now: Millis) -> Option<Forced> {
    let ration = ForcedRefreshes {
        day: before.day,
        used: u32::try_from(before.count).unwrap_or(u32::MAX),
        last_ms: (before.at > 0).then_some(before.at),
    };
    let taken = ration.take(now).ok()?;
    Some(Forced { at: now, day: taken.day, count: i64::from(taken.used) })
}
