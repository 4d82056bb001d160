//! Looks at the certificate of `public_url` now and then, and tells somebody when it ends soon: every node looks (each shows it
//! in its console and metrics), one of them tells, once a day.

use std::time::Duration;

use domain::Millis;
use domain::clock::{DAY, HOUR, MINUTE, SECOND};
use domain::entropy::random_bytes;
use service::doctor::CertificateSeen;

use crate::Shared;

/// How often it is looked at, and after a look that came to nothing.
const LOOK: Millis = 6 * HOUR;
const AGAIN: Millis = 10 * MINUTE;
const TICK: Duration = Duration::from_secs(1);
/// Whoever has it has told of the certificate.
const TOLD: &str = "alarm.certificate";

pub(crate) async fn run(shared: Shared) {
    let (mut next, mut before) = (Millis::MIN, None);
    loop {
        let now = shared.service.now();
        if now >= next {
            next = now + look(&shared, &mut before).await;
        }
        gauge(&shared);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// One look; gives how long to wait for the next.
async fn look(shared: &Shared, before: &mut Option<&'static str>) -> Millis {
    let Some(seen) = shared.service.look_at_certificate().await else { return LOOK };
    let again = std::mem::replace(before, seen.because) == seen.because;
    match seen.because {
        // A proxy that is being started anew: only when it is so again.
        Some("no_tls") if !again => return AGAIN,
        Some("unreachable") => {
            tracing::debug!("public_url is not reached from here: its certificate is not known");
            return AGAIN;
        }
        Some(because) => tracing::warn!(because, "{}", seen.text(service::Lang::En)),
        None => {}
    }
    if seen.alarms()
        && let Err(error) = tell(shared, &seen).await
    {
        tracing::error!(%error, "an alarm could not be kept; trying again");
        return AGAIN;
    }
    LOOK
}

/// Tells of it, unless some node has done so within a day.
async fn tell(shared: &Shared, seen: &CertificateSeen) -> Result<(), store::StoreError> {
    let (service, store) = (&shared.service, shared.service.store());
    // Events are an app's; this one is about all of them.
    let Some(app) = service.apps().all().iter().next().map(|app| app.number) else { return Ok(()) };
    // Another name each time: it is given to nobody again before the day is over.
    let name = format!("{:016x}", u64::from_le_bytes(random_bytes(&**service.entropy())));
    if !store.take_duty(TOLD, &name, DAY - LOOK / 2).await? {
        return Ok(());
    }
    let body = serde_json::json!({
        "public_url": service.public_url(),
        "because": seen.because,
        "not_after": seen.not_after.map(service::view::time),
        "text": seen.text(service::Lang::Zh),
        "text_en": seen.text(service::Lang::En),
    });
    store.tell(app, TOLD, body.to_string()).await
}

fn gauge(shared: &Shared) {
    let Some(not_after) = shared.service.certificate_seen().and_then(|seen| seen.not_after) else { return };
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("hongyan_certificate_expires_in_seconds")
        .set((not_after - shared.service.now()) as f64 / SECOND as f64);
}
