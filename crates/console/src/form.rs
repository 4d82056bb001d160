//! What a form brings. Every form brings what only its own page could know; without that nothing is done.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use secrecy::SecretString;
use service::{Kind, Problem};
use subtle::ConstantTimeEq;

use crate::Console;
use crate::answer::Refused;
use crate::visit::{cookie, csrf};

/// What a form of before somebody is signed in may be long.
const MAX_OPEN: usize = 16 * 1024;

/// The name under which a form brings its proof.
const PROOF: &str = "csrf";

/// The values of a form, in their order; the proof is checked and gone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(bytes)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    pub(crate) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of a name, trimmed; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.trim())
    }

    /// As [`Self::get`], none where it is empty.
    pub(crate) fn some(&self, name: &str) -> Option<String> {
        Some(self.get(name)).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// A password: not trimmed.
    pub(crate) fn secret(&self, name: &str) -> SecretString {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value).into()
    }

    /// Every value of a name.
    pub(crate) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Values whose names begin alike, by the rest of the name.
    pub(crate) fn below(&self, prefix: &str) -> BTreeMap<String, String> {
        self.0
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix(prefix)?.to_owned(), value.trim().to_owned()))
            })
            .collect()
    }

    /// Whether it brings the proof of a session.
    pub(crate) fn proves(&self, session: &SecretString) -> Result<(), Problem> {
        let given = self.0.iter().find(|(name, _)| name == PROOF).map_or("", |(_, value)| value);
        if bool::from(given.as_bytes().ct_eq(csrf(session).as_bytes())) { Ok(()) } else { Err(stale()) }
    }
}

impl FromRequest<Console> for Form {
    type Rejection = Refused;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Refused> {
        let session = cookie(request.headers(), console.options.session_name()).map(SecretString::from);
        let bytes = Bytes::from_request(request, console).await.map_err(|_| stale())?;
        let form = Self::parse(&bytes);
        let proof = session.ok_or_else(stale).and_then(|session| form.proves(&session));
        if proof.is_err() {
            tracing::warn!("a form came without the proof of its session: an old page, or another site's");
        }
        proof?;
        Ok(form)
    }
}

/// A form of before somebody is signed in: there is no session to prove. The browser says that it comes from our own page.
pub(crate) struct OpenForm(pub(crate) Form);

impl FromRequest<Console> for OpenForm {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &Console) -> Result<Self, Refused> {
        let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
        if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
            tracing::warn!("a form of another site was refused");
            return Err(stale().into());
        }
        // Whoever is not signed in yet brings a name and a password, not sheets.
        let bytes = axum::body::to_bytes(request.into_body(), MAX_OPEN).await.map_err(|_| stale())?;
        Ok(Self(Form::parse(&bytes)))
    }
}

pub(crate) fn stale() -> Problem {
    Problem::new(
        Kind::Forbidden,
        "stale_form",
        "这个页面已过期，请返回上一页刷新后再试。",
        "This page is out of date; go back, load it again, and try once more.",
    )
}

/// A value as one part of a path.
pub(crate) fn path_segment(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found() {
        let form = Form::parse("name=+%E7%8E%8B+&f.thing8=a&f.thing5=b&tag=x&tag=y&csrf=1".as_bytes());
        assert_eq!(form.get("name"), "王");
        assert_eq!(form.get("none"), "");
        assert_eq!(form.below("f.").keys().collect::<Vec<_>>(), ["thing5", "thing8"]);
        assert_eq!(form.all("tag").collect::<Vec<_>>(), ["x", "y"]);
        assert!(form.proves(&"session".into()).is_err());
        let proof = format!("csrf={}", csrf(&"session".into()));
        form_of(&proof).proves(&"session".into()).unwrap();
    }

    fn form_of(text: &str) -> Form {
        Form::parse(text.as_bytes())
    }
}
