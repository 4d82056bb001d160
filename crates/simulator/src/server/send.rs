//! `POST /cgi-bin/message/subscribe/send`.

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use bytes::Bytes;

use super::{answer, query};
use crate::{
    Simulator,
    state::{App, TokenFault},
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

pub(super) async fn send(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let settings = app.settings();
    let sent = sim.send(&app, &settings, &body, sim.now());
    if settings.spec.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(settings.spec.latency_ms)).await;
    }
    if sent.errcode != 0 {
        return answer::error(&sim, sent.errcode, &sent.errmsg);
    }
    // Freed before the answer is written, so that the caller's next call finds it free.
    drop(sent.busy);
    let mut text = String::with_capacity(64);
    text.push_str(r#"{"errcode":0,"errmsg":"ok""#);
    if settings.spec.answer_msgid {
        let _ = write!(text, r#","msgid":{}"#, sent.msgid);
    }
    text.push('}');
    answer::json(text)
}
