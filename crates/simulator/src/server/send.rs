//! `POST /cgi-bin/message/subscribe/send`.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequest, RawQuery, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Deserialize;

use super::{
    answer,
    faulty::{self, Act, Done, Waiting},
    query,
};
use crate::{
    Simulator,
    api::{FaultKind, FaultOn},
    faults::Whom,
    state::{App, RidCall, Sent, TokenFault},
};

/// The app that the call's token belongs to, or the answer that says why there is none.
pub(super) fn authorised(sim: &Simulator, query: Option<&str>) -> Result<Arc<App>, Box<Response>> {
    let token = query::value(query, "access_token").unwrap_or_default();
    if token.is_empty() {
        return Err(Box::new(answer::error(sim, 41001, "access_token missing")));
    }
    sim.0.tokens.check(&token, sim.now()).map_err(|fault| {
        Box::new(match fault {
            TokenFault::Unknown => {
                let text = "invalid credential, access_token is invalid or not latest";
                answer::error(sim, 40001, text)
            }
            TokenFault::Expired => answer::error(sim, 42001, "access_token expired"),
        })
    })
}

pub(super) async fn send(
    State(sim): State<Simulator>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let app = authorised(&sim, query.as_deref());
    if let Ok(app) = &app
        && app.faults.active()
    {
        return Box::pin(with_faults(&sim, app, request)).await;
    }
    // Read in any case, so that the connection can go on.
    let body = match Bytes::from_request(request, &sim).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let app = match app {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let settings = app.settings();
    let at = sim.now();
    let sent = sim.send(&app, &settings, &body, at, None);
    if settings.spec.latency_ms > 0 {
        let waiting = Waiting::for_slow_call(&app);
        tokio::time::sleep(Duration::from_millis(settings.spec.latency_ms)).await;
        waiting.answered();
    }
    let done = answered(&sim, sent, settings.spec.answer_msgid);
    if !done.effect {
        remember(&sim, &app, query.as_deref(), &body, at, &done.text);
    }
    done.answer()
}

/// Keeps what was refused for `rid/get`.
fn remember(sim: &Simulator, app: &App, query: Option<&str>, body: &[u8], at: i64, answer: &str) {
    app.rids.push(RidCall {
        at,
        took_ms: sim.now().abs_diff(at),
        url: format!("/cgi-bin/message/subscribe/send?{}", query.unwrap_or_default()).into(),
        body: String::from_utf8_lossy(&body[..body.len().min(KEEP_BODY)]).into(),
        answer: answer.into(),
    });
}

/// Bodies remembered are cut here.
const KEEP_BODY: usize = 1024;

/// What the call says; the person is free again when the answer is made, so that the caller's next call finds
/// it free.
fn answered(sim: &Simulator, sent: Sent, with_msgid: bool) -> Done {
    let text = if sent.errcode != 0 {
        answer::error_text(sim, sent.errcode, &sent.errmsg)
    } else {
        let mut text = String::with_capacity(64);
        text.push_str(r#"{"errcode":0,"errmsg":"ok""#);
        if with_msgid {
            let _ = write!(text, r#","msgid":{}"#, sent.msgid);
        }
        text.push('}');
        text
    };
    Done {
        text,
        effect: sent.errcode == 0,
        msgid: (sent.errcode == 0).then_some(sent.msgid),
        busy: sent.busy,
        overtaking: sent.overtaking,
    }
}

#[derive(Deserialize)]
struct Whose {
    #[serde(default)]
    touser: String,
    #[serde(default)]
    template_id: String,
}

/// The same under a fault script.
async fn with_faults(sim: &Simulator, app: &Arc<App>, request: Request) -> Response {
    // Where no rule asks for whom it is, what shall not be read is not read.
    let early = (!app.faults.asks_for_whom(FaultOn::Send))
        .then(|| app.faults.strike(FaultOn::Send, Whom::default()))
        .flatten();
    if let Some(strike) = early.as_ref().filter(|strike| strike.kind() == FaultKind::CutBeforeBody) {
        return faulty::play(sim, app, strike, Whom::default(), Act::WithToken, Done::nothing).await;
    }
    let body = match Bytes::from_request(request, sim).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let whose = serde_json::from_slice::<Whose>(&body).ok();
    let templates = whose.as_ref().map(|whose| whose.template_id.as_str());
    let whom = Whom {
        openid: whose.as_ref().map(|whose| whose.touser.as_str()),
        templates: templates.as_slice(),
        event: None,
    };
    let strike = match early {
        Some(strike) => Some(strike),
        None if app.faults.asks_for_whom(FaultOn::Send) => app.faults.strike(FaultOn::Send, whom),
        None => None,
    };
    let settings = app.settings();
    let kind = strike.as_ref().map(|strike| strike.kind());
    let latency = Duration::from_millis(settings.spec.latency_ms);
    let act = || {
        let sent = sim.send(app, &settings, &body, sim.now(), kind);
        answered(sim, sent, settings.spec.answer_msgid)
    };
    match strike {
        Some(strike) => {
            if strike.kind() == FaultKind::Errcode && !strike.with_effect() {
                let (errcode, errmsg) = strike.errcode();
                sim.refuse(app, &body, errcode, errmsg, FaultKind::Errcode);
            }
            faulty::play(sim, app, &strike, whom, Act::WithToken, act).await
        }
        None => {
            let mut done = act();
            faulty::overtake(sim, app, &mut done).await;
            if !latency.is_zero() {
                let waiting = Waiting::for_slow_call(app);
                tokio::time::sleep(latency).await;
                waiting.answered();
            }
            done.answer()
        }
    }
}
