//! What can happen to somebody's grants, and why it may not be applied. The applier of the inbox, the dispatcher and
//! the service speak to an [`Account`](super::Account) in these words.

/// Something that happened to the grants of one person. All times are milliseconds; those of events are the event's
/// CreateTime × 1000, those of attempts the beginning of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// An accept in the popup.
    Grant {
        /// CreateTime, ms.
        at: i64,
    },
    /// An accept that the mini program reports, and no event yet. It counts until the event of the same act takes its
    /// place; a report whose event came first adds nothing. One report and one event belong together when they lie
    /// within two minutes of each other.
    Report {
        /// When the report was received, ms.
        at: i64,
    },
    /// A refusal in the popup: sets the status, takes nothing.
    PopupReject {
        /// CreateTime, ms.
        at: i64,
    },
    /// A refusal in the settings: takes the grants won up to and including its second.
    ChangeReject {
        /// CreateTime, ms.
        at: i64,
    },
    /// WeChat accepted a send.
    Accepted {
        /// Beginning of the attempt, ms.
        attempt_at: i64,
    },
    /// WeChat answered 43101: nothing granted before the attempt was usable.
    Refused43101 {
        /// Beginning of the attempt, ms.
        attempt_at: i64,
    },
    /// Grants taken over from elsewhere; makes the balance unverified, also with a count of 0.
    Import {
        /// How many.
        count: u32,
    },
    /// An operator's correction; takes at most what is there.
    Adjust {
        /// How many to add, or (negative) to take.
        delta: i64,
    },
}

/// Why a change was not applied; the account is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The change is older than the newest grant (or may explain a `found`): load the entries, then apply it again.
    #[error("this change needs the earlier ledger entries")]
    NeedsPast,
    /// The adjustment would change nothing: it is 0, or takes from a balance of 0.
    #[error("the adjustment would change nothing")]
    NothingToAdjust,
    /// Long-term templates have a status and nothing to count.
    #[error("a long-term template has no grants to import or adjust")]
    NothingToCount,
}
