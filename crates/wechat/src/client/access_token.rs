//! The access token: used by whoever keeps the token of a mini program fresh.
//!
//! Sources: official page "获取稳定版接口调用凭据" (POST /cgi-bin/stable_token), the call that WeChat recommends: in normal mode
//! it gives the same token while that is valid, with the remaining time; forcing invalidates the token at once, and
//! is limited to 20 a day, 30 s apart. Official page "获取接口调用凭据" (GET /cgi-bin/token): every call gives a new token,
//! and the one before lives on for 5 minutes. The tokens of the two calls do not disturb each other.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Text, Whole, body};

/// An access token, fresh from WeChat. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct TokenGrant {
    /// The access_token (WeChat advises room for 512 characters).
    pub token: SecretString,
    /// How long it is valid from now on; 7,200 s at most.
    pub expires_in: Duration,
}

impl Client {
    /// Fetches the access token of a mini program; with `force`, a new one (see the limits above and
    /// [`ForcedRefreshes`](crate::token::ForcedRefreshes)).
    ///
    /// # Errors
    /// [`CallError`]; for WeChat's codes see [`errcode::token_class`](crate::errcode::token_class()).
    pub async fn stable_token(
        &self,
        base: &str,
        app_id: &str,
        secret: &SecretString,
        force: bool,
    ) -> Result<TokenGrant, CallError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            grant_type: &'static str,
            appid: &'a str,
            secret: &'a str,
            force_refresh: bool,
        }
        let secret = secret.expose_secret();
        let ask = Ask { grant_type: "client_credential", appid: app_id, secret, force_refresh: force };
        self.grant(Call {
            base,
            path: "/cgi-bin/stable_token",
            query: &[],
            body: body(&ask),
            secrets: &[secret],
            limit: LIMIT,
        })
        .await
    }

    /// Fetches the access token by the older call, which always makes a new one: for accounts and stand-ins that do not
    /// know [`stable_token`](Self::stable_token). Whoever calls it from two places takes the token away from each other.
    ///
    /// # Errors
    /// [`CallError`]; for WeChat's codes see [`errcode::token_class`](crate::errcode::token_class()).
    pub async fn token(
        &self,
        base: &str,
        app_id: &str,
        secret: &SecretString,
    ) -> Result<TokenGrant, CallError> {
        let secret = secret.expose_secret();
        let query = [("grant_type", "client_credential"), ("appid", app_id), ("secret", secret)];
        let path = "/cgi-bin/token";
        self.grant(Call { base, path, query: &query, body: None, secrets: &[secret], limit: LIMIT }).await
    }

    async fn grant(&self, call: Call<'_>) -> Result<TokenGrant, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: Text,
            expires_in: Whole,
        }
        let answer: Answer = self.call(call).await?;
        let seconds = u64::try_from(answer.expires_in.0).unwrap_or(0);
        if answer.access_token.0.is_empty() {
            return Err(CallError::Malformed);
        }
        Ok(TokenGrant { token: answer.access_token.0.into(), expires_in: Duration::from_secs(seconds) })
    }
}
