//! The measurement: six rounds of each statement, the first to warm up; within a round each batch is followed by
//! the reference's batch, so that both meet the same noise.

use std::time::{Duration, Instant};

use ::store::hot::append::{InboxKind, NewInboxRow};
use ::store::hot::apply::{Act, ActKind, ToApply};
use ::store::hot::arm::Arm;
use ::store::hot::settle::{Settled, Settlement};
use domain::message::Outcome;
use domain::{Entropy, InboxId, Lane, Millis};

use super::engine::Engine;
use super::report::{Column, Figure, note};
use super::seed::{APP, NOW, PAUSED, PER_LANE, SENT, TEMPLATE, TEMPLATE_ID, Waiting, World};

const ROUNDS: usize = 6;
const BATCHES: usize = 20;
const RUN: usize = 256;
const SCATTERED: usize = 64;
const LANES: usize = 64;

/// Measured batches of one statement, by round.
struct Measured {
    name: &'static str,
    rows: usize,
    own: Vec<Duration>,
    bare: Vec<Duration>,
    batches: usize,
}

impl Measured {
    fn new(name: &'static str, rows: usize) -> Self {
        Self { name, rows, own: vec![Duration::ZERO; ROUNDS], bare: vec![Duration::ZERO; ROUNDS], batches: 0 }
    }

    /// Adds a batch that took `own`, and measures the reference beside it.
    async fn add(&mut self, own: Duration, done: usize, engine: &mut impl Engine) -> anyhow::Result<()> {
        anyhow::ensure!(done == self.rows, "{}: {done} of {} rows took effect", self.name, self.rows);
        let round = self.batches / BATCHES;
        let text: Vec<String> = (0..self.rows).map(|at| format!("{at:0100}")).collect();
        let started = Instant::now();
        engine.bare(&text).await?;
        self.bare[round] += started.elapsed();
        self.own[round] += own;
        self.batches += 1;
        Ok(())
    }

    fn figure(&self) -> Figure {
        Figure { name: self.name, value: self.median(&self.own), beside: self.median(&self.bare) }
    }

    /// Microseconds a row: the median of the rounds after the first.
    fn median(&self, rounds: &[Duration]) -> f64 {
        let mut rounds = rounds[1..].to_vec();
        rounds.sort_unstable();
        rounds[rounds.len() / 2].as_secs_f64() * 1e6 / (BATCHES * self.rows) as f64
    }
}

/// Runs one batch and says how long it took.
macro_rules! timed {
    ($call:expr) => {{
        let started = Instant::now();
        let done = $call.await?;
        (started.elapsed(), done)
    }};
}

pub(crate) async fn run(
    name: &'static str,
    engine: &mut impl Engine,
    world: &World,
) -> anyhow::Result<Column> {
    let started = Instant::now();
    engine.own().await?;
    engine.seed_subscribers(&world.subscribers).await?;
    let campaign = world.campaign(SENT, PER_LANE, NOW - 100_000);
    engine.seed_messages(&campaign).await?;
    engine.seeded().await?;
    note(&format!("{name}: {} subscribers after {:.0?}", world.subscribers.len(), started.elapsed()));

    let alone = claims(engine, "claim 256, nothing paused").await?;
    let paused = world.campaign(PAUSED, world.subscribers.len() / LANES, NOW - 90_000);
    engine.seed_messages(&paused).await?;
    engine.seeded().await?;
    note(&format!("{name}: {} messages paused after {:.0?}", paused.len(), started.elapsed()));
    let behind = claims(engine, "claim 256 behind a paused million").await?;

    let mut figures = inbox(engine, world).await?;
    figures.extend(messages(engine, &campaign, world).await?);
    let beside = alone.median(&alone.own);
    figures.push(Figure { name: behind.name, value: behind.median(&behind.own), beside });
    note(&format!("{name}: measured after {:.0?}", started.elapsed()));
    Ok(Column { engine: name, figures })
}

async fn claims(engine: &mut impl Engine, name: &'static str) -> anyhow::Result<Measured> {
    let mut measured = Measured::new(name, RUN);
    for number in 0..ROUNDS * BATCHES {
        let lane = Lane(u16::try_from(number % LANES)?);
        let (took, done) = timed!(engine.claim(lane, SENT, NOW, i64::try_from(RUN)?));
        anyhow::ensure!(done == RUN, "{done} messages claimed");
        measured.own[number / BATCHES] += took;
    }
    Ok(measured)
}

/// An accept in the popup.
fn event(world: &World, lane: usize, at: Millis) -> anyhow::Result<NewInboxRow> {
    let openids = &world.lanes[lane];
    let openid = &openids[usize::try_from(world.entropy.next_u64())? % openids.len()];
    let mut digest = [0u8; 16];
    world.entropy.fill(&mut digest);
    let body = format!(
        r#"{{"ToUserName":"gh_1f2d3c4b5a69","FromUserName":"{openid}","CreateTime":"{}","MsgType":"event","Event":"subscribe_msg_popup_event","List":[{{"TemplateId":"{TEMPLATE_ID}","SubscribeStatusString":"accept","PopupScene":"0"}}]}}"#,
        at / 1000
    );
    Ok(NewInboxRow {
        id: InboxId::new(at, Lane(u16::try_from(lane)?), &world.entropy),
        app: APP,
        event_at: at / 1000 * 1000,
        digest,
        received_at: at,
        kind: InboxKind::Popup,
        openid: openid.clone(),
        body,
        verdict: None,
        reason: None,
        relay: None,
    })
}

fn application(row: &NewInboxRow) -> ToApply {
    let kind = ActKind::Grant { at: row.event_at };
    ToApply {
        id: row.id,
        epoch: 1,
        app: APP,
        openid: row.openid.clone(),
        at: row.received_at + 1_000,
        acts: vec![Act { template_id: TEMPLATE_ID.into(), kind }],
        set_aside: None,
        erase: None,
    }
}

/// Appending and applying.
async fn inbox(engine: &mut impl Engine, world: &World) -> anyhow::Result<Vec<Figure>> {
    let runs = ROUNDS * BATCHES;
    // A backlog in which every lane has full runs, in random order of lanes.
    let mut lanes: Vec<usize> = (0..runs * RUN).map(|number| number / RUN % LANES).collect();
    for at in (1..lanes.len()).rev() {
        lanes.swap(at, usize::try_from(world.entropy.next_u64())? % (at + 1));
    }
    let mut append = Measured::new("append 64 events of random lanes", SCATTERED);
    let mut backlog: Vec<Vec<ToApply>> = vec![Vec::new(); LANES];
    for (number, chunk) in lanes.chunks(SCATTERED).enumerate() {
        let at = NOW + i64::try_from(number)? * 20;
        let rows = chunk.iter().map(|lane| event(world, *lane, at)).collect::<anyhow::Result<Vec<_>>>()?;
        for (row, lane) in rows.iter().zip(chunk) {
            backlog[*lane].push(application(row));
        }
        let (took, done) = timed!(engine.append(rows));
        if append.batches < ROUNDS * BATCHES {
            append.add(took, done, engine).await?;
        }
    }
    let mut apply_run = Measured::new("apply 256 events, a lane run", RUN);
    for number in 0..runs {
        let events: Vec<ToApply> = backlog[number % LANES].drain(..RUN).collect();
        let (took, done) = timed!(engine.apply(events));
        apply_run.add(took, done, engine).await?;
    }
    let mut apply_scattered = Measured::new("apply 64 events, scattered", SCATTERED);
    for number in 0..runs {
        let at = NOW + 1_000_000 + i64::try_from(number)? * 20;
        let rows = (0..SCATTERED)
            .map(|_| event(world, usize::try_from(world.entropy.next_u64() % 64)?, at))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let events = rows.iter().map(application).collect();
        engine.append(rows).await?;
        let (took, done) = timed!(engine.apply(events));
        apply_scattered.add(took, done, engine).await?;
    }
    // The same backlog, taken as it came instead of lane by lane.
    let mut arrival = Measured::new("apply 256 events, as they came", RUN);
    for number in 0..runs {
        let mut events = Vec::with_capacity(RUN);
        for part in 0..RUN / SCATTERED {
            let at = NOW + 1_500_000 + i64::try_from(number * 4 + part)? * 20;
            let rows = (0..SCATTERED)
                .map(|_| event(world, usize::try_from(world.entropy.next_u64() % 64)?, at))
                .collect::<anyhow::Result<Vec<_>>>()?;
            events.extend(rows.iter().map(application));
            engine.append(rows).await?;
        }
        let (took, done) = timed!(engine.apply(events));
        arrival.add(took, done, engine).await?;
    }
    Ok(vec![append.figure(), apply_run.figure(), arrival.figure(), apply_scattered.figure()])
}

/// Arming and outcomes, each of what the other prepares.
async fn messages(
    engine: &mut impl Engine,
    campaign: &[Waiting<'_>],
    world: &World,
) -> anyhow::Result<Vec<Figure>> {
    let mut lanes: Vec<Vec<&Waiting<'_>>> = vec![Vec::new(); LANES];
    for message in campaign {
        lanes[usize::from(message.lane.0)].push(message);
    }
    let mut arm_run = Measured::new("arm 64 of a queue's head, a lane run", SCATTERED);
    let mut settle_run = Measured::new("outcome of 256, a lane run", RUN);
    let mut settle_scattered = Measured::new("outcome of 64, scattered", SCATTERED);
    for number in 0..ROUNDS * BATCHES {
        let batch: Vec<_> = lanes[number % LANES].drain(..SCATTERED).collect();
        let (took, done) = timed!(engine.arm(batch.iter().map(|message| arming(message)).collect()));
        arm_run.add(took, done, engine).await?;
        engine.settle(batch.iter().map(|message| outcome(message)).collect()).await?;
    }
    for number in 0..ROUNDS * BATCHES {
        let batch: Vec<_> = lanes[number % LANES].drain(..RUN).collect();
        engine.arm(batch.iter().map(|message| arming(message)).collect()).await?;
        let (took, done) = timed!(engine.settle(batch.iter().map(|message| outcome(message)).collect()));
        settle_run.add(took, done, engine).await?;
    }
    for _ in 0..ROUNDS * BATCHES {
        let mut batch = Vec::with_capacity(SCATTERED);
        for lane in &mut lanes {
            let at = usize::try_from(world.entropy.next_u64())? % lane.len();
            batch.push(lane.swap_remove(at));
        }
        engine.arm(batch.iter().map(|message| arming(message)).collect()).await?;
        let (took, done) = timed!(engine.settle(batch.iter().map(|message| outcome(message)).collect()));
        settle_scattered.add(took, done, engine).await?;
    }
    Ok(vec![arm_run.figure(), settle_run.figure(), settle_scattered.figure()])
}

fn arming(message: &Waiting<'_>) -> Arm {
    Arm {
        lane: message.lane,
        epoch: 1,
        queue: message.queue,
        due_at: message.due_at,
        id: message.id,
        before: domain::message::State::Queued,
        attempt: 1,
        at: NOW + 2_000_000,
        doubtful: false,
    }
}

fn outcome(message: &Waiting<'_>) -> Settlement {
    let msgid = Some(message.id.0.as_u64_pair().1 >> 2);
    Settlement {
        lane: message.lane,
        epoch: 1,
        id: message.id,
        attempt: 1,
        template: TEMPLATE,
        openid: message.openid.to_owned(),
        attempt_at: NOW + 2_000_000,
        at: NOW + 2_000_300,
        result: Settled::Outcome(Outcome::Accepted { msgid }),
        errcode: Some(0),
        errmsg: Some("ok".into()),
    }
}
