//! A message as everybody is shown it: API, console, command line.

use std::collections::BTreeMap;

use domain::Millis;
use domain::message::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use store::messages::StoredMessage;
use wechat::{Lang, errcode};

use crate::App;

/// A message.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// The app's AppID.
    pub app_id: String,
    /// Its state.
    pub state: &'static str,
    /// To whom.
    pub to: String,
    /// WeChat's template id.
    pub template_id: String,
    /// The fields and their values.
    pub data: BTreeMap<String, String>,
    /// The page that the card opens.
    pub page: Option<String>,
    /// When it was accepted here.
    pub created_at: String,
    /// When it was or is due.
    pub due_at: String,
    /// Not sent after this.
    pub expire_at: String,
    /// Every attempt.
    pub attempts: Vec<AttemptView>,
    /// WeChat's number of the message, as text since it exceeds 2^53.
    pub msgid: Option<String>,
    /// The last errcode.
    pub errcode: Option<i64>,
    /// What the state means and what to do.
    pub explanation: String,
    /// What the sent event said.
    pub receipt: Option<ReceiptView>,
    /// True where the person was erased: then there is neither recipient nor content.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
}

/// An attempt.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AttemptView {
    /// When it began.
    pub at: String,
    /// WeChat's errcode, where it answered.
    pub errcode: Option<i64>,
    /// WeChat's errmsg, or why there was no answer.
    pub errmsg: Option<String>,
    /// WeChat's request id, for its own support.
    pub rid: Option<String>,
    /// Whether it may have been sent all the same.
    pub ambiguous: bool,
}

/// A receipt.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReceiptView {
    /// When it came.
    pub at: String,
    /// 0 where it arrived.
    pub error_code: i64,
    /// WeChat's word.
    pub error_status: String,
}

/// A moment as RFC 3339 with the offset of Asia/Shanghai, where WeChat's days begin.
pub fn time(at: Millis) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    Timestamp::from_millisecond(at)
        .map(|moment| moment.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
        .unwrap_or_default()
}

impl MessageView {
    /// Shows a stored message in a language.
    pub fn new(app: &App, stored: StoredMessage, lang: Lang) -> Self {
        let explanation = explanation(&stored, lang);
        Self {
            id: stored.id.to_string(),
            app_id: app.app_id.clone(),
            state: stored.position.state.as_str(),
            erased: stored.openid.is_empty(),
            to: stored.openid,
            template_id: stored.template_id,
            data: serde_json::from_str(&stored.data).unwrap_or_default(),
            page: stored.page,
            created_at: time(stored.id.created_at()),
            due_at: time(stored.due_at),
            expire_at: time(stored.expire_at),
            attempts: stored
                .attempts
                .into_iter()
                .map(|attempt| AttemptView {
                    at: time(attempt.at),
                    errcode: attempt.errcode,
                    rid: attempt.errmsg.as_deref().and_then(errcode::rid).map(str::to_owned),
                    errmsg: attempt.errmsg,
                    ambiguous: attempt.ambiguous,
                })
                .collect(),
            msgid: stored.msgid.map(|msgid| msgid.to_string()),
            errcode: stored.errcode,
            explanation,
            receipt: stored.receipt.map(|receipt| ReceiptView {
                at: time(receipt.at),
                error_code: receipt.error_code,
                error_status: receipt.error_status,
            }),
        }
    }
}

/// What a message's state means, and what to do.
fn explanation(message: &StoredMessage, lang: Lang) -> String {
    let pick = |zh: &str, en: &str| match lang {
        Lang::Zh => zh.to_owned(),
        Lang::En => en.to_owned(),
    };
    let errmsg = message.errmsg.as_deref().unwrap_or_default();
    let by_code = |code: i64| errcode::explain(code, errmsg, lang);
    if message.openid.is_empty() {
        return pick(
            "该用户的数据已删除，这里只保留消息的状态。",
            "This person's data was erased; only the message's state is kept.",
        );
    }
    match (message.position.state, message.errcode) {
        (State::Delivered, _) => {
            pick("已送达：微信的送达回执确认成功。", "Delivered: WeChat's receipt confirms it.")
        }
        (State::Undelivered, _) => {
            let status =
                message.receipt.as_ref().map(|receipt| receipt.error_status.as_str()).unwrap_or_default();
            pick(
                &format!("微信已受理，但送达回执报告系统失败（{status}）。可以重发。"),
                &format!(
                    "WeChat took the message, but its receipt reports a system failure ({status}). It can be sent again."
                ),
            )
        }
        (State::Accepted, _) => {
            pick("微信已收下，等待送达回执。", "WeChat took the message; its receipt is awaited.")
        }
        (State::Unknown, _) => pick(
            &format!(
                "请求已发出但没等到微信的明确答复（{errmsg}），可能已送达；不会自动重发。收到送达回执后会自动确认。"
            ),
            &format!(
                "The request left, but no clear answer came ({errmsg}); it may have arrived. It is not sent again by itself; a receipt will tell."
            ),
        ),
        (State::Scheduled, _) => pick("等待到预定时间发送。", "Waits for its time."),
        (State::Queued, Some(code)) => {
            let why = by_code(code);
            pick(
                &format!("排队等待重试。上次的结果：{why}"),
                &format!("Queued for another attempt. The last one: {why}"),
            )
        }
        (State::Queued, None) if !errmsg.is_empty() => pick(
            &format!("排队等待重试：上次没有连上微信（{errmsg}）。"),
            &format!("Queued for another attempt: WeChat could not be reached ({errmsg})."),
        ),
        (State::Queued, None) => pick("排队中。", "Queued."),
        (State::Sending, _) => pick("发送中。", "Being sent."),
        (State::Expired, _) => {
            pick("到过期时间仍未发出，不再发送。", "Its time was over before it could be sent.")
        }
        (State::Cancelled, _) => pick("发送前已取消。", "Cancelled before it was sent."),
        (State::Skipped, _) => pick("未发送。", "Not sent."),
        // Given up: the outcome is still open, and evidence may correct it.
        (State::Failed, _) if message.position.is_ambiguous() => pick(
            &format!(
                "没等到微信的明确答复（{errmsg}），按应用设置 on_unknown=give_up 记为失败；若之后收到回执会更正。"
            ),
            &format!(
                "No clear answer came ({errmsg}), and the app's setting on_unknown=give_up ended it as failed; a receipt that comes later corrects that."
            ),
        ),
        (State::Refused | State::Failed, Some(code)) => by_code(code),
        (State::Refused | State::Failed, None) => pick("发送失败。", "Failed."),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_carry_an_offset() {
        assert_eq!(super::time(1_686_131_943_000), "2023-06-07T17:59:03.000+08:00");
    }
}
