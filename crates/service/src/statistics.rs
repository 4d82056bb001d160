//! Totals: what was sent and how it ended, callbacks by the hour, the way from popup to delivery. Nothing is counted here: the
//! hot path keeps the counts (`store::happened`).

use std::collections::BTreeMap;

use domain::Millis;
use domain::clock::{DAY, HOUR};
use serde::Serialize;
use store::happened::{OF_APP, What};

use crate::problem::Problem;
use crate::view::time;
use crate::{App, Service};

/// WeChat's days begin at midnight in Shanghai.
const ZONE: Millis = 8 * HOUR;

/// What happened in a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Totals {
    /// Messages that WeChat took.
    pub sent: i64,
    /// Of which a receipt said that they arrived.
    pub delivered: i64,
    /// Of which a receipt said that they did not.
    pub undelivered: i64,
    /// 43101: no usable grant.
    pub refused: i64,
    /// Failed for good.
    pub failed: i64,
    /// Became unknown (and may have been resolved since).
    pub unknown: i64,
    /// Accepts in the popup.
    pub accepts: i64,
    /// Refusals in the popup.
    pub rejects: i64,
    /// Switched off later.
    pub switch_offs: i64,
    /// Callbacks.
    pub callbacks: i64,
    /// Of which were set aside.
    pub quarantined: i64,
}

/// One stretch: an hour or a day, of a template or of the app.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Stretch {
    /// When it begins.
    pub from: String,
    /// Of which template; none for what is the app's.
    pub template_id: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub totals: Totals,
}

/// How finely is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By the hour.
    Hour,
    /// By the day.
    #[default]
    Day,
}

impl Totals {
    fn add(&mut self, what: What, n: i64) {
        match what {
            What::Sent => self.sent += n,
            What::Delivered => self.delivered += n,
            What::Undelivered => self.undelivered += n,
            What::Refused => self.refused += n,
            What::Failed => self.failed += n,
            What::Unknown => self.unknown += n,
            What::Accept => self.accepts += n,
            What::Reject => self.rejects += n,
            What::SwitchOff => self.switch_offs += n,
            What::CallbackApplied | What::CallbackDuplicate | What::CallbackIgnored => self.callbacks += n,
            What::CallbackQuarantined => {
                self.callbacks += n;
                self.quarantined += n;
            }
            What::Expired => {}
        }
    }

    /// Popups that were answered.
    pub fn popups(&self) -> i64 {
        self.accepts + self.rejects
    }

    /// Everything together.
    pub fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.sent += one.sent;
            sum.delivered += one.delivered;
            sum.undelivered += one.undelivered;
            sum.refused += one.refused;
            sum.failed += one.failed;
            sum.unknown += one.unknown;
            sum.accepts += one.accepts;
            sum.rejects += one.rejects;
            sum.switch_offs += one.switch_offs;
            sum.callbacks += one.callbacks;
            sum.quarantined += one.quarantined;
        }
        sum
    }
}

/// The beginning of the day, in Shanghai, that holds a moment.
pub fn day_of(at: Millis) -> Millis {
    (at + ZONE).div_euclid(DAY) * DAY - ZONE
}

impl Service {
    /// What happened from `since` until `until`, by template, in the order of time; stretches without anything are left out.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn statistics(
        &self,
        app: &App,
        since: Millis,
        until: Millis,
        by: By,
    ) -> Result<Vec<Stretch>, Problem> {
        let counts = self.store.happened(app.number, since, until).await?;
        let mut sums: BTreeMap<(Millis, i64), Totals> = BTreeMap::new();
        for count in counts {
            let from = match by {
                By::Hour => count.hour,
                By::Day => day_of(count.hour),
            };
            sums.entry((from, count.template)).or_default().add(count.what, count.n);
        }
        let names: BTreeMap<i64, String> = self
            .store
            .templates(app.number)
            .await?
            .into_iter()
            .map(|template| (template.number, template.template_id))
            .collect();
        let stretch = |((from, template), totals)| Stretch {
            from: time(from),
            template_id: (template != OF_APP).then(|| names.get(&template).cloned().unwrap_or_default()),
            totals,
        };
        Ok(sums.into_iter().map(stretch).collect())
    }

    /// When the app's latest callback came.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn last_callback(&self, app: &App) -> Result<Option<Millis>, Problem> {
        Ok(self.store.last_callback(app.number).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_shanghai() {
        assert_eq!(time(day_of(1_700_063_999_999)), "2023-11-15T00:00:00.000+08:00");
        assert_eq!(time(day_of(1_700_064_000_000)), "2023-11-16T00:00:00.000+08:00");
    }
}
