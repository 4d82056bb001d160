//! Reading who subscribed to what, and the ledger that explains each balance.

use domain::Millis;
use domain::ledger::{Subscription, TemplateKind};

use crate::Store;
use crate::db::{self, Row};
use crate::error::StoreError;
use crate::hot::accounts::{self, StoredEntry};

/// A subscription with its template.
#[derive(Debug, Clone)]
pub struct StoredSubscription {
    /// Whose.
    pub openid: String,
    /// WeChat's template id.
    pub template_id: String,
    /// One-time or long-term.
    pub kind: TemplateKind,
    /// Status and balance.
    pub subscription: Subscription,
    /// Messages that wait, are being sent or are unknown.
    pub reserved: i64,
}

/// Where a page of subscriptions goes on: lane, template number, openid.
pub type SubscriptionKey = (i64, i64, String);

const COLUMNS: &str = "
select s.status, s.status_at, s.balance, s.known, s.last_grant_at, s.refused_at, s.found_open, s.openid, t.template_id, t.kind,
    (select count(*) from reserved r where r.lane = s.lane and r.template = s.template and r.openid = s.openid),
    s.lane, s.template
from template t join subscription s on s.template = t.id";
const BY_OPENID: &str = "where t.app = $1 and s.lane = $2 and s.openid = $3 and ($4 is null or t.template_id = $4) order by t.template_id";
const ALL: &str = "where t.app = $1 and ($2 is null or t.template_id = $2) and (s.lane, s.template, s.openid) > ($3, $4, $5)
order by s.lane, s.template, s.openid limit $6";

impl Store {
    /// What one person has, by template.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn subscriptions_of(
        &self,
        app: i64,
        openid: &str,
        template_id: Option<&str>,
    ) -> Result<Vec<StoredSubscription>, StoreError> {
        let lane = self.lanes().of_openid(openid);
        let statement = format!("{COLUMNS} {BY_OPENID}");
        let rows = db::query(statement)
            .bind(app)
            .bind(lane.0)
            .bind(openid)
            .bind(template_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(stored).collect()
    }

    /// What the mini program reported last of one person: template, whether it was an accept, when.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn reported_of(
        &self,
        app: i64,
        openid: &str,
    ) -> Result<Vec<(String, bool, Millis)>, StoreError> {
        let lane = self.lanes().of_openid(openid);
        let statement = "
            select t.template_id, r.accepted, r.at from template t join reported r on r.template = t.id
            where t.app = $1 and r.lane = $2 and r.openid = $3";
        let query = db::query(statement).bind(app).bind(lane.0).bind(openid);
        let rows = query.fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
    }

    /// A page of everybody's.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn subscriptions(
        &self,
        app: i64,
        template_id: Option<&str>,
        after: Option<SubscriptionKey>,
        limit: i64,
    ) -> Result<(Vec<StoredSubscription>, Option<SubscriptionKey>), StoreError> {
        let (lane, template, openid) = after.unwrap_or((-1, 0, String::new()));
        let statement = format!("{COLUMNS} {ALL}");
        let rows = db::query(statement)
            .bind(app)
            .bind(template_id)
            .bind(lane)
            .bind(template)
            .bind(openid)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        let items = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let next = match rows.last() {
            Some(row) if i64::try_from(rows.len()).unwrap_or(0) == limit => {
                Some((row.try_get(11)?, row.try_get(12)?, row.try_get(7)?))
            }
            _ => None,
        };
        Ok((items, next))
    }

    /// The entries that explain one balance, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn ledger_of(
        &self,
        app: i64,
        openid: &str,
        template_id: &str,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let lane = self.lanes().of_openid(openid);
        let mut db = self.readers.acquire().await?;
        let newest: Option<Option<i64>> = db::query_scalar(
            "select s.last_entry from template t join subscription s on s.template = t.id and s.lane = $2 and s.openid = $3
             where t.app = $1 and t.template_id = $4",
        )
        .bind(app)
        .bind(lane.0)
        .bind(openid)
        .bind(template_id)
        .fetch_optional(&mut db)
        .await?;
        accounts::chain(db.in_lane(lane.0), newest.flatten()).await
    }

    /// A page of all entries of an app, oldest first.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn ledger(
        &self,
        app: i64,
        after: i64,
        limit: i64,
    ) -> Result<Vec<(String, String, StoredEntry)>, StoreError> {
        let statement = "
            select l.id, l.kind, l.reason, l.delta, l.balance, l.act_at, l.written_at, l.reference, l.note, l.openid, t.template_id, l.author
            from <<ledger l|(select x.* from lane a cross join lateral (
                select e.* from ledger e where e.lane = a.id and e.id > $2
                    and e.template in (select p.id from template p where p.app = $1)
                order by e.id limit $3) x order by x.id limit $3) l>>
            join template t on t.id = l.template
            where l.id > $2 and t.app = $1 order by l.id limit $3";
        let rows = db::query(statement).bind(app).bind(after).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get(9)?, row.try_get(10)?, accounts::stored_entry(row)?))).collect()
    }

    /// Who had the latest event, for `hongyan send --to last`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn last_openid(&self, app: i64) -> Result<Option<(String, Millis)>, StoreError> {
        let row = db::query(
            "select openid, received_at from (select openid, received_at, kind, app from inbox order by id desc limit 10000) latest
             where app = $1 and kind in ('popup', 'change') limit 1",
        )
        .bind(app)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }
}

fn stored(row: &Row) -> Result<StoredSubscription, StoreError> {
    Ok(StoredSubscription {
        subscription: accounts::subscription(row, 0)?,
        openid: row.try_get(7)?,
        template_id: row.try_get(8)?,
        kind: if row.try_get::<i16>(9)? == 3 { TemplateKind::LongTerm } else { TemplateKind::OneTime },
        reserved: row.try_get(10)?,
    })
}
