//! Pushes from the simulated WeChat to the app's server: events and chats, signed, encrypted, tried again;
//! and the GET verification. `state` decides what is pushed, this module how.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    task::JoinHandle,
};

use crate::{
    Simulator,
    api::FaultOn,
    faults::Whom,
    state::{App, CallbackEntry},
};

mod content;
mod courier;
mod envelope;
mod faulty;
mod receipts;
mod reply;
mod verification;

pub(crate) use content::{Content, Other};
pub(crate) use courier::Courier;
pub(crate) use envelope::Envelope;
pub(crate) use reply::judge;
pub(crate) use verification::verify;

/// Answers kept in records are cut here.
const KEEP_ANSWER: usize = 2048;

/// One push to make.
pub(crate) struct Errand {
    pub(crate) openid: Arc<str>,
    pub(crate) content: Arc<Content>,
    /// CreateTime is that of the act, however late its push is written.
    pub(crate) acted_at: i64,
    /// Told when the first try is over.
    pub(crate) first_try: Option<oneshot::Sender<()>>,
    /// How many good answers shall count as none.
    pub(crate) deaf: u32,
}

/// What became of a push, by its last try.
pub(crate) struct Delivery {
    pub(crate) attempts: u32,
    pub(crate) answer: courier::Answer,
}

impl Delivery {
    pub(crate) fn none() -> Self {
        Self { attempts: 0, answer: Err("not pushed".to_owned()) }
    }
}

impl Errand {
    pub(crate) fn new(openid: Arc<str>, content: Content, acted_at: i64) -> Self {
        Self { openid, content: Arc::new(content), acted_at, first_try: None, deaf: 0 }
    }
}

impl Simulator {
    /// Pushes in the background, if the app has a push URL.
    pub(crate) fn push(
        &self,
        app: &Arc<App>,
        openid: Arc<str>,
        content: Content,
    ) -> Option<JoinHandle<Delivery>> {
        app.settings().envelope.as_ref()?;
        let (name, templates) = (content.name(), content.templates());
        let strike = app
            .faults
            .strike(FaultOn::Push, Whom { openid: Some(&openid), templates: &templates, event: Some(&name) });
        let (sim, app, errand) = (self.clone(), app.clone(), Errand::new(openid, content, self.now()));
        Some(tokio::spawn(async move {
            match strike {
                Some(strike) => sim.deliver_faulty(&app, errand, &strike, None).await,
                None => sim.deliver(&app, errand, None).await,
            }
        }))
    }

    /// All tries of one push. Every try carries the same plaintext, freshly encrypted and signed. A `slot`, where
    /// there is one, is held during each try and given back between them.
    pub(crate) async fn deliver(
        &self,
        app: &App,
        mut errand: Errand,
        mut slot: Option<OwnedSemaphorePermit>,
    ) -> Delivery {
        let limited = slot.is_some();
        let settings = app.settings();
        let Some(envelope) = &settings.envelope else { return Delivery::none() };
        let mut delivery = Delivery::none();
        let (openid, content) = (&errand.openid, &errand.content);
        let created = errand.acted_at / 1000;
        let plaintext: Arc<str> =
            content.write(envelope.format, &settings.spec.original_id, openid, created, None).into();
        let config = &self.0.config;
        let tries = config.callback_tries.max(errand.deaf + 1);
        for attempt in 1..=tries {
            let started = tokio::time::Instant::now();
            let at = self.now();
            let full = |encrypt: &str| {
                let original_id = &settings.spec.original_id;
                content.write(envelope.format, original_id, openid, created, Some(encrypt))
            };
            let letter = envelope.seal(
                &self.0.chance,
                at / 1000,
                openid,
                &settings.spec.original_id,
                &plaintext,
                full,
            );
            let answer = self.0.courier.post(letter, config.callback_deadline).await;
            let latency = started.elapsed();
            drop(slot.take());
            app.counters.attempt();
            let delivered = matches!(answer, Ok((200, _)));
            delivery = Delivery { attempts: attempt, answer: answer.clone() };
            let entry = entry(at, openid, content, attempt, answer, latency, &plaintext);
            self.0.live.tell("callback", &app.appid, Some(openid), || json!(entry.view()));
            app.callbacks.push(entry);
            if let Some(told) = errand.first_try.take() {
                // Whoever waited may have lost patience.
                let _ = told.send(());
            }
            if attempt == 1 {
                app.pushes.made.fetch_add(1, SeqCst);
                app.pushes.moved.notify_waiters();
            }
            if delivered && errand.deaf == 0 {
                app.counters.settled(true);
                return delivery;
            }
            if delivered {
                errand.deaf -= 1;
            }
            if attempt < tries {
                tokio::select! {
                    () = tokio::time::sleep(config.callback_retry_delay) => {}
                    () = self.0.stop.cancelled() => return delivery,
                }
                if limited {
                    slot = app.receipts.slots.clone().acquire_owned().await.ok();
                }
            }
        }
        app.counters.settled(false);
        delivery
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
