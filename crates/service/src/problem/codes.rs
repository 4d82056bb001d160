//! Every stable code that a problem or one wrong field may have, with what it means and what to do. docs/ERRORS.md and the page /docs are
//! made of it, the OpenAPI document takes the statuses from it, and a code that is missing here is found by a test (and by every debug build).

mod calls;
mod fields;
mod state;

use wechat::Lang;

use super::Kind;

/// A stable code.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// What sort of problem it is; none where it is only ever the code of one wrong field (in `errors[]` of `validation_failed`).
    pub kind: Option<Kind>,
    zh: (&'static str, &'static str),
    en: (&'static str, &'static str),
}

const fn code(
    code: &'static str,
    kind: Option<Kind>,
    zh: (&'static str, &'static str),
    en: (&'static str, &'static str),
) -> Code {
    Code { code, kind, zh, en }
}

impl Code {
    /// What it means.
    pub fn meaning(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::Zh => self.zh.0,
            Lang::En => self.en.0,
        }
    }

    /// What to do.
    pub fn remedy(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::Zh => self.zh.1,
            Lang::En => self.en.1,
        }
    }
}

/// All of them: those of any call, those of what there is and in which state it is, those of single fields.
pub fn all() -> impl Iterator<Item = &'static Code> {
    calls::CODES.iter().chain(state::CODES).chain(fields::CODES)
}

/// The problem with this code. A word may be both a problem's and a field's; then they stand in the table twice.
pub fn of_problem(word: &str) -> Option<&'static Code> {
    all().find(|code| code.code == word && code.kind.is_some())
}

/// The wrong field with this code.
pub fn of_field(word: &str) -> Option<&'static Code> {
    all().find(|code| code.code == word && code.kind.is_none())
}

#[cfg(test)]
mod tests;
