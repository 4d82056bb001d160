//! What a use case answers when it cannot do as asked: a stable code for programs, a text in two languages for
//! people that says what, where and what to do.

pub mod codes;

use store::StoreError;
use wechat::Lang;

/// What sort of problem it is; the API turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request's text is not of the right form.
    Malformed,
    /// What is asked for is understood and cannot be accepted.
    Invalid,
    /// No valid key.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// There is no such thing (or it lies outside the key's scope).
    NotFound,
    /// It is too late, or it stands already.
    Conflict,
    /// Too often; later again.
    TooMany,
    /// Not now: the database is away.
    Unavailable,
    /// WeChat refused or could not be reached.
    Upstream,
}

/// A problem.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {en}")]
pub struct Problem {
    /// What sort.
    pub kind: Kind,
    /// The stable code.
    pub code: &'static str,
    /// For people, in Chinese.
    pub zh: String,
    /// For people, in English.
    pub en: String,
    /// Each wrong field.
    pub errors: Vec<FieldError>,
    /// In how many seconds it may be tried again, where that is known.
    pub retry_after: Option<u32>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a JSON pointer.
    pub pointer: String,
    /// The stable code.
    pub code: &'static str,
    /// For people, in Chinese.
    pub zh: String,
    /// For people, in English.
    pub en: String,
}

impl Problem {
    /// A problem without fields.
    pub fn new(kind: Kind, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Self {
        debug_assert!(codes::of_problem(code).is_some(), "the code {code} is missing in problem/codes/");
        Self { kind, code, zh: zh.into(), en: en.into(), errors: Vec::new(), retry_after: None }
    }

    /// Wrong fields.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let count = errors.len();
        let (zh, en) = match errors.as_slice() {
            [one] => (one.zh.clone(), one.en.clone()),
            _ => (
                format!("有 {count} 处内容有误，请逐项修改。"),
                format!("{count} fields are wrong; mend each of them."),
            ),
        };
        Self { kind: Kind::Invalid, code: "validation_failed", zh, en, errors, retry_after: None }
    }

    /// Says when to try again.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// There is no such app, or the key does not see it.
    pub fn no_app(app_id: &str) -> Self {
        Self::new(
            Kind::NotFound,
            "app_not_found",
            format!("没有小程序 {app_id}，或该密钥无权访问它。用 hongyan app list 查看已登记的小程序。"),
            format!(
                "There is no app {app_id}, or this key may not see it. `hongyan app list` shows the registered ones."
            ),
        )
    }

    /// The text in a language.
    pub fn detail(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
}

impl FieldError {
    /// One wrong field.
    pub fn new(
        pointer: impl Into<String>,
        code: &'static str,
        zh: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        debug_assert!(
            codes::of_field(code).is_some(),
            "the code {code} of a field is missing in problem/codes/"
        );
        Self { pointer: pointer.into(), code, zh: zh.into(), en: en.into() }
    }

    /// The text in a language.
    pub fn detail(&self, lang: Lang) -> &str {
        match lang {
            Lang::Zh => &self.zh,
            Lang::En => &self.en,
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::fields(vec![error])
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store did not answer a use case");
        Self::new(
            Kind::Unavailable,
            "store_unavailable",
            "数据库暂时不可用，请稍后重试；若持续出现，请查看服务日志与磁盘空间。",
            "The database is not available now; try again shortly. If it lasts, look at the service's log and the disk.",
        )
    }
}
