//! Fault scripts: the bodies of `/_sim/apps/{appid}/faults`, what a script file holds, and the log of what
//! happened. Used by the control API, `hongyan simulator`, the phone page and tests.

use serde::{Deserialize, Serialize};

/// What shall go wrong, in rules. Of the rules that concern a call the first that strikes decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScript {
    /// Decides every `probability`; drawn from the simulator's entropy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(default)]
    pub rules: Vec<FaultRule>,
}

/// On which call, for whom, how often, and what happens.
///
/// How often: one of `probability`, `every`, `next`, `from`/`to`; none of them is each time. They count the
/// calls that the rule concerns and that no rule before it took, from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    pub on: FaultOn,
    pub fault: FaultKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// Of pushes: the event's name (`text` is a chat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Every Nth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// The next N, then never again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// From the Nth on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Up to the Mth, with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Whether the call takes effect all the same; see [`FaultKind`] for what holds when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<bool>,
    /// For [`FaultKind::Errcode`] (-1 when absent) and [`FaultKind::Undelivered`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errcode: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errmsg: Option<String>,
    /// For [`FaultKind::HttpStatus`] (503 when absent) and [`FaultKind::Html`] (200 when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A pause after the effect and before whatever happens then; for pushes before the push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// For [`FaultKind::Duplicate`], [`FaultKind::Reorder`] and [`FaultKind::RetryAnyway`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// For [`FaultKind::HalfBody`]: cut in a chunked body, instead of before Content-Length is reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chunked: bool,
}

impl FaultRule {
    /// Each time, for everybody.
    pub fn new(on: FaultOn, fault: FaultKind) -> Self {
        Self {
            on,
            fault,
            openid: None,
            template_id: None,
            event: None,
            probability: None,
            every: None,
            next: None,
            from: None,
            to: None,
            effect: None,
            errcode: None,
            errmsg: None,
            status: None,
            delay_ms: None,
            times: None,
            chunked: false,
        }
    }
}

/// WeChat's calls by their names, groups of them, and its pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultOn {
    Send,
    Token,
    StableToken,
    /// Both token calls.
    Tokens,
    Jscode2session,
    Gettemplate,
    Addtemplate,
    Deltemplate,
    Getcategory,
    Getpubtemplatetitles,
    Getpubtemplatekeywords,
    QuotaGet,
    ClearQuota,
    RidGet,
    CallbackCheck,
    Getcallbackip,
    GetApiDomainIp,
    /// Every call of WeChat's API.
    AnyCall,
    /// `subscribe_msg_sent_event`.
    Receipt,
    /// Every push, receipts too.
    Push,
}

impl FaultOn {
    pub fn is_push(self) -> bool {
        matches!(self, Self::Receipt | Self::Push)
    }

    /// Whether a rule on `self` concerns this call or push.
    pub(crate) fn covers(self, what: Self) -> bool {
        self == what
            || match self {
                Self::Tokens => matches!(what, Self::Token | Self::StableToken),
                Self::AnyCall => !what.is_push(),
                Self::Push => what == Self::Receipt,
                _ => false,
            }
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Of calls: this `errcode`, without effect unless `effect`.
    Errcode,
    /// Of calls: the right answer, `delay_ms` late. Of pushes: `delay_ms` late.
    Latency,
    /// The connection is cut with nothing answered, before the body was read; never with effect.
    CutBeforeBody,
    /// The connection is cut with nothing answered, after the body was read; with effect unless `effect` is false.
    CutAfterBody,
    /// This HTTP `status` with a plain text; without effect unless `effect`.
    HttpStatus,
    /// An HTML page instead of JSON; without effect unless `effect`.
    Html,
    /// Half of the answer, then the connection is cut; with effect unless `effect` is false.
    HalfBody,
    /// No answer, or only after `delay_ms`; with effect unless `effect` is false.
    Hang,
    /// All access tokens of the app become invalid, before the call is looked at.
    RevokeTokens,
    /// Of sends and receipts: no msgid.
    MsgidAbsent,
    /// Of sends: a msgid, also where the app's answers have none.
    MsgidPresent,
    /// Of sends: the msgid as a text.
    MsgidText,
    /// Of calls: no errcode and errmsg where all is well.
    ErrcodeAbsent,
    /// Pushed `times` times (2 when absent), `delay_ms` apart, freshly encrypted.
    Duplicate,
    /// Held until `times` (1 when absent) later pushes were made, at most `delay_ms` (2,000 when absent).
    Reorder,
    /// Never pushed.
    Lost,
    /// Of receipts: pushed before the send call is answered.
    Overtake,
    /// Of receipts: with another MsgID.
    MsgidOther,
    /// Of receipts: says that the delivery failed, with `errcode` and `errmsg`.
    Undelivered,
    /// Tried again although answered well, `times` times (the usual tries when absent).
    RetryAnyway,
}

impl FaultKind {
    /// As in a script.
    pub fn name(self) -> &'static str {
        match self {
            Self::Errcode => "errcode",
            Self::Latency => "latency",
            Self::CutBeforeBody => "cut_before_body",
            Self::CutAfterBody => "cut_after_body",
            Self::HttpStatus => "http_status",
            Self::Html => "html",
            Self::HalfBody => "half_body",
            Self::Hang => "hang",
            Self::RevokeTokens => "revoke_tokens",
            Self::MsgidAbsent => "msgid_absent",
            Self::MsgidPresent => "msgid_present",
            Self::MsgidText => "msgid_text",
            Self::ErrcodeAbsent => "errcode_absent",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Lost => "lost",
            Self::Overtake => "overtake",
            Self::MsgidOther => "msgid_other",
            Self::Undelivered => "undelivered",
            Self::RetryAnyway => "retry_anyway",
        }
    }
}

/// `GET /_sim/apps/{appid}/faults`: the script in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultsView {
    /// The one in use, also where the script has none.
    pub seed: u64,
    pub rules: Vec<FaultRule>,
    /// One for each rule.
    pub states: Vec<RuleState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleState {
    /// Calls that the rule concerned and no rule before it took.
    pub seen: u64,
    /// How often it struck.
    pub fired: u64,
}

/// One fault that happened, newest first in lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultEntry {
    pub at: i64,
    pub on: FaultOn,
    pub fault: FaultKind,
    /// Which rule, from 0.
    pub rule: usize,
    pub openid: Option<String>,
    pub template_id: Option<String>,
    /// Of a send that took effect.
    pub msgid: Option<String>,
    /// Whether the call took effect; none for pushes.
    pub effect: Option<bool>,
    /// Whether the caller is left without knowing.
    pub ambiguous: bool,
    /// The caller went away while it waited; the second entry of that fault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hung_up: bool,
}
