//! The table of calls (`calls/*.json`, a file for each tag): what the handlers' own documents do not say. Used to complete the document.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A group of calls.
#[derive(Debug)]
pub(crate) struct Tag {
    /// Its name in the document.
    pub(crate) name: &'static str,
    /// Its name and purpose, in Chinese.
    pub(crate) zh: (&'static str, &'static str),
    /// Its purpose.
    pub(crate) en: &'static str,
    calls: &'static str,
}

macro_rules! tag {
    ($name:literal, $title:literal, $zh:literal, $en:literal) => {
        Tag {
            name: $name,
            zh: ($title, $zh),
            en: $en,
            calls: include_str!(concat!("calls/", $name, ".json")),
        }
    };
}

/// All groups, in the order of a reader's needs.
pub(crate) static TAGS: [Tag; 17] = [
    tag!(
        "messages",
        "消息",
        "发送一条或一批，查看每一条的结果。",
        "One message or a batch, and what became of each."
    ),
    tag!("campaigns", "发送任务", "一条通知发给很多人。", "One notice to many people."),
    tag!(
        "uploads",
        "表格",
        "收件人表格：读取、检查、提问。",
        "Spreadsheets of recipients: read, checked, asked about."
    ),
    tag!("schedules", "定时任务", "按时间重复的发送任务。", "Campaigns that recur."),
    tag!(
        "subscribers",
        "用户",
        "团队登记的用户资料，删除个人数据。",
        "What the team knows of people; erasure."
    ),
    tag!("guests", "试发名单", "试发模式下能收到消息的人。", "Who receives while an app is on trial."),
    tag!(
        "subscriptions",
        "订阅与次数",
        "谁订阅了什么，还剩几次，为什么。",
        "Who subscribed to what, how many grants are left, and why."
    ),
    tag!("templates", "模板", "小程序的模板与公共模板库。", "The app's templates and the public library."),
    tag!(
        "callbacks",
        "推送接收记录",
        "微信推送了什么，产生了什么结果。",
        "What WeChat pushed, and what it did."
    ),
    tag!(
        "insight",
        "状态",
        "诊断、待处理事项、统计、调用额度、节点。",
        "Doctor, what needs somebody, statistics, quota, nodes."
    ),
    tag!(
        "apps",
        "小程序",
        "登记的小程序与设置。密钥只写不读。",
        "The registered mini programs and their settings; secrets are write-only."
    ),
    tag!(
        "access-token",
        "access_token",
        "供共用同一小程序的其他系统使用。",
        "For other systems that share the app."
    ),
    tag!(
        "mini-program",
        "小程序端",
        "小程序里调用的接口，用会话而不是密钥。",
        "What the mini program calls, with a session in place of a key."
    ),
    tag!(
        "webhooks",
        "事件通知",
        "把事件送到你的系统或群机器人。",
        "Where events go: your systems, group robots."
    ),
    tag!("administration", "管理", "接口密钥、成员、操作日志。", "Keys, operators, the operation log."),
    tag!("wechat", "微信回调", "由微信调用。", "What WeChat calls."),
    tag!("service", "服务", "健康检查、指标、文档。", "Health, metrics, documents."),
];

/// What is known of one call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// Its stable operationId.
    pub(super) id: String,
    /// What it does, in Chinese.
    pub(super) zh: String,
    /// The scope that it needs, `session`, or none.
    pub(super) scope: Option<String>,
    /// Whether the key must see every app.
    #[serde(default)]
    pub(super) all_apps: bool,
    /// Codes of its own; those of every call like it are added.
    #[serde(default)]
    pub(super) codes: Vec<String>,
    /// Examples of its body, by name.
    #[serde(default)]
    pub(super) requests: BTreeMap<String, Value>,
    /// Examples of its answers, by status.
    #[serde(default)]
    pub(super) answers: BTreeMap<String, Value>,
}

/// Every call by `METHOD /path`, with its tag.
pub(super) fn table() -> Result<BTreeMap<String, (&'static Tag, Call)>, serde_json::Error> {
    let mut all = BTreeMap::new();
    for tag in &TAGS {
        let calls: BTreeMap<String, Call> = serde_json::from_str(tag.calls)?;
        all.extend(calls.into_iter().map(|(name, call)| (name, (tag, call))));
    }
    Ok(all)
}
