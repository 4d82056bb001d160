//! The access token: used by whoever keeps the token of a mini program fresh.
//!
//! Source: official page "获取稳定版接口调用凭据" (POST /cgi-bin/stable_token), the call that WeChat recommends. In normal mode
//! it gives the same token while that is valid, with the remaining time; forcing invalidates the token at once, and
//! is limited to 20 a day, 30 s apart. Its tokens and those of /cgi-bin/token do not disturb each other.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Whole, body};

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
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            expires_in: Whole,
        }
        let secret = secret.expose_secret();
        let ask = Ask { grant_type: "client_credential", appid: app_id, secret, force_refresh: force };
        let answer: Answer = self
            .call(Call {
                base,
                path: "/cgi-bin/stable_token",
                query: &[],
                body: body(&ask),
                secrets: &[secret],
                limit: LIMIT,
            })
            .await?;
        let seconds = u64::try_from(answer.expires_in.0).unwrap_or(0);
        if answer.access_token.is_empty() {
            return Err(CallError::Malformed);
        }
        Ok(TokenGrant { token: answer.access_token.into(), expires_in: Duration::from_secs(seconds) })
    }
}
