//! Why an app sends nothing at the moment. A closed gate lets one message through when its time has come, and opens
//! when WeChat takes it; the waiting messages are never touched.

use std::collections::HashMap;

use domain::Millis;
use domain::clock::{DAY, HOUR, MINUTE};
use domain::retry;
use store::gates::Gate;
use store::restored::RESTORED;

const SHANGHAI: Millis = 8 * HOUR;

#[derive(Debug, Default)]
pub(super) struct Gates {
    closed: HashMap<i64, Closed>,
}

#[derive(Debug)]
struct Closed {
    gate: Gate,
    probing: bool,
}

/// Whether an app may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    Open,
    /// One message, to see whether the cause is gone.
    Probe,
    Shut,
}

impl Gates {
    /// Takes over what stands in the database, unless a probe is on its way.
    pub(super) fn load(&mut self, gates: Vec<Gate>) {
        if self.closed.values().all(|closed| !closed.probing) {
            self.closed = gates.into_iter().map(|gate| (gate.app, Closed { gate, probing: false })).collect();
        }
    }

    pub(super) fn passage(&self, app: i64, app_changed_at: Millis, now: Millis) -> Passage {
        match self.closed.get(&app) {
            None => Passage::Open,
            Some(closed) if closed.probing => Passage::Shut,
            // Only a person opens it: what waits there may have been sent before the restore.
            Some(closed) if closed.gate.reason == RESTORED => Passage::Shut,
            // Whoever mends the app's settings wants to see it at once.
            Some(closed) if now >= closed.gate.retry_at || app_changed_at > closed.gate.closed_at => {
                Passage::Probe
            }
            Some(_) => Passage::Shut,
        }
    }

    pub(super) fn probe(&mut self, app: i64, probing: bool) {
        if let Some(closed) = self.closed.get_mut(&app) {
            closed.probing = probing;
        }
    }

    /// Closes a gate; gives the row to keep, or `None` where it stands so already.
    pub(super) fn close(
        &mut self,
        app: i64,
        kind: retry::Gate,
        errcode: i64,
        detail: &str,
        now: Millis,
    ) -> Option<Gate> {
        let retry_at = match kind {
            retry::Gate::Configuration => now + MINUTE,
            retry::Gate::Quota => next_midnight(now),
        };
        let probing = self.closed.get(&app).is_some_and(|closed| closed.probing);
        if self.closed.contains_key(&app) && !probing {
            return None;
        }
        let gate = Gate {
            app,
            reason: kind.as_str().to_owned(),
            errcode,
            detail: detail.to_owned(),
            closed_at: now,
            retry_at,
        };
        self.closed.insert(app, Closed { gate: gate.clone(), probing: false });
        Some(gate)
    }

    /// Closes the gate of an app whose budget for the day is spent; gives the row to keep, where it did not stand so.
    pub(super) fn close_for_budget(&mut self, app: i64, budget: u32, now: Millis) -> Option<Gate> {
        if self.closed.contains_key(&app) {
            return None;
        }
        let gate = Gate {
            app,
            reason: "budget".to_owned(),
            errcode: 0,
            detail: format!("daily_budget: {budget}"),
            closed_at: now,
            retry_at: next_midnight(now),
        };
        self.closed.insert(app, Closed { gate: gate.clone(), probing: false });
        Some(gate)
    }

    /// Opens a gate; tells whether it was closed.
    pub(super) fn open(&mut self, app: i64) -> bool {
        self.closed.remove(&app).is_some()
    }
}

/// WeChat's quotas begin anew at midnight in Asia/Shanghai, which has no summer time.
pub(super) fn next_midnight(now: Millis) -> Millis {
    ((now + SHANGHAI).div_euclid(DAY) + 1) * DAY - SHANGHAI
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_lets_one_probe_through() {
        let mut gates = Gates::default();
        let now = 1_700_000_000_000;
        assert!(gates.close(1, retry::Gate::Configuration, 40164, "invalid ip", now).is_some());
        assert!(
            gates.close(1, retry::Gate::Configuration, 40164, "invalid ip", now).is_none(),
            "others of the same burst"
        );
        assert_eq!(gates.passage(1, 0, now + MINUTE - 1), Passage::Shut);
        assert_eq!(gates.passage(1, now + 1, now + 2), Passage::Probe, "the app was changed");
        assert_eq!(gates.passage(1, 0, now + MINUTE), Passage::Probe);
        gates.probe(1, true);
        assert_eq!(gates.passage(1, 0, now + MINUTE), Passage::Shut, "one at a time");
        assert!(gates.close(1, retry::Gate::Configuration, 40164, "still", now + MINUTE).is_some());
        assert_eq!(gates.passage(1, 0, now + MINUTE + 1), Passage::Shut);
        assert!(gates.open(1));
        assert_eq!(gates.passage(1, 0, now), Passage::Open);
    }

    #[test]
    fn after_a_restore_only_a_person_opens_it() {
        let mut gates = Gates::default();
        let gate = Gate {
            app: 1,
            reason: RESTORED.to_owned(),
            errcode: 0,
            detail: String::new(),
            closed_at: 1_000,
            retry_at: 2_000,
        };
        gates.load(vec![gate]);
        assert_eq!(gates.passage(1, 5_000, 10_000), Passage::Shut, "whatever the time, whatever was changed");
        gates.load(Vec::new());
        assert_eq!(gates.passage(1, 5_000, 10_000), Passage::Open);
    }

    #[test]
    fn quotas_begin_anew_at_midnight_in_shanghai() {
        // 2023-11-14T22:13:20Z is 06:13:20 of the 15th there.
        assert_eq!(next_midnight(1_700_000_000_000), 1_700_064_000_000);
    }
}
