//! One attempt: token, call, what the answer means. Everything that may go wrong here ends in a settlement.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::message::Outcome;
use domain::retry::{self, Answer, Decision, RetryPolicy, Tried};
use service::App;
use service::tokens::{Token, TokenError};
use store::hot::arm::Arm;
use store::hot::claim::Claimed;
use store::hot::settle::{Settled, Settlement};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wechat::client::{CallError, NoAnswer, SendAnswer, SendRequest};
use wechat::errcode::{self, Class};

use crate::Shared;

/// How long a call is listened to after its time is over: an answer that comes late still tells.
const LISTEN: Duration = Duration::from_secs(30);

/// An armed message on its way.
pub(super) struct Call {
    pub(super) app: Arc<App>,
    pub(super) message: Claimed,
    pub(super) template_id: String,
    pub(super) arm: Arm,
    /// Calls of this app at the same time.
    pub(super) slots: Arc<Semaphore>,
    /// Calls that are listened to beyond their time.
    pub(super) listeners: Arc<Semaphore>,
}

/// A gate to be closed.
#[derive(Debug, Clone)]
pub(super) struct Closing {
    pub(super) gate: retry::Gate,
    pub(super) errcode: i64,
    pub(super) detail: String,
}

/// What came of it.
pub(super) struct Finished {
    pub(super) app: i64,
    pub(super) settlement: Settlement,
    pub(super) closing: Option<Closing>,
    /// Whether the connection is still listened to: the person has a call open until that is over (I6).
    pub(super) listening: bool,
}

type Sending = Pin<Box<dyn Future<Output = SendAnswer> + Send>>;

/// An answer in the words of the retry rules, with WeChat's own.
struct Heard {
    answer: Answer,
    errcode: Option<i64>,
    errmsg: String,
}

impl Call {
    /// Makes the call. Where its time is over without an answer, gives too what may still bring one.
    pub(super) async fn run(self, shared: &Shared) -> (Finished, Option<Listening>) {
        let permit = self.slots.acquire().await;
        if permit.is_err() || shared.stop.is_cancelled() {
            let Claimed { queue, due_at, expire_at, .. } = self.message;
            let settled = Settled::GivenBack { queue, due_at, expire_at };
            return (self.finish(shared, settled, None, None), None);
        }
        let mut refreshed = false;
        loop {
            let (heard, still_open) = self.call(shared, refreshed).await;
            let random = shared.service.entropy().next_u64();
            #[expect(clippy::cast_possible_truncation, reason = "32 of the random bits")]
            let decision =
                retry::decide(heard.answer, &self.tried(refreshed), &RetryPolicy::default(), random as u32);
            let now = shared.service.now();
            let Claimed { queue, due_at, expire_at, .. } = self.message;
            let (settled, closing) = match decision {
                Decision::Settle(outcome) => (Settled::Outcome(outcome), None),
                Decision::Retry { refresh_token: true, .. } => {
                    refreshed = true;
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
            drop(permit);
            let listening = still_open
                .and_then(|sending| Some((sending, Arc::clone(&self.listeners).try_acquire_owned().ok()?)))
                .map(|(sending, place)| Listening {
                    settlement: finished.settlement.clone(),
                    app: finished.app,
                    tried: self.tried(refreshed),
                    sending,
                    _place: place,
                });
            finished.listening = listening.is_some();
            return (finished, listening);
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

    async fn call(&self, shared: &Shared, refreshed: bool) -> (Heard, Option<Sending>) {
        let token = match self.token(shared, refreshed).await {
            Ok(token) => token,
            Err(error) => return (no_token(&error), None),
        };
        let message = &self.message;
        let Ok(data) = serde_json::from_str(&message.data) else {
            let errmsg = "the stored data is unreadable".into();
            return (Heard { answer: Answer::Permanent, errcode: None, errmsg }, None);
        };
        let request = SendRequest {
            to_user: message.openid.clone(),
            template_id: self.template_id.clone(),
            page: message.page.clone(),
            data,
            miniprogram_state: message.version.parse().unwrap_or_default(),
            lang: message.lang.parse().unwrap_or_default(),
        };
        let started = tokio::time::Instant::now();
        let client = shared.service.client();
        let (patience, patient) =
            (client.call_timeout(), client.with_call_timeout(client.call_timeout() + LISTEN));
        let app = Arc::clone(&self.app);
        let mut sending: Sending =
            Box::pin(async move { patient.send(&app.api_base_url, &token.secret, &request).await });
        let answer = tokio::time::timeout(patience, &mut sending).await;
        metrics::histogram!("hongyan_send_seconds").record(started.elapsed().as_secs_f64());
        match answer {
            Ok(answer) => (hear(answer), None),
            Err(_) => (hear(SendAnswer::NoAnswer(NoAnswer::Timeout)), Some(sending)),
        }
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
            listening: false,
        }
    }
}

/// A call whose time is over and whose connection is still open: what it brings resolves its own attempt's `unknown`,
/// and nothing else.
pub(super) struct Listening {
    settlement: Settlement,
    app: i64,
    tried: Tried,
    sending: Sending,
    _place: OwnedSemaphorePermit,
}

impl Listening {
    /// Listens until an answer comes, the connection ends, or a stop is asked for; gives whose call it was.
    pub(super) async fn hear(self, shared: &Shared) -> (i64, String) {
        let person = (self.app, self.settlement.openid.clone());
        let answer = tokio::select! {
            () = shared.stop.cancelled() => return person,
            answer = self.sending => answer,
        };
        let heard = hear(answer);
        let decision = retry::decide(heard.answer, &self.tried, &RetryPolicy::default(), 0);
        let Decision::Settle(outcome) = decision else { return person };
        if outcome == Outcome::Unknown {
            return person;
        }
        tracing::info!(message = %self.settlement.id, errcode = heard.errcode, "a late answer came");
        let accepted = matches!(outcome, Outcome::Accepted { .. });
        let late = Settlement {
            at: shared.service.now(),
            result: Settled::Late(outcome),
            errcode: heard.errcode,
            errmsg: Some(heard.errmsg).filter(|_| !accepted),
            ..self.settlement
        };
        match shared.service.store().settle(vec![late]).await {
            Ok(_) => metrics::counter!("hongyan_late_answers_total").increment(1),
            // It stays unknown, as it would have without this answer.
            Err(error) => tracing::error!(%error, "a late answer could not be kept"),
        }
        person
    }
}

fn hear(answer: SendAnswer) -> Heard {
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

/// Without a token nothing was sent, whatever the reason.
fn no_token(error: &TokenError) -> Heard {
    let errmsg = error.to_string();
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
