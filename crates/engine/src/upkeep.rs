//! What has to be looked after now and then: the quarantine stays within its bound, callback keys end.

use std::time::Duration;

use store::StoreError;

use crate::Shared;

/// Quarantined callbacks that are kept of one app: the newest.
const QUARANTINE: i64 = 10_000;
const EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn run(shared: Shared) {
    loop {
        if let Err(error) = look(&shared).await {
            tracing::error!(%error, "upkeep failed; trying again");
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn look(shared: &Shared) -> Result<(), StoreError> {
    let (service, store) = (&shared.service, shared.service.store());
    store.end_previous_keys(service.now()).await?;
    for app in service.apps().all().iter() {
        let mut dropped = 0;
        loop {
            let some = store.trim_quarantine(app.number, QUARANTINE).await?;
            dropped += some;
            if some == 0 || shared.stop.is_cancelled() {
                break;
            }
        }
        if dropped > 0 {
            tracing::warn!(
                app = app.app_id,
                dropped,
                "more than {QUARANTINE} callbacks are quarantined: the oldest were dropped"
            );
            metrics::counter!("hongyan_quarantine_dropped_total").increment(dropped);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("hongyan_quarantine", "app" => app.app_id.clone())
            .set(store.quarantined(app.number).await? as f64);
    }
    Ok(())
}
