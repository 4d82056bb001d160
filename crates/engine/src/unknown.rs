//! What an app's policy (`on_unknown`) does about messages that stayed `unknown` when their grace is over: nothing, one
//! more attempt, or giving up. The dispatcher tells where such messages are due.

use domain::Lane;
use domain::message::Event;
use domain::retry::{RetryPolicy, Unresolved};
use service::settings::Settings;
use store::StoreError;
use store::hot::enqueue::Queue;
use store::hot::unknown::{Due, FollowUp};
use tokio_util::task::TaskTracker;
use wechat::errcode::{self, Class};

use crate::told::Handle;
use crate::{Shared, TICK};

/// Messages of one commit.
const PAGE: i64 = 500;

/// Starts following up; gives where to tell it.
pub(crate) fn start(shared: Shared, tasks: &TaskTracker) -> Handle<(Lane, Queue)> {
    let handle = Handle::default();
    tasks.spawn(run(shared, handle.clone()));
    handle
}

async fn run(shared: Shared, handle: Handle<(Lane, Queue)>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = handle.woken() => {}
        }
        for (lane, queue) in handle.take().places {
            if let Err(error) = follow_up(&shared, lane, queue).await {
                // The dispatcher's next look tells of it again.
                tracing::error!(%error, "unknown messages could not be followed up; trying again");
                tokio::time::sleep(TICK).await;
            }
        }
    }
}

async fn follow_up(shared: &Shared, lane: Lane, queue: Queue) -> Result<(), StoreError> {
    let (app, _) = queue.app_and_priority();
    // Of a removed app nothing is sent; its messages stay as they are.
    let settings = shared.service.apps().by_number(app).map(|app| app.settings.clone());
    let store = shared.service.store();
    let now = shared.service.now();
    // What is more than a page is told of again at the next look.
    let due = store.unknown_due(lane, queue, now, PAGE).await?;
    let batch: Vec<FollowUp> = due
        .into_iter()
        .map(|due| {
            let event = settings.as_ref().and_then(|settings| event(settings, &due, now));
            FollowUp { epoch: shared.lanes.epoch(due.lane), at: now, due, event }
        })
        .collect();
    let events: Vec<Option<Event>> = batch.iter().map(|item| item.event).collect();
    let counted = store.follow_up(batch).await?;
    for (event, _) in events.iter().zip(counted).filter(|(_, counted)| *counted) {
        let word = if *event == Some(Event::GiveUp) { "given_up" } else { "resent" };
        metrics::counter!("hongyan_unknown_followed_up_total", "event" => word).increment(1);
    }
    Ok(())
}

fn event(settings: &Settings, due: &Due, now: domain::Millis) -> Option<Event> {
    let clear_no = |code: i64| !matches!(errcode::class(code), Class::Ok | Class::Ambiguous);
    let message = Unresolved {
        attempts: u32::try_from(due.attempt).unwrap_or(u32::MAX),
        refused_since: due.errcode.is_some_and(clear_no),
        cancel_requested: due.cancel_requested,
        expired: due.expire_at <= now,
    };
    due.unresolved.then(|| settings.on_unknown.event(message, &RetryPolicy::default())).flatten()
}
