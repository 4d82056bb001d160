//! A message as everybody is shown it: API, console, command line.

use std::collections::BTreeMap;

use domain::Millis;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use store::gates::Gate;
use store::messages::StoredMessage;
use wechat::Lang;
use wechat::errcode::{self, Class};

use crate::{App, explanation};

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
    /// The campaign that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<String>,
    /// Why it ended without an attempt, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
    /// Shows a stored message in a language; `gate` is the app's, where it is closed.
    pub fn new(app: &App, stored: StoredMessage, gate: Option<&Gate>, lang: Lang) -> Self {
        let explanation = explanation::of(app, &stored, gate, lang);
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
                    // A clear no is clear, though the attempt before it was not.
                    ambiguous: attempt.ambiguous
                        && attempt.errcode.is_none_or(|code| errcode::class(code) == Class::Ambiguous),
                })
                .collect(),
            msgid: stored.msgid.map(|msgid| msgid.to_string()),
            errcode: stored.errcode,
            campaign_id: stored.campaign.map(|id| id.to_string()),
            reason: stored.reason,
            explanation,
            receipt: stored.receipt.map(|receipt| ReceiptView {
                at: time(receipt.at),
                error_code: receipt.error_code,
                error_status: receipt.error_status,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_carry_an_offset() {
        assert_eq!(super::time(1_686_131_943_000), "2023-06-07T17:59:03.000+08:00");
    }
}
