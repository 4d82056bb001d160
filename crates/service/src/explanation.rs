//! What a message's state means and what to do, in a sentence or two: the `explanation` of every view of a message.

use domain::message::{Position, State};
use domain::retry::OnUnknown;
use store::gates::Gate;
use store::messages::StoredMessage;
use wechat::Lang;
use wechat::errcode::{self, Class};

use crate::App;
use crate::view::time;

/// Explains a message; `gate` is its app's, where it is closed.
pub(crate) fn of(app: &App, message: &StoredMessage, gate: Option<&Gate>, lang: Lang) -> String {
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
        (State::Unknown, code) => {
            format!("{}{}", what_is_unknown(code, errmsg, lang), what_happens(app, &message.position, lang))
        }
        (State::Scheduled, _) => pick("等待到预定时间发送。", "Waits for its time."),
        (State::Queued, code) => match gate {
            Some(gate) => closed(gate, lang),
            None => queued(message, code, lang),
        },
        (State::Sending, _) => pick("发送中。", "Being sent."),
        (State::Expired, _) => {
            pick("到过期时间仍未发出，不再发送。", "Its time was over before it could be sent.")
        }
        (State::Cancelled, _) => pick("发送前已取消。", "Cancelled before it was sent."),
        (State::Skipped, _) => skipped(message.reason.as_deref().unwrap_or_default(), errmsg, lang),
        // Given up by the policy, not by WeChat.
        (State::Failed, _) if message.position.is_ambiguous() => {
            let why = reason(errmsg, lang);
            pick(
                &format!(
                    "没等到微信的明确答复（{why}），按设置 on_unknown = give_up 记为发送失败；仍可能已送达，收到送达回执后会自动更正。"
                ),
                &format!(
                    "No clear answer came ({why}); given up as the setting on_unknown = give_up says. It may have arrived all the same: a receipt would correct this."
                ),
            )
        }
        (State::Refused | State::Failed, Some(code)) => by_code(code),
        (State::Refused | State::Failed, None) => pick("发送失败。", "Failed."),
    }
}

fn queued(message: &StoredMessage, code: Option<i64>, lang: Lang) -> String {
    let errmsg = message.errmsg.as_deref().unwrap_or_default();
    let due = time(message.due_at);
    match (lang, code) {
        (Lang::Zh, Some(code)) => {
            format!("排队等待重试（{due} 起）。上次的结果：{}", errcode::explain(code, errmsg, lang))
        }
        (Lang::En, Some(code)) => {
            format!(
                "Queued for another attempt (from {due} on). The last one: {}",
                errcode::explain(code, errmsg, lang)
            )
        }
        (_, None) if message.position.is_ambiguous() => lang_pick(
            lang,
            format!("排队等待再次发送；之前的一次尝试没等到明确答复（{}）。", reason(errmsg, lang)),
            format!(
                "Queued to be sent again; an attempt before got no clear answer ({}).",
                reason(errmsg, lang)
            ),
        ),
        (_, None) if !errmsg.is_empty() => lang_pick(
            lang,
            format!("排队等待重试（{due} 起）：上次没有连上微信（{}）。", reason(errmsg, lang)),
            format!(
                "Queued for another attempt (from {due} on): WeChat could not be reached ({}).",
                reason(errmsg, lang)
            ),
        ),
        (Lang::Zh, None) => "排队中。".to_owned(),
        (Lang::En, None) => "Queued.".to_owned(),
    }
}

/// Why nobody knows.
fn what_is_unknown(code: Option<i64>, errmsg: &str, lang: Lang) -> String {
    match code.filter(|code| errcode::class(*code) != Class::Ambiguous) {
        Some(code) => {
            let said = errcode::explain(code, errmsg, lang);
            lang_pick(
                lang,
                format!("之前的一次尝试没等到微信的明确答复，可能已送达。之后的一次：{said}"),
                format!(
                    "An attempt before got no clear answer from WeChat, so it may have arrived. The one after it: {said}"
                ),
            )
        }
        None => {
            let why = reason(errmsg, lang);
            lang_pick(
                lang,
                format!("请求已发出但没等到微信的明确答复（{why}），可能已送达。"),
                format!("The request left, but no clear answer came ({why}); it may have arrived."),
            )
        }
    }
}

/// What will be done about it.
fn what_happens(app: &App, position: &Position, lang: Lang) -> String {
    let (zh, en) = match app.settings.on_unknown {
        OnUnknown::GiveUp => (
            "一分钟内没有送达回执或迟到的答复，就按设置 on_unknown = give_up 记为发送失败。",
            " Without a receipt or a late answer within a minute it is given up, as the setting on_unknown = give_up says.",
        ),
        _ if position.cancel_requested => (
            "已取消，不会再发。收到送达回执后会自动确认。",
            " It is cancelled and not sent again; a receipt will tell.",
        ),
        OnUnknown::Hold => (
            "不会自动重发。收到送达回执后会自动确认。",
            " It is not sent again by itself; a receipt will tell.",
        ),
        OnUnknown::Resend => (
            "一分钟内没有送达回执或迟到的答复，就按设置 on_unknown = resend 再发一次（共最多 5 次，不晚于过期时间；微信已明确拒绝的不再发），可能重复送达。",
            " Without a receipt or a late answer within a minute it is sent again, as the setting on_unknown = resend says (5 attempts at most, not past its time, not after a clear no): it may then arrive twice.",
        ),
    };
    lang_pick(lang, zh.to_owned(), en.to_owned())
}

/// Why the app's messages wait.
fn closed(gate: &Gate, lang: Lang) -> String {
    let why = match gate.errcode {
        0 => format!("{}{}", reason(&gate.detail, lang), lang_pick(lang, "。".into(), ".".into())),
        code => errcode::explain(code, &gate.detail, lang),
    };
    if gate.reason == store::restored::RESTORED {
        let why = crate::restored::gate_text(gate, lang);
        return lang_pick(lang, format!("排队中：{why}"), format!("Queued: {why}"));
    }
    let at = time(gate.retry_at);
    lang_pick(
        lang,
        format!("排队中：这个小程序的发送已暂停。{why}消息不会丢，{at} 起自动再试，过期前都会等待。"),
        format!(
            "Queued: sending is stopped for this app. {why} Nothing is lost: it is tried again from {at} on, until the message expires."
        ),
    )
}

fn lang_pick(lang: Lang, zh: String, en: String) -> String {
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// The reasons that `wechat`'s client and the engine give where WeChat itself said nothing, by their beginnings.
const REASONS: &[(&str, &str)] = &[
    ("no access token: ", "没有取到 access_token："),
    ("WeChat cannot be reached: ", "连不上微信："),
    ("the base address is not usable", "微信接口地址（api_base_url）不可用"),
    ("no connection: ", "没有建立连接："),
    ("the connection closed before the request was begun", "连接在发出请求前已关闭"),
    ("no answer in time", "等待答复超时"),
    ("the connection broke: ", "连接中断："),
    ("HTTP status ", "HTTP 状态码 "),
    ("the answer is too long", "答复过长"),
    ("the answer is not WeChat's JSON", "答复不是微信的 JSON"),
    ("the service ended during the call", "服务在调用过程中停止"),
    ("the stored data is unreadable", "保存的消息内容无法读取"),
    ("WeChat answered ", "微信答复 "),
    ("the database is not available", "数据库暂时不可用"),
];

/// A reason in a language; what is not known is said as it is.
pub(crate) fn reason(errmsg: &str, lang: Lang) -> String {
    if errmsg.is_empty() {
        return lang_pick(lang, "原因未记录".to_owned(), "the reason was not recorded".to_owned());
    }
    if lang == Lang::En {
        return errmsg.to_owned();
    }
    for (en, zh) in REASONS {
        if let Some(rest) = errmsg.strip_prefix(en) {
            let rest = if rest.is_empty() { String::new() } else { reason(rest, lang) };
            return format!("{zh}{rest}");
        }
    }
    errmsg.to_owned()
}

/// Why a message was not tried.
fn skipped(reason: &str, detail: &str, lang: Lang) -> String {
    let (zh, en) = match reason {
        "no_grant" => (
            "未发送：该用户没有可用的订阅次数。再次邀请订阅后可以重发。",
            "Not sent: the person has no grant left. It can be sent again once the person has subscribed anew.",
        ),
        "invalid" => (
            "未发送：这一行的收件人或内容不合要求",
            "Not sent: the recipient or the text of this line does not fit",
        ),
        "duplicate" => (
            "未发送：同一任务里已有同一人、同样内容的消息。",
            "Not sent: the same person gets the same text in this campaign already.",
        ),
        "unknown_recipient" => {
            ("未发送：没有登记这个编号的用户。", "Not sent: nobody is registered under this number.")
        }
        "not_a_guest" => (
            "未发送：小程序处于试用模式，该用户不在访客名单里。",
            "Not sent: the app is on trial, and the person is no guest.",
        ),
        _ => ("未发送。", "Not sent."),
    };
    let text = match lang {
        Lang::Zh => zh,
        Lang::En => en,
    };
    if detail.is_empty() || reason != "invalid" { text.to_owned() } else { format!("{text}（{detail}）") }
}

#[cfg(test)]
mod tests {
    use wechat::client::{CallError, NoAnswer, NotSent};

    use super::*;

    #[test]
    fn each_reason_of_the_client_is_told_in_chinese() {
        let said = [
            NotSent::BadAddress.to_string(),
            NotSent::Connect("tcp connect error".into()).to_string(),
            NotSent::Closed.to_string(),
            NoAnswer::Timeout.to_string(),
            NoAnswer::Cut("connection closed".into()).to_string(),
            NoAnswer::Http(502).to_string(),
            NoAnswer::TooLong.to_string(),
            NoAnswer::NotJson.to_string(),
            CallError::Unreachable("no answer in time".into()).to_string(),
            CallError::Http(502).to_string(),
            CallError::Malformed.to_string(),
            CallError::WeChat { errcode: 1, errmsg: "x".into() }.to_string(),
        ];
        for said in said {
            for said in [said.clone(), format!("no access token: {said}")] {
                let told = reason(&said, Lang::Zh);
                assert!(told.chars().any(|c| c > '\u{4e00}'), "{said}: {told}");
                assert!(!told.contains("the ") && !told.contains("no "), "{said}: {told}");
                assert_eq!(reason(&said, Lang::En), said);
            }
        }
        let nested = reason("no access token: WeChat cannot be reached: no answer in time", Lang::Zh);
        assert_eq!(nested, "没有取到 access_token：连不上微信：等待答复超时");
    }
}
