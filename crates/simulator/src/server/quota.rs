//! Call quotas: `openapi/quota/get`, `clear_quota` and `clear_quota/v2`.

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
    send::authorised,
    token::known,
};
use crate::{Simulator, api::FaultOn, state::App};

const SEND: &str = "/cgi-bin/message/subscribe/send";
/// A mini program without payment.
const SENDS_A_DAY: u64 = 10_000_000;
/// Of both clear calls together.
const CLEARS_A_MONTH: u64 = 10;
/// Calls whose quota can be asked for, with what they allow a day.
const OTHERS: [(&str, u64); 10] = [
    ("/cgi-bin/token", 100_000),
    ("/cgi-bin/stable_token", 500_000),
    ("/cgi-bin/callback/check", 100_000),
    ("/cgi-bin/getcallbackip", 100_000),
    ("/cgi-bin/get_api_domain_ip", 100_000),
    ("/wxaapi/newtmpl/gettemplate", 100_000),
    ("/wxaapi/newtmpl/addtemplate", 100_000),
    ("/wxaapi/newtmpl/deltemplate", 100_000),
    ("/wxaapi/newtmpl/getpubtemplatetitles", 100_000),
    ("/wxaapi/newtmpl/getpubtemplatekeywords", 100_000),
];

#[derive(Deserialize)]
struct Path {
    #[serde(default)]
    cgi_path: String,
}

pub(super) async fn get(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let Ok(Path { cgi_path }) = serde_json::from_slice(&body) else {
        return answer::error(&sim, 47001, "data format error");
    };
    let act = || Done::said(of(&sim, &app, &cgi_path));
    faulty::call(&sim, &app, FaultOn::QuotaGet, Act::WithToken, act).await
}

fn of(sim: &Simulator, app: &App, path: &str) -> Result<String, String> {
    let (limit, used) = if path == SEND {
        (app.settings().spec.daily_quota.unwrap_or(SENDS_A_DAY), app.quota.used(sim.now()))
    } else if path.starts_with("/sns/") {
        return Err(answer::error_text(sim, 76022, "could not use this cgi_path, no permission"));
    } else if let Some((_, limit)) = OTHERS.iter().find(|(known, _)| *known == path) {
        (*limit, 0)
    } else {
        return Err(answer::error_text(sim, 76021, "cgi_path not found, please check"));
    };
    let quota = json!({"daily_limit": limit, "used": used, "remain": limit.saturating_sub(used)});
    let rate = json!({"call_count": 1_000_000, "refresh_second": 60});
    Ok(json!({"errcode": 0, "errmsg": "ok", "quota": quota, "rate_limit": rate}).to_string())
}

#[derive(Default, Deserialize)]
struct Whose {
    #[serde(default)]
    appid: String,
    #[serde(default)]
    appsecret: String,
}

pub(super) async fn clear(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let whose: Whose = serde_json::from_slice(&body).unwrap_or_default();
    if whose.appid != *app.appid {
        return answer::error(&sim, 40013, "invalid appid");
    }
    cleared(&sim, &app, Act::WithToken).await
}

/// Without a token; in the body, or in the query as WeChat's sample has it.
pub(super) async fn clear_v2(
    State(sim): State<Simulator>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let mut whose: Whose = serde_json::from_slice(&body).unwrap_or_default();
    let value = |name| query::value(query.as_deref(), name).unwrap_or_default();
    if whose.appid.is_empty() {
        whose = Whose { appid: value("appid").into_owned(), appsecret: value("appsecret").into_owned() };
    }
    match known(&sim, &whose.appid, &whose.appsecret) {
        Ok(app) => cleared(&sim, &app, Act::WithSecret).await,
        Err(answer) => *answer,
    }
}

async fn cleared(sim: &Simulator, app: &Arc<App>, act_by: Act) -> Response {
    let act = || {
        Done::said(if app.clears.spend(sim.now(), CLEARS_A_MONTH) {
            app.quota.clear();
            Ok(json!({"errcode": 0, "errmsg": "ok"}).to_string())
        } else {
            Err(answer::error_text(sim, 48006, "forbid to clear quota because of reaching the limit"))
        })
    };
    faulty::call(sim, app, FaultOn::ClearQuota, act_by, act).await
}
