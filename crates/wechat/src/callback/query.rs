//! The query string of WeChat's calls and the verification of the server's address (`GET`): used by the HTTP handler.
//!
//! Source: official page "消息推送" (message-push.html).

use serde::{Deserialize, Serialize};

use super::signature;

/// The query parameters of WeChat's `GET` and `POST`. Which ones are present depends on the call and the mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Signature over {Token, timestamp, nonce}: the one that counts for `GET` and in plaintext mode.
    pub signature: Option<String>,
    /// Unix time in seconds, as text.
    pub timestamp: Option<String>,
    /// A random number, as text.
    pub nonce: Option<String>,
    /// What a `GET` wants to have back.
    pub echostr: Option<String>,
    /// The user, in safe mode. Not covered by any signature: do not use it.
    pub openid: Option<String>,
    /// `aes` where the body is encrypted. The body decides, not this word.
    pub encrypt_type: Option<String>,
    /// Signature over {Token, timestamp, nonce, Encrypt}: the one that counts wherever there is `Encrypt`.
    pub msg_signature: Option<String>,
}

/// Why a verification `GET` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// This parameter is missing or empty.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// No token gives this signature.
    #[error("the signature does not match")]
    BadSignature,
}

impl VerifyError {
    /// The HTTP status for this: 400 for a missing parameter, 403 for a bad signature.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Missing(_) => 400,
            Self::BadSignature => 403,
        }
    }
}

impl Query {
    /// Gives the parameter, or its name if it is missing or empty.
    pub(crate) fn need<'q>(value: &'q Option<String>, name: &'static str) -> Result<&'q str, &'static str> {
        value.as_deref().filter(|value| !value.is_empty()).ok_or(name)
    }
}

/// Checks the verification `GET` against each token and gives the `echostr` to answer with (bare, as text/plain, 200).
///
/// `tokens` are the current one and, while settings change, the previous one. There is no freshness check: WeChat
/// states no rule, and nothing is changed by answering. For mini programs the `echostr` is never encrypted.
///
/// # Errors
/// [`VerifyError::Missing`] names the first missing parameter; [`VerifyError::BadSignature`] if no token matches.
pub fn verify_url<'q>(tokens: &[&str], query: &'q Query) -> Result<&'q str, VerifyError> {
    let given = Query::need(&query.signature, "signature").map_err(VerifyError::Missing)?;
    let timestamp = Query::need(&query.timestamp, "timestamp").map_err(VerifyError::Missing)?;
    let nonce = Query::need(&query.nonce, "nonce").map_err(VerifyError::Missing)?;
    let echostr = Query::need(&query.echostr, "echostr").map_err(VerifyError::Missing)?;
    if tokens.iter().any(|token| signature::matches(&[token, timestamp, nonce], given)) {
        Ok(echostr)
    } else {
        Err(VerifyError::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn official() -> Query {
        Query {
            signature: Some("f464b24fc39322e44b38aa78f5edd27bd1441696".into()),
            timestamp: Some("1714036504".into()),
            nonce: Some("1514711492".into()),
            echostr: Some("4375120948345356249".into()),
            ..Query::default()
        }
    }

    #[test]
    fn the_official_example_is_answered() {
        assert_eq!(verify_url(&["AAAAA"], &official()), Ok("4375120948345356249"));
        assert_eq!(verify_url(&["new", "AAAAA"], &official()), Ok("4375120948345356249"));
    }

    #[test]
    fn a_wrong_token_is_refused() {
        let error = verify_url(&["BBBBB"], &official()).unwrap_err();
        assert_eq!((error, error.http_status()), (VerifyError::BadSignature, 403));
        assert_eq!(verify_url(&[], &official()), Err(VerifyError::BadSignature));
    }

    #[test]
    fn each_missing_parameter_is_named() {
        type Take = fn(&mut Query) -> &mut Option<String>;
        let all: [(&str, Take); 4] = [
            ("signature", |q| &mut q.signature),
            ("timestamp", |q| &mut q.timestamp),
            ("nonce", |q| &mut q.nonce),
            ("echostr", |q| &mut q.echostr),
        ];
        for (name, take) in all {
            for empty in [None, Some(String::new())] {
                let mut query = official();
                *take(&mut query) = empty;
                let error = verify_url(&["AAAAA"], &query).unwrap_err();
                assert_eq!((error, error.http_status()), (VerifyError::Missing(name), 400));
            }
        }
    }
}
