//! The codes of `wx.login`: good once, for five minutes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::{Refusal, Simulator, lock};

const LIFE_MS: i64 = 300_000;

pub(crate) enum CodeFault {
    /// 40029: never given out, or too old.
    Unknown,
    /// 40163
    Used,
}

/// One app's codes.
#[derive(Default)]
pub(crate) struct Codes(Mutex<HashMap<String, Code>>);

struct Code {
    openid: Arc<str>,
    until: i64,
    used: bool,
}

impl Codes {
    fn give(&self, code: String, openid: Arc<str>, now: i64) {
        let mut codes = lock(&self.0);
        codes.retain(|_, code| code.until > now);
        codes.insert(code, Code { openid, until: now + LIFE_MS, used: false });
    }

    pub(crate) fn spend(&self, code: &str, now: i64) -> Result<Arc<str>, CodeFault> {
        match lock(&self.0).get_mut(code) {
            Some(code) if code.until <= now => Err(CodeFault::Unknown),
            Some(code) if code.used => Err(CodeFault::Used),
            Some(code) => {
                code.used = true;
                Ok(code.openid.clone())
            }
            None => Err(CodeFault::Unknown),
        }
    }
}

impl Simulator {
    /// What `wx.login` gives to this user's mini program.
    pub fn login(&self, appid: &str, openid: &str) -> Result<String, Refusal> {
        let app = self.app(appid)?;
        let openid = self.known_user(&app, openid)?;
        let code = self.0.chance.code();
        app.codes.give(code.clone(), openid, self.now());
        Ok(code)
    }
}
