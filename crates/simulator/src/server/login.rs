//! `GET /sns/jscode2session`: who the code of `wx.login` belongs to.

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use serde_json::json;

use super::{
    answer,
    faulty::{self, Act, Done},
    query,
    token::identified,
};
use crate::{Simulator, api::FaultOn, state::CodeFault};

pub(super) async fn session(State(sim): State<Simulator>, RawQuery(query): RawQuery) -> Response {
    let value = |name| query::value(query.as_deref(), name).unwrap_or_default();
    let app =
        match identified(&sim, "authorization_code", &value("grant_type"), &value("appid"), &value("secret"))
        {
            Ok(app) => app,
            Err(answer) => return *answer,
        };
    let act = || {
        Done::said(match app.codes.spend(&value("js_code"), sim.now()) {
            Ok(openid) => {
                Ok(json!({"openid": &*openid, "session_key": sim.0.chance.session_key()}).to_string())
            }
            Err(CodeFault::Unknown) => Err(answer::error_text(&sim, 40029, "invalid code")),
            Err(CodeFault::Used) => Err(answer::error_text(&sim, 40163, "code been used")),
        })
    };
    faulty::call(&sim, &app, FaultOn::Jscode2session, Act::WithSecret, act).await
}
