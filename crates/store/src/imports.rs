//! Grants that a team's own table knows of, taken over once: an entry carries a digest of the row it stems from, so that the same
//! row, or an event that Hongyan has seen itself, counts nothing a second time (I8). Used by the service's imports.

use std::collections::BTreeMap;

use domain::Millis;
use domain::ledger::{Change, Entry, EntryKind, TemplateKind};
use uuid::Uuid;

use crate::Store;
use crate::db::{Db, Engine};
use crate::error::StoreError;
use crate::hot::accounts::{Book, Key};
use crate::hot::turn;

/// A row of such a table.
#[derive(Debug, Clone)]
pub struct ImportedGrant {
    /// Whose.
    pub openid: String,
    /// The template's number, of a one-time template.
    pub template: i64,
    /// How many grants.
    pub count: u32,
    /// When the person accepted, where the table says so.
    pub accepted_at: Option<Millis>,
    /// What tells this row from every other.
    pub reference: Uuid,
    /// Where it stood.
    pub note: String,
}

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It counts.
    New,
    /// It was counted before: imported, told by an event, or proven by a send.
    Counted,
    /// The person refused, or WeChat said that nothing was left, after this accept.
    Gone,
}

impl Store {
    /// Takes rows over, or (unless `apply`) only tells what would become of each.
    ///
    /// # Errors
    /// Where the database is away: then none of them is written.
    pub async fn import_grants(
        &self,
        rows: Vec<ImportedGrant>,
        (author, at): (String, Millis),
        apply: bool,
    ) -> Result<Vec<Imported>, StoreError> {
        let lanes = self.lanes();
        let keyed: Vec<(Key, ImportedGrant)> = rows
            .into_iter()
            .map(|row| {
                let lane = lanes.of_openid(&row.openid).0;
                (Key { lane, template: row.template, openid: row.openid.clone() }, row)
            })
            .collect();
        if !apply {
            let mut db = self.readers.acquire().await?;
            return judge(&mut db, &keyed, (&author, at), None).await;
        }
        self.writer
            .cold_bulk(move |db, context| {
                Box::pin(async move { judge(db, &keyed, (&author, at), Some(context)).await })
            })
            .await
    }
}

/// Tells what becomes of rows; with a context, writes them.
async fn judge(
    db: &mut Db,
    rows: &[(Key, ImportedGrant)],
    (author, at): (&str, Millis),
    context: Option<&crate::writing::Context>,
) -> Result<Vec<Imported>, StoreError> {
    // By lane, in ascending order; SQLite takes all at once.
    let mut by_lane: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (place, (key, _)) in rows.iter().enumerate() {
        let lane = if db.engine() == Engine::Postgres { key.lane } else { 0 };
        by_lane.entry(lane).or_default().push(place);
    }
    let mut verdicts = vec![Imported::New; rows.len()];
    for (lane, places) in by_lane {
        db.in_lane(lane);
        if let Some(context) = context {
            turn(db, lane).await?;
            crate::grants::lift(db, context, lane).await?;
        }
        let keys = places.iter().map(|place| (rows[*place].0.clone(), TemplateKind::OneTime));
        let mut book = Book::load(db, keys).await?;
        for place in places {
            let (key, row) = &rows[place];
            let verdict = verdict(&mut book, db, key, row).await?;
            verdicts[place] = verdict;
            if verdict == Imported::New {
                let change = Change::Import { count: row.count };
                let told = (Some(row.note.as_str()), author, Some(row.reference));
                if book.by_hand(db, key, change, at, told).await?.is_err() {
                    return Err(StoreError::Corrupt("ledger"));
                }
            }
        }
        if let Some(context) = context {
            book.write(db, &context.ledger_ids, at).await?;
        }
    }
    Ok(verdicts)
}

async fn verdict(
    book: &mut Book,
    db: &mut Db,
    key: &Key,
    row: &ImportedGrant,
) -> Result<Imported, StoreError> {
    let entries = book.entries(db, key).await?;
    let counts = |entry: &Entry| match row.accepted_at {
        // An event's CreateTime knows seconds only.
        Some(at) => {
            entry.reference == Some(row.reference)
                || (matches!(entry.kind, EntryKind::Grant | EntryKind::Report)
                    && entry.act_at.div_euclid(1_000) == at.div_euclid(1_000))
                || (entry.kind == EntryKind::Found && entry.delta > 0 && entry.act_at > at)
        }
        None => entry.kind == EntryKind::Import,
    };
    if entries.iter().any(counts) {
        return Ok(Imported::Counted);
    }
    let refused = book.subscription(key).map_or(0, |account| account.refused_at);
    let taken = |at: Millis| {
        refused >= at || entries.iter().any(|entry| entry.kind == EntryKind::Zeroed && entry.act_at >= at)
    };
    Ok(if row.accepted_at.is_some_and(taken) { Imported::Gone } else { Imported::New })
}
