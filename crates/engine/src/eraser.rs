//! Erases people (I17): works off what events and the API demand, one demand after the other, and looks once more an hour
//! later for what came in since and tells of the time before.

use std::time::Duration;

use domain::clock::HOUR;
use service::erasure::What;
use store::StoreError;
use store::erasure::{Erasure, Walk};

use crate::{Shared, TICK};

const AT_A_TIME: i64 = 16;
/// A call that is under way ends within its time-out.
const SOON: i64 = 250;
/// Receipts and re-pushed events of the time before are in by then.
const ONCE_MORE: i64 = HOUR;

pub(crate) async fn run(shared: Shared) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if let Err(error) = work(&shared).await {
            tracing::error!(%error, "what is to be erased could not be; trying again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn work(shared: &Shared) -> Result<(), StoreError> {
    let store = shared.service.store();
    for erasure in store.erasures_due(shared.service.now(), AT_A_TIME).await? {
        if shared.stop.is_cancelled() {
            return Ok(());
        }
        if shared.lanes.owns(erasure.lane()) {
            one(shared, &erasure).await?;
        }
    }
    Ok(())
}

async fn one(shared: &Shared, erasure: &Erasure) -> Result<(), StoreError> {
    let (store, now) = (shared.service.store(), shared.service.now());
    let epoch = shared.lanes.epoch(erasure.lane());
    let what = What::from_stored(&erasure.what);
    let walk = match &what {
        What::Person if erasure.looks > 0 => store.erase_latecomers(erasure, epoch, now).await?,
        What::Person => store.erase_person(erasure, epoch).await?,
        What::Values => store.erase_values(erasure, epoch, None).await?,
        What::Fields(kinds) => store.erase_values(erasure, epoch, Some(kinds.clone())).await?,
    };
    match walk {
        // Whose lane it is now, finds the demand there.
        Walk::NotOurs => Ok(()),
        Walk::UnderWay => store.erasure_waits(erasure, now + SOON).await,
        Walk::Done(erased) => {
            let again = (what == What::Person && erasure.looks == 0).then_some(now + ONCE_MORE);
            let counts = (erasure.looks == 0)
                .then(|| serde_json::json!({ "erased": erasure.what, "counts": erased }).to_string());
            store.erasure_done(erasure, counts, again, now).await?;
            metrics::counter!("hongyan_erasures_total").increment(u64::from(erasure.looks == 0));
            tracing::info!(app = erasure.app, id = %erasure.id, what = erasure.what, messages = erased.messages,
                callbacks = erased.callbacks, "erased what was a person's");
            Ok(())
        }
    }
}
