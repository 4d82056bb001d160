//! `subscribe_msg_sent_event`, some time after each successful send. One task an app takes them out in order
//! while there are any; how many are under way at once is bounded, so that a slow server only delays them.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use super::{Content, Errand};
use crate::{
    Simulator,
    state::{App, Receipt, lock},
};

impl Simulator {
    pub(crate) fn queue_receipt(&self, app: &Arc<App>, receipt: Receipt) {
        {
            let mut waiting = lock(&app.receipts.waiting);
            // In order but for a change of the delays: look from the end.
            let mut place = waiting.len();
            while place > 0 && waiting[place - 1].due > receipt.due {
                place -= 1;
            }
            waiting.insert(place, receipt);
        }
        if !app.receipts.served.swap(true, SeqCst) {
            let (sim, app) = (self.clone(), app.clone());
            tokio::spawn(async move { sim.serve_receipts(&app).await });
        }
    }

    async fn serve_receipts(&self, app: &Arc<App>) {
        loop {
            match self.take_due(app) {
                Due::Now(receipts) => {
                    for receipt in receipts {
                        let Ok(slot) = app.receipts.slots.clone().acquire_owned().await else { return };
                        let (sim, app) = (self.clone(), app.clone());
                        tokio::spawn(async move {
                            let errand = errand(&receipt, sim.now());
                            match receipt.fault {
                                None => sim.deliver(&app, errand, Some(slot)).await,
                                Some(strike) => {
                                    Box::pin(sim.deliver_faulty(&app, errand, &strike, Some(slot))).await
                                }
                            };
                        });
                    }
                }
                Due::In(wait) => {
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.0.stop.cancelled() => return,
                    }
                }
                Due::Never => {
                    app.receipts.served.store(false, SeqCst);
                    // One may have come between looking and resigning.
                    if lock(&app.receipts.waiting).is_empty() || app.receipts.served.swap(true, SeqCst) {
                        return;
                    }
                }
            }
        }
    }

    fn take_due(&self, app: &App) -> Due {
        let now = self.now();
        let mut waiting = lock(&app.receipts.waiting);
        match waiting.front() {
            None => Due::Never,
            // A clock that stands still in a test must not stop this task's looking.
            Some(first) if first.due > now => {
                Due::In(Duration::from_millis((first.due - now).clamp(1, 20).unsigned_abs()))
            }
            Some(_) => {
                let due = waiting.iter().take(256).take_while(|receipt| receipt.due <= now).count();
                Due::Now(waiting.drain(..due).collect())
            }
        }
    }
}

pub(super) fn errand(receipt: &Receipt, now: i64) -> Errand {
    let content =
        Content::Sent { template_id: receipt.template.id.clone(), msgid: Some(receipt.msgid), failed: None };
    Errand::new(receipt.openid.clone(), content, now)
}

enum Due {
    Now(Vec<Receipt>),
    In(Duration),
    Never,
}
