//! Whom a campaign can reach: the subscriptions of a template, walked lane by lane in key order, or looked up.

use std::collections::HashMap;

use domain::ledger::Subscription;
use domain::{Lane, Millis};

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;
use crate::hot::{accounts, json};

/// Somebody with a subscription of the template.
#[derive(Debug, Clone)]
pub struct Member {
    /// Whose.
    pub openid: String,
    /// Status and balance.
    pub subscription: Subscription,
    /// Messages that wait, are being sent or are unknown.
    pub reserved: i64,
}

const COLUMNS: &str = "
select s.status, s.status_at, s.balance, s.known, s.last_grant_at, s.refused_at, s.found_open, s.openid,
    (select count(*) from reserved r where r.lane = s.lane and r.template = s.template and r.openid = s.openid)";
const PAGE: &str = "
from subscription s where s.lane = $1 and s.template = $2 and s.openid > $3 and s.since <= $4 order by s.openid limit $5";
const OF: &str = "
from [$1: lane int2, openid text] b
join subscription s on s.lane = b.lane and s.template = $2 and s.openid = b.openid";
const COUNT: &str = "
select b.lane, (select count(*) from subscription s where s.lane = b.lane and s.template = $2 and s.since <= $3)
from [$1 each: lane int2] b";
/// People who stand alike are told together: what that means is the ledger's to say.
const ALIKE: &str = "
select status, min(status_at), min(balance), known, max(last_grant_at), max(refused_at), max(found_open), '',
    min(balance) - <<min|least>>(free, min(balance)), count(*), free
from (select s.status, s.status_at, s.balance, s.known, s.last_grant_at, s.refused_at, s.found_open,
        <<min|least>>(2, <<max|greatest>>(0, s.balance - (select count(*) from reserved r where r.lane = s.lane and r.template = s.template and r.openid = s.openid))) free
    from subscription s where s.lane = $1 and s.template = $2 and s.since <= $3) x
group by status, known, balance > 0, last_grant_at > 0, free";

impl Store {
    /// How many have a subscription of a template, by lane; those who were there at a moment.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn count_members(&self, template: i64, until: Millis) -> Result<Vec<(Lane, i64)>, StoreError> {
        let lanes: Vec<u16> = self.lanes().iter().map(|lane| lane.0).collect();
        let query = db::query(COUNT).bind(json(&lanes)?).bind(template).bind(until);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((Lane(row.try_get(0)?), row.try_get(1)?))).collect()
    }

    /// The next ones of a lane, in key order; those who were there at a moment.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn members(
        &self,
        lane: Lane,
        template: i64,
        after: &str,
        until: Millis,
        limit: i64,
    ) -> Result<Vec<Member>, StoreError> {
        let statement = format!("{COLUMNS} {PAGE}");
        let query = db::query(statement).bind(lane.0).bind(template).bind(after).bind(until).bind(limit);
        query.fetch_all(&self.readers).await?.iter().map(member).collect()
    }

    /// Those of some people who have a subscription of the template.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn members_of(
        &self,
        template: i64,
        openids: &[String],
    ) -> Result<HashMap<String, Member>, StoreError> {
        let wanted: Vec<_> =
            openids.iter().map(|openid| (self.lanes().of_openid(openid).0, openid)).collect();
        let statement = format!("{COLUMNS} {OF}");
        let query = db::query(statement).bind(json(&wanted)?).bind(template);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| member(row).map(|member| (member.openid.clone(), member))).collect()
    }

    /// The subscribers of a template in groups of those who stand alike: one of them (without openid), how many they are, and how
    /// many grants each has free, two standing for more.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn members_alike(
        &self,
        lane: Lane,
        template: i64,
        until: Millis,
    ) -> Result<Vec<(Member, i64, i64)>, StoreError> {
        let query = db::query(ALIKE).bind(lane.0).bind(template).bind(until);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((member(row)?, row.try_get(9)?, row.try_get(10)?))).collect()
    }
}

fn member(row: &Row) -> Result<Member, StoreError> {
    Ok(Member {
        subscription: accounts::subscription(row, 0)?,
        openid: row.try_get(7)?,
        reserved: row.try_get(8)?,
    })
}
