//! How all apps are, in a handful of statements however many there are: what the list of apps shows. Read by the service.

use std::collections::HashMap;

use domain::Millis;
use domain::campaign::CampaignState;
use domain::clock::HOUR;

use crate::Store;
use crate::db::{self};
use crate::error::StoreError;
use crate::happened::What;

/// What is seen of an app from afar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Nothing is sent.
    pub gate_closed: bool,
    /// Why campaigns are paused, each.
    pub paused_because: Vec<String>,
    /// Campaigns that await approval.
    pub awaiting_approval: i64,
    /// Templates that were ever read.
    pub templates: i64,
    /// Those of them that changed at WeChat.
    pub templates_changed: i64,
    /// What happened since the moment that was asked for.
    pub happened: HashMap<What, i64>,
    /// The latest callback.
    pub last_callback: Option<Millis>,
    /// Calls that are taken of the day's budget.
    pub budget_taken: i64,
}

const CAMPAIGNS: &str = "select app, state, paused_because from campaign where state in ($1, $2)";
const TEMPLATES: &str = "
select app, count(*), count(changed_from) from template where synced_at is not null group by app";
// Each app's last hours lie together: without the app, all hours would be looked at.
const HAPPENED: &str = "
select a.id, h.what, cast(sum(h.n) as bigint) from app a join happened h on h.app = a.id and h.hour >= $1 group by a.id, h.what";
const LATEST: &str = "
select a.id, max(h.n) from app a join happened h on h.app = a.id and h.hour = 0 group by a.id";
const BUDGETS: &str = "select app, calls from app_day where day = $1";

impl Store {
    /// The signs of every app that has any; what happened since `since`, budgets of `day`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn signs(&self, since: Millis, day: &str) -> Result<HashMap<i64, Signs>, StoreError> {
        let mut all: HashMap<i64, Signs> = HashMap::new();
        for gate in self.gates().await? {
            all.entry(gate.app).or_default().gate_closed = true;
        }
        let (awaiting, paused) = (CampaignState::AwaitingApproval.code(), CampaignState::Paused.code());
        for row in db::query(CAMPAIGNS).bind(awaiting).bind(paused).fetch_all(&self.readers).await? {
            let signs = all.entry(row.try_get(0)?).or_default();
            if row.try_get::<i16>(1)? == awaiting {
                signs.awaiting_approval += 1;
            } else {
                signs.paused_because.extend(row.try_get::<Option<String>>(2)?);
            }
        }
        for row in db::query(TEMPLATES).fetch_all(&self.readers).await? {
            let signs = all.entry(row.try_get(0)?).or_default();
            (signs.templates, signs.templates_changed) = (row.try_get(1)?, row.try_get(2)?);
        }
        for row in db::query(HAPPENED).bind(since / HOUR).fetch_all(&self.readers).await? {
            let what = What::try_from(row.try_get::<i16>(1)?);
            let what = what.map_err(|_| StoreError::Corrupt("happened.what"))?;
            all.entry(row.try_get(0)?).or_default().happened.insert(what, row.try_get(2)?);
        }
        for row in db::query(LATEST).fetch_all(&self.readers).await? {
            all.entry(row.try_get(0)?).or_default().last_callback = row.try_get(1)?;
        }
        for row in db::query(BUDGETS).bind(day).fetch_all(&self.readers).await? {
            all.entry(row.try_get(0)?).or_default().budget_taken = row.try_get(1)?;
        }
        Ok(all)
    }
}
