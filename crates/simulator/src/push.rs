//! Pushes from the simulated WeChat to the app's server: events and chats, signed, encrypted, tried again;
//! and the GET verification. `state` decides what is pushed, this module how.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Simulator,
    state::{App, CallbackEntry},
};

mod content;
mod courier;
mod envelope;
mod receipts;
mod verification;

pub(crate) use content::Content;
pub(crate) use courier::Courier;
pub(crate) use envelope::Envelope;
pub(crate) use verification::verify;

/// Answers kept in records are cut here.
const KEEP_ANSWER: usize = 2048;

impl Simulator {
    /// Pushes in the background, if the app has a push URL.
    pub(crate) fn push(&self, app: &Arc<App>, openid: Arc<str>, content: Content) {
        if app.settings().envelope.is_none() {
            return;
        }
        // CreateTime is that of the act, however late its push is written.
        let (sim, app, acted_at) = (self.clone(), app.clone(), self.now());
        tokio::spawn(async move { sim.deliver(&app, openid, &content, acted_at, None).await });
    }

    /// All tries of one push. Every try carries the same plaintext, freshly encrypted and signed. A `slot`, where
    /// there is one, is held during each try and given back between them.
    pub(crate) async fn deliver(
        &self,
        app: &App,
        openid: Arc<str>,
        content: &Content,
        acted_at: i64,
        mut slot: Option<OwnedSemaphorePermit>,
    ) {
        let limited = slot.is_some();
        let settings = app.settings();
        let Some(envelope) = &settings.envelope else { return };
        let created = acted_at / 1000;
        let plaintext: Arc<str> =
            content.write(envelope.format, &settings.spec.original_id, &openid, created, None).into();
        let config = &self.0.config;
        for attempt in 1..=config.callback_tries {
            let started = tokio::time::Instant::now();
            let at = self.now();
            let full = |encrypt: &str| {
                let original_id = &settings.spec.original_id;
                content.write(envelope.format, original_id, &openid, created, Some(encrypt))
            };
            let letter = envelope.seal(
                &self.0.chance,
                at / 1000,
                &openid,
                &settings.spec.original_id,
                &plaintext,
                full,
            );
            let answer = self.0.courier.post(letter, config.callback_deadline).await;
            let latency = started.elapsed();
            drop(slot.take());
            app.counters.attempt();
            let delivered = matches!(answer, Ok((200, _)));
            let entry = entry(at, &openid, content, attempt, answer, latency, &plaintext);
            self.0.live.tell("callback", &app.appid, Some(&openid), || json!(entry.view()));
            app.callbacks.push(entry);
            if delivered {
                app.counters.settled(true);
                return;
            }
            if attempt < config.callback_tries {
                tokio::select! {
                    () = tokio::time::sleep(config.callback_retry_delay) => {}
                    () = self.0.stop.cancelled() => return,
                }
                if limited {
                    slot = app.receipts.slots.clone().acquire_owned().await.ok();
                }
            }
        }
        app.counters.settled(false);
    }
}

fn entry(
    at: i64,
    openid: &Arc<str>,
    content: &Content,
    attempt: u32,
    answer: Result<(u16, bytes::Bytes), String>,
    latency: Duration,
    plaintext: &Arc<str>,
) -> CallbackEntry {
    let (status, body, error) = match answer {
        Ok((status, body)) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(KEEP_ANSWER)]).into();
            (Some(status), text, None)
        }
        Err(error) => (None, Box::default(), Some(error.into())),
    };
    CallbackEntry {
        at,
        openid: openid.clone(),
        event: content.name(),
        attempt,
        status,
        body,
        latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        error,
        plaintext: plaintext.clone(),
    }
}
