//! Diagnostics: `openapi/rid/get`, `callback/check`, `getcallbackip`, `get_api_domain_ip`.

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
    send::authorised,
};
use crate::{
    Simulator,
    api::FaultOn,
    state::{App, RidFault},
};

#[derive(Deserialize)]
struct Rid {
    #[serde(default)]
    rid: String,
}

pub(super) async fn rid(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let Ok(Rid { rid }) = serde_json::from_slice(&body) else {
        return answer::error(&sim, 47001, "data format error");
    };
    let act = || {
        Done::said(match sim.remembered(&app, &rid) {
            Ok(call) => Ok(json!({"errcode": 0, "errmsg": "ok", "request": {
                "invoke_time": call.at / 1000,
                "cost_in_ms": call.took_ms,
                "request_url": format!("https://api.weixin.qq.com{}", call.url),
                "request_body": &*call.body,
                "response_body": &*call.answer,
                "client_ip": "127.0.0.1",
            }})
            .to_string()),
            Err(fault) => {
                let (errcode, errmsg) = match fault {
                    RidFault::Unknown => (76001, "rid not found"),
                    RidFault::Malformed => (76002, "rid should not be empty or not correct"),
                    RidFault::Foreign => (76003, "could not query the rid of another account"),
                    RidFault::Expired => (76004, "rid is expired"),
                };
                Err(answer::error_text(&sim, errcode, errmsg))
            }
        })
    };
    faulty::call(&sim, &app, FaultOn::RidGet, Act::WithToken, act).await
}

#[derive(Default, Deserialize)]
struct Check {
    #[serde(default)]
    action: String,
    #[serde(default)]
    check_operator: String,
}

/// Resolves the push URL's name; the pings are made up.
pub(super) async fn check(State(sim): State<Simulator>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let check: Check = serde_json::from_slice(&body).unwrap_or_default();
    let found = match fault(&app, &check) {
        Some((errcode, errmsg)) => Err(answer::error_text(&sim, errcode, errmsg)),
        None => Ok(resolved(&app, &check.action).await),
    };
    faulty::call(&sim, &app, FaultOn::CallbackCheck, Act::WithToken, || Done::said(found)).await
}

fn fault(app: &App, check: &Check) -> Option<(i32, &'static str)> {
    if !["dns", "ping", "all"].contains(&check.action.as_str()) {
        return Some((40202, "invalid action"));
    }
    if !["CHINANET", "UNICOM", "CAP", "DEFAULT"].contains(&check.check_operator.as_str()) {
        return Some((40203, "invalid check_operator"));
    }
    app.settings().spec.callback.is_none().then_some((40201, "the url is not set"))
}

async fn resolved(app: &App, action: &str) -> String {
    let url = app.settings().spec.callback.as_ref().map(|callback| callback.url.clone());
    let uri = url.and_then(|url| url.parse::<http::Uri>().ok());
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default().trim_matches(['[', ']']);
    let mut addresses = Vec::new();
    if let Ok(found) = tokio::net::lookup_host((host, 80)).await {
        addresses.extend(found.map(|address| address.ip().to_string()));
    }
    addresses.dedup();
    let mut answer = json!({"errcode": 0, "errmsg": "ok"});
    if action != "ping" {
        let dns = addresses.iter().map(|ip| json!({"ip": ip, "real_operator": "DEFAULT"}));
        answer["dns"] = dns.collect();
    }
    if action != "dns" {
        let ping = addresses
            .iter()
            .map(|ip| json!({"ip": ip, "from_operator": "DEFAULT", "package_loss": "0%", "time": "0.100ms"}));
        answer["ping"] = ping.collect();
    }
    answer.to_string()
}

pub(super) async fn callback_ips(state: State<Simulator>, query: RawQuery) -> Response {
    ips(state, query, FaultOn::Getcallbackip).await
}

pub(super) async fn api_ips(state: State<Simulator>, query: RawQuery) -> Response {
    ips(state, query, FaultOn::GetApiDomainIp).await
}

/// This machine, both ways.
async fn ips(State(sim): State<Simulator>, RawQuery(query): RawQuery, on: FaultOn) -> Response {
    let app = match authorised(&sim, query.as_deref()) {
        Ok(app) => app,
        Err(answer) => return *answer,
    };
    let text = json!({"ip_list": ["127.0.0.1"]}).to_string();
    faulty::call(&sim, &app, on, Act::WithToken, || Done::said(Ok(text))).await
}
