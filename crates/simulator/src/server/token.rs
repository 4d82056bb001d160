//! `POST /cgi-bin/stable_token` and `GET /cgi-bin/token`.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{
    answer,
    faulty::{self, Act, Done},
    query,
};
use crate::{
    Simulator,
    api::FaultOn,
    state::{App, TokenKind},
};

/// Forced refreshes a day.
const FORCED: u64 = 20;
const CLIENT: &str = "client_credential";

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    appid: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    force_refresh: bool,
}

pub(super) async fn stable(State(sim): State<Simulator>, body: Bytes) -> Response {
    if body.is_empty() {
        return answer::error(&sim, 44002, "empty post data");
    }
    let Ok(request) = serde_json::from_slice::<Request>(&body) else {
        return answer::error(&sim, 47001, "data format error");
    };
    let app = match identified(&sim, CLIENT, &request.grant_type, &request.appid, &request.secret) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let act = || Done::said(stable_text(&sim, &app, request.force_refresh));
    faulty::call(&sim, &app, FaultOn::StableToken, Act::WithSecret, act).await
}

/// The token, or why there is none.
fn stable_text(sim: &Simulator, app: &Arc<App>, force: bool) -> Result<String, String> {
    if force {
        let now = sim.now();
        if !app.tokens.force(now, app.settings().spec.forced_refresh_gap_ms) {
            let errmsg = "api minute-quota reach limit, must slower, retry next minute";
            return Err(answer::error_text(sim, 45011, errmsg));
        }
        if !app.tokens.forced.spend(now, Some(FORCED)) {
            return Err(answer::error_text(sim, 45009, "reach max api daily quota limit"));
        }
        app.counters.forced();
    }
    Ok(issue(sim, app, TokenKind::Stable { force }))
}

pub(super) async fn plain(State(sim): State<Simulator>, RawQuery(query): RawQuery) -> Response {
    let value = |name| query::value(query.as_deref(), name).unwrap_or_default();
    let app = match identified(&sim, CLIENT, &value("grant_type"), &value("appid"), &value("secret")) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let act = || Done::said(Ok(issue(&sim, &app, TokenKind::Plain)));
    faulty::call(&sim, &app, FaultOn::Token, Act::WithSecret, act).await
}

fn issue(sim: &Simulator, app: &Arc<App>, kind: TokenKind) -> String {
    let (token, seconds) = sim.0.tokens.issue(app, kind, &sim.0.chance, sim.now());
    json!({"access_token": &*token, "expires_in": seconds}).to_string()
}

/// The app that these name, or the answer that says what is wrong with them.
pub(super) fn identified(
    sim: &Simulator,
    wanted: &str,
    grant_type: &str,
    appid: &str,
    secret: &str,
) -> Result<Arc<App>, Box<Response>> {
    if grant_type != wanted {
        return Err(Box::new(answer::error(sim, 40002, "invalid grant_type")));
    }
    known(sim, appid, secret)
}

/// The app with this secret.
pub(super) fn known(sim: &Simulator, appid: &str, secret: &str) -> Result<Arc<App>, Box<Response>> {
    let fail = |errcode, errmsg| Box::new(answer::error(sim, errcode, errmsg));
    if appid.is_empty() {
        return Err(fail(41002, "appid missing"));
    }
    let app = sim.find_app(appid).ok_or_else(|| fail(40013, "invalid appid"))?;
    if secret.is_empty() {
        return Err(fail(41004, "appsecret missing"));
    }
    if app.settings().spec.secret != secret {
        return Err(fail(40125, "invalid appsecret"));
    }
    Ok(app)
}
