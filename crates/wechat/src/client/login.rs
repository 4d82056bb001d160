//! Login of a mini program's user: used where the team has no login of its own.
//!
//! Source: official page "小程序登录凭证校验" (GET /sns/jscode2session).

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Text};

/// Who logged in. The session_key of WeChat's answer is dropped unread: whoever holds it can decrypt user data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's openid in this mini program.
    pub openid: String,
    /// The user's unionid, if the mini program is bound to an open-platform account.
    pub unionid: Option<String>,
}

impl Client {
    /// Exchanges the code of `wx.login` (it works once, for 5 minutes). Uses the AppSecret, not an access token.
    ///
    /// # Errors
    /// [`CallError`]; 40029 = invalid code, 40163 = used code, 40226 = user blocked by WeChat, 45011 = too many calls.
    pub async fn login(
        &self,
        base: &str,
        app_id: &str,
        secret: &SecretString,
        code: &str,
    ) -> Result<Login, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            openid: Text,
            #[serde(default)]
            unionid: Text,
        }
        let secret = secret.expose_secret();
        let query =
            [("appid", app_id), ("secret", secret), ("js_code", code), ("grant_type", "authorization_code")];
        let path = "/sns/jscode2session";
        let secrets = &[secret, code];
        let answer: Answer =
            self.call(Call { base, path, query: &query, body: None, secrets, limit: LIMIT }).await?;
        let unionid = Some(answer.unionid.0).filter(|unionid| !unionid.is_empty());
        if answer.openid.0.is_empty() {
            return Err(CallError::Malformed);
        }
        Ok(Login { openid: answer.openid.0, unionid })
    }
}
