//! Campaigns under random exploration: whatever happens in whatever order, every recipient is in exactly one place (I4, I9),
//! the queue, the calls in flight and the reservations say what the states say (I5), balances are sums of entries (I8), and
//! whoever lost a lane changes nothing (I7). HONGYAN_EXPLORE makes it longer.

use domain::campaign::CampaignState;
use domain::message::{Outcome, State};
use domain::{Entropy, MessageId, SeededEntropy, SystemEntropy};
use store::campaigns::{
    CampaignChange, Chunk, Expanded, ListKind, ListedRecipient, NewCampaign, NewRecipient, Place,
};
use store::hot::enqueue::Queue;
use store::hot::settle::{Settled, Settlement};
use uuid::Uuid;

use crate::bed::{APP, Bed, Flight, Raw};

const PEOPLE: usize = 7;
const STEPS: usize = 90;
const LIFE: i64 = 72 * 3_600_000;

/// What must be true of the tables at every moment; each gives the number of rows that break it.
const LAWS: [(&str, &str); 7] = [
    (
        "what waits has a place in its queue, and nothing else has",
        "select (select count(*) from message_state s join message m on m.id = s.id where s.state in (1, 2)
            and not exists (select 1 from ready r where r.lane = s.lane and r.queue = m.queue and r.due_at = s.due_at and r.id = s.id))
         + (select count(*) from ready r join message_state s on s.id = r.id where (r.queue >= 1099511627776 or r.queue % 4 <> 3) and s.state not in (1, 2))",
    ),
    (
        "what is being sent is in flight, and nothing else is (I5)",
        "select (select count(*) from message_state s where s.state = 3 and not exists (select 1 from in_flight f where f.id = s.id))
         + (select count(*) from in_flight f join message_state s on s.id = f.id where s.state not in (3, 5, 6))",
    ),
    (
        "what may yet be sent, or may have been, reserves a grant, and nothing else does",
        "select (select count(*) from message_state s where s.state in (1, 2, 3, 9) and not exists (select 1 from reserved r where r.id = s.id))
         + (select count(*) from reserved r join message_state s on s.id = r.id where s.state not in (1, 2, 3, 9))",
    ),
    (
        "a balance is the sum of its entries and never negative (I8)",
        "select count(*) from subscription s where s.balance < 0 or s.balance <>
            (select coalesce(sum(l.delta), 0) from ledger l where l.lane = s.lane and l.template = s.template and l.openid = s.openid)",
    ),
    ("every message has a state (I4)", "select count(*) from message m where not exists (select 1 from message_state s where s.id = m.id)"),
    (
        "nobody is accepted twice by one message",
        "select count(*) from (select reference from ledger where kind = 5 group by reference having count(*) > 1) x",
    ),
    ("one call at a time to one person (I6)", "select count(*) from (select m.openid from in_flight f join message m on m.id = f.id group by m.openid having count(*) > 1) x"),
];

struct World {
    bed: Bed,
    db: Raw,
    random: SeededEntropy,
    number: i64,
    list: Option<Uuid>,
    state: CampaignState,
    flights: Vec<Flight>,
    msgid: u64,
    log: Vec<String>,
}

#[tokio::test]
async fn whatever_happens_the_accounts_close() {
    let cases: u64 = std::env::var("HONGYAN_EXPLORE").map_or(16, |text| text.parse().unwrap());
    let seed = SystemEntropy::new().unwrap().next_u64();
    for case in 0..cases {
        println!("seed {}", seed.wrapping_add(case));
        explore(Bed::sqlite().await, seed.wrapping_add(case)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_on_postgres_the_accounts_close() {
    let cases: u64 = std::env::var("HONGYAN_EXPLORE").map_or(4, |text| text.parse().unwrap());
    let seed = SystemEntropy::new().unwrap().next_u64();
    for case in 0..cases {
        println!("seed {}", seed.wrapping_add(case));
        let Some(bed) = Bed::postgres("whatever_happens_on_postgres_the_accounts_close").await else {
            return;
        };
        let store = bed.store.clone();
        explore(bed, seed.wrapping_add(case)).await;
        store.close().await;
    }
}

async fn explore(bed: Bed, seed: u64) {
    let db = Raw::of(&bed).await;
    let mut world = World {
        bed,
        db,
        random: SeededEntropy::new(seed),
        number: 0,
        list: None,
        state: CampaignState::Draft,
        flights: Vec::new(),
        msgid: 1,
        log: Vec::new(),
    };
    world.begin().await;
    for _ in 0..STEPS {
        world.bed.clock.advance(1 + i64::try_from(world.random.next_u64() % 3_000).unwrap());
        let what = world.step().await;
        world.log.push(what);
        world.laws(seed).await;
    }
    world.end(seed).await;
}

fn person(number: usize) -> String {
    format!("oExplorer{number:0>19}")
}

impl World {
    fn chance(&self, of: usize) -> usize {
        usize::try_from(self.random.next_u64() % of as u64).unwrap()
    }

    async fn begin(&mut self) {
        for number in 0..PEOPLE {
            self.bed.grant(&person(number), 1 + number % 3).await;
        }
        if self.chance(2) == 0 {
            let list = Uuid::from_u128(u128::from(self.random.next_u64()));
            let rows = (1..=12)
                .map(|row| ListedRecipient {
                    row,
                    sheet_row: None,
                    kind: ListKind::Openid,
                    given: person(self.chance(PEOPLE)),
                    vars: "{}".into(),
                })
                .collect();
            self.bed.store.add_list(list, rows).await.unwrap();
            self.list = Some(list);
        }
        let new = NewCampaign {
            id: Uuid::from_u128(u128::from(self.random.next_u64())),
            app: APP,
            name: "explored".into(),
            template: self.bed.template,
            data: "{}".into(),
            page: None,
            version: "formal".into(),
            lang: "zh_CN".into(),
            audience: "{}".into(),
            options: "{}".into(),
            list: self.list,
            send_at: None,
            expire_at: None,
            created_by: "test".into(),
            created_at: self.bed.now(),
        };
        let id = new.id;
        self.bed.store.add_campaign(new, None).await.unwrap();
        self.number = self.bed.store.campaign(APP, id).await.unwrap().unwrap().number;
        let lanes = self.bed.store.lanes();
        let begin = match self.list {
            Some(_) => lanes.iter().map(|lane| (lane, if lane == self.home() { 12 } else { 0 })).collect(),
            None => self.bed.store.count_members(self.bed.template, self.bed.now()).await.unwrap(),
        };
        let mut change = CampaignChange::new(CampaignState::Draft, CampaignState::Running, self.bed.now());
        change.started_by = Some("test".into());
        change.begin = Some(begin);
        assert!(self.bed.store.change_campaign(self.number, change).await.unwrap());
        self.state = CampaignState::Running;
    }

    fn home(&self) -> domain::Lane {
        domain::Lane(u16::try_from(self.number % i64::from(self.bed.store.lanes().count())).unwrap())
    }

    async fn step(&mut self) -> String {
        match self.chance(16) {
            0..=2 => self.expand(0).await,
            3..=5 => self.arm().await,
            6..=8 => self.settle().await,
            9 => {
                let to = person(self.chance(PEOPLE + 1));
                self.bed.grant(&to, 1).await;
                format!("grant {to}")
            }
            10 => self.receipt().await,
            11 => self.stale().await,
            12 => self.walk().await,
            13 => self.act().await,
            14 => {
                let id = self.bed.queued(&person(self.chance(PEOPLE))).await;
                format!("single {id}")
            }
            _ => self.crash_or_expire().await,
        }
    }

    /// A chunk of the next lane (or of the list); `stale` counts the epoch down.
    async fn expand(&mut self, stale: i64) -> String {
        let stored = self.bed.store.campaign_by_number(self.number).await.unwrap().unwrap();
        if stored.expanded {
            return "expanded already".into();
        }
        let cancelled = matches!(self.state, CampaignState::Cancelling | CampaignState::Cancelled);
        let state = if cancelled { State::Cancelled } else { State::Queued };
        let (place, people) = match self.list {
            Some(list) => {
                let lines = self.bed.store.listed(list, stored.expanded_to, 5).await.unwrap();
                let to = lines.last().map_or(stored.expanded_to, |line| line.row);
                let place =
                    Place::List { home: self.home(), from: stored.expanded_to, to, done: lines.is_empty() };
                (place, lines.into_iter().map(|line| (line.given, Some(line.row))).collect::<Vec<_>>())
            }
            None => {
                let progress = self.bed.store.campaign_progress(self.number).await.unwrap();
                let open: Vec<_> = progress.lanes.into_iter().filter(|lane| !lane.expanded).collect();
                let lane = &open[self.chance(open.len())];
                let after = lane.expanded_to.clone().unwrap_or_default();
                let until = stored.started_at.unwrap();
                let template = self.bed.template;
                let members = self.bed.store.members(lane.lane, template, &after, until, 2).await.unwrap();
                let to = members.last().map_or(after, |member| member.openid.clone());
                let from = lane.expanded_to.clone();
                let place = Place::Lane { lane: lane.lane, from, to, done: members.is_empty() };
                (place, members.into_iter().map(|member| (member.openid, None)).collect())
            }
        };
        let lane = match &place {
            Place::Lane { lane, .. } => *lane,
            Place::List { home, .. } => *home,
        };
        let recipients = people
            .into_iter()
            .map(|(openid, row)| {
                let skipped = self.chance(6) == 0;
                NewRecipient {
                    id: MessageId::new(self.bed.now(), self.bed.lane(&openid), &*self.bed.entropy),
                    openid,
                    row,
                    data: "{}".into(),
                    page: None,
                    state: if skipped { State::Skipped } else { state },
                    reason: skipped.then_some("no_grant"),
                    detail: None,
                }
            })
            .collect();
        let chunk = Chunk {
            campaign: self.number,
            epoch: self.bed.epochs.of(lane) - stale,
            app: APP,
            template: self.bed.template,
            version: "formal".into(),
            lang: "zh_CN".into(),
            due_at: self.bed.now(),
            expire_at: self.bed.now() + LIFE,
            place,
            recipients,
        };
        let expected = if stale > 0 { Expanded::Elsewhere } else { Expanded::Written };
        assert_eq!(self.bed.store.expand_campaign(chunk.clone()).await.unwrap(), expected);
        // Once more from the old place: nothing.
        assert_eq!(self.bed.store.expand_campaign(chunk).await.unwrap(), Expanded::Elsewhere);
        format!("expand, stale {stale}")
    }

    /// Arms something that waits, of the campaign or a single one, whose person has no call in flight.
    async fn arm(&mut self) -> String {
        let sends = matches!(self.state, CampaignState::Running | CampaignState::Finished);
        let mut waiting = Vec::new();
        for place in self.bed.waiting().await {
            if place.queue.is_unknown() || (place.queue.campaign().is_some() && !sends) {
                continue;
            }
            let read = self.bed.store.claim(place.lane, place.queue, self.bed.now(), 50).await.unwrap();
            waiting.extend(read.into_iter().filter(|claimed| {
                self.flights.iter().all(|flight| flight.settlement.openid != claimed.openid)
            }));
        }
        if waiting.is_empty() {
            return "nothing to arm".into();
        }
        let chosen = waiting.swap_remove(self.chance(waiting.len())).id;
        let (arm, flight) = self.bed.ready(chosen).await;
        let armed = self.bed.store.arm(vec![arm, arm]).await.unwrap();
        assert_eq!(armed.iter().filter(|armed| **armed).count(), 1, "armed once");
        self.flights.push(flight);
        format!("arm {chosen}")
    }

    async fn settle(&mut self) -> String {
        if self.flights.is_empty() {
            return "nothing in flight".into();
        }
        let at = self.chance(self.flights.len());
        let flight = self.flights.swap_remove(at);
        let (queue, due_at, expire_at) = (flight.queue, flight.due_at, flight.expire_at);
        self.msgid += 1;
        let result = match self.chance(8) {
            0..=2 => Settled::Outcome(Outcome::Accepted { msgid: Some(self.msgid) }),
            3 => Settled::Outcome(Outcome::Refused),
            4 => Settled::Outcome(Outcome::Failed),
            5 => Settled::Outcome(Outcome::Unknown),
            6 => Settled::Again {
                queue,
                due_at: self.bed.now() + 10,
                expire_at,
                ambiguous: self.chance(2) == 0,
            },
            _ => Settled::GivenBack { queue, due_at, expire_at },
        };
        let settlement = Settlement { result, at: self.bed.now(), ..flight.settlement };
        let counted = self.bed.store.settle(vec![settlement.clone(), settlement.clone()]).await.unwrap();
        assert_eq!(counted.iter().filter(|counted| **counted).count(), 1, "settled once");
        if result == Settled::Outcome(Outcome::Unknown) && self.chance(2) == 0 {
            let late = Settled::Late(Outcome::Accepted { msgid: Some(self.msgid) });
            self.bed.store.settle(vec![Settlement { result: late, ..settlement }]).await.unwrap();
        }
        format!("settle {result:?}")
    }

    async fn receipt(&mut self) -> String {
        let (to, msgid) = (person(self.chance(PEOPLE)), 1 + self.random.next_u64() % (self.msgid + 1));
        let code = i64::from(self.chance(4) == 0);
        let done = self.bed.receipt(&to, (self.chance(3) > 0).then_some(msgid), code).await;
        format!("receipt {to} {msgid} {code}: {done:?}")
    }

    /// Somebody whose lanes were taken over tries everything.
    async fn stale(&mut self) -> String {
        let before = self.snapshot().await;
        if self.state != CampaignState::Cancelled {
            self.expand(1).await;
        }
        for lane in self.bed.store.lanes().iter() {
            let epoch = self.bed.epochs.of(lane) - 1;
            assert_eq!(self.bed.store.sweep_campaign(self.number, lane, epoch, 100).await.unwrap(), 0);
            let times = (self.bed.now(), self.bed.now() + LIFE);
            self.bed.store.resend_campaign(self.number, lane, epoch, times, 100).await.unwrap();
        }
        assert_eq!(self.snapshot().await, before, "an old owner changed something (I7)");
        "an old owner".into()
    }

    async fn snapshot(&mut self) -> Vec<(Vec<u8>, i64, i64)> {
        self.db.rows("select id, cast(state as bigint), attempts from message_state order by id").await
    }

    /// The engine's walks.
    async fn walk(&mut self) -> String {
        let progress = self.bed.store.campaign_progress(self.number).await.unwrap();
        for lane in progress.lanes {
            let epoch = self.bed.epochs.of(lane.lane);
            if self.state == CampaignState::Cancelling {
                self.bed.store.sweep_campaign(self.number, lane.lane, epoch, 2).await.unwrap();
            } else if self.state == CampaignState::Running && lane.resent_to.is_some() {
                let times = (self.bed.now(), self.bed.now() + LIFE);
                self.bed.store.resend_campaign(self.number, lane.lane, epoch, times, 2).await.unwrap();
            }
        }
        let stored = self.bed.store.campaign_by_number(self.number).await.unwrap().unwrap();
        let progress = self.bed.store.campaign_progress(self.number).await.unwrap();
        let walks = progress.lanes.iter().any(|lane| lane.resent_to.is_some());
        let to = match self.state {
            CampaignState::Running => CampaignState::Finished,
            CampaignState::Cancelling => CampaignState::Cancelled,
            _ => return "walk".into(),
        };
        if stored.expanded && progress.accounts.open() == 0 && !walks {
            self.change(CampaignChange::new(self.state, to, self.bed.now())).await;
        }
        format!("walk, {}", self.state)
    }

    async fn change(&mut self, change: CampaignChange) {
        let to = change.to;
        assert!(self.bed.store.change_campaign(self.number, change.clone()).await.unwrap());
        assert!(!self.bed.store.change_campaign(self.number, change).await.unwrap(), "one step, once");
        self.state = to;
    }

    /// Somebody pauses, resumes, cancels or sends again.
    async fn act(&mut self) -> String {
        use CampaignState as S;
        let to = match (self.state, self.chance(4)) {
            (S::Running, 0..=2) => S::Paused,
            (S::Paused, 0..=2) => S::Running,
            (S::Running | S::Paused, _) => S::Cancelling,
            (S::Finished, _) => S::Running,
            _ => return "no act".into(),
        };
        let mut change = CampaignChange::new(self.state, to, self.bed.now());
        if self.state == S::Finished {
            change.resend = Some(vec![State::Failed, State::Refused, State::Undelivered, State::Expired]);
        }
        self.change(change).await;
        format!("act: {to}")
    }

    /// kill -9 and a new owner; or the time of what waits is over.
    async fn crash_or_expire(&mut self) -> String {
        if self.chance(3) > 0 {
            self.bed.clock.advance(LIFE / 40);
            let ended = self.bed.expire(self.bed.now(), None, 1_000).await.0;
            return format!("{ended} expired");
        }
        let old = std::mem::take(&mut self.flights);
        self.bed.epochs = self.bed.store.take_all_lanes("next".into(), self.bed.now()).await.unwrap();
        let orphans = self.bed.orphans(&self.bed.epochs, self.bed.now(), 1_000).await;
        let found = orphans.len();
        self.bed.store.settle(orphans).await.unwrap();
        // The answers of the old owner's calls come all the same, and change nothing but by their own right.
        for flight in old {
            let result = Settled::Outcome(Outcome::Failed);
            let settlement = Settlement { result, at: self.bed.now(), ..flight.settlement };
            assert_eq!(self.bed.store.settle(vec![settlement]).await.unwrap(), [false]);
        }
        format!("crash, {found} orphans")
    }

    async fn laws(&mut self, seed: u64) {
        for (law, query) in LAWS {
            let broken = self.db.number(query).await;
            assert_eq!(broken, 0, "seed {seed}: {law}\n{}", self.log.join("\n"));
        }
        let accounts = self.bed.store.campaign_progress(self.number).await.unwrap().accounts;
        assert_eq!(accounts.check(), Ok(()), "seed {seed} (I9)\n{}", self.log.join("\n"));
        let counted = self.bed.store.count_campaign(self.number).await.unwrap();
        assert_eq!(counted, accounts, "seed {seed} (I9)\n{}", self.log.join("\n"));
        if self.state == CampaignState::Cancelled {
            assert_eq!(accounts.open(), 0, "seed {seed}: a cancelled campaign has nothing left to do");
        }
    }

    /// Whatever happened, it comes to its end.
    async fn end(&mut self, seed: u64) {
        if self.state == CampaignState::Paused {
            self.change(CampaignChange::new(self.state, CampaignState::Running, self.bed.now())).await;
        }
        for _ in 0..2_000 {
            if matches!(self.state, CampaignState::Finished | CampaignState::Cancelled) {
                break;
            }
            self.bed.clock.advance(1_000);
            self.expand(0).await;
            self.arm().await;
            self.settle().await;
            self.walk().await;
            self.laws(seed).await;
        }
        let accounts = self.bed.store.campaign_progress(self.number).await.unwrap().accounts;
        assert!(
            matches!(self.state, CampaignState::Finished | CampaignState::Cancelled),
            "seed {seed}: {accounts:?}\n{}",
            self.log.join("\n")
        );
        let expected = if self.list.is_some() { 12 } else { PEOPLE as i64 };
        assert_eq!(accounts.recipients, expected, "seed {seed}: everybody, and nobody who came later");
        assert_eq!(Queue::of_campaign(self.number).campaign(), Some(self.number));
    }
}
