//! The twelve states of a message and the three lists of a finished campaign. Used by everything that shows, counts
//! or stores messages.

use crate::coded::coded;

coded! {
    /// Where a message stands. The codes are stored; they never change their meaning.
    pub enum State: "message state" {
        /// Waits for its time.
        Scheduled = 1, "scheduled";
        /// Ready: the dispatcher takes it when its queue's gates are open.
        Queued = 2, "queued";
        /// An attempt is durable; its call is about to start, under way, or was cut off by a crash.
        Sending = 3, "sending";
        /// WeChat took it; no receipt yet.
        Accepted = 4, "accepted";
        /// The receipt says it arrived.
        Delivered = 5, "delivered";
        /// WeChat took it, and its receipt says that the delivery failed.
        Undelivered = 6, "undelivered";
        /// 43101: no usable grant. An outcome, not an error.
        Refused = 7, "refused";
        /// Never to be delivered as it is: WeChat said so, the template changed, or `unknown` was given up.
        Failed = 8, "failed";
        /// The request may have left the machine, and nobody knows what became of it.
        Unknown = 9, "unknown";
        /// Its time was over before it was sent.
        Expired = 10, "expired";
        /// Cancelled before it was sent.
        Cancelled = 11, "cancelled";
        /// Not tried: no grant, not on the trial list, not an openid.
        Skipped = 12, "skipped";
    }
}

coded! {
    /// The three lists that a finished campaign ends in.
    pub enum List: "result list" {
        /// Accepted or delivered.
        Sent = 1, "sent";
        /// Did not arrive and, as the message stands, never will.
        NotSent = 2, "not_sent";
        /// May have arrived.
        Unknown = 3, "unknown";
    }
}

impl State {
    /// Whether the message still reserves a grant of its recipient: it may yet be sent, or may have been.
    pub const fn is_open(self) -> bool {
        matches!(self, State::Scheduled | State::Queued | State::Sending | State::Unknown)
    }

    /// Whether what became of the message is certain. Only evidence (a receipt, a late answer) or an explicit resend
    /// changes a settled state. `unknown` is not settled, though nothing need happen to it by itself: to ask
    /// whether the work on a message is over for now, use [`State::list`].
    pub const fn is_settled(self) -> bool {
        !self.is_open()
    }

    /// The result list the state belongs to, or `None` while there is still work to do (`scheduled`, `queued`,
    /// `sending`). A campaign is finished when each of its messages has a list.
    pub const fn list(self) -> Option<List> {
        match self {
            State::Scheduled | State::Queued | State::Sending => None,
            State::Accepted | State::Delivered => Some(List::Sent),
            State::Unknown => Some(List::Unknown),
            State::Undelivered
            | State::Refused
            | State::Failed
            | State::Expired
            | State::Cancelled
            | State::Skipped => Some(List::NotSent),
        }
    }
}
