//! The control API under `/_sim`: the same things as [`Simulator`]'s methods, over HTTP. Used by the phone
//! page, the demo and tests in other processes.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Refusal, Simulator,
    api::{self, Problem},
};

mod events;

/// Enough for a seed of a million users.
const BODY: usize = 64 * 1024 * 1024;

pub(crate) fn router() -> Router<Simulator> {
    let app = Router::new()
        .route("/", put(put_app))
        .route("/mini-program", put(set_mini_program))
        .route("/verify", post(verify))
        .route("/revoke-token", post(revoke_token))
        .route("/records", get(records))
        .route("/accepted", get(accepted))
        .route("/faults", get(faults).put(set_faults).delete(clear_faults))
        .route("/faults/log", get(fault_log))
        .route("/counters", get(counters))
        .route("/seed", post(seed))
        .route("/users", get(users).post(add_user))
        .route("/users/{openid}", get(user))
        .route("/users/{openid}/popup", post(popup))
        .route("/users/{openid}/settings", post(settings))
        .route("/users/{openid}/login", post(login))
        .route("/users/{openid}/authorization", post(authorization))
        .route("/users/{openid}/event", post(event))
        .route("/users/{openid}/chat", post(chat));
    Router::new()
        .route("/_sim/apps", get(apps))
        .nest("/_sim/apps/{appid}", app)
        .route("/_sim/events", get(events::stream))
        .layer(DefaultBodyLimit::max(BODY))
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownApp(_) | Self::UnknownUser(_) | Self::UnknownTemplate(_) => StatusCode::NOT_FOUND,
            Self::NoCallback => StatusCode::CONFLICT,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, Json(Problem { error: self.to_string() })).into_response()
    }
}

type Sim = State<Simulator>;
type Done = Result<StatusCode, Refusal>;

async fn apps(State(sim): Sim) -> Json<api::AppList> {
    Json(sim.apps())
}

async fn put_app(State(sim): Sim, Path(appid): Path<String>, Json(spec): Json<api::AppSpec>) -> Done {
    sim.put_app(&appid, spec)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_mini_program(
    State(sim): Sim,
    Path(appid): Path<String>,
    Json(mini): Json<api::MiniProgram>,
) -> Done {
    sim.set_mini_program(&appid, mini.url)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn verify(State(sim): Sim, Path(appid): Path<String>) -> Result<Json<api::Verification>, Refusal> {
    Ok(Json(sim.verify(&appid).await?))
}

async fn revoke_token(State(sim): Sim, Path(appid): Path<String>) -> Result<Response, Refusal> {
    let revoked = sim.revoke_tokens(&appid)?;
    Ok(Json(json!({"revoked": revoked})).into_response())
}

#[derive(Deserialize)]
struct Which {
    kind: Kind,
    openid: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Sends,
    Callbacks,
    Grants,
    Chats,
    Accepted,
}

/// Of a list whose query names no limit.
const LIMIT: usize = 1000;

async fn records(
    State(sim): Sim,
    Path(appid): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let openid = which.openid.as_deref();
    let limit = which.limit.unwrap_or(LIMIT);
    Ok(match which.kind {
        Kind::Sends => list(sim.sends(&appid, openid, limit)?),
        Kind::Callbacks => list(sim.callbacks(&appid, openid, limit)?),
        Kind::Grants => list(sim.grants(&appid, openid, limit)?),
        Kind::Chats => list(sim.chats(&appid, openid, limit)?),
        Kind::Accepted => {
            let mut all = sim.accepted_sends(&appid)?;
            all.reverse();
            all.retain(|send| openid.is_none_or(|openid| send.openid == openid));
            // All of them, unless asked otherwise: what is missing proves nothing.
            all.truncate(which.limit.unwrap_or(usize::MAX));
            list(all)
        }
    })
}

async fn accepted(State(sim): Sim, Path(appid): Path<String>) -> Result<Json<api::Accepted>, Refusal> {
    Ok(Json(sim.accepted(&appid)?))
}

async fn faults(State(sim): Sim, Path(appid): Path<String>) -> Result<Json<api::FaultsView>, Refusal> {
    Ok(Json(sim.faults(&appid)?))
}

async fn set_faults(
    State(sim): Sim,
    Path(appid): Path<String>,
    script: Result<Json<api::FaultScript>, JsonRejection>,
) -> Result<Json<api::FaultsView>, Refusal> {
    let Json(script) = script.map_err(|error| Refusal::Invalid(error.body_text()))?;
    sim.set_faults(&appid, script)?;
    Ok(Json(sim.faults(&appid)?))
}

async fn clear_faults(State(sim): Sim, Path(appid): Path<String>) -> Done {
    sim.clear_faults(&appid)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

async fn fault_log(
    State(sim): Sim,
    Path(appid): Path<String>,
    Query(query): Query<Limit>,
) -> Result<Response, Refusal> {
    Ok(list(sim.fault_log(&appid, query.limit.unwrap_or(LIMIT))?))
}

fn list<T: serde::Serialize>(items: Vec<T>) -> Response {
    Json(api::Records { items }).into_response()
}

async fn counters(State(sim): Sim, Path(appid): Path<String>) -> Result<Json<api::Counters>, Refusal> {
    Ok(Json(sim.counters(&appid)?))
}

async fn seed(
    State(sim): Sim,
    Path(appid): Path<String>,
    Json(seed): Json<api::Seed>,
) -> Result<Json<api::Seeded>, Refusal> {
    Ok(Json(api::Seeded { users: sim.seed(&appid, &seed)? }))
}

async fn users(State(sim): Sim, Path(appid): Path<String>) -> Result<Json<api::UserList>, Refusal> {
    Ok(Json(sim.users(&appid)?))
}

async fn add_user(
    State(sim): Sim,
    Path(appid): Path<String>,
    Json(new): Json<api::NewUser>,
) -> Result<(StatusCode, Json<api::Created>), Refusal> {
    let openid = sim.add_user(&appid, &new)?;
    Ok((StatusCode::CREATED, Json(api::Created { openid })))
}

async fn user(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
) -> Result<Json<api::UserView>, Refusal> {
    Ok(Json(sim.user(&appid, &openid)?))
}

async fn popup(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
    Json(popup): Json<api::Popup>,
) -> Done {
    sim.popup(&appid, &openid, &popup)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn settings(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
    Json(change): Json<api::SettingsChange>,
) -> Done {
    sim.change_settings(&appid, &openid, &change)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn login(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
) -> Result<Json<api::LoginCode>, Refusal> {
    Ok(Json(api::LoginCode { code: sim.login(&appid, &openid)? }))
}

async fn chat(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
    Json(chat): Json<api::Chat>,
) -> Result<Json<api::ChatView>, Refusal> {
    Ok(Json(sim.chat_outcome(&appid, &openid, &chat).await?))
}

async fn authorization(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
    Json(act): Json<api::Authorization>,
) -> Done {
    sim.change_authorization(&appid, &openid, &act)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn event(
    State(sim): Sim,
    Path((appid, openid)): Path<(String, String)>,
    Json(event): Json<api::OtherEvent>,
) -> Done {
    sim.push_event(&appid, &openid, event)?;
    Ok(StatusCode::NO_CONTENT)
}
