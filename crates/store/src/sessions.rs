//! What a mini program's user shows to be let in: a token that only this installation can make and read, with the person in
//! it. Nothing of it is stored. Used by the service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Millis;
use secrecy::{ExposeSecret, SecretString};

use crate::Store;

/// Longer than any token made here: an openid has 28 characters, and may have 64.
const LONGEST: usize = 512;

impl Store {
    /// A token for one person of one app, good until a moment.
    pub fn seal_mp_session(&self, app: i64, openid: &str, until: Millis) -> SecretString {
        let plain = [&until.to_be_bytes(), openid.as_bytes()].concat();
        let sealed = self.master.seal_bytes(&plain, &context(app), &*self.entropy);
        SecretString::from(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Whose token of this app it is, and until when; `None` where it is none.
    pub fn open_mp_session(&self, app: i64, token: &SecretString) -> Option<(String, Millis)> {
        let token = token.expose_secret();
        if token.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        let plain = self.master.open_bytes(&sealed, &context(app)).ok()?;
        let (until, openid) = plain.split_first_chunk::<8>()?;
        Some((String::from_utf8(openid.to_vec()).ok()?, Millis::from_be_bytes(*until)))
    }
}

/// The app belongs to it: a token of one app opens nothing at another.
fn context(app: i64) -> String {
    format!("mp.session {app}")
}
