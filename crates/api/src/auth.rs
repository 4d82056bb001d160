//! Who calls, and what they may do. An app outside a key's scope looks like one that does not exist (I16).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use secrecy::SecretString;
use service::keys::unauthorized;
use service::{App, Caller, Kind, Problem, Scope, Service};

use crate::audit::Principal;
use crate::problem::ApiProblem;
use crate::server::Api;

/// A caller with a valid key.
pub(crate) struct Access {
    caller: Caller,
    service: Service,
}

impl FromRequestParts<Api> for Access {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiProblem> {
        let key = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.strip_prefix("Bearer "))
            .ok_or_else(unauthorized)?;
        let caller = api.service.authenticate(&SecretString::from(key.trim().to_owned())).await;
        if caller.as_ref().is_err_and(|problem| problem.kind == Kind::Unauthorized) {
            // Not where to: a path may name a person.
            tracing::warn!("somebody called with a key that is not valid");
        }
        let caller = caller?;
        if let Some(who) = parts.extensions.get::<Principal>() {
            let _ = who.set(caller.principal());
        }
        Ok(Self { caller, service: api.service.clone() })
    }
}

impl Access {
    /// The app, where the key has the scope and sees it.
    pub(crate) async fn app(&self, app_id: &str, scope: Scope) -> Result<Arc<App>, ApiProblem> {
        self.may(scope)?;
        let app = self.service.app(app_id).await?;
        if self.caller.sees(app.number) {
            return Ok(app);
        }
        tracing::warn!(key = self.caller.number, app = app_id, "a key asked for an app outside its scope");
        Err(Problem::no_app(app_id).into())
    }

    /// For what is not one app's: the key must see all of them.
    pub(crate) fn everywhere(&self, scope: Scope) -> Result<(), ApiProblem> {
        self.may(scope)?;
        if self.sees_all() { Ok(()) } else { Err(self.denied("all-apps").into()) }
    }

    pub(crate) fn may(&self, scope: Scope) -> Result<(), ApiProblem> {
        if self.caller.may(scope) { Ok(()) } else { Err(self.denied(scope.as_str()).into()) }
    }

    /// The refusal, which the log tells of.
    fn denied(&self, scope: &str) -> Problem {
        tracing::warn!(key = self.caller.number, scope, "a key lacks what a call needs");
        forbidden(scope)
    }

    pub(crate) fn sees(&self, app: &App) -> bool {
        self.caller.sees(app.number)
    }

    pub(crate) fn sees_all(&self) -> bool {
        // No app has this number: only a key for all apps sees it.
        self.caller.sees(i64::MIN)
    }

    /// Who calls, for the record.
    pub(crate) fn principal(&self) -> String {
        self.caller.principal()
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }
}

fn forbidden(scope: &str) -> Problem {
    Problem::new(
        Kind::Forbidden,
        "missing_scope",
        format!("该接口密钥没有 {scope} 权限；用 hongyan key create --scope {scope} 生成有此权限的密钥。"),
        format!("This API key lacks {scope}; `hongyan key create --scope {scope}` makes one that has it."),
    )
}
