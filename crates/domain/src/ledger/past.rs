//! What earlier entries still wait for: sends that had to `find` their grant, reports without their event, events
//! without their report. Used by `account` where an act may belong to one of them.

use super::{Entry, EntryKind, Reason};

/// Within how many ms a report and an event can be of one act.
pub(super) const SAME_ACT_MS: i64 = 120_000;

/// The attempts of `found` entries that no event has explained.
pub(super) fn open_found<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<i64> {
    let mut open = Vec::new();
    for entry in entries.filter(|entry| entry.kind == EntryKind::Found) {
        if entry.delta > 0 {
            open.push(entry.act_at);
        } else {
            remove(&mut open, entry.act_at);
        }
    }
    open
}

/// The time of the report, not confirmed yet, that an event of `at` confirms: the nearest.
pub(super) fn open_report<'a>(entries: impl Iterator<Item = &'a Entry>, at: i64) -> Option<i64> {
    let mut open = Vec::new();
    for entry in entries.filter(|entry| entry.kind == EntryKind::Report) {
        match entry.reason {
            Reason::ReportConfirmed if entry.delta < 0 => remove(&mut open, entry.act_at),
            Reason::ReportConfirmed => {}
            _ => open.push(entry.act_at),
        }
    }
    nearest(open, at)
}

/// The time of the event, without a report yet, that a report of `at` belongs to: the nearest.
pub(super) fn unreported_grant<'a>(entries: impl Iterator<Item = &'a Entry>, at: i64) -> Option<i64> {
    let mut open = Vec::new();
    for entry in entries {
        match (entry.kind, entry.reason) {
            (EntryKind::Grant, _) => open.push(entry.act_at),
            // Written right after the event that confirmed it.
            (EntryKind::Report, Reason::ReportConfirmed) if entry.delta < 0 => drop(open.pop()),
            (EntryKind::Report, Reason::ReportConfirmed) => remove(&mut open, entry.act_at),
            _ => {}
        }
    }
    nearest(open, at)
}

fn remove(open: &mut Vec<i64>, act_at: i64) {
    if let Some(index) = open.iter().position(|&time| time == act_at) {
        open.remove(index);
    }
}

fn nearest(open: Vec<i64>, at: i64) -> Option<i64> {
    open.into_iter()
        .filter(|time| time.abs_diff(at) <= SAME_ACT_MS.unsigned_abs())
        .min_by_key(|time| time.abs_diff(at))
}
