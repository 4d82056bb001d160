//! What the group commit runs. When the merged pass fails, each caller's rows are tried alone under a savepoint, so that
//! one bad row harms nobody else.

use crate::db::{self, Db};
use crate::error::StoreError;
use crate::writing::{Batch, Call, Context, Finish, after_commit};

/// Runs the calls of one kind and collects their answers.
pub(crate) async fn run_calls<B: Batch + 'static>(
    db: &mut Db,
    calls: Vec<Call<B>>,
    context: &Context,
    finish: &mut Vec<Finish>,
    first: bool,
) -> Result<(), StoreError> {
    if calls.is_empty() {
        return Ok(());
    }
    let mut items = Vec::new();
    let mut callers = Vec::with_capacity(calls.len());
    for call in calls {
        callers.push((call.items.len(), call.reply));
        items.extend(call.items);
    }
    match attempt::<B>(db, &items, context, first).await? {
        Ok(mut outcomes) => {
            for (count, reply) in callers.into_iter().rev() {
                let own = outcomes.split_off(outcomes.len().saturating_sub(count));
                finish.push(after_commit(reply, Ok(own)));
            }
        }
        Err(error) if callers.len() == 1 => {
            finish.extend(callers.into_iter().map(|(_, reply)| after_commit(reply, Err(error.clone()))));
        }
        Err(_) => {
            let mut from = 0;
            for (count, reply) in callers {
                let own = attempt::<B>(db, &items[from..from + count], context, false).await?;
                finish.push(after_commit(reply, own));
                from += count;
            }
        }
    }
    Ok(())
}

/// The outer error is the transaction's: where SQLite gave it up by itself (a full disk), a further savepoint would
/// commit on its own, so nothing more may be tried.
///
/// What is `first` in its transaction needs no savepoint: nothing else is lost with it. Each statement less is a turn
/// of two threads less, which is much where the machine is busy.
async fn attempt<B: Batch>(
    db: &mut Db,
    items: &[B::Item],
    context: &Context,
    first: bool,
) -> Result<Result<Vec<B::Outcome>, StoreError>, StoreError> {
    if !first {
        db::query("savepoint batch").execute(&mut *db).await?;
    }
    let outcome = B::run(db, items, context).await;
    if outcome.is_err() {
        context.forget();
        db::query(if first { "rollback" } else { "rollback to batch" }).execute(&mut *db).await?;
    }
    if !first {
        db::query("release batch").execute(&mut *db).await?;
    } else if outcome.is_err() {
        db::query("begin immediate").execute(&mut *db).await?;
    }
    Ok(outcome)
}
