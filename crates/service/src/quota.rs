//! What an app may still send today: WeChat's quota beside the team's own budget; and setting WeChat's counters back, which WeChat
//! allows ten times a month.

use domain::Millis;
use domain::clock::{DAY, HOUR};
use serde::Serialize;

use crate::problem::{FieldError, Problem};
use crate::templates::{call_problem, token_problem};
use crate::{App, Service};

/// The send call's name at WeChat.
const SEND: &str = "/cgi-bin/message/subscribe/send";
const SHANGHAI: Millis = 8 * HOUR;

/// What may still be sent today.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct QuotaView {
    /// The day, in Asia/Shanghai, by which both are counted.
    pub day: String,
    /// Send calls that WeChat allows a day.
    pub daily_limit: i64,
    /// Those that it has counted today.
    pub used: i64,
    /// What is left.
    pub remain: i64,
    /// The app's setting `daily_budget`.
    pub daily_budget: Option<u32>,
    /// Calls taken of it; up to a thousand of them may not be made yet.
    pub budget_taken: i64,
}

/// The day of a moment, as WeChat counts.
pub fn day(now: Millis) -> String {
    let days = (now + SHANGHAI).div_euclid(DAY);
    jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().days(days))
        .map_or_else(|_| days.to_string(), |date| date.to_string())
}

impl Service {
    /// WeChat's quota of send calls, and the budget.
    ///
    /// # Errors
    /// What WeChat answered.
    pub async fn quota(&self, app: &App) -> Result<QuotaView, Problem> {
        let token = self.tokens.get(app).await.map_err(|error| token_problem(&error))?;
        let quota = self
            .client
            .quota(&app.api_base_url, &token.secret, SEND)
            .await
            .map_err(|error| call_problem(&error))?;
        let day = day(self.now());
        Ok(QuotaView {
            daily_limit: quota.daily_limit,
            used: quota.used,
            remain: quota.remain,
            daily_budget: app.settings.daily_budget,
            budget_taken: self.store.budget_taken(app.number, &day).await?,
            day,
        })
    }

    /// Sets WeChat's call counters back. It has to be said which app is meant once more: WeChat allows it ten times a month, and
    /// all calls of the app are counted together.
    ///
    /// # Errors
    /// `not_confirmed`; what WeChat answered.
    pub async fn clear_quota(&self, app: &App, confirm: &str) -> Result<(), Problem> {
        if confirm != app.app_id {
            return Err(FieldError::new(
                "/confirm",
                "not_confirmed",
                "清零每月只有 10 次机会，会影响该小程序的所有接口。请在 confirm 中填写 AppID 确认。",
                "WeChat allows this ten times a month, for all calls of the app. Confirm it with the AppID in `confirm`.",
            )
            .into());
        }
        let token = self.tokens.get(app).await.map_err(|error| token_problem(&error))?;
        self.client
            .clear_quota(&app.api_base_url, &token.secret, &app.app_id)
            .await
            .map_err(|error| call_problem(&error))?;
        tracing::warn!(app = app.app_id, "WeChat's call counters were set back");
        // Whatever stood still for the quota may go on.
        self.store.open_gate(app.number).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_day_begins_at_midnight_in_shanghai() {
        assert_eq!(super::day(1_700_063_999_999), "2023-11-15");
        assert_eq!(super::day(1_700_064_000_000), "2023-11-16");
    }
}
