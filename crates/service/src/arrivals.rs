//! What WeChat tried lately: the last requests to each app's callback address, good ones and refused ones. In memory, for the guide
//! that waits while somebody presses the button at WeChat, and for the diagnosis. What was accepted stands in the inbox.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use domain::Millis;
use serde::Serialize;

use crate::view::time;
use crate::{App, Service};

const KEPT: usize = 20;

/// A request to the callback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Arrival {
    /// When it came.
    #[serde(serialize_with = "as_time")]
    #[schema(value_type = String)]
    pub at: Millis,
    /// The verification of the address (GET), or a push.
    pub verification: bool,
    /// Why it was refused: bad_signature, weaker_mode …; none where it was good.
    pub refused: Option<&'static str>,
    /// Seconds between the clock that signed it and ours.
    pub skew_seconds: Option<i64>,
    /// It came in a stronger mode than configured.
    pub stronger_mode: bool,
}

fn as_time<S: serde::Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time(*at))
}

/// The last requests, by app.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<HashMap<i64, VecDeque<Arrival>>>);

impl Arrivals {
    pub(crate) fn note(&self, app: i64, arrival: Arrival) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let arrivals = all.entry(app).or_default();
        if arrivals.len() == KEPT {
            // Of many good pushes the newest is enough; a refusal is rarer, and says more.
            let gone = arrivals.iter().position(|old| old.refused.is_none()).unwrap_or(0);
            arrivals.remove(gone);
        }
        arrivals.push_back(arrival);
    }
}

impl Service {
    /// The last requests to an app's callback address that this process got, the newest first.
    pub fn arrivals(&self, app: &App) -> Vec<Arrival> {
        let all = self.arrivals.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&app.number).map(|arrivals| arrivals.iter().rev().copied().collect()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_stay_longer_than_good_pushes() {
        let arrivals = Arrivals::default();
        let arrival = |at, refused| Arrival {
            at,
            verification: false,
            refused,
            skew_seconds: None,
            stronger_mode: false,
        };
        arrivals.note(1, arrival(0, Some("bad_signature")));
        for at in 1..100 {
            arrivals.note(1, arrival(at, None));
        }
        let all = arrivals.0.lock().unwrap();
        let kept = &all[&1];
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept.front().unwrap().refused, Some("bad_signature"));
        assert_eq!(kept.back().unwrap().at, 99);
    }
}
