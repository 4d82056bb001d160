//! Which messages start now: what rates, budgets, slots and gates leave of what waits. Used by the dispatcher's steps.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::{Lane, Millis};
use service::App;
use service::campaigns::Live;
use store::StoreError;
use store::hot::claim::Claimed;
use store::hot::enqueue::{Priority, Queue};
use tokio::time::Instant;

use super::gates::Passage;
use super::heads::RUN;
use super::queues::{self, Queued};
use super::rate::Bucket;
use super::{Dispatcher, ROOM, URGENT_SLOTS, budget};

impl Dispatcher {
    /// The messages to start now: by priority, then app by app in turn, lane after lane.
    pub(super) async fn choose(&mut self, now: Millis) -> Result<Vec<(Arc<App>, Claimed)>, StoreError> {
        self.turn = self.turn.wrapping_add(1);
        let queues = queues::in_turn(&self.shared, self.heads.queues(), self.turn, now).await?;
        let waiting_apps: HashSet<i64> = queues.iter().map(|queue| queue.app).collect();
        let mut chosen = Vec::new();
        for Queued { queue, app: number, priority, campaign } in queues {
            let Some(app) = self.shared.service.apps().by_number(number) else { continue };
            let passage = self.gates.passage(number, app.updated_at, now);
            let free = match passage {
                Passage::Shut => 0,
                Passage::Probe => self.free(&app, priority, waiting_apps.len() > 1).min(1),
                Passage::Open => self.free(&app, priority, waiting_apps.len() > 1),
            };
            if free == 0 {
                continue;
            }
            let free = campaign.as_ref().map_or(free, |live| self.own_rate(live, free));
            let rate = self.shared.lanes.share_of(app.settings.rate_per_second);
            let allowed = self.state(&app).bucket.take(rate, free, Instant::now());
            let (affordable, taken) = match self.affordable(&app, allowed, now).await {
                Ok(affordable) => (affordable, self.take(queue, number, affordable, now).await),
                Err(error) => (0, Err(error)),
            };
            let count = taken.as_ref().map_or(0, Vec::len);
            if let Some(bucket) = campaign.and_then(|live| self.campaigns.get_mut(&live.stored.number)) {
                bucket.give_back(free - count);
            }
            let state = self.state(&app);
            state.bucket.give_back(allowed - count);
            state.budget.give_back(affordable - count);
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) => return what_is_taken(chosen, error),
            };
            state.outstanding += taken.len();
            self.outstanding.fetch_add(taken.len(), Ordering::Relaxed);
            if passage == Passage::Probe && !taken.is_empty() {
                self.gates.probe(number, true);
            }
            for message in taken {
                self.shared.lanes.begins(message.lane);
                self.flying.insert((number, message.openid.clone()));
                chosen.push((Arc::clone(&app), message));
            }
        }
        Ok(chosen)
    }

    /// How many more of an app may be armed: twice its concurrency, less while its WeChat does not answer; half of everything
    /// where it gets tight and others wait; and a few slots are kept for urgent messages.
    fn free(&mut self, app: &App, priority: Priority, others_wait: bool) -> usize {
        let slots = self.shared.options.slots;
        let kept = if priority == Priority::Urgent { 0 } else { URGENT_SLOTS };
        let overall =
            (ROOM * slots).saturating_sub(kept).saturating_sub(self.outstanding.load(Ordering::Relaxed));
        let tight = overall < slots;
        let state = self.state(app);
        let own = state.allowance.min(2 * slots);
        // Where it gets tight, nobody has more than half.
        let own = if others_wait && tight { own.min(ROOM * slots / 2) } else { own };
        own.saturating_sub(state.outstanding).min(overall)
    }

    /// How many the app's budget of the day lets through. Where nothing is left, its gate closes until midnight.
    async fn affordable(&mut self, app: &Arc<App>, wanted: usize, now: Millis) -> Result<usize, StoreError> {
        let Some(daily) = app.settings.daily_budget else { return Ok(wanted) };
        let store = self.shared.service.store().clone();
        let budget = &mut self.state(app).budget;
        budget.on(service::quota::day(now), daily);
        if let Some(short) = budget.short_of(wanted) {
            let (day, all) = (budget.day().to_owned(), i64::from(daily));
            budget.got(store.take_budget(app.number, day.clone(), short, all).await?);
            let taken = store.budget_taken(app.number, &day).await?;
            if budget.warns(taken) {
                tracing::warn!(app = app.app_id, taken, daily, "most of the day's budget is taken");
                let body = serde_json::json!({ "taken": taken, "daily_budget": daily, "day": day });
                store.tell(app.number, "alarm.budget", body.to_string()).await?;
            }
        }
        let budget = &mut self.state(app).budget;
        let affordable = budget.take(wanted);
        if affordable == 0
            && budget.out
            && let Some(gate) = self.gates.close_for_budget(app.number, daily, now)
        {
            tracing::warn!(
                app = app.app_id,
                daily,
                until = budget::end_of_day(now),
                "the day's budget is spent: nothing is sent until midnight"
            );
            store.close_gate(gate).await?;
        }
        Ok(affordable)
    }

    /// How many more a campaign's own rate lets through.
    fn own_rate(&mut self, live: &Live, free: usize) -> usize {
        let Some(rate) = live.rate_per_second else {
            self.campaigns.remove(&live.stored.number);
            return free;
        };
        let (now, rate) = (Instant::now(), self.shared.lanes.share_of(rate));
        self.campaigns
            .entry(live.stored.number)
            .or_insert_with(|| Bucket::new(rate, now))
            .take(rate, free, now)
    }

    async fn take(
        &mut self,
        queue: Queue,
        number: i64,
        count: usize,
        now: Millis,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut taken = Vec::new();
        let mut passed_over = HashSet::new();
        // Whoever is in this take already: two messages to one person never fly together (I6).
        let mut people = HashSet::new();
        while taken.len() < count
            && let Some(lane) = self.heads.lane(queue)
            && !passed_over.contains(&lane)
        {
            if !self.shared.lanes.owns(lane) {
                self.heads.give_up(queue, lane);
                continue;
            }
            if self.heads.needs_reading(queue, lane) {
                let read = match self.read(queue, lane, now, RUN).await {
                    Ok(Some(read)) => read,
                    Ok(None) => continue,
                    Err(error) => return what_is_taken(taken, error),
                };
                if !self.heads.fill(queue, lane, read) {
                    self.heads.exhausted(queue, lane);
                    continue;
                }
            }
            let flying = &self.flying;
            let busy = |openid: &str| flying.contains(&(number, openid.to_owned()));
            let run = self.heads.take(queue, lane, count - taken.len(), &mut people, busy);
            if run.is_empty() {
                if let Some(deep) = self.heads.needs_reading_on(queue, lane) {
                    let read = match self.read(queue, lane, now, deep).await {
                        Ok(Some(read)) => read,
                        Ok(None) => continue,
                        Err(error) => return what_is_taken(taken, error),
                    };
                    self.heads.fill(queue, lane, read);
                    continue;
                }
                self.heads.pass_over(queue, lane);
                passed_over.insert(lane);
            }
            taken.extend(run);
        }
        Ok(taken)
    }

    /// The head of a lane's queue. A row that cannot be read must not hold up the other lanes: this one is left out, and tried again by
    /// the next look around.
    async fn read(
        &mut self,
        queue: Queue,
        lane: Lane,
        now: Millis,
        limit: i64,
    ) -> Result<Option<Vec<Claimed>>, StoreError> {
        match self.shared.service.store().claim(lane, queue, now, limit).await {
            Err(error) if error.is_unreadable() => {
                tracing::error!(%error, lane = lane.0, "a lane's messages cannot be read; the other lanes go on");
                self.heads.give_up(queue, lane);
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

/// Where a reading fails after others went well: what was taken is held by nobody else, and would wait for ever if it were dropped.
fn what_is_taken<T>(taken: Vec<T>, error: StoreError) -> Result<Vec<T>, StoreError> {
    if taken.is_empty() {
        return Err(error);
    }
    tracing::warn!(%error, count = taken.len(), "the dispatcher could not read on; what it has goes out");
    Ok(taken)
}
