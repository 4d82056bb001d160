//! What goes back to the browser: pages with their security headers, refusals as pages, redirects.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use service::{Kind, Lang, Problem};

use crate::layout::Page;
use crate::visit::language;
use crate::{Console, assets};

/// Scripts and styles only of our own, frames and foreign hosts not at all.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    font-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'";

/// Why a page is not shown.
pub(crate) enum Refused {
    /// Nobody has claimed the installation yet.
    Claim,
    /// Nobody is signed in; where they wanted to go.
    SignIn(String),
    /// Something is wrong.
    Problem(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Refused>;

/// What the outermost layer makes a page of: only there language and base are known.
#[derive(Clone)]
enum Late {
    Refused(Arc<Problem>),
    Go(String),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Claim => go("setup"),
            Self::SignIn(path) => go(&format!(
                "login?next={}",
                utf8_percent_encode(path.trim_start_matches('/'), NON_ALPHANUMERIC)
            )),
            Self::Problem(problem) => {
                let mut response = status(problem.kind).into_response();
                response.extensions_mut().insert(Late::Refused(Arc::new(problem)));
                response
            }
        }
    }
}

pub(crate) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Upstream => StatusCode::BAD_GATEWAY,
    }
}

/// A page.
pub(crate) fn show(page: &impl Template) -> Response {
    show_with(StatusCode::OK, page)
}

/// A page with a status.
pub(crate) fn show_with(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// On to another page; the path has no slash in front.
pub(crate) fn go(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.extensions_mut().insert(Late::Go(path.to_owned()));
    response
}

#[derive(Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    page: Page,
    status: u16,
    text: String,
    errors: Vec<String>,
}

/// Finishes what handlers leave open, and sets the headers that every page has.
pub(crate) async fn dress(State(console): State<Console>, request: Request, next: Next) -> Response {
    let lang = language(request.headers());
    let partial = request.headers().contains_key("hx-request");
    let asset = request.uri().path().contains("/assets/");
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Late>() {
        Some(Late::Refused(problem)) => {
            response = refused(&console, &problem, lang, partial, response.status())
        }
        Some(Late::Go(path)) => {
            let place = format!("{}{path}", console.options.base());
            let name = if partial { "hx-redirect" } else { "location" };
            if partial {
                *response.status_mut() = StatusCode::OK;
            }
            if let Ok(place) = HeaderValue::from_str(&place) {
                response.headers_mut().insert(name, place);
            }
        }
        None => {}
    }
    let headers = response.headers_mut();
    let common = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in common {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !asset {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

fn refused(console: &Console, problem: &Problem, lang: Lang, partial: bool, status: StatusCode) -> Response {
    let text = problem.detail(lang).to_owned();
    if partial {
        // What a script asked for is put into its page.
        let text = askama::filters::escape(&text, askama::filters::Html).map(|text| text.to_string());
        let text = text.unwrap_or_default();
        return (
            StatusCode::OK,
            Html(format!("<div class=\"alert alert-danger\" role=\"alert\">{text}</div>")),
        )
            .into_response();
    }
    let page = Page::outside(console, lang, "");
    let errors = problem.errors.iter().map(|error| error.detail(lang).to_owned()).collect();
    let errors = if problem.errors.len() > 1 { errors } else { Vec::new() };
    show_with(status, &RefusedPage { page, status: status.as_u16(), text, errors })
}

impl crate::Options {
    /// What every path of ours begins with, as a browser sees it: `/`, or the path of `public_url`.
    pub(crate) fn base(&self) -> String {
        let url = self.public_url.as_deref().unwrap_or_default();
        let path =
            url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let path = path.trim_matches('/');
        if path.is_empty() { "/".to_owned() } else { format!("/{path}/") }
    }

    /// What the session's cookie is called. By TLS the name itself makes the browser see to it that no other host and no plain HTTP
    /// has set it; the stronger of the two words needs the whole host for us.
    pub(crate) fn session_name(&self) -> &'static str {
        match (self.secure(), self.base() == "/") {
            (true, true) => "__Host-hongyan_session",
            (true, false) => "__Secure-hongyan_session",
            (false, _) => "hongyan_session",
        }
    }

    /// Whether browsers come by TLS.
    pub(crate) fn secure(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// The version of the assets, for their addresses.
pub(crate) fn assets_version() -> &'static str {
    &assets::VERSION
}
