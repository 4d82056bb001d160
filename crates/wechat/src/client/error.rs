//! Why a call has no answer: used by every call. No error holds a secret, an address with its query, or a body.

/// Why nothing of a request can have reached WeChat. It is safe to call again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The base address is not `http://host…` or `https://host…`.
    #[error("the base address is not usable")]
    BadAddress,
    /// No connection came about: name resolution, refusal, TLS, or the time for connecting ran out.
    #[error("no connection: {0}")]
    Connect(String),
    /// A kept connection was closed before the request was begun.
    #[error("the connection closed before the request was begun")]
    Closed,
}

/// Why there is no answer to a request that may have reached WeChat. It may have been carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The time for the call ran out.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke before the answer was complete.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// The answer has this HTTP status. WeChat answers with 200, also for errors; others come from a proxy or from
    /// trouble at WeChat.
    #[error("HTTP status {0}")]
    Http(u16),
    /// The answer is longer than the bound for this call.
    #[error("the answer is too long")]
    TooLong,
    /// The answer is not JSON in WeChat's form.
    #[error("the answer is not WeChat's JSON")]
    NotJson,
}

/// Why a call other than `send` failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// WeChat answered with an error.
    #[error("WeChat answered {errcode}: {errmsg}")]
    WeChat {
        /// The code; see [`errcode`](crate::errcode).
        errcode: i64,
        /// WeChat's text, with its rid. Secrets of the call are taken out, should it hold any.
        errmsg: String,
    },
    /// No answer: no connection, a broken one, or the time ran out.
    #[error("WeChat cannot be reached: {0}")]
    Unreachable(String),
    /// The answer has this HTTP status.
    #[error("HTTP status {0}")]
    Http(u16),
    /// The answer is not what WeChat documents.
    #[error("the answer is not WeChat's JSON")]
    Malformed,
}

/// The TLS set-up failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct BuildError(pub(super) String);

/// Either of the two, inside of the client.
#[derive(Debug)]
pub(super) enum Fault {
    NotSent(NotSent),
    NoAnswer(NoAnswer),
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotSent(why) => Self::Unreachable(why.to_string()),
            Fault::NoAnswer(NoAnswer::Http(status)) => Self::Http(status),
            Fault::NoAnswer(NoAnswer::NotJson | NoAnswer::TooLong) => Self::Malformed,
            Fault::NoAnswer(why) => Self::Unreachable(why.to_string()),
        }
    }
}
