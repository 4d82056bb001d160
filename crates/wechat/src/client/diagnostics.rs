//! Quotas and diagnostics: used by set-up checks and status pages.
//!
//! Source: official pages under "openApi管理": "查询 API 调用额度" (quota/get), "查询 rid 信息" (rid/get), "网络通信检测"
//! (callback/check), "获取微信推送服务器 IP" (getcallbackip).

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Text, Whole, body};

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

/// What WeChat remembers of a call. Texts are without the access token of this call's asker; the bodies can hold
/// personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RidRecord {
    /// When the call was made, in Unix seconds.
    pub invoke_time: i64,
    /// How long it took, in milliseconds.
    pub cost_in_ms: i64,
    /// The address called, its access_token taken out.
    pub request_url: String,
    /// The body of the request.
    pub request_body: String,
    /// The body of the answer.
    pub response_body: String,
    /// The address that called.
    pub client_ip: String,
}

/// What WeChat found when it tried the push URL. Many hosts drop ping: a failed ping alone is no fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CallbackCheck {
    /// The addresses that the name resolves to.
    pub dns: Vec<DnsResult>,
    /// The pings.
    pub ping: Vec<PingResult>,
}

/// One resolved address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsResult {
    /// The address.
    pub ip: String,
    /// The network operator that it belongs to.
    pub real_operator: String,
}

/// One ping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PingResult {
    /// The address.
    pub ip: String,
    /// The network operator that the ping came from.
    pub from_operator: String,
    /// The share of lost packets, as `0%`.
    pub package_loss: String,
    /// The time, as `23.079ms`.
    pub time: String,
}

impl Client {
    async fn ask<T: DeserializeOwned>(
        &self,
        base: &str,
        path: &str,
        token: &SecretString,
        ask: &impl Serialize,
    ) -> Result<T, CallError> {
        let token = token.expose_secret();
        let (query, secrets) = ([("access_token", token)], [token]);
        self.call(Call { base, path, query: &query, body: body(ask), secrets: &secrets, limit: LIMIT }).await
    }

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

    /// Asks what WeChat remembers of the call with this rid (7 days, own calls only).
    ///
    /// # Errors
    /// [`CallError`]; 76001 to 76004 for a wrong or old rid.
    pub async fn rid_record(
        &self,
        base: &str,
        token: &SecretString,
        rid: &str,
    ) -> Result<RidRecord, CallError> {
        #[derive(Serialize)]
        struct Ask<'a> {
            rid: &'a str,
        }
        #[derive(Deserialize)]
        struct Record {
            #[serde(default)]
            invoke_time: Option<Whole>,
            #[serde(default)]
            cost_in_ms: Option<Whole>,
            #[serde(default)]
            request_url: Text,
            #[serde(default)]
            request_body: Text,
            #[serde(default)]
            response_body: Text,
            #[serde(default)]
            client_ip: Text,
        }
        #[derive(Deserialize)]
        struct Answer {
            request: Record,
        }
        let Answer { request } = self.ask(base, "/cgi-bin/openapi/rid/get", token, &Ask { rid }).await?;
        let clean = |text: Text| redact(&text.0, token.expose_secret());
        Ok(RidRecord {
            invoke_time: request.invoke_time.map_or(0, |time| time.0),
            cost_in_ms: request.cost_in_ms.map_or(0, |time| time.0),
            request_url: clean(request.request_url),
            request_body: clean(request.request_body),
            response_body: clean(request.response_body),
            client_ip: request.client_ip.0,
        })
    }

    /// Has WeChat resolve and ping the push URL, from every operator.
    ///
    /// # Errors
    /// [`CallError`]; 40201 = no push URL is set.
    pub async fn callback_check(&self, base: &str, token: &SecretString) -> Result<CallbackCheck, CallError> {
        #[derive(Serialize)]
        struct Ask {
            action: &'static str,
            check_operator: &'static str,
        }
        #[derive(Deserialize)]
        struct Item {
            #[serde(default)]
            ip: Text,
            #[serde(default)]
            real_operator: Text,
            #[serde(default)]
            from_operator: Text,
            #[serde(default)]
            package_loss: Text,
            #[serde(default)]
            time: Text,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            dns: Option<Vec<Item>>,
            #[serde(default)]
            ping: Option<Vec<Item>>,
        }
        let ask = Ask { action: "all", check_operator: "DEFAULT" };
        let Answer { dns, ping } = self.ask(base, "/cgi-bin/callback/check", token, &ask).await?;
        let dns = dns.unwrap_or_default().into_iter();
        let ping = ping.unwrap_or_default().into_iter();
        Ok(CallbackCheck {
            dns: dns.map(|item| DnsResult { ip: item.ip.0, real_operator: item.real_operator.0 }).collect(),
            ping: ping
                .map(|item| PingResult {
                    ip: item.ip.0,
                    from_operator: item.from_operator.0,
                    package_loss: item.package_loss.0,
                    time: item.time.0,
                })
                .collect(),
        })
    }

    /// Fetches the addresses or segments that pushes come from. WeChat advises to ask once a day.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn callback_ips(&self, base: &str, token: &SecretString) -> Result<Vec<String>, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            ip_list: Vec<String>,
        }
        let token = token.expose_secret();
        let (query, secrets) = ([("access_token", token)], [token]);
        let path = "/cgi-bin/getcallbackip";
        let answer: Answer = self
            .call(Call { base, path, query: &query, body: None, secrets: &secrets, limit: LIMIT })
            .await?;
        Ok(answer.ip_list)
    }
}

/// Takes every access token out of a text: the one at hand, and whatever stands behind `access_token=`.
fn redact(text: &str, token: &str) -> String {
    let known = if token.is_empty() { text.to_owned() } else { text.replace(token, "[redacted]") };
    let mut clean = String::with_capacity(known.len());
    let mut rest = known.as_str();
    while let Some((before, after)) = rest.split_once("access_token=") {
        clean.push_str(before);
        clean.push_str("access_token=[redacted]");
        rest = after.trim_start_matches(|c: char| !matches!(c, '&' | ' ' | '"' | '#'));
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn tokens_are_taken_out() {
        assert_eq!(
            redact("https://h/p?a=1&access_token=OLD&b=2 MINE", "MINE"),
            "https://h/p?a=1&access_token=[redacted]&b=2 [redacted]"
        );
        assert_eq!(redact("access_token=x", ""), "access_token=[redacted]");
        assert_eq!(redact("nothing", "TOKEN"), "nothing");
    }
}
