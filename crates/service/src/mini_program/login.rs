//! Login for teams without one of their own: WeChat says whom the code of `wx.login` belongs to. The session_key that comes with
//! it is never read (I12).

use domain::clock::SECOND;
use wechat::client::CallError;
use wechat::errcode::{self, Class};

use super::breaker::Went;
use super::limits::Counted;
use super::session::MpSession;
use crate::problem::{FieldError, Kind, Problem};
use crate::{App, Service};

/// Longer than any code of WeChat's.
const LONGEST: usize = 256;

impl Service {
    /// A session for whoever the code belongs to.
    ///
    /// # Errors
    /// `invalid_code`, `user_blocked`, `too_many_calls`, `login_paused`, and what WeChat answered.
    pub async fn mp_login(&self, app: &App, code: &str, from: &str) -> Result<MpSession, Problem> {
        let now = self.now();
        self.limits.count(Counted::LoginOfAddress, app.number, from, now)?;
        if code.is_empty() || code.len() > LONGEST || !code.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid_code());
        }
        self.breakers.closed_for(app.number, now).map_err(|wait| {
            let seconds = wait / SECOND + 1;
            Problem::new(
                Kind::Unavailable,
                "login_paused",
                format!("微信登录接口暂时不可用，请 {seconds} 秒后再试。"),
                format!("WeChat's login does not work at the moment; try again in {seconds} seconds."),
            )
            .after(u32::try_from(seconds).unwrap_or(60))
        })?;
        let answered = self.client.login(&app.api_base_url, &app.app_id, &app.secret, code).await;
        let went = match &answered {
            Ok(_) => Went::Answered,
            Err(CallError::WeChat { errcode: 40029 | 40163 | 40226, .. }) => Went::Answered,
            Err(CallError::WeChat { errcode, .. })
                if matches!(
                    errcode::class(*errcode),
                    Class::Configuration | Class::Quota | Class::MinuteLimit
                ) =>
            {
                tracing::warn!(app = app.app_id, errcode, "logins are in vain for a while");
                Went::InVain
            }
            Err(_) => Went::Failed,
        };
        self.breakers.note(app.number, went, now);
        match answered {
            Ok(login) => self.mp_session(app, &login.openid),
            Err(CallError::WeChat { errcode: 40029 | 40163, .. }) => Err(invalid_code()),
            Err(CallError::WeChat { errcode: 40226, .. }) => Err(Problem::new(
                Kind::Forbidden,
                "user_blocked",
                "微信认为该用户存在风险，拒绝登录（40226）。",
                "WeChat blocks this user as a risk (40226).",
            )),
            Err(error) => Err(crate::templates::call_problem(&error)),
        }
    }
}

fn invalid_code() -> Problem {
    FieldError::new(
        "/code",
        "invalid_code",
        "code 无效、已使用或已过期（5 分钟）：请重新调用 wx.login。",
        "The code is wrong, used, or older than 5 minutes: call wx.login again.",
    )
    .into()
}
