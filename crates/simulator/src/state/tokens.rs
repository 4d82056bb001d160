//! Access tokens: those of `stable_token` and those of `token`, which do not invalidate each other. Used by
//! the token calls, and by every call that carries one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, RwLock},
};

use super::{App, Chance, lock, quota::Daily, read, write};

/// Two hours.
const LIFE_MS: i64 = 7_200_000;
/// The platform rotates a stable token this long before its end; an ordinary one lives on as long after it
/// was replaced.
const OVERLAP_MS: i64 = 300_000;
/// How long an expired token is known as expired (42001), rather than as unknown (40001).
const REMEMBER_MS: i64 = 3_600_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Stable { force: bool },
    Plain,
}

#[derive(Debug)]
pub(crate) enum TokenFault {
    /// 40001
    Unknown,
    /// 42001
    Expired,
}

/// Every token that is, or lately was, valid.
#[derive(Default)]
pub(crate) struct Tokens(RwLock<HashMap<Arc<str>, Token>>);

struct Token {
    app: Arc<App>,
    until: i64,
}

/// One app's share.
#[derive(Default)]
pub(crate) struct AppTokens {
    current: Mutex<Current>,
    pub(crate) forced: Daily,
}

#[derive(Default)]
struct Current {
    stable: Option<Arc<str>>,
    plain: Option<Arc<str>>,
    forced_at: Option<i64>,
}

impl Tokens {
    pub(crate) fn check(&self, token: &str, now: i64) -> Result<Arc<App>, TokenFault> {
        match read(&self.0).get(token) {
            None => Err(TokenFault::Unknown),
            Some(token) if token.until <= now => Err(TokenFault::Expired),
            Some(token) => Ok(token.app.clone()),
        }
    }

    /// The token and its remaining seconds.
    pub(crate) fn issue(
        &self,
        app: &Arc<App>,
        kind: TokenKind,
        chance: &Chance,
        now: i64,
    ) -> (Arc<str>, i64) {
        let mut current = lock(&app.tokens.current);
        let mut all = write(&self.0);
        let replaced = match kind {
            TokenKind::Stable { .. } => current.stable.take(),
            TokenKind::Plain => current.plain.take(),
        };
        if let Some(old) = replaced {
            let until = all.get(&old).map_or(0, |token| token.until);
            match kind {
                TokenKind::Stable { force: false } if until - now > OVERLAP_MS => {
                    current.stable = Some(old.clone());
                    return (old, (until - now) / 1000);
                }
                // Rotated early: the old one lives to its end.
                TokenKind::Stable { force: false } => {}
                TokenKind::Stable { force: true } => {
                    all.remove(&old);
                }
                TokenKind::Plain => {
                    if let Some(token) = all.get_mut(&old) {
                        token.until = token.until.min(now + OVERLAP_MS);
                    }
                }
            }
        }
        all.retain(|_, token| token.until + REMEMBER_MS > now);
        let token: Arc<str> = chance.access_token().into();
        all.insert(token.clone(), Token { app: app.clone(), until: now + LIFE_MS });
        app.counters.tokens_issued();
        match kind {
            TokenKind::Stable { .. } => current.stable = Some(token.clone()),
            TokenKind::Plain => current.plain = Some(token.clone()),
        }
        (token, LIFE_MS / 1000)
    }

    /// Kills every token of the app, as a reset of the secret would.
    pub(crate) fn revoke(&self, app: &Arc<App>) -> usize {
        let mut current = lock(&app.tokens.current);
        let mut all = write(&self.0);
        let before = all.len();
        all.retain(|_, token| !Arc::ptr_eq(&token.app, app));
        *current = Current { forced_at: current.forced_at, ..Current::default() };
        before - all.len()
    }
}

impl AppTokens {
    /// Notes a forced refresh; false if the last one was less than `gap_ms` ago.
    pub(crate) fn force(&self, now: i64, gap_ms: u64) -> bool {
        let mut current = lock(&self.current);
        let gap = i64::try_from(gap_ms).unwrap_or(i64::MAX);
        if current.forced_at.is_some_and(|at| now - at < gap) {
            return false;
        }
        current.forced_at = Some(now);
        true
    }
}
