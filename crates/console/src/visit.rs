//! Who visits, and what they may see. An app in which an operator has no role is not there for them (I16).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use cookie::Cookie;
use secrecy::{ExposeSecret, SecretString};
use service::operators::{Operator, Right};
use service::{App, Kind, Lang, Problem};
use sha2::{Digest, Sha256};

use crate::Console;
use crate::answer::Refused;

pub(crate) const LANGUAGE: &str = "hongyan_language";

/// A cookie of a request.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(Cookie::split_parse)
        .filter_map(Result::ok)
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// The language that was chosen, or that the browser prefers; Chinese unless that is English.
pub(crate) fn language(headers: &HeaderMap) -> Lang {
    match cookie(headers, LANGUAGE).as_deref() {
        Some("en") => return Lang::En,
        Some("zh") => return Lang::Zh,
        _ => {}
    }
    let preferred =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first = preferred
        .split(',')
        .map(|part| part.trim().to_ascii_lowercase())
        .find(|part| part.starts_with("zh") || part.starts_with("en"));
    if first.is_some_and(|part| part.starts_with("en")) { Lang::En } else { Lang::Zh }
}

/// What a form has to bring so that no other site can have sent it: it follows from the session, which only the browser and we
/// know.
pub(crate) fn csrf(session: &SecretString) -> String {
    let digest =
        Sha256::new().chain_update(b"hongyan form ").chain_update(session.expose_secret()).finalize();
    hex::encode(&digest[..16])
}

/// Where a request comes from, for the count of failed attempts.
pub(crate) fn address(console: &Console, headers: &HeaderMap, peer: Option<SocketAddr>) -> String {
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    service::address::client(peer.map(|peer| peer.ip()), forwarded, &console.options.trusted_proxies)
}

/// Somebody who is signed in.
pub(crate) struct Visit {
    pub(crate) console: Console,
    pub(crate) lang: Lang,
    pub(crate) operator: Operator,
    pub(crate) session: SecretString,
    /// Path and query, for the switch of languages and the way back after signing in.
    pub(crate) path: String,
}

impl FromRequestParts<Console> for Visit {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Refused> {
        // A nested route sees only its own part.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
        let path = uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        if let Some(session) = cookie(&parts.headers, console.options.session_name()).map(SecretString::from)
            && let Some(operator) = console.service.signed_in(&session).await?
        {
            let lang = language(&parts.headers);
            return Ok(Self { console: console.clone(), lang, operator, session, path });
        }
        if console.service.is_claimed().await? { Err(Refused::SignIn(path)) } else { Err(Refused::Claim) }
    }
}

impl Visit {
    pub(crate) fn service(&self) -> &service::Service {
        &self.console.service
    }

    /// The right, or a refusal that says who has it.
    pub(crate) fn need_everywhere(&self, right: Right) -> Result<(), Problem> {
        if self.operator.may_everywhere(right) { Ok(()) } else { Err(self.denied(right)) }
    }

    /// The refusal, which the log tells of.
    fn denied(&self, right: Right) -> Problem {
        tracing::warn!(
            operator = self.operator.name,
            ?right,
            "an operator asked for what the role may not do"
        );
        forbidden()
    }

    /// Notes what was done.
    pub(crate) async fn note(&self, app: Option<&App>, act: &str, target: Option<&str>) {
        self.service().note(&self.operator.principal(), app, act, target).await;
    }

    /// The apps that are there for them.
    pub(crate) fn apps(&self) -> Vec<Arc<App>> {
        let all = self.service().apps().all();
        all.iter().filter(|app| self.operator.role(&app.app_id).is_some()).cloned().collect()
    }
}

/// Somebody who is signed in and looks at an app.
pub(crate) struct AppVisit {
    pub(crate) visit: Visit,
    pub(crate) app: Arc<App>,
}

impl std::ops::Deref for AppVisit {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl FromRequestParts<Console> for AppVisit {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Refused> {
        let visit = Visit::from_request_parts(parts, console).await?;
        let params = RawPathParams::from_request_parts(parts, console).await.ok();
        let app_id = params
            .as_ref()
            .and_then(|params| params.iter().find(|(name, _)| *name == "app_id"))
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default();
        if visit.operator.role(&app_id).is_none() {
            return Err(Problem::no_app(&app_id).into());
        }
        let app = console.service.app(&app_id).await?;
        Ok(Self { visit, app })
    }
}

impl AppVisit {
    pub(crate) fn may(&self, right: Right) -> bool {
        self.operator.may(&self.app.app_id, right)
    }

    /// The right, or a refusal.
    pub(crate) fn need(&self, right: Right) -> Result<(), Problem> {
        if self.may(right) { Ok(()) } else { Err(self.denied(right)) }
    }

    /// Notes what was done in the app.
    pub(crate) async fn did(&self, act: &str, target: Option<&str>) {
        self.note(Some(&self.app), act, target).await;
    }

    /// An openid as they may see it.
    pub(crate) fn openid(&self, openid: &str) -> String {
        if self.may(Right::Edit) { openid.to_owned() } else { masked(openid) }
    }

    /// A path below the app's pages.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("apps/{}/{rest}", self.app.app_id)
    }
}

/// `oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s` as `oG0N****sJ6s`.
fn masked(openid: &str) -> String {
    let signs: Vec<char> = openid.chars().collect();
    if signs.len() < 12 {
        return "****".to_owned();
    }
    let (head, tail) = (&signs[..4], &signs[signs.len() - 4..]);
    format!("{}****{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

pub(crate) fn forbidden() -> Problem {
    Problem::new(
        Kind::Forbidden,
        "forbidden",
        "你的角色不能做这件事；请管理员在“成员与权限”里调整。",
        "Your role may not do this; an administrator can change it under \"Operators\".",
    )
}
