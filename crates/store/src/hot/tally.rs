//! The accounts of campaigns, kept with the states: whoever changes states notes each move here, and writes the sums in the
//! same commit (I9). One row per campaign and lane, however many messages moved.

use std::collections::BTreeMap;

use domain::campaign::Accounts;
use domain::message::State;
use domain::{MessageId, Millis};

use super::{hex, json};
use crate::db::{self, Db, Engine};
use crate::error::StoreError;
use crate::happened::{self, What};
use crate::webhooks;

/// Moves of a batch, by campaign and lane, and what became of each message, for whoever wants to be told.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accounts: BTreeMap<(i64, u16), Accounts>,
    news: Vec<(String, State)>,
    /// Set where calls to WeChat have ended: then it is counted what became of them, and when.
    at: Option<Millis>,
    happened: Vec<(String, What)>,
}

const WRITE: &str = "
update campaign_lane as c set recipients = c.recipients + b.recipients, todo = c.todo + b.todo, scheduled = c.scheduled + b.scheduled,
    queued = c.queued + b.queued, sending = c.sending + b.sending, accepted = c.accepted + b.accepted,
    delivered = c.delivered + b.delivered, undelivered = c.undelivered + b.undelivered, refused = c.refused + b.refused,
    failed = c.failed + b.failed, unknown = c.unknown + b.unknown, expired = c.expired + b.expired,
    cancelled = c.cancelled + b.cancelled, skipped = c.skipped + b.skipped
from [$1: campaign int8, lane int2, recipients int8, todo int8, scheduled int8, queued int8, sending int8, accepted int8,
    delivered int8, undelivered int8, refused int8, failed int8, unknown int8, expired int8, cancelled int8, skipped int8] b
where c.campaign = b.campaign and c.lane = b.lane{c}";
const CAMPAIGNS: &str = "
select b.was, b.is_now, s.campaign, s.lane from [$1: id id, was int2, is_now int2] b
join message_state s on s.id = b.id{s.id} where s.campaign is not null";

/// A message's id in hex and the codes of its states before and after.
pub(crate) type Move = (String, i16, i16);

impl Tally {
    /// Counts what became of messages by the hour, too.
    pub(crate) fn counting(at: Millis) -> Self {
        Self { at: Some(at), ..Self::default() }
    }

    fn noticed(&mut self, id: String, before: State, after: State) {
        if self.at.is_some() {
            self.happened.extend(What::of(before, after).map(|what| (id.clone(), what)));
        }
        self.news.push((id, after));
    }

    /// A message of a campaign (or none) went from one state to another.
    pub(crate) fn moved(
        &mut self,
        id: MessageId,
        campaign: Option<i64>,
        lane: u16,
        before: State,
        after: State,
    ) {
        if before == after {
            return;
        }
        self.noticed(hex(id.0), before, after);
        self.moved_in(campaign, lane, before, after);
    }

    fn moved_in(&mut self, campaign: Option<i64>, lane: u16, before: State, after: State) {
        if let Some(campaign) = campaign {
            self.accounts.entry((campaign, lane)).or_default().moved(before, after);
        }
    }

    /// A message was born in this state.
    pub(crate) fn born(&mut self, id: MessageId, campaign: i64, state: State) {
        if !state.is_open() {
            self.news.push((hex(id.0), state));
        }
        self.of(campaign, id.lane().0).add(state, 1);
    }

    /// The accounts of one campaign and lane, to be changed by hand.
    pub(crate) fn of(&mut self, campaign: i64, lane: u16) -> &mut Accounts {
        self.accounts.entry((campaign, lane)).or_default()
    }

    /// Notes messages of which nobody knows yet whether a campaign sent them.
    pub(crate) async fn moved_all(&mut self, db: &mut Db, moves: &[Move]) -> Result<(), StoreError> {
        if moves.iter().all(|(_, before, after)| before == after) {
            return Ok(());
        }
        let state = |code: i16| State::try_from(code).map_err(|_| StoreError::Corrupt("message_state"));
        for (id, before, after) in moves.iter().filter(|(_, before, after)| before != after) {
            self.noticed(id.clone(), state(*before)?, state(*after)?);
        }
        for row in db::query(CAMPAIGNS).bind(json(moves)?).fetch_all(db).await? {
            let (before, after) = (state(row.try_get(0)?)?, state(row.try_get(1)?)?);
            if before != after {
                self.moved_in(row.try_get(2)?, row.try_get(3)?, before, after);
            }
        }
        Ok(())
    }

    /// Adds everything to the accounts.
    pub(crate) async fn write(self, db: &mut Db) -> Result<(), StoreError> {
        if db.engine() == Engine::Sqlite {
            return self.write_at_once(db).await;
        }
        // A statement of PostgreSQL is of one lane; nearly always all are of one.
        let mut lanes: BTreeMap<u16, Self> = BTreeMap::new();
        let lane_of = |id: &str| {
            let id = uuid::Uuid::try_parse(id).map_err(|_| StoreError::Corrupt("an id"))?;
            Ok::<_, StoreError>(MessageId(id).lane().0)
        };
        for (id, state) in self.news {
            let lane = lane_of(&id)?;
            lanes.entry(lane).or_default().news.push((id, state));
        }
        for (id, what) in self.happened {
            let lane = lane_of(&id)?;
            lanes.entry(lane).or_default().happened.push((id, what));
        }
        for ((campaign, lane), accounts) in self.accounts {
            lanes.entry(lane).or_default().accounts.insert((campaign, lane), accounts);
        }
        for (lane, part) in lanes {
            let part = Self { at: self.at, ..part };
            part.write_at_once(db.in_lane(lane)).await?;
        }
        Ok(())
    }

    async fn write_at_once(mut self, db: &mut Db) -> Result<(), StoreError> {
        webhooks::note_messages(db, &self.news).await?;
        if let Some(at) = self.at {
            happened::count_messages(db, at, &self.happened).await?;
        }
        self.accounts.retain(|_, accounts| !accounts.is_zero());
        if self.accounts.is_empty() {
            return Ok(());
        }
        let rows: Vec<Vec<i64>> = self
            .accounts
            .iter()
            .map(|((campaign, lane), accounts)| {
                let mut row = vec![*campaign, i64::from(*lane), accounts.recipients, accounts.todo];
                row.extend(accounts.states());
                row
            })
            .collect();
        db::query(WRITE).bind(json(&rows)?).execute(db).await?;
        Ok(())
    }
}
