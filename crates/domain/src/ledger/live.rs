//! Which grants are left, by the time they were won: read off the entries. Used by `account` where an act is older
//! than the newest grant.

use std::collections::BTreeMap;

use super::{Entry, EntryKind, Reason};

/// The grants left: how many, by `act_at`. Spends and refusals take the oldest first.
pub(super) struct Live {
    grants: BTreeMap<i64, i64>,
}

impl Live {
    /// Replays entries, oldest first. Where the oldest were deleted by retention, what they left counts as older
    /// than everything.
    pub(super) fn replay<'a>(entries: impl Iterator<Item = &'a Entry>) -> Self {
        let mut live = Live { grants: BTreeMap::new() };
        let mut newest = None;
        for (index, entry) in entries.enumerate() {
            if index == 0 {
                live.add(i64::MIN, entry.balance.saturating_sub(entry.delta));
            }
            match (entry.kind, entry.reason) {
                // The event stands for its report: what is left of the two is the event's grant, if the report's was
                // still there, else nothing.
                (EntryKind::Report, Reason::ReportConfirmed) if entry.delta < 0 => {
                    let undone = if live.has(entry.act_at) { Some(entry.act_at) } else { newest };
                    live.take_at(undone.unwrap_or(i64::MIN), entry.delta.saturating_neg());
                }
                // These two undo the grant written just before them, not the oldest one.
                (EntryKind::Found, Reason::FoundCancelled)
                | (EntryKind::Zeroed, Reason::LateGrantAfterRefusal) => {
                    live.take_at(newest.unwrap_or(i64::MIN), entry.delta.saturating_neg());
                }
                _ if entry.delta > 0 => {
                    live.add(entry.act_at, entry.delta);
                    newest = Some(entry.act_at);
                }
                _ => live.take_oldest(entry.delta.saturating_neg()),
            }
        }
        live
    }

    /// How many were won later than `time`.
    pub(super) fn won_after(&self, time: i64) -> i64 {
        self.grants.range(time.saturating_add(1)..).fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether one won at just this time is left.
    pub(super) fn has(&self, time: i64) -> bool {
        self.grants.contains_key(&time)
    }

    fn add(&mut self, act_at: i64, count: i64) {
        if count > 0 {
            let held = self.grants.entry(act_at).or_default();
            *held = held.saturating_add(count);
        }
    }

    fn take_oldest(&mut self, mut count: i64) {
        while count > 0
            && let Some(mut oldest) = self.grants.first_entry()
        {
            let taken = count.min(*oldest.get());
            count -= taken;
            *oldest.get_mut() -= taken;
            if *oldest.get() == 0 {
                oldest.remove();
            }
        }
    }

    fn take_at(&mut self, act_at: i64, count: i64) {
        let Some(held) = self.grants.get_mut(&act_at) else { return self.take_oldest(count) };
        let taken = count.min(*held);
        *held -= taken;
        if *held == 0 {
            self.grants.remove(&act_at);
        }
        self.take_oldest(count - taken);
    }
}
