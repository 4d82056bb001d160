//! Group robots: what WeCom (企业微信), DingTalk (钉钉) and Feishu (飞书) want to be told, several events in one message, since each
//! takes only twenty a minute.
//!
//! Sources: developer.work.weixin.qq.com "群机器人配置说明", open.dingtalk.com "自定义机器人", open.feishu.cn "自定义机器人使用指南".

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use store::webhooks::{Event, Webhook};
use wechat::{Lang, errcode};

use super::Form;
use crate::Service;
use crate::problem::Problem;

/// The least time between two messages to a robot, in milliseconds: twenty a minute are allowed.
pub const ROBOT_PAUSE: u64 = 4_000;
/// Events that one message tells of one by one.
const TOLD: usize = 20;

/// A message to a robot.
pub struct RobotPost {
    /// Where to, with its secret.
    pub url: SecretString,
    /// The body.
    pub body: String,
}

/// The part of a robot's address that may be shown.
pub(super) fn shown(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let host = url[end..].find('/').map_or(url.len(), |at| end + at);
    format!("{}/…", &url[..host])
}

impl Service {
    /// Events as a robot is told of them.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn robot_post(&self, webhook: &Webhook, events: &[&Event]) -> Result<RobotPost, Problem> {
        let mut lines = Vec::new();
        for event in events.iter().take(TOLD) {
            let told = self.told(event).await?;
            lines.push(self.line(event, &told).await?);
        }
        if events.len() > TOLD {
            lines.push(format!("…… 另有 {} 条", events.len() - TOLD));
        }
        let url = webhook.sealed_url.clone().unwrap_or_default();
        Ok(post(Form::of(webhook), url, &webhook.secret, &lines.join("\n\n"), self.now() / 1_000))
    }

    /// One event in a line, with the page where it is seen to.
    async fn line(&self, event: &Event, told: &Value) -> Result<String, Problem> {
        let app = self.apps.by_number(event.app);
        let (name, app_id) = app.map_or_else(Default::default, |app| (app.name.clone(), app.app_id.clone()));
        let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        let page = |rest: &str| format!("apps/{app_id}/{rest}");
        let (text, page) = match event.kind.as_str() {
            "alarm.test" => ("鸿雁：这是一条测试消息，说明通知已接通。".to_owned(), String::new()),
            "alarm.gate_closed" => {
                let code = told["errcode"].as_i64().unwrap_or(0);
                // What is ours and not WeChat's has no code.
                let why = match code {
                    0 => word("errmsg"),
                    code => errcode::explain(code, &word("errmsg"), Lang::Zh),
                };
                (format!("已暂停发送：{why}"), page("doctor"))
            }
            "alarm.budget" => ("今日发送预算快用完了。".to_owned(), page("")),
            "alarm.template" => (format!("模板有变化：{}", word("because")), page("templates")),
            "alarm.schedule" => {
                (format!("定时任务“{}”没有启动：{}", word("name"), word("result")), page("campaigns"))
            }
            "alarm.webhook" => ("一个事件通知已停用。".to_owned(), "webhooks".to_owned()),
            "alarm.certificate" => (format!("回调地址的证书：{}", word("text")), page("doctor")),
            kind => {
                let campaign = word("campaign_id");
                let said = match kind.strip_prefix("campaign.") {
                    Some("awaiting_approval") => "待审批",
                    Some("finished") => "已完成",
                    Some("paused") => "已暂停",
                    Some("running") => "开始发送",
                    Some("cancelled") => "已取消",
                    _ => kind,
                };
                if campaign.is_empty() {
                    (said.to_owned(), page(""))
                } else {
                    (format!("发送任务“{}”{said}", word("name")), page(&format!("campaigns/{campaign}")))
                }
            }
        };
        let head = if name.is_empty() { String::new() } else { format!("【{name}】") };
        let link = self.public_url().filter(|_| !page.is_empty());
        let link = link.map_or_else(String::new, |base| format!(" {}/{page}", base.trim_end_matches('/')));
        Ok(format!("{head}{text}{link}"))
    }
}

fn post(form: Form, url: SecretString, secret: &SecretString, text: &str, now: i64) -> RobotPost {
    let signs = !secret.expose_secret().is_empty();
    let (url, body) = match form {
        Form::Dingtalk => {
            let mut target = url.expose_secret().to_owned();
            if signs {
                let at = now * 1_000;
                let sign = mac(secret.expose_secret(), &format!("{at}\n{}", secret.expose_secret()));
                let sign = sign.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
                target.push_str(&format!("&timestamp={at}&sign={sign}"));
            }
            let body = json!({ "msgtype": "markdown", "markdown": { "title": "鸿雁", "text": text } });
            (SecretString::from(target), body)
        }
        Form::Feishu => {
            let mut body = json!({ "msg_type": "text", "content": { "text": text } });
            if signs {
                body["timestamp"] = now.to_string().into();
                body["sign"] = mac(&format!("{now}\n{}", secret.expose_secret()), "").into();
            }
            (url, body)
        }
        Form::Wecom | Form::Standard => {
            (url, json!({ "msgtype": "markdown", "markdown": { "content": text } }))
        }
    };
    RobotPost { url, body: body.to_string() }
}

fn mac(key: &str, content: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(content.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

/// What a robot's answer says is wrong; nothing where it took the message.
pub fn robot_refusal(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let code = ["errcode", "code", "StatusCode"].iter().find_map(|name| answer[name].as_i64())?;
    let text = ["errmsg", "msg", "StatusMessage"].iter().find_map(|name| answer[name].as_str());
    (code != 0).then(|| format!("{code} {}", text.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_only_its_host() {
        let shown_host = shown("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc");
        assert_eq!(shown_host, "https://qyapi.weixin.qq.com/…");
        assert_eq!(shown("https://host"), "https://host/…");
    }

    #[test]
    fn robots_are_told_in_their_own_way() {
        let url = || SecretString::from("https://robot.example/send?access_token=T");
        let secret = SecretString::from("SECabc");
        let dingtalk = post(Form::Dingtalk, url(), &secret, "一\n二", 1_700_000_000);
        let target = dingtalk.url.expose_secret();
        assert!(target.contains("&timestamp=1700000000000&sign=") && !target.ends_with('='), "{target}");
        let feishu = post(Form::Feishu, url(), &secret, "一", 1_700_000_000).body;
        let feishu: Value = serde_json::from_str(&feishu).unwrap();
        assert_eq!(feishu["timestamp"], "1700000000");
        assert_eq!(feishu["sign"].as_str().unwrap().len(), 44);
        let wecom = post(Form::Wecom, url(), &"".into(), "一", 1).body;
        assert_eq!(serde_json::from_str::<Value>(&wecom).unwrap()["markdown"]["content"], "一");
        assert_eq!(robot_refusal(br#"{"errcode":0,"errmsg":"ok"}"#), None);
        assert_eq!(robot_refusal(br#"{"errcode":45009,"errmsg":"limit"}"#).unwrap(), "45009 limit");
        let feishu = robot_refusal(br#"{"code":19024,"msg":"Key Words Not Found"}"#);
        assert_eq!(feishu.unwrap(), "19024 Key Words Not Found");
    }
}
