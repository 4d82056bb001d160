//! Reading the accounts of a campaign, and counting them anew.

use domain::Lane;
use domain::campaign::Accounts;
use domain::message::State;
use uuid::Uuid;

use super::rows;
use crate::Store;
use crate::db::{self};
use crate::error::StoreError;
use crate::hot::enqueue::Queue;
use crate::hot::uuid;

/// The accounts of a campaign in one lane, and where its walks stand there.
#[derive(Debug, Clone)]
pub struct LaneAccounts {
    /// The lane.
    pub lane: Lane,
    /// Its part of the accounts.
    pub accounts: Accounts,
    /// The last subscriber of the lane that is a message.
    pub expanded_to: Option<String>,
    /// Whether all of the lane are.
    pub expanded: bool,
    /// The ids of its messages lie between these.
    pub ids: Option<(Uuid, Uuid)>,
    /// Where trying again stands, where that is under way.
    pub resent_to: Option<Vec<u8>>,
}

/// How far a campaign is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// All lanes together.
    pub accounts: Accounts,
    /// Lane by lane.
    pub lanes: Vec<LaneAccounts>,
}

const READ: &str = "
select lane, expanded_to, expanded, first_id, last_id, resent_to, recipients, todo, scheduled, queued, sending, accepted,
    delivered, undelivered, refused, failed, unknown, expired, cancelled, skipped
from campaign_lane where campaign = $1 order by lane";
const COUNT: &str = "
select s.state, count(*) from message m join message_state s on s.lane = m.lane and s.id = m.id
where m.id between $1 and $2 and m.queue = $3 and m.lane = $4 group by s.state";

impl Store {
    /// How far a campaign is; zero before its start.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn campaign_progress(&self, number: i64) -> Result<Progress, StoreError> {
        let mut progress = Progress::default();
        for row in db::query(READ).bind(number).fetch_all(&self.readers).await? {
            let accounts = rows::accounts(&row, 6)?;
            progress.accounts.merge(&accounts);
            let id = |at: usize| Ok::<_, StoreError>(row.try_get::<Option<Vec<u8>>>(at)?.map(|id| uuid(&id)));
            let (first, last) = (id(3)?.transpose()?, id(4)?.transpose()?);
            progress.lanes.push(LaneAccounts {
                lane: Lane(row.try_get(0)?),
                accounts,
                expanded_to: row.try_get(1)?,
                expanded: row.try_get(2)?,
                ids: first.zip(last),
                resent_to: row.try_get(5)?,
            });
        }
        Ok(progress)
    }

    /// Counts the messages of a campaign themselves, lane by lane: what the accounts must say (I9).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn count_campaign(&self, number: i64) -> Result<Accounts, StoreError> {
        let mut counted = Accounts::default();
        for lane in self.campaign_progress(number).await?.lanes {
            counted.todo += lane.accounts.todo;
            counted.recipients += lane.accounts.todo;
            let Some((first, last)) = lane.ids else { continue };
            let query = db::query(COUNT)
                .bind(first.as_bytes().to_vec())
                .bind(last.as_bytes().to_vec())
                .bind(Queue::of_campaign(number).0)
                .bind(lane.lane.0);
            for row in query.fetch_all(&self.readers).await? {
                let state = State::try_from(row.try_get::<i16>(0)?)
                    .map_err(|_| StoreError::Corrupt("message_state"))?;
                counted.add(state, row.try_get(1)?);
                counted.recipients += row.try_get::<i64>(1)?;
            }
        }
        Ok(counted)
    }
}
