//! Pushes under a fault script: lost, late, twice, in another order, with something else in them.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Content, Delivery, Errand, receipts};
use crate::{
    Simulator,
    api::FaultKind as Kind,
    faults::{Strike, Whom},
    state::{App, Receipt},
};

/// How long a push waits for others to go first, where the rule does not say.
const HELD: Duration = Duration::from_secs(2);

impl Simulator {
    /// What a strike makes of a push.
    pub(super) async fn deliver_faulty(
        &self,
        app: &Arc<App>,
        mut errand: Errand,
        strike: &Strike,
        mut slot: Option<OwnedSemaphorePermit>,
    ) -> Delivery {
        self.note_strike(app, &errand, strike);
        let spec = strike.spec();
        match strike.kind() {
            Kind::Lost => return Delivery::none(),
            Kind::Latency => self.without_slot(app, &mut slot, tokio::time::sleep(strike.delay())).await,
            Kind::Reorder => {
                let at_most = spec.delay_ms.map_or(HELD, Duration::from_millis);
                let others = others_made(app, u64::from(spec.times.unwrap_or(1)));
                let held = async { drop(tokio::time::timeout(at_most, others).await) };
                self.without_slot(app, &mut slot, held).await;
            }
            Kind::Duplicate => {
                for copy in 1..spec.times.unwrap_or(2) {
                    let (sim, app, delay) = (self.clone(), app.clone(), strike.delay() * copy);
                    let errand = Errand {
                        openid: errand.openid.clone(),
                        content: errand.content.clone(),
                        acted_at: errand.acted_at,
                        first_try: None,
                        deaf: 0,
                    };
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        sim.deliver(&app, errand, None).await;
                    });
                }
            }
            Kind::RetryAnyway => {
                let usual = self.0.config.callback_tries.saturating_sub(1);
                errand.deaf = spec.times.unwrap_or(usual);
            }
            Kind::MsgidAbsent | Kind::MsgidOther | Kind::Undelivered => self.alter(&mut errand, strike),
            _ => {}
        }
        self.deliver(app, errand, slot).await
    }

    /// Pushes a receipt and waits for its first try, but no longer than a push may take.
    pub(crate) async fn push_before_answer(&self, app: &Arc<App>, receipt: Receipt) {
        let mut errand = receipts::errand(&receipt, self.now());
        if let Some(strike) = &receipt.fault {
            self.note_strike(app, &errand, strike);
        }
        let (told, first_try) = oneshot::channel();
        errand.first_try = Some(told);
        let (sim, app) = (self.clone(), app.clone());
        tokio::spawn(async move { sim.deliver(&app, errand, None).await });
        // Too late or never: the send is answered all the same.
        let _ = tokio::time::timeout(self.0.config.callback_deadline, first_try).await;
    }

    fn note_strike(&self, app: &App, errand: &Errand, strike: &Strike) {
        let (name, templates) = (errand.content.name(), errand.content.templates());
        let whom = Whom { openid: Some(&errand.openid), templates: &templates, event: Some(&name) };
        let mut entry = strike.entry(self.now(), whom);
        if let Content::Sent { msgid, .. } = &*errand.content {
            entry.msgid = msgid.map(|msgid| msgid.to_string());
        }
        self.note_fault(app, entry);
    }

    fn alter(&self, errand: &mut Errand, strike: &Strike) {
        let Content::Sent { template_id, msgid, .. } = &*errand.content else { return };
        let (template_id, msgid) = (template_id.clone(), *msgid);
        let altered = match strike.kind() {
            Kind::MsgidAbsent => Content::Sent { template_id, msgid: None, failed: None },
            Kind::MsgidOther => {
                Content::Sent { template_id, msgid: Some(self.0.chance.msgid()), failed: None }
            }
            _ => {
                let spec = strike.spec();
                let status = spec.errmsg.clone().unwrap_or_else(|| "failed:system failed".to_owned());
                let failed = Some((spec.errcode.unwrap_or(-1), status));
                Content::Sent { template_id, msgid, failed }
            }
        };
        errand.content = Arc::new(altered);
    }

    /// Waits, and gives others the slot meanwhile.
    async fn without_slot(
        &self,
        app: &App,
        slot: &mut Option<OwnedSemaphorePermit>,
        wait: impl Future<Output = ()>,
    ) {
        let limited = slot.take().is_some();
        tokio::select! {
            () = wait => {}
            () = self.0.stop.cancelled() => {}
        }
        if limited {
            *slot = app.receipts.slots.clone().acquire_owned().await.ok();
        }
    }
}

/// Resolves when so many more pushes of the app were made.
async fn others_made(app: &App, count: u64) {
    let goal = app.pushes.made.load(SeqCst) + count;
    loop {
        let mut moved = std::pin::pin!(app.pushes.moved.notified());
        moved.as_mut().enable();
        if app.pushes.made.load(SeqCst) >= goal {
            return;
        }
        moved.await;
    }
}
