//! One line of the ledger. Written by the store as it is, shown by the API and the console.

use uuid::Uuid;

use crate::coded::coded;

coded! {
    /// What a ledger entry is.
    pub enum EntryKind: "ledger entry" {
        /// An accept that WeChat's event reported.
        Grant = 1, "grant";
        /// An accept that the mini program reported; negative where its event came and took its place, 0 where the
        /// event was there first.
        Report = 2, "report";
        /// Taken over from elsewhere.
        Import = 3, "import";
        /// Corrected by an operator.
        Adjust = 4, "adjust";
        /// A send that WeChat accepted.
        Spend = 5, "spend";
        /// A grant nobody had told us of, proven by an accepted send; negative where its event came late.
        Found = 6, "found";
        /// Grants that WeChat or the person took away.
        Zeroed = 7, "zeroed";
    }
}

coded! {
    /// The evidence behind an entry.
    pub enum Reason: "ledger reason" {
        /// A popup event.
        Popup = 1, "popup";
        /// The person refused in the settings (change event).
        ChangeReject = 2, "change_reject";
        /// The send call was accepted.
        Send = 3, "send";
        /// The send call answered 43101.
        Refused43101 = 4, "refused_43101";
        /// The event of a grant that had been entered as `found`.
        FoundCancelled = 5, "found_cancelled";
        /// The event of a grant that a refusal, known already, had taken.
        LateGrantAfterRefusal = 6, "late_grant_after_refusal";
        /// An operator, with a note.
        Manual = 7, "manual";
        /// An import.
        Import = 8, "import";
        /// A report of the mini program.
        Report = 9, "report";
        /// A report and an event that turned out to be one act.
        ReportConfirmed = 10, "report_confirmed";
    }
}

/// One line of the ledger of one subscriber × template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// What it adds to the balance (negative: takes).
    pub delta: i64,
    /// The balance after it.
    pub balance: i64,
    /// When the act happened, ms: CreateTime of grants and refusals, beginning of the attempt for spends, `found` and
    /// 43101, time of writing for imports and adjustments.
    pub act_at: i64,
    /// When it was written, ms.
    pub written_at: i64,
    /// The inbox row or the message it stems from.
    pub reference: Option<Uuid>,
    /// The evidence.
    pub reason: Reason,
}
