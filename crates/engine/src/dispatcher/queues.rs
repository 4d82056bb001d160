//! Whose turn it is: the queues that hold something and may be asked, by priority, then app by app in turn, then campaign by
//! campaign.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Millis;
use service::campaigns::Live;
use store::StoreError;
use store::hot::enqueue::{Priority, Queue};

use crate::Shared;

/// A queue that may be asked.
pub(super) struct Queued {
    pub(super) queue: Queue,
    /// The app's number.
    pub(super) app: i64,
    pub(super) priority: Priority,
    pub(super) campaign: Option<Arc<Live>>,
}

/// The queues that may be asked, in the order in which they are. A paused one, or one outside its window, is not among
/// them, whatever waits in it.
pub(super) async fn in_turn(
    shared: &Shared,
    queues: Vec<Queue>,
    turn: usize,
    now: Millis,
) -> Result<Vec<Queued>, StoreError> {
    let mut open = Vec::with_capacity(queues.len());
    for queue in queues {
        match queue.campaign() {
            None => {
                let (app, priority) = queue.app_and_priority();
                open.push(Queued { queue, app, priority, campaign: None });
            }
            Some(number) => {
                let live = shared.service.live_campaign(number).await?;
                if let Some(live) = live.filter(|live| live.may_send(now)) {
                    let app = live.stored.asked.app;
                    open.push(Queued { queue, app, priority: Priority::Bulk, campaign: Some(live) });
                }
            }
        }
    }
    let apps: Vec<i64> = open.iter().map(|queued| queued.app).collect::<BTreeSet<_>>().into_iter().collect();
    let of_all = open.len().max(1);
    let place = |app: i64| (apps.binary_search(&app).unwrap_or(0) + turn) % apps.len().max(1);
    let mut ordered: Vec<(usize, Queued)> = open.into_iter().enumerate().collect();
    ordered.sort_by_key(|(at, queued)| (queued.priority, place(queued.app), (at + turn) % of_all));
    Ok(ordered.into_iter().map(|(_, queued)| queued).collect())
}
