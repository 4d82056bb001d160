//! Delivers events to the endpoints that want them: at least once, oldest first, again for three days, and less and less often
//! where an endpoint fails. One endpoint delays no other.

mod post;

use std::collections::HashMap;
use std::time::Duration;

use domain::Millis;
use domain::clock::{DAY, HOUR, MINUTE, SECOND};
use service::Problem;
use service::webhooks::{Form, ROBOT_PAUSE};
use store::webhooks::{DeliveryState, DeliveryTried, DueDelivery, Webhook};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use self::post::Poster;
use crate::{Shared, TICK};

/// Events that are shared out, and deliveries that are read, at a time.
const SHARED: i64 = 1_000;
const READ: i64 = 64;
/// Deliveries of one endpoint at the same time.
const AT_ONCE: usize = 4;
/// Before each further try, by the specification's example; after the last one it is given up.
const WAITS: [Millis; 9] =
    [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/// An endpoint that has failed for so long is disabled.
const PATIENCE: Millis = 3 * DAY;
/// Ticks between two clearings.
const CLEAR_EVERY: u32 = 600;

pub(crate) async fn run(shared: Shared) {
    let poster = Poster::new(shared.options.private_webhooks);
    let tasks = TaskTracker::new();
    let mut busy: HashMap<i64, JoinHandle<()>> = HashMap::new();
    let mut ticks = 0u32;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            () = tokio::time::sleep(TICK) => ticks = ticks.wrapping_add(1),
        }
        busy.retain(|_, task| !task.is_finished());
        if !shared.lanes.on_duty(&shared.service, "webhooks") {
            continue;
        }
        if let Err(error) = step(&shared, &poster, &tasks, &mut busy).await {
            tracing::error!(%error, "webhooks could not be looked after; trying again");
        }
        if ticks.is_multiple_of(CLEAR_EVERY)
            && shared.lanes.on_duty(&shared.service, "webhooks")
            && let Some(kept) = shared.options.retention.webhooks
            && let Err(error) =
                shared.service.store().forget_events(shared.service.now() - kept, SHARED).await
        {
            tracing::error!(%error, "old events could not be forgotten; trying again");
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn step(
    shared: &Shared,
    poster: &Poster,
    tasks: &TaskTracker,
    busy: &mut HashMap<i64, JoinHandle<()>>,
) -> Result<(), Problem> {
    let store = shared.service.store();
    let now = shared.service.now();
    while store.share_events(now, SHARED).await? as i64 == SHARED {}
    for webhook in store.webhooks().await?.into_iter().filter(|webhook| webhook.enabled) {
        if webhook.failing_since.is_some_and(|since| now - since >= PATIENCE) {
            disable(shared, &webhook).await?;
            continue;
        }
        if busy.contains_key(&webhook.number) {
            continue;
        }
        let due = store.due_deliveries(webhook.number, now, READ).await?;
        if !due.is_empty() {
            let (shared, poster, number) = (shared.clone(), poster.clone(), webhook.number);
            busy.insert(number, tasks.spawn(async move { deliver(&shared, &poster, webhook, due).await }));
        }
    }
    Ok(())
}

/// Works through what is due of one endpoint. After a failure the rest waits for its turn: an endpoint that is down is not asked
/// sixty-four times.
async fn deliver(shared: &Shared, poster: &Poster, webhook: Webhook, due: Vec<DueDelivery>) {
    let robot = Form::of(&webhook) != Form::Standard;
    // A robot is told of all at once.
    for few in due.chunks(if robot { due.len() } else { AT_ONCE }) {
        // Another node may have got the duty meanwhile, and delivers the rest.
        if shared.stop.is_cancelled() || !shared.lanes.on_duty(&shared.service, "webhooks") {
            return;
        }
        let tried: Vec<DeliveryTried> = if robot {
            tell_robot(shared, poster, &webhook, few).await
        } else {
            let tries = few.iter().map(|delivery| attempt(shared, poster, &webhook, delivery));
            futures::future::join_all(tries).await
        };
        let failed = tried.iter().any(|one| one.state != DeliveryState::Delivered);
        while let Err(error) = shared.service.store().deliveries_tried(tried.clone()).await {
            tracing::error!(%error, "what became of webhooks could not be kept; trying again");
            if shared.stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(TICK).await;
        }
        if failed || robot {
            let rest = if robot { Duration::from_millis(ROBOT_PAUSE) } else { Duration::from_secs(1) };
            shared.stop.run_until_cancelled(tokio::time::sleep(rest)).await;
            return;
        }
    }
}

/// One message for all that is due: a robot takes only twenty a minute.
async fn tell_robot(
    shared: &Shared,
    poster: &Poster,
    webhook: &Webhook,
    due: &[DueDelivery],
) -> Vec<DeliveryTried> {
    let events: Vec<_> = due.iter().map(|delivery| &delivery.event).collect();
    let answered = match shared.service.robot_post(webhook, &events).await {
        Ok(post) => poster.post_robot(&post).await,
        Err(problem) => Err(problem.to_string()),
    };
    let mut tried = Vec::with_capacity(due.len());
    for delivery in due {
        tried.push(outcome(shared, webhook, delivery, answered.clone()).await);
    }
    tried
}

async fn attempt(
    shared: &Shared,
    poster: &Poster,
    webhook: &Webhook,
    delivery: &DueDelivery,
) -> DeliveryTried {
    let answered = match shared.service.signed_event(webhook, &delivery.event).await {
        Ok(signed) => poster.post(&webhook.url, signed).await,
        Err(problem) => Err(problem.to_string()),
    };
    outcome(shared, webhook, delivery, answered).await
}

/// What becomes of a delivery after an answer.
async fn outcome(
    shared: &Shared,
    webhook: &Webhook,
    delivery: &DueDelivery,
    answered: Result<u16, String>,
) -> DeliveryTried {
    let at = shared.service.now();
    let (status, error) = match answered {
        Ok(status) => (Some(status), None),
        Err(error) => (None, Some(error)),
    };
    let wait = usize::try_from(delivery.attempts).ok().and_then(|attempts| WAITS.get(attempts));
    let state = match (status, wait) {
        (Some(200..=299), _) => DeliveryState::Delivered,
        // Gone: the specification's word for "no more".
        (Some(410), _) | (_, None) => DeliveryState::GivenUp,
        (_, Some(_)) => DeliveryState::Waiting,
    };
    let outcome = match state {
        DeliveryState::Delivered => "delivered",
        DeliveryState::GivenUp => "given_up",
        DeliveryState::Waiting => "failed",
    };
    metrics::counter!("hongyan_webhooks_total", "outcome" => outcome).increment(1);
    if state != DeliveryState::Delivered {
        tracing::warn!(webhook = %webhook.id, event = delivery.event.number, status, error, "a webhook could not be delivered");
    }
    if status == Some(410)
        && let Err(problem) = disable(shared, webhook).await
    {
        tracing::error!(%problem, "a webhook could not be disabled; trying again");
    }
    let due_at = at + wait.copied().unwrap_or(0);
    DeliveryTried { webhook: webhook.number, event: delivery.event.number, state, at, status, error, due_at }
}

async fn disable(shared: &Shared, webhook: &Webhook) -> Result<(), Problem> {
    let because = "every delivery has failed for three days, or the endpoint answered 410".to_owned();
    if shared.service.store().disable_webhook(webhook.number, because).await? {
        tracing::error!(webhook = %webhook.id, url = webhook.url, "a webhook is disabled: it has failed for three days, or answered 410");
        metrics::counter!("hongyan_webhooks_disabled_total").increment(1);
        let body = serde_json::json!({ "webhook_id": webhook.id, "url": webhook.url, "state": "disabled" });
        let app = webhook.app.or_else(|| shared.service.apps().all().iter().next().map(|app| app.number));
        if let Some(app) = app {
            shared.service.store().tell(app, "alarm.webhook", body.to_string()).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn tries_go_on_for_days() {
        let all: i64 = super::WAITS.iter().sum();
        assert!(all > 3 * super::DAY && all < 4 * super::DAY, "{all}");
        assert!(super::WAITS.is_sorted());
    }
}
