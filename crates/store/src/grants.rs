//! Grants by hand: taken over from elsewhere, or corrected by somebody, each with a note. Used by the service.

use std::collections::{BTreeMap, BTreeSet};

use domain::ledger::{Change, LedgerError, Subscription, TemplateKind};
use domain::{MessageId, Millis};

use crate::Store;
use crate::db::{self, Db, Engine};
use crate::error::StoreError;
use crate::hot::accounts::{Book, Key};
use crate::hot::enqueue::{self, Enqueued, Idempotency};
use crate::hot::turn;
use crate::writing::Context;

/// An entry by hand.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// Whose.
    pub openid: String,
    /// The template's number.
    pub template: i64,
    /// One-time or long-term.
    pub kind: TemplateKind,
    /// [`Change::Adjust`] or [`Change::Import`].
    pub change: Change,
    /// Why.
    pub note: Option<String>,
}

/// What became of a list of them.
#[derive(Debug, Clone)]
pub enum Written {
    /// Each with the balance afterwards, or why it was not written.
    New(Vec<Result<Subscription, LedgerError>>),
    /// The key was used before with the same list: nothing was written.
    Replayed,
    /// The key was used before with another list.
    KeyReused,
}

/// The newest entry of an account that took its last grant.
const SPENT: &str = "
select l.id, l.openid, l.act_at from <<(select * from ledger where id < $1 order by id desc limit $2) l|
    (select x.* from lane a cross join lateral (
        select * from ledger e where e.lane = a.id and e.id < $1 order by e.id desc limit $2) x
     order by x.id desc limit $2) l>>
join subscription s on s.lane = l.lane and s.template = l.template and s.openid = l.openid
where l.template = $3 and l.written_at >= $4 and l.balance = 0 and l.delta < 0 and s.last_entry = l.id and s.balance = 0
    and s.status <> $5
order by l.id desc";
const OLDEST: &str = "
select min(l.id), min(l.written_at), count(*) from <<(select * from ledger where id < $1 order by id desc limit $2) l|
    (select x.* from lane a cross join lateral (
        select * from ledger e where e.lane = a.id and e.id < $1 order by e.id desc limit $2) x
     order by x.id desc limit $2) l>>";

/// Whoever spent the last grant, and when; where the next page begins.
pub type Spent = (Vec<(String, Millis)>, Option<i64>);

impl Store {
    /// Those who spent their last grant of a template since a moment, the latest first; looks at so many entries of the ledger.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn spent(
        &self,
        template: i64,
        since: Millis,
        before: Option<i64>,
        examined: i64,
    ) -> Result<Spent, StoreError> {
        let before = before.unwrap_or(i64::MAX);
        let (oldest, written, count): (Option<i64>, Option<i64>, i64) =
            db::query_as(OLDEST).bind(before).bind(examined).fetch_one(&self.readers).await?;
        let rows: Vec<(i64, String, Millis)> = db::query_as(SPENT)
            .bind(before)
            .bind(examined)
            .bind(template)
            .bind(since)
            .bind(domain::ledger::Status::Reject.code())
            .fetch_all(&self.readers)
            .await?;
        let more = count == examined && written.is_some_and(|written| written >= since);
        Ok((rows.into_iter().map(|(_, openid, at)| (openid, at)).collect(), oldest.filter(|_| more)))
    }

    /// Writes entries by hand in one commit; those that change nothing are told.
    ///
    /// # Errors
    /// Where the database is away: then nothing is written.
    pub async fn write_by_hand(
        &self,
        app: i64,
        entries: Vec<ByHand>,
        (author, at): (String, Millis),
        key: Option<Idempotency>,
    ) -> Result<Written, StoreError> {
        let lanes = self.lanes();
        let keyed: Vec<(Key, ByHand)> = entries
            .into_iter()
            .map(|entry| {
                let lane = lanes.of_openid(&entry.openid).0;
                (Key { lane, template: entry.template, openid: entry.openid.clone() }, entry)
            })
            .collect();
        let id = MessageId::new(at, domain::Lane(0), &*self.entropy);
        let turns: BTreeSet<u16> = keyed.iter().map(|(key, _)| key.lane).collect();
        self.writer
            .cold(move |db, context| {
                Box::pin(async move {
                    for lane in turns {
                        turn(db, lane).await?;
                    }
                    if let Some(key) = &key {
                        match enqueue::reserve_key(db, (app, key), id, at).await? {
                            Enqueued::Replayed(_) => return Ok(Written::Replayed),
                            Enqueued::KeyReused => return Ok(Written::KeyReused),
                            Enqueued::Accepted | Enqueued::NoGrant => {}
                        }
                    }
                    write(db, context, &keyed, &author, at).await.map(Written::New)
                })
            })
            .await
    }
}

/// An entry with the place of its verdict.
type Placed<'e> = (usize, &'e (Key, ByHand));

async fn write(
    db: &mut Db,
    context: &Context,
    entries: &[(Key, ByHand)],
    author: &str,
    at: Millis,
) -> Result<Vec<Result<Subscription, LedgerError>>, StoreError> {
    // By lane; SQLite takes all at once.
    let mut by_lane: BTreeMap<u16, Vec<Placed<'_>>> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let lane = if db.engine() == Engine::Postgres { entry.0.lane } else { 0 };
        by_lane.entry(lane).or_default().push((place, entry));
    }
    let mut verdicts = BTreeMap::new();
    for (lane, entries) in by_lane {
        lift(db.in_lane(lane), context, lane).await?;
        let mut book =
            Book::load(db, entries.iter().map(|(_, (key, entry))| (key.clone(), entry.kind))).await?;
        for (place, (key, entry)) in entries {
            let done = book.by_hand(db, key, entry.change, at, (entry.note.as_deref(), author, None)).await?;
            verdicts.insert(place, done.map(|()| book.subscription(key).cloned().unwrap_or_default()));
        }
        book.write(db, &context.ledger_ids, at).await?;
    }
    Ok(verdicts.into_values().collect())
}

/// New entries lie above the lane's newest, which another node may have written.
pub(crate) async fn lift(db: &mut Db, context: &Context, lane: u16) -> Result<(), StoreError> {
    if db.engine() == Engine::Postgres {
        let newest: Option<i64> =
            db::query_scalar("select max(id) from ledger where lane = $1").bind(lane).fetch_one(db).await?;
        context.ledger_ids.lift(newest.unwrap_or(0));
    }
    Ok(())
}
