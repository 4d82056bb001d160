//! Applies what happened to the grants of one person. The applier of the inbox and the dispatcher make one
//! [`Account`] per subscriber × template and batch; the store writes what comes out.

use uuid::Uuid;

use super::live::Live;
use super::past::{self, SAME_ACT_MS};
use super::{Change, Entry, EntryKind, LedgerError, Reason, Status, Subscription, TemplateKind};

/// The grants of one subscriber × template while changes are applied to them.
#[derive(Debug, Clone)]
pub struct Account {
    subscription: Subscription,
    kind: TemplateKind,
    past: Option<Vec<Entry>>,
    new: Vec<Entry>,
}

/// What all entries of one change share.
#[derive(Clone, Copy)]
struct Evidence {
    written_at: i64,
    reference: Option<Uuid>,
}

impl Account {
    /// Opens the account of a subscription as stored; `Subscription::default()` where there is no record.
    pub fn new(subscription: Subscription, template: TemplateKind) -> Self {
        Account { subscription, kind: template, past: None, new: Vec::new() }
    }

    /// Whether `change` can be applied only with the earlier entries. Almost always false: events come in order, and
    /// what is not older than the newest grant concerns all grants alike.
    pub fn needs_past(&self, change: &Change) -> bool {
        let now = &self.subscription;
        if self.kind == TemplateKind::LongTerm || self.past.is_some() {
            return false;
        }
        match *change {
            // Whether it explains a `found` depends on when that was. An accept soon after another, or older than it,
            // may be the act that was reported, the other way about too.
            Change::Grant { at } | Change::Report { at } => {
                now.found_open > 0
                    || now.last_grant_at > 0 && at.saturating_sub(SAME_ACT_MS) <= now.last_grant_at
            }
            Change::ChangeReject { at } => now.balance > 0 && at > now.refused_at && at < now.last_grant_at,
            Change::Refused43101 { attempt_at } => now.balance > 0 && attempt_at < now.last_grant_at,
            _ => false,
        }
    }

    /// Hands over the entries stored before this account was opened, oldest first. The oldest may be missing
    /// (retention): what they left over counts as the oldest grants.
    pub fn load_past(&mut self, entries: Vec<Entry>) {
        self.past = Some(entries);
    }

    /// Applies one change. `written_at` (ms) and `reference` (inbox row or message) go into the entries.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is changed then.
    pub fn apply(
        &mut self,
        change: Change,
        written_at: i64,
        reference: Option<Uuid>,
    ) -> Result<(), LedgerError> {
        if self.needs_past(&change) {
            return Err(LedgerError::NeedsPast);
        }
        let evidence = Evidence { written_at, reference };
        if self.kind == TemplateKind::LongTerm {
            return self.apply_long_term(change);
        }
        match change {
            Change::Grant { at } => self.grant(at, evidence),
            Change::Report { at } => self.report(at, evidence),
            Change::PopupReject { at } => {
                self.first_event();
                self.status(Status::Reject, at);
            }
            Change::ChangeReject { at } => self.change_reject(at, evidence),
            Change::Accepted { attempt_at } => self.accepted(attempt_at, evidence),
            Change::Refused43101 { attempt_at } => {
                self.zero(attempt_at, Reason::Refused43101, evidence);
                self.subscription.known = true;
            }
            Change::Import { count } => {
                if count > 0 {
                    self.won(written_at);
                    self.write(EntryKind::Import, i64::from(count), written_at, Reason::Import, evidence);
                }
                self.subscription.known = false;
            }
            Change::Adjust { delta } => self.adjust(delta, evidence)?,
        }
        Ok(())
    }

    /// The subscription with everything applied so far.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// The entries to be written, oldest first. A change may make none (a popup reject) or two.
    pub fn new_entries(&self) -> &[Entry] {
        &self.new
    }

    /// Gives back the subscription and the entries to be written.
    pub fn into_parts(self) -> (Subscription, Vec<Entry>) {
        (self.subscription, self.new)
    }

    fn apply_long_term(&mut self, change: Change) -> Result<(), LedgerError> {
        match change {
            Change::Grant { at } => self.status(Status::Accept, at),
            Change::PopupReject { at } | Change::ChangeReject { at } => self.status(Status::Reject, at),
            // A report is no proof: only events set the status.
            Change::Report { .. } | Change::Accepted { .. } | Change::Refused43101 { .. } => {}
            Change::Import { .. } | Change::Adjust { .. } => return Err(LedgerError::NothingToCount),
        }
        Ok(())
    }

    fn grant(&mut self, at: i64, evidence: Evidence) {
        self.first_event();
        self.status(Status::Accept, at);
        let Some(reported_at) = past::open_report(self.entries(), at) else {
            return self.win(EntryKind::Grant, at, Reason::Popup, evidence);
        };
        // The event takes the place of its report. Where the report's grant was spent or taken meanwhile that holds
        // for the event's too; where it is still there the event's own time decides anew.
        let still_there = Live::replay(self.entries()).has(reported_at);
        self.won(at);
        self.write(EntryKind::Grant, 1, at, Reason::Popup, evidence);
        self.write(EntryKind::Report, -1, reported_at, Reason::ReportConfirmed, evidence);
        if still_there {
            self.settle_late(at, evidence);
        }
    }

    fn report(&mut self, at: i64, evidence: Evidence) {
        self.first_event();
        match past::unreported_grant(self.entries(), at) {
            // Kept as evidence, and so that the next report is not taken for the same act.
            Some(won_at) => self.write(EntryKind::Report, 0, won_at, Reason::ReportConfirmed, evidence),
            None => self.win(EntryKind::Report, at, Reason::Report, evidence),
        }
    }

    fn win(&mut self, kind: EntryKind, at: i64, reason: Reason, evidence: Evidence) {
        self.won(at);
        self.write(kind, 1, at, reason, evidence);
        self.settle_late(at, evidence);
    }

    /// What is already known to have become of the grant just written: it was spent by a send that had to `find` it,
    /// or taken by a refusal.
    fn settle_late(&mut self, at: i64, evidence: Evidence) {
        let refused_at = self.subscription.refused_at;
        if let Some(attempt_at) = self.found_that_waits_for(at) {
            self.subscription.found_open -= 1;
            self.write(EntryKind::Found, -1, attempt_at, Reason::FoundCancelled, evidence);
        } else if at <= refused_at {
            self.write(EntryKind::Zeroed, -1, refused_at, Reason::LateGrantAfterRefusal, evidence);
        }
    }

    fn change_reject(&mut self, at: i64, evidence: Evidence) {
        self.first_event();
        self.status(Status::Reject, at);
        // What an older refusal would take, a later one, known already, has taken.
        if at > self.subscription.refused_at {
            self.zero(at, Reason::ChangeReject, evidence);
            self.subscription.refused_at = at;
            // Of an imported balance nothing is left to be unsure of.
            self.subscription.known |= self.subscription.balance == 0;
        }
    }

    fn accepted(&mut self, attempt_at: i64, evidence: Evidence) {
        if self.subscription.balance == 0 {
            self.subscription.found_open = self.subscription.found_open.saturating_add(1);
            self.write(EntryKind::Found, 1, attempt_at, Reason::Send, evidence);
        }
        self.write(EntryKind::Spend, -1, attempt_at, Reason::Send, evidence);
    }

    fn adjust(&mut self, delta: i64, evidence: Evidence) -> Result<(), LedgerError> {
        let balance = self.subscription.balance;
        let delta = balance.saturating_add(delta).max(0) - balance;
        if delta == 0 {
            return Err(LedgerError::NothingToAdjust);
        }
        if delta > 0 {
            self.won(evidence.written_at);
        }
        self.write(EntryKind::Adjust, delta, evidence.written_at, Reason::Manual, evidence);
        Ok(())
    }

    /// Takes what was won up to and including `time`.
    ///
    /// CreateTime knows seconds only, so a grant of the very second in which an attempt began counts as won before
    /// it: a 43101 then leaves a known 0 rather than a grant that WeChat has just denied.
    fn zero(&mut self, time: i64, reason: Reason, evidence: Evidence) {
        let balance = self.subscription.balance;
        let left = if time >= self.subscription.last_grant_at {
            0
        } else {
            Live::replay(self.entries()).won_after(time).min(balance)
        };
        if left < balance {
            self.write(EntryKind::Zeroed, left - balance, time, reason, evidence);
        }
    }

    /// The attempt of the `found` entry that a grant won at `at` explains, if there is one: the earliest attempt after
    /// the grant. A grant that a refusal took before that attempt cannot have paid for it.
    fn found_that_waits_for(&self, at: i64) -> Option<i64> {
        if self.subscription.found_open <= 0 {
            return None;
        }
        let refused_at = self.subscription.refused_at;
        let open = past::open_found(self.entries());
        open.into_iter().filter(|&attempt| at < attempt && (at > refused_at || attempt <= refused_at)).min()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.past.iter().flatten().chain(&self.new)
    }

    /// Whoever is first seen through an event has no grants that we do not know of.
    fn first_event(&mut self) {
        if self.subscription == Subscription::default() {
            self.subscription.known = true;
        }
    }

    /// The status is that of the event with the latest CreateTime; within one second, of the one that came last.
    fn status(&mut self, status: Status, at: i64) {
        if at >= self.subscription.status_at {
            self.subscription.status = status;
            self.subscription.status_at = at;
        }
    }

    fn won(&mut self, at: i64) {
        self.subscription.last_grant_at = self.subscription.last_grant_at.max(at);
    }

    fn write(&mut self, kind: EntryKind, delta: i64, act_at: i64, reason: Reason, evidence: Evidence) {
        let balance = self.subscription.balance.saturating_add(delta);
        // What is written is what the balance really moved, even at the end of the number range.
        let delta = balance - self.subscription.balance;
        self.subscription.balance = balance;
        self.new.push(Entry {
            kind,
            delta,
            balance,
            act_at,
            written_at: evidence.written_at,
            reference: evidence.reference,
            reason,
        });
    }
}
