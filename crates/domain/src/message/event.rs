//! What can happen to a message. The dispatcher, the receipts, the scheduler and the service speak to
//! [`transition`](super::transition) in these words.

use crate::coded::coded;

/// What the send call answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// WeChat took the message.
    Accepted {
        /// WeChat's number of the message, which its receipt carries too; not every app's answers have one.
        msgid: Option<u64>,
    },
    /// 43101: no usable grant.
    Refused,
    /// A permanent error of this message.
    Failed,
    /// The request may have been carried out; no answer says whether.
    Unknown,
}

impl Outcome {
    /// The outcome without its msgid, as the store keeps it.
    pub const fn kind(self) -> OutcomeKind {
        match self {
            Outcome::Accepted { .. } => OutcomeKind::Accepted,
            Outcome::Refused => OutcomeKind::Refused,
            Outcome::Failed => OutcomeKind::Failed,
            Outcome::Unknown => OutcomeKind::Unknown,
        }
    }
}

coded! {
    /// The kind of an [`Outcome`], as stored.
    pub enum OutcomeKind: "outcome" {
        /// WeChat took the message.
        Accepted = 1, "accepted";
        /// 43101: no usable grant.
        Refused = 2, "refused";
        /// A permanent error of this message.
        Failed = 3, "failed";
        /// The request may have been carried out.
        Unknown = 4, "unknown";
    }
}

coded! {
    /// What WeChat's sent event said of the delivery.
    pub enum Receipt: "receipt" {
        /// It arrived.
        Delivered = 1, "delivered";
        /// WeChat's own delivery failed.
        Undelivered = 2, "undelivered";
    }
}

/// Something that happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The time of a scheduled message has come.
    Due,
    /// The dispatcher made an attempt durable and is about to call.
    Arm,
    /// The call of the present attempt ended with this outcome.
    Answered(Outcome),
    /// The call was certainly not carried out (not sent, 43108, 45011, a rejected token, a gate that closed): again
    /// later.
    RetryLater,
    /// The call may have been carried out (−1), and is to be tried again all the same. From here on the message
    /// may have been sent, so that it can no longer end as one that certainly was not.
    RetryAmbiguous,
    /// The node stops before the call was made: back into the queue.
    GivenBack,
    /// WeChat's sent event was matched to this message.
    ReceiptArrived(Receipt),
    /// Somebody cancels the message or its campaign.
    Cancel,
    /// `expire_at` has passed.
    Expire,
    /// The message is not to be tried: no grant, not on the trial list, not an openid.
    Skip,
    /// The template was changed or deleted, so that the message's data no longer fits it.
    TemplateChanged,
    /// The answer of an attempt that is settled as `unknown`: it came after the call's time was over, or from an owner
    /// that lost the lane meanwhile.
    LateAnswer(Outcome),
    /// An operator, or the policy `resend`, wants a new attempt of the same message.
    Resend,
    /// The policy `give_up` ends an `unknown` that no evidence resolved.
    GiveUp,
    /// The row was left in `sending` by an owner of an older epoch.
    OwnerLost,
}

impl Event {
    /// Every event once, with each outcome and receipt; msgids are left out.
    pub const ALL: &'static [Event] = &[
        Event::Due,
        Event::Arm,
        Event::Answered(Outcome::Accepted { msgid: None }),
        Event::Answered(Outcome::Refused),
        Event::Answered(Outcome::Failed),
        Event::Answered(Outcome::Unknown),
        Event::RetryLater,
        Event::RetryAmbiguous,
        Event::GivenBack,
        Event::ReceiptArrived(Receipt::Delivered),
        Event::ReceiptArrived(Receipt::Undelivered),
        Event::Cancel,
        Event::Expire,
        Event::Skip,
        Event::TemplateChanged,
        Event::LateAnswer(Outcome::Accepted { msgid: None }),
        Event::LateAnswer(Outcome::Refused),
        Event::LateAnswer(Outcome::Failed),
        Event::LateAnswer(Outcome::Unknown),
        Event::Resend,
        Event::GiveUp,
        Event::OwnerLost,
    ];

    /// The event as a word, for documents, logs and [`Refusal`](super::Refusal).
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Due => "due",
            Event::Arm => "arm",
            Event::Answered(Outcome::Accepted { .. }) => "answered_accepted",
            Event::Answered(Outcome::Refused) => "answered_refused",
            Event::Answered(Outcome::Failed) => "answered_failed",
            Event::Answered(Outcome::Unknown) => "answered_unknown",
            Event::RetryLater => "retry_later",
            Event::RetryAmbiguous => "retry_ambiguous",
            Event::GivenBack => "given_back",
            Event::ReceiptArrived(Receipt::Delivered) => "receipt_delivered",
            Event::ReceiptArrived(Receipt::Undelivered) => "receipt_undelivered",
            Event::Cancel => "cancel",
            Event::Expire => "expire",
            Event::Skip => "skip",
            Event::TemplateChanged => "template_changed",
            Event::LateAnswer(Outcome::Accepted { .. }) => "late_accepted",
            Event::LateAnswer(Outcome::Refused) => "late_refused",
            Event::LateAnswer(Outcome::Failed) => "late_failed",
            Event::LateAnswer(Outcome::Unknown) => "late_unknown",
            Event::Resend => "resend",
            Event::GiveUp => "give_up",
            Event::OwnerLost => "owner_lost",
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
