//! What a database that was put back to an earlier moment must not do by itself. Of what waited then, nobody knows what has been
//! sent since (I5): it is `unknown` and stays so until somebody decides; campaigns stand still; firings that were due are not made up
//! for; balances are unverified, since grants and spends of the time between are missing; and every app's gate is closed until
//! somebody opens it. Used by `hongyan restore` and `hongyan release`.

use std::collections::BTreeSet;

use domain::campaign::CampaignState;
use domain::clock::{DAY, HOUR};
use domain::ledger::TemplateKind;
use domain::message::State;
use domain::schedule::Recurring;
use domain::{Lane, Millis};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::campaigns::CampaignChange;
use crate::db;
use crate::error::StoreError;
use crate::gates::Gate;
use crate::hot::arm::Arm;
use crate::hot::settle::{Settled, Settlement};
use crate::lanes::{Epochs, Holding};
use crate::schedules::Fired;

/// The reason of a gate that only a person opens.
pub const RESTORED: &str = "restored";
/// In `meta`: the last restore, as JSON.
const NOTE: &str = "restored";
/// Messages that become `unknown` in one commit.
const AT_ONCE: i64 = 256;
/// Ready rows that one reading looks at.
const PAGE: i64 = 10_000;
/// Never, for a gate that does not open by itself.
const NEVER: Millis = 36_500 * DAY;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// From when the data is.
    pub backup_at: Millis,
    /// When it was put back.
    pub at: Millis,
    /// Messages that waited or were being sent, and are `unknown` now.
    pub unknown: u64,
    /// Campaigns that were under way, and are paused now.
    pub campaigns: u64,
    /// Schedules whose firings of the time between are left out.
    pub schedules: u64,
    /// Apps that send nothing until their gate is opened.
    pub apps: u64,
}

/// What the policies would send again by themselves; a person still may.
const FORBID: &str = "
update message_state set cancel_requested = true where<<| lane = $2 and>> state = $1 and not cancel_requested
    and id in (select r.id from reserved r<<| where r.lane = $2>>)";
const DOUBT: &str = "
update subscription set known = false where<<| lane = $2 and>> known and template in (select t.id from template t where t.kind = $1)";
const KEEP: &str =
    "insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value";

impl Store {
    /// Makes a database that was put back to `backup_at` safe to serve. May be given again; nobody may serve it meanwhile.
    ///
    /// # Errors
    /// Where the database is away: then it must be given again.
    pub async fn mark_restored(
        &self,
        backup_at: Millis,
        now: Millis,
        owner: &str,
    ) -> Result<Restored, StoreError> {
        let epochs = self.take_all_lanes(owner.to_owned(), now + HOUR).await?;
        let lanes: Vec<Lane> = epochs.iter().map(|holding| holding.lane).collect();
        let mut done = Restored {
            backup_at,
            at: now,
            unknown: 0,
            campaigns: 0,
            schedules: 0,
            apps: self.shut(now, backup_at).await?,
        };
        for holding in epochs.iter() {
            done.unknown += self.lose_attempts(holding, now).await?;
        }
        // Whatever was over by then was not sent.
        let mut after = None;
        loop {
            (_, after) = self.expire(&lanes, backup_at, after, PAGE).await?;
            if after.is_none() {
                break;
            }
        }
        for waiting in self.waiting(&lanes).await? {
            if !waiting.queue.is_unknown() {
                done.unknown += self.lose_waiting(&epochs, waiting, (backup_at, now)).await?;
            }
        }
        self.doubt(&lanes).await?;
        for campaign in self.campaigns_under_way().await? {
            if matches!(campaign.state, CampaignState::Running | CampaignState::Scheduled) {
                let change = CampaignChange {
                    paused_because: Some(RESTORED.to_owned()),
                    ..CampaignChange::new(campaign.state, CampaignState::Paused, now)
                };
                done.campaigns += u64::from(self.change_campaign(campaign.number, change).await?);
            }
        }
        for schedule in self.due_schedules(now).await? {
            let Some(first) = schedule.asked.next_at else { continue };
            let next = Recurring::parse(&schedule.asked.cron, &schedule.asked.time_zone);
            let fired = Fired {
                at: first,
                campaign: None,
                result: RESTORED.to_owned(),
                next_at: next.ok().and_then(|recurring| recurring.after(now)),
            };
            done.schedules += u64::from(self.schedule_fired(schedule.number, first, fired).await?);
        }
        let note = serde_json::to_string(&done).map_err(|_| StoreError::Corrupt("meta.restored"))?;
        self.writer
            .cold(move |db, _| {
                Box::pin(async move {
                    db::query(KEEP).bind(NOTE).bind(note).execute(db).await?;
                    Ok(())
                })
            })
            .await?;
        if self.is_shared() {
            self.give_back_lanes(owner, epochs.iter().collect()).await?;
        }
        Ok(done)
    }

    /// The last restore of this database; none where there was none.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn restored(&self) -> Result<Option<Restored>, StoreError> {
        let note: Option<String> = db::query_scalar("select value from meta where key = $1")
            .bind(NOTE)
            .fetch_optional(&self.readers)
            .await?;
        note.map(|note| serde_json::from_str(&note).map_err(|_| StoreError::Corrupt("meta.restored")))
            .transpose()
    }

    /// Messages of an app that are `unknown`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn unknown_count(&self, app: i64) -> Result<i64, StoreError> {
        let sql = "
            select count(*) from template t join <<|lane l on true join >>reserved r on r.template = t.id<<| and r.lane = l.id>>
            join message_state s on s.lane = r.lane and s.id = r.id where t.app = $1 and s.state = $2";
        let query = db::query_scalar(sql).bind(app).bind(State::Unknown.code());
        Ok(query.fetch_one(&self.readers).await?)
    }

    /// Closes every app's gate.
    async fn shut(&self, now: Millis, backup_at: Millis) -> Result<u64, StoreError> {
        let apps = self.apps().await?;
        for app in &apps {
            self.close_gate(Gate {
                app: app.number,
                reason: RESTORED.to_owned(),
                errcode: 0,
                detail: backup_at.to_string(),
                closed_at: now,
                retry_at: now + NEVER,
            })
            .await?;
        }
        Ok(apps.len() as u64)
    }

    /// What was in flight.
    async fn lose_attempts(&self, held: Holding, now: Millis) -> Result<u64, StoreError> {
        let mut lost = 0;
        loop {
            let mut orphans = self.orphans(held, now, AT_ONCE).await?;
            if orphans.is_empty() {
                return Ok(lost);
            }
            for orphan in &mut orphans {
                orphan.errmsg = Some(because());
            }
            lost += orphans.len() as u64;
            self.settle(orphans).await?;
        }
    }

    /// What waited and was due by now: as if it had been taken the moment after the backup, and its owner lost.
    async fn lose_waiting(
        &self,
        epochs: &Epochs,
        waiting: crate::hot::claim::Waiting,
        (backup_at, now): (Millis, Millis),
    ) -> Result<u64, StoreError> {
        let epoch = epochs.of(waiting.lane);
        let mut lost = 0;
        loop {
            let heads = self.claim(waiting.lane, waiting.queue, now, AT_ONCE).await?;
            let arms: Vec<Arm> = heads
                .iter()
                .map(|head| Arm {
                    lane: head.lane,
                    epoch,
                    queue: head.queue,
                    due_at: head.due_at,
                    id: head.id,
                    before: head.state,
                    attempt: head.attempts + 1,
                    at: backup_at,
                    doubtful: false,
                })
                .collect();
            let armed = self.arm(arms).await?;
            let attempts: Vec<Settlement> = heads
                .into_iter()
                .zip(armed)
                .filter(|(_, armed)| *armed)
                .map(|(head, _)| Settlement {
                    lane: head.lane,
                    epoch,
                    id: head.id,
                    attempt: head.attempts + 1,
                    template: head.template,
                    openid: head.openid,
                    attempt_at: backup_at,
                    at: now,
                    result: Settled::OwnerLost,
                    errcode: None,
                    errmsg: Some(because()),
                })
                .collect();
            if attempts.is_empty() {
                return Ok(lost);
            }
            lost += attempts.len() as u64;
            self.settle(attempts).await?;
        }
    }

    async fn doubt(&self, lanes: &[Lane]) -> Result<(), StoreError> {
        // A file's keys are not led by the lane: one pass.
        let lanes: BTreeSet<u16> =
            if self.is_shared() { lanes.iter().map(|lane| lane.0).collect() } else { [0].into() };
        for lane in lanes {
            self.writer
                .cold_bulk(move |db, _| {
                    Box::pin(async move {
                        crate::hot::turn(db.in_lane(lane), lane).await?;
                        db::query(FORBID).bind(State::Unknown.code()).bind(lane).execute(&mut *db).await?;
                        db::query(DOUBT).bind(TemplateKind::OneTime.code()).bind(lane).execute(db).await?;
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(())
    }
}

fn because() -> String {
    "the database was restored from a backup: it may have been sent since".to_owned()
}
