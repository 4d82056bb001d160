//! Sessions: made for a person whom the team's own back end, or WeChat's login, has vouched for; good for two hours.

use domain::Millis;
use domain::clock::{HOUR, SECOND};
use secrecy::SecretString;

use crate::problem::{FieldError, Kind, Problem};
use crate::view::time;
use crate::{App, Service, checks};

/// Long enough for a visit, short enough for a token that lies on a phone.
const LIFE: Millis = 2 * HOUR;

/// A session, shown once.
#[derive(Debug, Clone)]
pub struct MpSession {
    /// What the mini program sends along.
    pub token: SecretString,
    /// For how many seconds.
    pub expires_in: i64,
    /// Until when.
    pub expires_at: String,
}

/// Whoever holds a valid session.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Of this app.
    pub openid: String,
}

impl Service {
    /// A session for a person whom the caller vouches for.
    ///
    /// # Errors
    /// `invalid_openid`.
    pub fn mp_session(&self, app: &App, openid: &str) -> Result<MpSession, Problem> {
        if !checks::openid(openid) {
            return Err(FieldError::new(
                "/openid",
                "invalid_openid",
                "openid 无效：应为微信返回的用户标识（如 oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s）。",
                "The openid is not valid: give the one that WeChat's login answered.",
            )
            .into());
        }
        let until = self.now() + LIFE;
        Ok(MpSession {
            token: self.store.seal_mp_session(app.number, openid, until),
            expires_in: LIFE / SECOND,
            expires_at: time(until),
        })
    }

    /// Whose session it is.
    ///
    /// # Errors
    /// `invalid_session`, `session_expired`.
    pub fn mp_visitor(&self, app: &App, token: &SecretString) -> Result<Visitor, Problem> {
        let (openid, until) = self.store.open_mp_session(app.number, token).ok_or_else(invalid_session)?;
        if until <= self.now() {
            return Err(Problem::new(
                Kind::Unauthorized,
                "session_expired",
                "会话已过期，请重新取得。",
                "The session is over; get a new one.",
            ));
        }
        Ok(Visitor { openid })
    }
}

/// None, a wrong one, one of another app, one of another installation.
pub(super) fn invalid_session() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "invalid_session",
        "缺少有效的会话：请用 mp-sessions 或 login 取得，并放在 Authorization: Bearer 里。",
        "A valid session is missing: get one by mp-sessions or login, and send it as Authorization: Bearer.",
    )
}

impl Service {
    /// The problem of a request without a session.
    pub fn no_session() -> Problem {
        invalid_session()
    }
}
