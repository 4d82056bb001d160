//! Folding the WAL back into the database, beside the writer instead of inside its commits: a commit that had to copy
//! pages would keep everybody waiting. The copying is done on a connection of its own; only the last few frames, without
//! which the WAL cannot begin anew, are the writer's.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Notify;

use crate::writing::Context;

const LOOK: Duration = Duration::from_millis(200);
/// Frames of 4 KiB that are worth a checkpoint: pages written often are then copied once.
const WORTH: i64 = 8_192;
/// Frames after which the WAL should begin anew: 96 MiB, well below the 256 MiB that it may reach.
const LONG: i64 = 24_576;
/// Looks without a new frame after which the rest is folded back too.
const IDLE: u32 = 10;

/// Frames in the WAL, and how many of them are in the database already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Frames {
    log: i64,
    done: i64,
}

/// Runs until the writer is gone, or the store is closed.
pub(crate) async fn run(mut db: SqliteConnection, context: std::sync::Weak<Context>, closing: Arc<Notify>) {
    let mut before = Frames::default();
    let mut idle = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = closing.notified() => {
                let _ = db.close().await;
                return;
            }
        }
        let Some(context) = context.upgrade() else { return };
        match step(&mut db, &context, &mut before, &mut idle).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the WAL could not be folded back; trying again"),
        }
    }
}

async fn step(
    db: &mut SqliteConnection,
    context: &Arc<Context>,
    before: &mut Frames,
    idle: &mut u32,
) -> Result<(), sqlx::Error> {
    let mut frames = checkpoint(db, "pragma wal_checkpoint(noop)").await?;
    *idle = if frames.log == before.log { *idle + 1 } else { 0 };
    *before = frames;
    let open = frames.log - frames.done;
    if open >= WORTH || (*idle == IDLE && open > 0) {
        frames = checkpoint(db, "pragma wal_checkpoint(passive)").await?;
    }
    if frames.log >= LONG {
        // What the writer added meanwhile; the less is left to it, the shorter it stops.
        checkpoint(db, "pragma wal_checkpoint(passive)").await?;
        context.fold.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    Ok(())
}

async fn checkpoint(db: &mut SqliteConnection, pragma: &'static str) -> Result<Frames, sqlx::Error> {
    let row = sqlx::query(pragma).fetch_one(db).await?;
    Ok(Frames { log: row.try_get(1)?, done: row.try_get(2)? })
}
