//! What ought to move and does not: attempts without an end, deliveries that pile up. Asked by the diagnosis and the metrics,
//! never on the hot path.

use domain::Millis;

use crate::Store;
use crate::db;
use crate::error::StoreError;

/// Attempts that began long ago and have no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overdue {
    /// How many.
    pub count: i64,
    /// When the oldest of them began.
    pub since: Option<Millis>,
}

/// Deliveries of an endpoint that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryBacklog {
    /// The endpoint's number.
    pub webhook: i64,
    /// How many.
    pub count: i64,
    /// When the event of the oldest of them was noticed.
    pub since: Option<Millis>,
}

const OVERDUE: &str = "
select count(*), min(s.attempt_at) from in_flight f
join message m on m.lane = f.lane and m.id = f.id join message_state s on s.lane = f.lane and s.id = f.id
where m.app = $1 and s.attempt_at < $2";
const DELIVERIES: &str = "
select d.webhook, count(*), min(e.created_at) from webhook_delivery d join webhook_event e on e.number = d.event
where d.state = 1 group by d.webhook order by d.webhook";

impl Store {
    /// Attempts of an app that began before a moment and have no outcome yet.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn overdue_attempts(&self, app: i64, before: Millis) -> Result<Overdue, StoreError> {
        let row = db::query(OVERDUE).bind(app).bind(before).fetch_one(&self.readers).await?;
        Ok(Overdue { count: row.try_get(0)?, since: row.try_get(1)? })
    }

    /// What waits to be delivered, by endpoint.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delivery_backlog(&self) -> Result<Vec<DeliveryBacklog>, StoreError> {
        let rows = db::query(DELIVERIES).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                Ok(DeliveryBacklog {
                    webhook: row.try_get(0)?,
                    count: row.try_get(1)?,
                    since: row.try_get(2)?,
                })
            })
            .collect()
    }
}
