//! Happening is counted by the hour: the numbers that pages of totals show. Used by the store, which counts, and the service, which
//! shows.

use crate::coded::coded;
use crate::message::State;

coded! {
    /// Happening is counted. The codes are stored; they never change their meaning.
    pub enum Happening: "count" {
        /// WeChat took a message (its first acceptance).
        Sent = 1, "sent";
        /// A receipt said that it arrived.
        Delivered = 2, "delivered";
        /// A receipt said that it did not.
        Undelivered = 3, "undelivered";
        /// 43101.
        Refused = 4, "refused";
        /// It failed for good.
        Failed = 5, "failed";
        /// Nobody knows; it may have been counted as something else later.
        Unknown = 6, "unknown";
        /// Its time was over.
        Expired = 7, "expired";
        /// An accept in the popup: a grant, where the template is a one-time one.
        Accept = 20, "accept";
        /// A refusal in the popup.
        Reject = 21, "reject";
        /// Switched off in the settings or on the card.
        SwitchOff = 22, "switch_off";
        /// A callback that took effect.
        CallbackApplied = 40, "callback_applied";
        /// One that came before.
        CallbackDuplicate = 41, "callback_duplicate";
        /// One of a kind that is not used.
        CallbackIgnored = 42, "callback_ignored";
        /// One that was set aside.
        CallbackQuarantined = 43, "callback_quarantined";
    }
}

impl Happening {
    /// Happening a move of a message counts as.
    pub fn of(before: State, after: State) -> impl Iterator<Item = Self> {
        let with_wechat = |state| matches!(state, State::Accepted | State::Delivered | State::Undelivered);
        let sent = (with_wechat(after) && !with_wechat(before)).then_some(Self::Sent);
        let ended = match after {
            State::Delivered => Some(Self::Delivered),
            State::Undelivered => Some(Self::Undelivered),
            State::Refused => Some(Self::Refused),
            State::Failed => Some(Self::Failed),
            State::Unknown => Some(Self::Unknown),
            State::Expired => Some(Self::Expired),
            _ => None,
        };
        sent.into_iter().chain(ended)
    }
}
