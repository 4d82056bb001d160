//! Grants by hand: taken over from elsewhere, or corrected by somebody, each with a note. Used by the service.

use domain::ledger::{Change, LedgerError, Subscription, TemplateKind};
use domain::{MessageId, Millis};
use sqlx::SqliteConnection;

use crate::Store;
use crate::error::StoreError;
use crate::hot::accounts::{Book, Key};
use crate::hot::enqueue::{self, Enqueued, Idempotency};
use crate::sqlite::writer::Context;

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

impl Store {
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
        self.writer
            .cold(move |db, context| {
                Box::pin(async move {
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

async fn write(
    db: &mut SqliteConnection,
    context: &Context,
    entries: &[(Key, ByHand)],
    author: &str,
    at: Millis,
) -> Result<Vec<Result<Subscription, LedgerError>>, StoreError> {
    let mut book = Book::load(db, entries.iter().map(|(key, entry)| (key.clone(), entry.kind))).await?;
    let mut verdicts = Vec::with_capacity(entries.len());
    for (key, entry) in entries {
        let done = book.by_hand(db, key, entry.change, at, (entry.note.as_deref(), author)).await?;
        verdicts.push(done.map(|()| book.subscription(key).cloned().unwrap_or_default()));
    }
    book.write(db, &context.ledger_ids, at).await?;
    Ok(verdicts)
}
