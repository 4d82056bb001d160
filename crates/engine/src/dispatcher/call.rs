//! One attempt: token, call, what the answer means. Everything that may go wrong here ends in a settlement.

use std::sync::Arc;

use domain::Millis;
use domain::message::Outcome;
use domain::retry::{self, Answer, Decision, RetryPolicy, Tried};
use service::App;
use service::tokens::{Token, TokenError};
use store::hot::arm::Arm;
use store::hot::claim::Claimed;
use store::hot::settle::{Settled, Settlement};
use tokio::sync::Semaphore;
use wechat::client::{CallError, Overdue, SendAnswer, SendRequest};
use wechat::errcode::{self, Class};

use crate::Shared;

/// An armed message on its way.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) message: Claimed,
    pub(super) template_id: String,
    pub(super) arm: Arm,
    /// Calls of this app at the same time.
    pub(super) slots: Arc<Semaphore>,
}

/// A gate to be closed.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    pub(super) gate: retry::Gate,
    pub(super) errcode: i64,
    pub(super) detail: String,
}

/// A campaign to be paused.
#[derive(Debug, Clone)]
pub(super) struct Pausing {
    pub(super) campaign: i64,
    /// WeChat's errcode and errmsg.
    pub(super) because: String,
}

/// Errors that every message of a campaign would get: the template (40037) or the page (41030).
const OF_ALL: [i64; 2] = [40037, 41030];

/// What came of it.
pub(super) struct Finished {
    pub(super) app: i64,
    pub(super) settlement: Settlement,
    pub(super) closing: Option<Closing>,
    /// The call itself, where its time was over and it is still under way; and whether an earlier attempt was ambiguous.
    pub(super) overdue: Option<(Overdue, bool)>,
    pub(super) pausing: Option<Pausing>,
    /// The campaign that it belongs to.
    pub(super) campaign: Option<i64>,
}

/// An answer in the words of the retry rules, with WeChat's own.
pub(super) struct Heard {
    pub(super) answer: Answer,
    pub(super) errcode: Option<i64>,
    pub(super) errmsg: String,
}

/// What came of trying to call.
enum Reached {
    Heard(Heard, Option<Overdue>),
    /// Cancelled, or its time was over, before the call could start (I15).
    TooLate,
}

impl Call {
    pub(super) async fn run(self, shared: &Shared) -> Finished {
        let permit = self.slots.acquire().await;
        if permit.is_err() || shared.stop.is_cancelled() {
            let Claimed { queue, due_at, expire_at, .. } = self.message;
            return self.finish(shared, Settled::GivenBack { queue, due_at, expire_at }, None, None);
        }
        let mut refreshed: Option<Heard> = None;
        loop {
            let (heard, overdue) = match self.call(shared, refreshed.is_some()).await {
                Reached::Heard(heard, overdue) => (heard, overdue),
                Reached::TooLate => {
                    let Claimed { queue, due_at, expire_at, .. } = self.message;
                    let result = match refreshed {
                        // Nothing was asked of WeChat: as if it had never been armed.
                        None => Settled::GivenBack { queue, due_at, expire_at },
                        Some(_) => Settled::Again { queue, due_at, expire_at, ambiguous: false },
                    };
                    return self.finish(shared, result, refreshed, None);
                }
            };
            let random = shared.service.entropy().next_u64();
            #[expect(clippy::cast_possible_truncation, reason = "32 of the random bits")]
            let decision = retry::decide(
                heard.answer,
                &self.tried(refreshed.is_some()),
                &RetryPolicy::default(),
                random as u32,
            );
            let now = shared.service.now();
            let Claimed { queue, due_at, expire_at, .. } = self.message;
            let of_all = heard.errcode.filter(|code| OF_ALL.contains(code));
            if let (Some(campaign), Some(code)) = (queue.campaign(), of_all) {
                let because = format!("{code} {}", heard.errmsg);
                // It keeps its place: the campaign, not the message, has to wait.
                let again = Settled::Again { queue, due_at, expire_at, ambiguous: false };
                let mut finished = self.finish(shared, again, Some(heard), None);
                finished.pausing = Some(Pausing { campaign, because });
                return finished;
            }
            let (settled, closing) = match decision {
                Decision::Settle(outcome) => (Settled::Outcome(outcome), None),
                Decision::Retry { refresh_token: true, .. } => {
                    refreshed = Some(heard);
                    continue;
                }
                Decision::Retry { after_ms, ambiguous, .. } => {
                    (Settled::Again { queue, due_at: now + after_ms, expire_at, ambiguous }, None)
                }
                Decision::CloseGate { gate } => {
                    let closing =
                        Closing { gate, errcode: heard.errcode.unwrap_or(0), detail: heard.errmsg.clone() };
                    // It keeps its place: the gate, not the message, has to wait.
                    (Settled::Again { queue, due_at, expire_at, ambiguous: false }, Some(closing))
                }
            };
            let mut finished = self.finish(shared, settled, Some(heard), closing);
            finished.overdue = overdue.map(|overdue| (overdue, self.message.ambiguous));
            return finished;
        }
    }

    fn tried(&self, token_refreshed: bool) -> Tried {
        Tried {
            attempts: u32::try_from(self.arm.attempt).unwrap_or(u32::MAX),
            ambiguous_before: self.message.ambiguous,
            token_refreshed,
            // The store knows of a cancel, and forbids the retry when the outcome is kept.
            cancel_requested: false,
        }
    }

    async fn call(&self, shared: &Shared, refreshed: bool) -> Reached {
        let token = match self.token(shared, refreshed).await {
            Ok(token) => token,
            Err(error) => return Reached::Heard(no_token(&error), None),
        };
        let message = &self.message;
        let Ok(data) = serde_json::from_str(&message.data) else {
            let errmsg = "the stored data is unreadable".into();
            return Reached::Heard(Heard { answer: Answer::Permanent, errcode: None, errmsg }, None);
        };
        let request = SendRequest {
            to_user: message.openid.clone(),
            template_id: self.template_id.clone(),
            page: message.page.clone(),
            data,
            miniprogram_state: message.version.parse().unwrap_or_default(),
            lang: message.lang.parse().unwrap_or_default(),
        };
        // Waiting for a slot or a token may have taken long: this is the last moment before the call.
        let (store, now) = (shared.service.store(), shared.service.now());
        // A lease that ends during the call would let another node send to the same person (I6, I7).
        if !shared.lanes.may_call(self.arm.lane, self.arm.epoch) {
            return Reached::TooLate;
        }
        if now >= message.expire_at || store.hints().is_forbidden(message.id) || !self.may_send(shared, now) {
            return Reached::TooLate;
        }
        let started = tokio::time::Instant::now();
        let client = shared.service.client();
        let (answer, overdue) = client.send_patiently(&self.app.api_base_url, &token.secret, &request).await;
        metrics::histogram!("hongyan_send_seconds").record(started.elapsed().as_secs_f64());
        metrics::counter!("hongyan_send_answers_total", "class" => sort_of(&answer)).increment(1);
        Reached::Heard(hear(answer), overdue)
    }

    /// Whether the campaign is not paused, cancelled or outside its window by now, and the person no stranger to an app on
    /// trial (I15).
    fn may_send(&self, shared: &Shared, now: Millis) -> bool {
        let live = self.message.queue.campaign().and_then(|number| shared.service.campaigns().get(number));
        live.is_none_or(|live| live.may_send(now))
            && shared.service.may_receive(&self.app, &self.message.openid)
    }

    async fn token(&self, shared: &Shared, refreshed: bool) -> Result<Token, TokenError> {
        let tokens = shared.service.tokens();
        let token = tokens.get(&self.app).await?;
        if refreshed { tokens.replace(&self.app, token.version).await } else { Ok(token) }
    }

    fn finish(
        &self,
        shared: &Shared,
        result: Settled,
        heard: Option<Heard>,
        closing: Option<Closing>,
    ) -> Finished {
        let answered = heard.as_ref().and_then(|heard| heard.errcode);
        let accepted = matches!(result, Settled::Outcome(Outcome::Accepted { .. }));
        Finished {
            app: self.app.number,
            settlement: Settlement {
                lane: self.arm.lane,
                epoch: self.arm.epoch,
                id: self.arm.id,
                attempt: self.arm.attempt,
                template: self.message.template,
                openid: self.message.openid.clone(),
                attempt_at: self.arm.at,
                at: shared.service.now(),
                result,
                errcode: answered,
                errmsg: heard.map(|heard| heard.errmsg).filter(|_| !accepted),
            },
            closing,
            overdue: None,
            pausing: None,
            campaign: self.message.queue.campaign(),
        }
    }
}

/// What sort of answer it was, for the metrics: as few words as there are classes.
fn sort_of(answer: &SendAnswer) -> &'static str {
    match answer {
        SendAnswer::NotSent(_) => "not_sent",
        SendAnswer::NoAnswer(_) => "no_answer",
        SendAnswer::Answered { errcode, .. } => match errcode::class(*errcode) {
            Class::Ok => "ok",
            Class::RefreshToken => "refresh_token",
            Class::Retry => "retry",
            Class::Ambiguous => "ambiguous",
            Class::Refused => "refused",
            Class::Permanent => "permanent",
            Class::Configuration => "configuration",
            Class::Quota => "quota",
            Class::MinuteLimit => "minute_limit",
        },
    }
}

/// Says what WeChat's answer means.
pub(super) fn hear(answer: SendAnswer) -> Heard {
    match answer {
        SendAnswer::Answered { errcode, errmsg, msgid } => {
            Heard { answer: classify(errcode::class(errcode), msgid), errcode: Some(errcode), errmsg }
        }
        SendAnswer::NotSent(why) => Heard { answer: Answer::NotSent, errcode: None, errmsg: why.to_string() },
        SendAnswer::NoAnswer(why) => {
            Heard { answer: Answer::NoAnswer, errcode: None, errmsg: why.to_string() }
        }
    }
}

fn classify(class: Class, msgid: Option<u64>) -> Answer {
    match class {
        Class::Ok => Answer::Ok { msgid },
        Class::RefreshToken => Answer::TokenRejected,
        Class::Retry => Answer::Busy,
        Class::Ambiguous => Answer::SystemBusy,
        Class::Refused => Answer::NoGrant,
        Class::Permanent => Answer::Permanent,
        Class::Configuration => Answer::Configuration,
        Class::Quota => Answer::Quota,
        Class::MinuteLimit => Answer::MinuteLimit,
    }
}

/// Before the reason why there is none: the attempt ended before the send call.
const NO_TOKEN: &str = "no access token: ";

/// Without a token nothing was sent, whatever the reason.
fn no_token(error: &TokenError) -> Heard {
    let errmsg = format!("{NO_TOKEN}{error}");
    let (answer, errcode) = match error {
        TokenError::Call(call) => match &**call {
            CallError::WeChat { errcode, .. } => {
                let answer = match errcode::token_class(*errcode) {
                    Class::Configuration | Class::Permanent | Class::RefreshToken => Answer::Configuration,
                    Class::Quota => Answer::Quota,
                    Class::MinuteLimit => Answer::MinuteLimit,
                    Class::Ok | Class::Retry | Class::Ambiguous | Class::Refused => Answer::NotSent,
                };
                (answer, Some(*errcode))
            }
            _ => (Answer::NotSent, None),
        },
        TokenError::Rationed => (Answer::Configuration, Some(40001)),
        TokenError::Store(_) | TokenError::Source(_) => (Answer::NotSent, None),
    };
    Heard { answer, errcode, errmsg }
}
