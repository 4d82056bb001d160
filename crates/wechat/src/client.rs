//! The calls to WeChat's server: used by whoever sends, fetches access tokens, or manages templates.
//!
//! One [`Client`] serves every mini program; the address is given per call, since it can differ (WeChat's regional hosts,
//! a proxy with a fixed address, a simulator). Nothing is ever retried or redirected here: whether a call may be made
//! again depends on what it did, which only the caller can weigh.
//!
//! Sources stand at the calls. The hosts: official page "接口域名说明" (api.weixin.qq.com, and api2, sh.api, sz.api, hk.api).

mod access_token;
mod certificate;
mod diagnostics;
mod error;
mod http;
mod json;
mod library;
mod login;
mod outside;
mod quota;
mod send;
mod templates;

use std::time::Duration;

pub use access_token::TokenGrant;
pub use certificate::{Distrust, NoCertificate, ShownCertificate};
pub use diagnostics::{CallbackCheck, CheckAction, CheckOperator, DnsResult, PingResult, RidRecord};
pub use error::{BuildError, CallError, NoAnswer, NotSent};
pub use http::Client;
pub use library::{Category, LibraryKeyword, LibraryTitle, LibraryTitles};
pub use login::Login;
pub use outside::{NoOutsideAnswer, OutsideAnswer, OutsideCall, is_outside_url};
pub use quota::{Quota, RateLimit};
pub use send::{CardLang, MiniProgramState, Overdue, SendAnswer, SendRequest};

/// WeChat's usual address. Source: official page "接口域名说明".
pub const WECHAT: &str = "https://api.weixin.qq.com";

/// How the client behaves on the wire.
#[derive(Debug, Clone, Copy)]
pub struct ClientConfig {
    /// How long a connection may take, name resolution and TLS included. At most four fifths of `call_timeout` count, so
    /// that a connection that never comes about is told apart from a call that got no answer.
    pub connect_timeout: Duration,
    /// How long a whole call may take, from the connection to the last byte of the answer.
    pub call_timeout: Duration,
    /// How long an idle connection is kept. Keep it below the time after which WeChat closes (not published; 20 s has
    /// a margin), so that a call seldom meets a closing connection.
    pub pool_idle_timeout: Duration,
    /// How many idle connections are kept for one host.
    pub max_idle_per_host: usize,
}

impl Default for ClientConfig {
    /// 2 s, 5 s, 20 s, 64.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(5),
            pool_idle_timeout: Duration::from_secs(20),
            max_idle_per_host: 64,
        }
    }
}
