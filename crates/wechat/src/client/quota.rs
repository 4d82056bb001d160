//! Quotas, and their resetting: used by status pages and where 45009 has stopped the sending.
//!
//! Source: official pages under "openApi管理": "查询 API 调用额度" (quota/get), "重置 API 调用次数" (clear_quota), "使用
//! AppSecret 重置 API 调用次数" (clear_quota/v2). Both ways of resetting together are allowed 10 times a month (48006).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Whole, body};

/// The quota of one call. WeChat's counters may be off by about one in a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// Calls allowed today.
    pub daily_limit: i64,
    /// Calls made today.
    pub used: i64,
    /// Calls left today.
    pub remain: i64,
    /// The limit within a shorter time, if WeChat tells one.
    pub rate_limit: Option<RateLimit>,
}

/// So many calls in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// Calls allowed in the interval.
    pub call_count: i64,
    /// The interval, in seconds.
    pub refresh_second: i64,
}

impl Client {
    /// Asks for the quota of a call, as `/cgi-bin/message/subscribe/send`.
    ///
    /// # Errors
    /// [`CallError`]; 76021 = no such path, 76022 = cannot be asked for.
    pub async fn quota(&self, base: &str, token: &SecretString, cgi_path: &str) -> Result<Quota, CallError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            cgi_path: &'a str,
        }
        #[derive(Deserialize)]
        struct Counts {
            daily_limit: Whole,
            used: Whole,
            remain: Whole,
        }
        #[derive(Deserialize)]
        struct Rate {
            call_count: Whole,
            refresh_second: Whole,
        }
        #[derive(Deserialize)]
        struct Answer {
            quota: Counts,
            #[serde(default)]
            rate_limit: Option<Rate>,
        }
        let Answer { quota, rate_limit } =
            self.ask(base, "/cgi-bin/openapi/quota/get", token, &Ask { cgi_path }).await?;
        Ok(Quota {
            daily_limit: quota.daily_limit.0,
            used: quota.used.0,
            remain: quota.remain.0,
            rate_limit: rate_limit.map(|rate| RateLimit {
                call_count: rate.call_count.0,
                refresh_second: rate.refresh_second.0,
            }),
        })
    }

    /// Sets all call counters of the mini program back, by its access token. Counted: 10 times a month, together with
    /// [`clear_quota_by_secret`](Self::clear_quota_by_secret).
    ///
    /// # Errors
    /// [`CallError`]; 48006 = the ten are used up.
    pub async fn clear_quota(&self, base: &str, token: &SecretString, app_id: &str) -> Result<(), CallError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            appid: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {}
        let Answer {} = self.ask(base, "/cgi-bin/clear_quota", token, &Ask { appid: app_id }).await?;
        Ok(())
    }

    /// Sets all call counters back by the AppSecret: the way out where not even a token can be fetched any more.
    ///
    /// The page's table lists the parameters as those of the body, its example writes them into the query, and SDKs in
    /// use do the one or the other: both are sent.
    ///
    /// # Errors
    /// [`CallError`]; 48006 = the ten of this month are used up.
    pub async fn clear_quota_by_secret(
        &self,
        base: &str,
        app_id: &str,
        secret: &SecretString,
    ) -> Result<(), CallError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            appid: &'a str,
            appsecret: &'a str,
        }
        #[derive(Deserialize)]
        struct Answer {}
        let secret = secret.expose_secret();
        let ask = body(&Ask { appid: app_id, appsecret: secret });
        let query = [("appid", app_id), ("appsecret", secret)];
        let (path, secrets) = ("/cgi-bin/clear_quota/v2", [secret]);
        let Answer {} =
            self.call(Call { base, path, query: &query, body: ask, secrets: &secrets, limit: LIMIT }).await?;
        Ok(())
    }
}
