//! Lists of messages: pages, newest first, walked back by id. No index serves a list (ADR 1): a page looks at a bounded
//! number of rows, those of other apps too, and then gives a cursor.

use domain::message::State;
use domain::{MessageId, Millis};

use crate::Store;
use crate::db::{self};
use crate::error::StoreError;
use crate::hot::uuid;
use crate::messages::{COLUMNS, MessageFilter, Page, StoredMessage, first_id_of, stored};

/// Rows of the app that a page looks at.
const EXAMINED: i64 = 10_000;
/// Rows of any app that it passes over: about 10 ms of reading. An index by app would cost every message 0.5 to 3 µs and 25
/// bytes, and each commit a page for each of its apps.
const PASSED: i64 = 100_000;
/// Rows of the first step; later ones look at four times as many as the one before.
const STEP: i64 = 512;

const LOOK: &str = "
select count(*), <<min(y.id)|(array_agg(y.id order by y.id))[1]>>, count(*) filter (where y.app = $1)
from (<<select id, app from message where id < $2|select x.id, x.app from lane l cross join lateral
    (select id, app from message m where m.lane = l.id and m.id < $2 order by m.id desc limit $3) x>>
    order by id desc limit $3) y";
const LIST: &str = "
where <<|m.lane = any(array(select l.id from lane l)) and>> m.app = $1 and m.id < $2 and m.id >= $3 and ($4 is null or s.state = $4) and ($5 is null or m.openid = $5)
    and ($6 is null or m.template = $6) and ($7 is null or m.id >= $7) and ($9 is null or s.campaign = $9)
order by m.id desc limit $8";

impl Store {
    /// A page of an app's messages, newest first. It may be short, even empty, though more follow: the cursor tells.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn messages(
        &self,
        app: i64,
        filter: MessageFilter,
        before: Option<MessageId>,
        limit: i64,
    ) -> Result<Page<StoredMessage>, StoreError> {
        let bound = |at: Millis| first_id_of(at);
        let mut before = match (before.map(|id| id.0.as_bytes().to_vec()), filter.until.map(bound)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => vec![0xff; 16],
        };
        let since = filter.since.map(bound);
        if let Some(campaign) = filter.campaign {
            // Its messages lie together: no need to look for them from the newest on.
            let last: Option<Vec<u8>> = db::query_scalar(
                "select last_id from campaign_lane where campaign = $1 and last_id is not null order by last_id desc limit 1",
            )
            .bind(campaign)
            .fetch_optional(&self.readers)
            .await?;
            let Some(last) = last else { return Ok(Page { items: Vec::new(), next: None }) };
            let after = uuid(&last)?.as_u128().saturating_add(1).to_be_bytes().to_vec();
            before = before.min(after);
        }
        let wanted = usize::try_from(limit).unwrap_or(1);
        let (mut items, mut own, mut passed, mut step) = (Vec::new(), 0, 0, STEP);
        loop {
            let look = step.min(EXAMINED - own).min(PASSED - passed);
            let looked = db::query(LOOK).bind(app).bind(&before).bind(look).fetch_one(&self.readers).await?;
            let count: i64 = looked.try_get(0)?;
            let Some(last) = looked.try_get::<Option<Vec<u8>>>(1)? else {
                return Ok(Page { items, next: None });
            };
            if looked.try_get::<i64>(2)? > 0 {
                let missing = limit + 1 - i64::try_from(items.len()).unwrap_or(0);
                let statement = format!("select {COLUMNS} {LIST}");
                let rows = db::query(statement)
                    .bind(app)
                    .bind(&before)
                    .bind(&last)
                    .bind(filter.state.map(State::code))
                    .bind(filter.openid.as_deref())
                    .bind(filter.template)
                    .bind(since.as_deref())
                    .bind(missing)
                    .bind(filter.campaign)
                    .fetch_all(&self.readers)
                    .await?;
                items.extend(rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?);
            }
            if items.len() > wanted {
                items.truncate(wanted);
                let next = items.last().map(|message| message.id);
                return Ok(Page { items, next });
            }
            // What follows is too old, or there is nothing more.
            if count < look || since.as_ref().is_some_and(|since| last <= *since) {
                return Ok(Page { items, next: None });
            }
            (own, passed) = (own + looked.try_get::<i64>(2)?, passed + count);
            if own >= EXAMINED || passed >= PASSED {
                return Ok(Page { items, next: Some(MessageId(uuid(&last)?)) });
            }
            (before, step) = (last, step * 4);
        }
    }
}
