//! Sends what is due: reads the heads of the queues, makes attempts durable just in time, and lets them fly. One
//! task decides, so that the rules (one call per person, slots, rates, gates) need no locks.

mod budget;
mod call;
mod choosing;
mod gates;
mod heads;
mod late;
mod outcomes;
mod queues;
mod rate;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::campaign::CampaignState;
use domain::message::Outcome;
use domain::{Lane, MessageId, Millis};
use service::App;
use store::StoreError;
use store::hot::arm::Arm;
use store::hot::claim::Claimed;
use store::hot::enqueue::Queue;
use store::hot::settle::{Settled, Settlement};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use wechat::client::Overdue;

use self::budget::{Budget, Pile};
use self::call::{Call, Finished, Pausing};
use self::gates::Gates;
use self::heads::Heads;
use self::late::Listening;
use self::rate::Bucket;
use crate::told::Handle;
use crate::{Shared, TICK};

/// All apps together may have so many times the slots armed and in flight: one app that fills its own twofold, and waits in vain,
/// leaves as much for the others.
const ROOM: usize = 4;
/// What an app's allowance loses with a call that was not answered (it wins one with each that was), and what is left of it at
/// least: one cut connection in a hundred costs nothing, a WeChat that hangs nearly all.
const UNANSWERED: usize = 16;
const LEAST: usize = 8;
/// Slots that only urgent messages may take.
const URGENT_SLOTS: usize = 8;
/// Why a message of an app on trial was not sent.
const NOT_A_GUEST: &str = "not_a_guest";
/// Ticks between looks at all queues.
const LOOK_EVERY: u32 = 10;

/// What the dispatcher keeps of an app.
struct AppState {
    bucket: Bucket,
    budget: Budget,
    /// Armed and in flight.
    outstanding: usize,
    /// How many may be: less while its WeChat does not answer, so that it leaves room for others.
    allowance: usize,
    slots: Arc<Semaphore>,
    concurrency: usize,
}

/// What the dispatcher learns of calls, once it is durable.
enum Landed {
    /// Attempts are settled: all of a commit, so that as many are armed in one.
    Settled(Vec<Finished>),
    /// A call that was listened to further is over, answered or not.
    Over { app: i64, openid: String },
}

pub(crate) struct Dispatcher {
    shared: Shared,
    handle: Handle<(Lane, Queue)>,
    /// Told of queues of unknown messages whose grace is over.
    unknown: Handle<(Lane, Queue)>,
    tasks: TaskTracker,
    heads: Heads,
    gates: Gates,
    apps: HashMap<i64, AppState>,
    /// Campaigns with a rate of their own.
    campaigns: HashMap<i64, Bucket>,
    /// What became of campaigns' messages lately.
    piles: HashMap<i64, Pile>,
    templates: HashMap<i64, String>,
    /// People with a call under way, those listened to further too (I6).
    flying: HashSet<(i64, String)>,
    /// Calls that are listened to further.
    listening: usize,
    outstanding: Arc<AtomicUsize>,
    /// Retries that become due.
    later: BTreeSet<(Millis, Lane, Queue)>,
    /// Attempts of which the database did not say whether it kept them.
    doubtful: Vec<Call>,
    /// Rotates the order of apps.
    turn: usize,
    finished: mpsc::UnboundedSender<Finished>,
    heard_late: mpsc::UnboundedSender<(i64, Settlement)>,
    landed: mpsc::UnboundedSender<Landed>,
    durable: mpsc::UnboundedReceiver<Landed>,
}

impl Dispatcher {
    /// Starts sending; `unknown` is told where messages have stayed unknown long enough.
    pub(crate) fn start(
        shared: Shared,
        tasks: &TaskTracker,
        unknown: Handle<(Lane, Queue)>,
    ) -> Handle<(Lane, Queue)> {
        let handle = Handle::default();
        let (finished, to_write) = mpsc::unbounded_channel();
        let (heard_late, late) = mpsc::unbounded_channel();
        let (landed, durable) = mpsc::unbounded_channel();
        let outstanding = Arc::new(AtomicUsize::new(0));
        tasks.spawn(outcomes::run(shared.clone(), to_write, landed.clone(), Arc::clone(&outstanding)));
        tasks.spawn(late::run(shared.clone(), late, landed.clone()));
        let dispatcher = Self {
            shared,
            handle: handle.clone(),
            unknown,
            tasks: tasks.clone(),
            heads: Heads::default(),
            gates: Gates::default(),
            apps: HashMap::new(),
            campaigns: HashMap::new(),
            piles: HashMap::new(),
            templates: HashMap::new(),
            flying: HashSet::new(),
            listening: 0,
            outstanding,
            later: BTreeSet::new(),
            doubtful: Vec::new(),
            turn: 0,
            finished,
            heard_late,
            landed,
            durable,
        };
        tasks.spawn(dispatcher.run());
        handle
    }

    async fn run(mut self) {
        let mut everywhere = true;
        let mut ticks = 0u32;
        // Not a sleep of each turn: under load no turn lasts so long, and the looks around are due all the same.
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.shared.stop.is_cancelled() {
            if let Err(error) = self.step(everywhere).await {
                tracing::error!(%error, "the dispatcher could not read or arm; trying again");
                tokio::time::sleep(TICK).await;
            }
            everywhere = false;
            tokio::select! {
                () = self.shared.stop.cancelled() => break,
                () = self.handle.woken() => {}
                Some(landed) = self.durable.recv() => self.landed(landed).await,
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    everywhere = ticks.is_multiple_of(LOOK_EVERY);
                }
            }
            while let Ok(landed) = self.durable.try_recv() {
                self.landed(landed).await;
            }
        }
    }

    async fn step(&mut self, everywhere: bool) -> Result<(), StoreError> {
        let told = self.handle.take();
        for (lane, queue) in told.places {
            self.note(lane, queue);
        }
        self.ask_again().await?;
        if everywhere || told.everywhere {
            self.look_everywhere().await?;
        }
        let now = self.shared.service.now();
        while let Some(&(due_at, lane, queue)) = self.later.first()
            && due_at <= now
        {
            self.later.pop_first();
            self.note(lane, queue);
        }
        while !self.heads.is_empty() {
            let chosen = self.choose(now).await?;
            if chosen.is_empty() {
                break;
            }
            self.launch(chosen, now).await?;
        }
        Ok(())
    }

    /// What waits in a lane of another node is that one's.
    fn note(&mut self, lane: Lane, queue: Queue) {
        if self.shared.lanes.owns(lane) {
            self.heads.note(lane, queue);
        }
    }

    /// Attempts of which nobody knows whether they were made durable: no call of them was started.
    async fn ask_again(&mut self) -> Result<(), StoreError> {
        if self.doubtful.is_empty() {
            return Ok(());
        }
        let mut calls = std::mem::take(&mut self.doubtful);
        for call in &mut calls {
            call.arm.doubtful = true;
        }
        self.arm(calls).await
    }

    async fn look_everywhere(&mut self) -> Result<(), StoreError> {
        let store = self.shared.service.store().clone();
        self.gates.load(store.gates().await?);
        let now = self.shared.service.now();
        for waiting in store.waiting(&self.shared.lanes.list()).await? {
            if waiting.queue.is_unknown() {
                if waiting.due_at <= now {
                    self.unknown.tell([(waiting.lane, waiting.queue)].into(), false);
                }
            } else if waiting.due_at <= now {
                self.heads.note(waiting.lane, waiting.queue);
            } else {
                self.later.insert((waiting.due_at, waiting.lane, waiting.queue));
            }
        }
        Ok(())
    }

    fn state(&mut self, app: &App) -> &mut AppState {
        let concurrency = usize::try_from(app.settings.concurrency).unwrap_or(1).max(1);
        let state = self.apps.entry(app.number).or_insert_with(|| AppState {
            bucket: Bucket::new(app.settings.rate_per_second, Instant::now()),
            budget: Budget::default(),
            outstanding: 0,
            allowance: 2 * concurrency,
            slots: Arc::new(Semaphore::new(concurrency)),
            concurrency,
        });
        if state.concurrency != concurrency {
            // Calls under way keep their old slots; the new ones count for what starts from now on.
            state.slots = Arc::new(Semaphore::new(concurrency));
            state.concurrency = concurrency;
            state.allowance = 2 * concurrency;
        }
        state
    }

    /// Makes the attempts durable, then starts those that are.
    async fn launch(&mut self, chosen: Vec<(Arc<App>, Claimed)>, now: Millis) -> Result<(), StoreError> {
        let mut calls = Vec::with_capacity(chosen.len());
        let mut strangers = Vec::new();
        for (app, message) in chosen {
            if !self.shared.service.may_receive(&app, &message.openid) {
                strangers.push(message.id);
                self.forget(app.number, message.id, message.openid);
                continue;
            }
            let template_id = self.template_id(message.template).await;
            let arm = Arm {
                lane: message.lane,
                epoch: self.shared.lanes.epoch(message.lane),
                queue: message.queue,
                due_at: message.due_at,
                id: message.id,
                before: message.state,
                attempt: message.attempts + 1,
                at: now,
                doubtful: false,
            };
            let slots = Arc::clone(&self.state(&app).slots);
            calls.push(Call { app, message, template_id, arm, slots });
        }
        // The others first: what is chosen must be armed or given back, whatever fails beside it.
        self.arm(calls).await?;
        if !strangers.is_empty() {
            self.shared.service.store().skip(strangers, NOT_A_GUEST).await?;
        }
        Ok(())
    }

    async fn arm(&mut self, calls: Vec<Call>) -> Result<(), StoreError> {
        let armed = match self.shared.service.store().arm(calls.iter().map(|call| call.arm).collect()).await {
            Ok(armed) => armed,
            Err(error) => {
                // The database may have kept them and been lost before it could say so.
                self.doubtful.extend(calls);
                return Err(error);
            }
        };
        for (call, armed) in calls.into_iter().zip(armed) {
            if !armed {
                // Cancelled or expired meanwhile: somebody else has settled it, or will.
                self.gates.probe(call.app.number, false);
                self.forget(call.app.number, call.message.id, call.message.openid);
                continue;
            }
            let (shared, finished) = (self.shared.clone(), self.finished.clone());
            self.tasks.spawn(async move {
                let outcome = call.run(&shared).await;
                let _ = finished.send(outcome);
            });
        }
        Ok(())
    }

    async fn template_id(&mut self, number: i64) -> String {
        if let Some(id) = self.templates.get(&number) {
            return id.clone();
        }
        match self.shared.service.store().template_by_number(number).await {
            Ok(Some(template)) => {
                self.templates.insert(number, template.template_id.clone());
                template.template_id
            }
            // WeChat will say 40037, which names the trouble.
            Ok(None) | Err(_) => String::new(),
        }
    }

    /// Its slot is free, its person may get another message.
    fn forget(&mut self, app: i64, message: MessageId, openid: String) {
        self.heads.release(message);
        self.shared.lanes.ends(message.lane());
        self.flying.remove(&(app, openid));
        // One task counts; the other only looks.
        let before = self.outstanding.load(Ordering::Relaxed);
        self.outstanding.store(before.saturating_sub(1), Ordering::Relaxed);
        if let Some(state) = self.apps.get_mut(&app) {
            state.outstanding = state.outstanding.saturating_sub(1);
        }
    }

    async fn landed(&mut self, landed: Landed) {
        match landed {
            Landed::Settled(finished) => {
                for finished in finished {
                    self.settled(finished).await;
                }
            }
            Landed::Over { app, openid } => {
                self.listening = self.listening.saturating_sub(1);
                self.flying.remove(&(app, openid));
            }
        }
    }

    /// Goes on listening to a call whose time is over, unless too many are listened to.
    fn listen(&mut self, app: i64, settlement: Settlement, (overdue, ambiguous_before): (Overdue, bool)) {
        if self.listening >= late::MOST || self.shared.stop.is_cancelled() {
            return;
        }
        self.listening += 1;
        self.flying.insert((app, settlement.openid.clone()));
        let listening = Listening { app, settlement, ambiguous_before };
        let (heard, landed) = (self.heard_late.clone(), self.landed.clone());
        self.tasks.spawn(listening.run(overdue, self.shared.clone(), heard, landed));
    }

    /// A campaign that WeChat refuses for a reason that holds for all of its messages stands still until somebody has seen to it.
    async fn pause(&self, app: i64, Pausing { campaign, because }: Pausing) {
        let service = &self.shared.service;
        let live = service.campaigns().get(campaign);
        let (Some(app), Some(live)) = (service.apps().by_number(app), live) else { return };
        if live.stored.state != CampaignState::Running {
            return;
        }
        tracing::error!(campaign = %live.stored.asked.id, because, "a campaign is paused");
        if let Err(problem) = service.pause_campaign(&app, live.stored.asked.id, &because).await {
            tracing::warn!(%problem, "the campaign could not be paused");
        }
    }

    /// Whether so many of a campaign's messages failed lately that somebody has to look.
    fn piled_up(&mut self, campaign: Option<i64>, settlement: &Settlement) -> Option<Pausing> {
        let campaign = campaign?;
        let Settled::Outcome(outcome) = settlement.result else { return None };
        let live = self.shared.service.campaigns().get(campaign);
        if live.is_none_or(|live| live.stored.state != CampaignState::Running) {
            // What still comes in after a pause says nothing of how it goes on afterwards.
            self.piles.remove(&campaign);
            return None;
        }
        // A person without a grant is no error, nor is an answer that did not come.
        let failed = matches!(outcome, Outcome::Failed);
        let too_many = self.piles.entry(campaign).or_default().add(failed);
        let code = settlement.errcode.unwrap_or_default();
        let because = format!("{code} {}", settlement.errmsg.as_deref().unwrap_or_default());
        too_many.then_some(Pausing { campaign, because })
    }

    /// An outcome is durable: its slot is free, its person may get the next message.
    async fn settled(&mut self, finished: Finished) {
        let Finished { app, settlement, closing, overdue, pausing, campaign } = finished;
        let piled_up = self.piled_up(campaign, &settlement);
        if let Some(pausing) = pausing.or(piled_up) {
            self.pause(app, pausing).await;
        }
        self.forget(app, settlement.id, settlement.openid.clone());
        if let Some(state) = self.apps.get_mut(&app) {
            let most = 2 * state.concurrency;
            state.allowance = match settlement.result {
                Settled::Outcome(Outcome::Unknown) => {
                    state.allowance.saturating_sub(UNANSWERED).max(LEAST.min(most))
                }
                Settled::GivenBack { .. } => state.allowance,
                _ => (state.allowance + 1).min(most),
            };
        }
        if let Some(overdue) = overdue {
            self.listen(app, settlement.clone(), overdue);
        }
        if let Settled::Again { queue, due_at, .. } | Settled::GivenBack { queue, due_at, .. } =
            settlement.result
        {
            self.later.insert((due_at, settlement.lane, queue));
        }
        let now = self.shared.service.now();
        let store = self.shared.service.store();
        if let Some(closing) = closing {
            if let Some(gate) = self.gates.close(app, closing.gate, closing.errcode, &closing.detail, now) {
                tracing::error!(app, errcode = closing.errcode, detail = closing.detail, gate = %closing.gate, "sending is stopped for this app");
                metrics::counter!("hongyan_gates_closed_total", "gate" => closing.gate.as_str()).increment(1);
                let body = serde_json::json!({ "gate": gate.reason, "errcode": gate.errcode, "errmsg": gate.detail,
                    "retry_at": service::view::time(gate.retry_at) });
                if let Err(error) = store.tell(app, "alarm.gate_closed", body.to_string()).await {
                    tracing::error!(%error, "an alarm could not be kept");
                }
                if let Err(error) = store.close_gate(gate).await {
                    tracing::error!(%error, "the closed gate could not be kept");
                }
            }
        } else if matches!(settlement.result, Settled::Outcome(_)) {
            if self.gates.open(app) {
                tracing::info!(app, "WeChat takes messages of this app again");
                if let Err(error) = store.open_gate(app).await {
                    tracing::error!(%error, "the opened gate could not be kept");
                }
            }
        } else {
            self.gates.probe(app, false);
        }
    }
}
