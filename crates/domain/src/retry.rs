//! What to do after the send call answered, or did not. The dispatcher classifies the answer by `wechat`'s
//! catalogue of errcodes into an [`Answer`], asks [`decide`], and carries the [`Decision`] out; reconciliation asks
//! [`OnUnknown::event`] about messages that stayed `unknown`.
//!
//! One rule stands above the table: what may have left the machine is never called refused, and nothing is tried
//! again that got no answer at all.

use crate::coded::coded;
use crate::message::{Event, Outcome};

/// What became of one call, as far as the caller can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// errcode 0.
    Ok {
        /// WeChat's number of the message, where the answer has one.
        msgid: Option<u64>,
    },
    /// No byte of the request was written: no connection, no name, no certificate.
    NotSent,
    /// 40001, 40014, 42001: the access token was not taken.
    TokenRejected,
    /// 43108: another call to the same person is under way.
    Busy,
    /// 45011: too many calls in this minute.
    MinuteLimit,
    /// −1: WeChat is busy; whether it sent the message all the same is not known.
    SystemBusy,
    /// Time-out, cut connection, 5xx, or an answer that is not JSON, once a byte of the request was written.
    NoAnswer,
    /// 43101: no usable grant.
    NoGrant,
    /// This message will never be taken (47003, 40003, 45168 …).
    Permanent,
    /// The app or its set-up is at fault (40013, 40164, 43107, 48001 …).
    Configuration,
    /// 45009: the day's quota is used up.
    Quota,
}

/// What is known of the message's attempts when an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// How many attempts there were, this one included: at least 1.
    pub attempts: u32,
    /// Whether an earlier attempt may have been carried out ([`Position::is_ambiguous`](crate::message::Position)).
    pub ambiguous_before: bool,
    /// Whether the token was already refreshed on behalf of this message.
    pub token_refreshed: bool,
    /// Whether somebody cancelled the message while the call was under way.
    pub cancel_requested: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The message has its outcome: [`Event::Answered`].
    Settle(Outcome),
    /// Try again: [`Event::RetryAmbiguous`] where `ambiguous`, else [`Event::RetryLater`] (which cancels the message
    /// where a cancel was requested).
    Retry {
        /// How long to wait, ms; at least.
        after_ms: i64,
        /// Whether this attempt may have been carried out.
        ambiguous: bool,
        /// Whether the access token that was used must be replaced first.
        refresh_token: bool,
    },
    /// Nothing of the app can be sent for now: close its gate; the message goes back to its queue
    /// ([`Event::RetryLater`]).
    CloseGate {
        /// Which gate.
        gate: Gate,
    },
}

coded! {
    /// Why an app's sends are stopped.
    pub enum Gate: "gate" {
        /// Wrong configuration: an alarm with the remedy; probed again within a minute.
        Configuration = 1, "configuration";
        /// The day's quota is used up: closed until the reset.
        Quota = 2, "quota";
    }
}

/// The waiting times and limits of retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// After how many attempts a −1 is no longer tried again.
    pub max_attempts: u32,
    /// The longest wait after the first attempt, ms; doubled with each further attempt.
    pub base_ms: i64,
    /// Where the doubling ends, ms.
    pub cap_ms: i64,
    /// As `base_ms`, after 43108.
    pub busy_ms: i64,
    /// Where the doubling ends after 43108, ms.
    pub busy_cap_ms: i64,
    /// The shortest wait after 45011, ms; up to a tenth is added, so that the calls do not come back all at once.
    pub minute_ms: i64,
}

impl Default for RetryPolicy {
    /// Five attempts at −1; 2 s doubling to 5 min; 43108 0.5 s doubling to 30 s; 45011 60 to 66 s.
    fn default() -> Self {
        RetryPolicy {
            max_attempts: 5,
            base_ms: 2_000,
            cap_ms: 300_000,
            busy_ms: 500,
            busy_cap_ms: 30_000,
            minute_ms: 60_000,
        }
    }
}

/// Decides what an answer means. `random` is any 32 random bits; they spread the waiting times (full range of `u32`:
/// from half the wait to all of it).
///
/// | answer | decision |
/// |---|---|
/// | ok | accepted |
/// | not sent | retry with back-off, until the message expires |
/// | token rejected | refresh, retry at once; the second time the app's gate is closed |
/// | 43108 | retry shortly |
/// | 45011 | retry in the next minute |
/// | −1 | retry with back-off, ambiguous; from `max_attempts` on, or after a cancel, unknown |
/// | no answer | unknown |
/// | 43101 | refused; after an ambiguous attempt unknown |
/// | permanent | failed; after an ambiguous attempt unknown |
/// | configuration, quota | the app's gate is closed, the message stays queued |
///
/// A cancel forbids each retry. Where an earlier attempt may have been carried out the message is `unknown` then;
/// otherwise the retry is returned all the same, and [`Event::RetryLater`] makes it a cancelled message.
pub fn decide(answer: Answer, tried: &Tried, policy: &RetryPolicy, random: u32) -> Decision {
    let retry = |after_ms| Decision::Retry { after_ms, ambiguous: false, refresh_token: false };
    let decision = match answer {
        Answer::Ok { msgid } => Decision::Settle(Outcome::Accepted { msgid }),
        Answer::NoAnswer => Decision::Settle(Outcome::Unknown),
        // The grant may have gone into the attempt that got no clear answer.
        Answer::NoGrant if tried.ambiguous_before => Decision::Settle(Outcome::Unknown),
        Answer::NoGrant => Decision::Settle(Outcome::Refused),
        // What WeChat will not take now (a template deleted meanwhile) it may have taken before.
        Answer::Permanent if tried.ambiguous_before => Decision::Settle(Outcome::Unknown),
        Answer::Permanent => Decision::Settle(Outcome::Failed),
        Answer::SystemBusy if tried.attempts >= policy.max_attempts || tried.cancel_requested => {
            Decision::Settle(Outcome::Unknown)
        }
        Answer::SystemBusy => Decision::Retry {
            after_ms: back_off(policy.base_ms, policy.cap_ms, tried.attempts, random),
            ambiguous: true,
            refresh_token: false,
        },
        Answer::NotSent => retry(back_off(policy.base_ms, policy.cap_ms, tried.attempts, random)),
        Answer::Busy => retry(back_off(policy.busy_ms, policy.busy_cap_ms, tried.attempts, random)),
        Answer::MinuteLimit => {
            let minute = policy.minute_ms.max(0);
            retry(minute.saturating_add(share(minute / 10, random)))
        }
        Answer::TokenRejected if tried.token_refreshed => Decision::CloseGate { gate: Gate::Configuration },
        Answer::TokenRejected => Decision::Retry { after_ms: 0, ambiguous: false, refresh_token: true },
        Answer::Configuration => Decision::CloseGate { gate: Gate::Configuration },
        Answer::Quota => Decision::CloseGate { gate: Gate::Quota },
    };
    match decision {
        // The gate must close all the same: that is about the app, not about this message. `RetryLater` knows.
        Decision::Retry { .. } if tried.cancel_requested && tried.ambiguous_before => {
            Decision::Settle(Outcome::Unknown)
        }
        other => other,
    }
}

/// The wait after the given number of attempts: `base` doubled with each attempt after the first, at most `cap`, of
/// which chance takes away up to half. With the same `random` it never falls as the attempts rise.
fn back_off(base: i64, cap: i64, attempts: u32, random: u32) -> i64 {
    // 2^32 ms are seven weeks: no cap lies beyond, and the shift cannot overflow.
    let doublings = attempts.saturating_sub(1).min(32);
    let longest = base.max(0).saturating_mul(1_i64 << doublings).min(cap.max(0));
    longest - longest / 2 + share(longest / 2, random)
}

/// `random / 2^32` of `whole`, rounded down.
fn share(whole: i64, random: u32) -> i64 {
    let part = (i128::from(whole) * i128::from(random)) >> 32;
    // A share of an i64 is an i64; the fall-back is never taken.
    i64::try_from(part).unwrap_or(whole)
}

coded! {
    /// What an app does with a message that stayed `unknown`.
    pub enum OnUnknown: "policy for unknown messages" {
        /// Waits for evidence or an operator. The default: nothing is sent twice.
        Hold = 1, "hold";
        /// Sends it again, at the risk of a second copy.
        Resend = 2, "resend";
        /// Ends it as failed.
        GiveUp = 3, "give_up";
    }
}

/// How long a message stays `unknown` before its app's policy acts, ms. Receipts come within seconds, and a late answer
/// is listened for half as long as this.
pub const UNKNOWN_GRACE: i64 = 60_000;

/// What is known of a message that stayed `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unresolved {
    /// The attempts made so far.
    pub attempts: u32,
    /// Whether the last of them was answered all the same, by a clear no (43101 after a −1).
    pub refused_since: bool,
    /// Whether somebody cancelled the message.
    pub cancel_requested: bool,
    /// Whether its time is over.
    pub expired: bool,
}

impl OnUnknown {
    /// What happens by itself to a message that stayed `unknown`; `None` leaves it to evidence and operators.
    ///
    /// A resend ends where the retries of −1 end, so that a message whose every attempt is left without an answer is not
    /// sent for ever. Nothing is resent that was cancelled meanwhile, whose time is over, or to which WeChat has said no
    /// since: asked once more it would say no again.
    pub const fn event(self, message: Unresolved, policy: &RetryPolicy) -> Option<Event> {
        let Unresolved { attempts, refused_since, cancel_requested, expired } = message;
        match self {
            OnUnknown::GiveUp => Some(Event::GiveUp),
            OnUnknown::Resend
                if attempts < policy.max_attempts && !refused_since && !cancel_requested && !expired =>
            {
                Some(Event::Resend)
            }
            OnUnknown::Hold | OnUnknown::Resend => None,
        }
    }
}

#[cfg(test)]
mod tests;
