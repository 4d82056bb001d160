//! Calls of WeChat's API under a fault script: what takes effect, what is written down, and what the caller
//! sees. `faults` decides which rule strikes.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};

use super::{answer, broken};
use crate::{
    Simulator,
    api::{FaultEntry, FaultKind as Kind, FaultOn},
    faults::{Strike, Whom},
    state::{App, Busy, Receipt},
};

/// A call that did what it does.
pub(super) struct Done {
    /// The right answer.
    pub(super) text: String,
    pub(super) effect: bool,
    pub(super) msgid: Option<u64>,
    /// Held until the answer is out.
    pub(super) busy: Option<Busy>,
    pub(super) overtaking: Option<Receipt>,
}

impl Done {
    /// The answer of a call that worked, or of one that did not.
    pub(super) fn said(text: Result<String, String>) -> Self {
        let effect = text.is_ok();
        let text = text.unwrap_or_else(|text| text);
        Self { text, effect, msgid: None, busy: None, overtaking: None }
    }

    /// A call that was not looked at.
    pub(super) fn nothing() -> Self {
        let text = json!({"errcode": -1, "errmsg": "system error"}).to_string();
        Self { effect: false, ..Self::said(Ok(text)) }
    }

    pub(super) fn answer(self) -> Response {
        drop(self.busy);
        answer::json(self.text)
    }
}

/// What makes a caller known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// An access token, which a fault may revoke.
    WithToken,
    WithSecret,
}

/// Every call but send.
pub(super) async fn call(
    sim: &Simulator,
    app: &Arc<App>,
    on: FaultOn,
    act_by: Act,
    act: impl FnOnce() -> Done,
) -> Response {
    match app.faults.strike(on, Whom::default()) {
        None => act().answer(),
        Some(strike) => play(sim, app, &strike, Whom::default(), act_by, act).await,
    }
}

/// What a strike makes of a call.
pub(super) async fn play(
    sim: &Simulator,
    app: &Arc<App>,
    strike: &Strike,
    whom: Whom<'_>,
    act_by: Act,
    act: impl FnOnce() -> Done,
) -> Response {
    let mut entry = strike.entry(sim.now(), whom);
    let revokes = strike.kind() == Kind::RevokeTokens;
    if revokes {
        sim.0.tokens.revoke(app);
    }
    let mut done =
        if !strike.with_effect() || (revokes && act_by == Act::WithToken) { Done::nothing() } else { act() };
    entry.effect = Some(done.effect);
    entry.msgid = done.msgid.map(|msgid| msgid.to_string());
    entry.ambiguous = leaves_unsure(strike, done.effect);
    sim.note_fault(app, entry.clone());
    overtake(sim, app, &mut done).await;
    let latency = Duration::from_millis(app.settings().spec.latency_ms);
    let wait = strike.delay() + if strike.on == FaultOn::Send { latency } else { Duration::ZERO };
    let forever = strike.kind() == Kind::Hang && strike.spec().delay_ms.is_none();
    let waiting = Waiting { app: app.clone(), entry: (!entry.ambiguous).then_some(entry), open: true };
    let stopped =
        async { if forever { std::future::pending().await } else { tokio::time::sleep(wait).await } };
    if !wait.is_zero() || forever {
        or_stop(sim, stopped).await;
    }
    waiting.answered();
    seen(sim, strike, done, revokes && act_by == Act::WithToken, forever)
}

/// The answer as the caller sees it.
fn seen(sim: &Simulator, strike: &Strike, done: Done, revoked: bool, forever: bool) -> Response {
    let spec = strike.spec();
    match strike.kind() {
        Kind::Errcode => {
            let (errcode, errmsg) = strike.errcode();
            answer::error(sim, errcode, errmsg)
        }
        Kind::CutBeforeBody | Kind::CutAfterBody => broken::cut(),
        // Only the simulator's end ends it.
        Kind::Hang if forever => broken::cut(),
        Kind::HttpStatus => page(spec.status.unwrap_or(503), "text/plain", |reason| reason.to_owned()),
        Kind::Html => page(spec.status.unwrap_or(200), "text/html", |reason| {
            format!(
                "<html>\r\n<head><title>{reason}</title></head>\r\n<body>\r\n<center><h1>{reason}</h1></center>\r\n\
                 <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
            )
        }),
        Kind::HalfBody => broken::half(&done.text, spec.chunked),
        Kind::RevokeTokens if revoked => {
            answer::error(sim, 40001, "invalid credential, access_token is invalid or not latest")
        }
        Kind::MsgidAbsent | Kind::MsgidPresent | Kind::MsgidText | Kind::ErrcodeAbsent => {
            let text = reshaped(strike.kind(), &done);
            Done { text, ..done }.answer()
        }
        _ => done.answer(),
    }
}

fn page(status: u16, kind: &'static str, text: impl FnOnce(&str) -> String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = Response::new(Body::from(text(&status.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A good answer in another shape; errors stay as they are.
fn reshaped(kind: Kind, done: &Done) -> String {
    let Ok(Value::Object(mut answer)) = serde_json::from_str(&done.text) else { return done.text.clone() };
    if !done.effect {
        return done.text.clone();
    }
    match (kind, done.msgid) {
        (Kind::MsgidAbsent, _) => drop(answer.remove("msgid")),
        (Kind::MsgidPresent, Some(msgid)) => drop(answer.insert("msgid".to_owned(), json!(msgid))),
        (Kind::MsgidText, Some(msgid)) => drop(answer.insert("msgid".to_owned(), json!(msgid.to_string()))),
        (Kind::ErrcodeAbsent, _) => {
            answer.remove("errcode");
            answer.remove("errmsg");
        }
        _ => {}
    }
    Value::Object(answer).to_string()
}

/// Whether the caller cannot know if it took effect. What is merely slow becomes so when the caller goes away.
fn leaves_unsure(strike: &Strike, effect: bool) -> bool {
    match strike.kind() {
        Kind::Errcode => strike.errcode().0 == -1 || effect,
        Kind::CutBeforeBody | Kind::CutAfterBody | Kind::HttpStatus | Kind::Html | Kind::HalfBody => true,
        // Without effect what comes late is -1.
        Kind::Hang => strike.spec().delay_ms.is_none() || !strike.with_effect(),
        _ => false,
    }
}

/// Pushes the receipt that overtakes its answer.
pub(super) async fn overtake(sim: &Simulator, app: &Arc<App>, done: &mut Done) {
    if let Some(receipt) = done.overtaking.take() {
        sim.push_before_answer(app, receipt).await;
    }
}

async fn or_stop(sim: &Simulator, wait: impl Future<Output = ()>) {
    tokio::select! {
        () = wait => {}
        () = sim.0.stop.cancelled() => {}
    }
}

/// Sees whether the caller goes away while it waits: then this is dropped before [`Waiting::answered`].
pub(super) struct Waiting {
    app: Arc<App>,
    entry: Option<FaultEntry>,
    open: bool,
}

impl Waiting {
    /// Slow without a fault.
    pub(super) fn for_slow_call(app: &Arc<App>) -> Self {
        Self { app: app.clone(), entry: None, open: true }
    }

    pub(super) fn answered(mut self) {
        self.open = false;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        match self.entry.take() {
            Some(mut entry) => {
                (entry.hung_up, entry.ambiguous) = (true, true);
                self.app.faults.note(entry);
            }
            None => self.app.faults.note_hung_up(),
        }
    }
}
