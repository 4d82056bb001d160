//! Late answers. A call whose time is over has settled its message as `unknown`, and its connection is listened to for a
//! while longer; what comes resolves exactly that attempt.
//!
//! Meanwhile the person counts as in flight (I6): WeChat is still busy with our call, would answer a second one with 43108,
//! and a message that is sent again must not pass the answer that says it need not be. The slot is free, though: a slow
//! WeChat holds up its own people, not the app. A stop closes the connections; what they would have said, receipts say.

use std::time::Duration;

use domain::message::Outcome;
use domain::retry::Answer;
use store::hot::settle::{Settled, Settlement};
use tokio::sync::mpsc;
use wechat::client::Overdue;

use super::Landed;
use super::call::{Heard, hear};
use crate::Shared;

/// How long a call is listened to after its time; half of an unknown message's grace.
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls that are listened to at most, over all apps: each is an open connection.
pub(super) const MOST: usize = 512;
const BATCH: usize = 256;

/// A call that is listened to.
pub(super) struct Listening {
    pub(super) app: i64,
    /// As the attempt was settled.
    pub(super) settlement: Settlement,
    /// Whether an attempt before it was ambiguous: then a no says nothing about the message.
    pub(super) ambiguous_before: bool,
}

impl Listening {
    /// Waits for the answer; what it says goes to be written, and the dispatcher learns that the call is over.
    pub(super) async fn run(
        mut self,
        overdue: Overdue,
        shared: Shared,
        heard: mpsc::UnboundedSender<(i64, Settlement)>,
        landed: mpsc::UnboundedSender<Landed>,
    ) {
        let answer = tokio::select! {
            () = shared.stop.cancelled() => return,
            answer = overdue.answer(PATIENCE) => hear(answer),
        };
        metrics::counter!("hongyan_late_answers_total", "answer" => word(&answer)).increment(1);
        let Some(outcome) = resolves(&answer, self.ambiguous_before) else {
            let _ = landed.send(Landed::Over { app: self.app, openid: self.settlement.openid });
            return;
        };
        self.settlement.result = Settled::Late(outcome);
        self.settlement.at = shared.service.now();
        self.settlement.errcode = answer.errcode;
        self.settlement.errmsg = Some(answer.errmsg).filter(|_| !matches!(outcome, Outcome::Accepted { .. }));
        let _ = heard.send((self.app, self.settlement));
    }
}

/// The outcome that a late answer proves, if any. One that says "not done, try again" proves only that this attempt
/// came to nothing: its message stays as it is, for a receipt, the policy or a person to decide.
fn resolves(heard: &Heard, ambiguous_before: bool) -> Option<Outcome> {
    match heard.answer {
        Answer::Ok { msgid } => Some(Outcome::Accepted { msgid }),
        Answer::NoGrant if !ambiguous_before => Some(Outcome::Refused),
        Answer::Permanent if !ambiguous_before => Some(Outcome::Failed),
        _ => None,
    }
}

fn word(heard: &Heard) -> &'static str {
    match (heard.answer, heard.errcode) {
        (Answer::Ok { .. }, _) => "accepted",
        (_, Some(_)) => "error",
        (_, None) => "none",
    }
}

/// Writes late answers, many at a time; then their people may get the next message.
pub(super) async fn run(
    shared: Shared,
    mut heard: mpsc::UnboundedReceiver<(i64, Settlement)>,
    landed: mpsc::UnboundedSender<Landed>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let count = tokio::select! {
            () = shared.stop.cancelled() => return,
            count = heard.recv_many(&mut batch, BATCH) => count,
        };
        if count == 0 {
            return;
        }
        let (apps, settlements): (Vec<i64>, Vec<Settlement>) = batch.drain(..).unzip();
        let people: Vec<String> = settlements.iter().map(|settlement| settlement.openid.clone()).collect();
        match shared.service.store().settle(settlements).await {
            Ok(counted) => {
                let resolved = counted.iter().filter(|counted| **counted).count();
                metrics::counter!("hongyan_unknown_resolved_total", "by" => "late_answer")
                    .increment(resolved as u64);
            }
            // The message stays `unknown`, which is true, and a receipt may tell.
            Err(error) => tracing::error!(%error, count, "late answers could not be kept"),
        }
        for (app, openid) in apps.into_iter().zip(people) {
            let _ = landed.send(Landed::Over { app, openid });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_word_resolves_and_a_no_only_where_it_is_the_first_attempt() {
        let heard = |answer| Heard { answer, errcode: None, errmsg: String::new() };
        let accepted = Some(Outcome::Accepted { msgid: Some(1) });
        for ambiguous in [false, true] {
            assert_eq!(resolves(&heard(Answer::Ok { msgid: Some(1) }), ambiguous), accepted);
            for nothing in
                [Answer::NoAnswer, Answer::SystemBusy, Answer::NotSent, Answer::Busy, Answer::Quota]
            {
                assert_eq!(resolves(&heard(nothing), ambiguous), None, "{nothing:?}");
            }
        }
        assert_eq!(resolves(&heard(Answer::NoGrant), false), Some(Outcome::Refused));
        assert_eq!(resolves(&heard(Answer::Permanent), false), Some(Outcome::Failed));
        assert_eq!(resolves(&heard(Answer::NoGrant), true), None);
        assert_eq!(resolves(&heard(Answer::Permanent), true), None);
    }
}
