//! Diagnostics: used by set-up checks and status pages.
//!
//! Source: official pages under "openApi管理": "查询 rid 信息" (rid/get), "网络通信检测" (callback/check), "获取微信推送服务器
//! IP" (getcallbackip), "获取微信API服务器IP" (get_api_domain_ip).

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Client;
use super::error::CallError;
use super::json::{Call, LIMIT, Text, Whole};

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

/// What WeChat is to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckAction {
    /// Resolve the name.
    Dns,
    /// Ping the addresses.
    Ping,
    /// Both.
    #[default]
    All,
}

/// From which network operator's line WeChat is to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckOperator {
    /// 电信.
    Chinanet,
    /// 联通.
    Unicom,
    /// 腾讯自建.
    Cap,
    /// WeChat's own choice.
    #[default]
    Default,
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

    /// Has WeChat resolve and ping the push URL. This takes WeChat some seconds: give the client time
    /// ([`with_call_timeout`](Self::with_call_timeout)).
    ///
    /// # Errors
    /// [`CallError`]; 40201 = no push URL is set, 40202 and 40203 = unknown action or operator.
    pub async fn callback_check(
        &self,
        base: &str,
        token: &SecretString,
        action: CheckAction,
        operator: CheckOperator,
    ) -> Result<CallbackCheck, CallError> {
        #[derive(Serialize)]
        struct Ask {
            action: CheckAction,
            check_operator: CheckOperator,
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
        let ask = Ask { action, check_operator: operator };
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
        self.ip_list(base, "/cgi-bin/getcallbackip", token).await
    }

    /// Fetches the addresses or segments behind WeChat's own host, for firewalls. WeChat advises to ask once a day, and to
    /// call it by its name: an address that was given up answers 48017.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn api_ips(&self, base: &str, token: &SecretString) -> Result<Vec<String>, CallError> {
        self.ip_list(base, "/cgi-bin/get_api_domain_ip", token).await
    }

    async fn ip_list(&self, base: &str, path: &str, token: &SecretString) -> Result<Vec<String>, CallError> {
        #[derive(Deserialize)]
        struct Answer {
            ip_list: Vec<Text>,
        }
        let token = token.expose_secret();
        let (query, secrets) = ([("access_token", token)], [token]);
        let answer: Answer = self
            .call(Call { base, path, query: &query, body: None, secrets: &secrets, limit: LIMIT })
            .await?;
        Ok(answer.ip_list.into_iter().map(|ip| ip.0).collect())
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
