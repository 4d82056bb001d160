//! What an app was refused lately, by rid: for `rid/get`. Only refused sends are remembered.

use std::sync::Arc;

use super::{App, Simulator, read};

/// Seven days.
const LIFE_MS: i64 = 7 * 86_400_000;
/// How many an app keeps.
pub(crate) const KEEP: usize = 1_000;

#[derive(Clone)]
pub(crate) struct RidCall {
    pub(crate) at: i64,
    pub(crate) took_ms: u64,
    /// With the access token in its query, as WeChat's answer has it.
    pub(crate) url: Arc<str>,
    pub(crate) body: Arc<str>,
    /// Its errmsg ends in the rid.
    pub(crate) answer: Arc<str>,
}

pub(crate) enum RidFault {
    Unknown,
    Malformed,
    Foreign,
    Expired,
}

impl RidCall {
    fn is(&self, rid: &str) -> bool {
        self.answer.split_once(" rid: ").is_some_and(|(_, rest)| rest.starts_with(rid))
    }
}

impl Simulator {
    pub(crate) fn remembered(&self, app: &App, rid: &str) -> Result<RidCall, RidFault> {
        let parts: Vec<&str> = rid.split('-').collect();
        let hex = |part: &&str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if parts.len() != 3 || !parts.iter().all(hex) {
            return Err(RidFault::Malformed);
        }
        if let Some(call) = app.rids.newest(1, |call| call.is(rid)).pop() {
            let old = self.now() - call.at > LIFE_MS;
            return if old { Err(RidFault::Expired) } else { Ok(call) };
        }
        let others: Vec<Arc<App>> = read(&self.0.apps).values().cloned().collect();
        let foreign = others.iter().any(|other| !other.rids.newest(1, |call| call.is(rid)).is_empty());
        Err(if foreign { RidFault::Foreign } else { RidFault::Unknown })
    }
}
