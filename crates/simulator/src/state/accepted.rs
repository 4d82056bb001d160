//! The proof that no message was accepted twice: every accepted send, compared by what it says. For apps with
//! `keep_accepted`; used by tests that kill the sender.

use std::collections::BTreeMap;

use super::{Refusal, Simulator, lock};
use crate::api::{Accepted, AcceptedTwice, SendView};

impl Simulator {
    /// Every accepted send, oldest first.
    pub fn accepted_sends(&self, appid: &str) -> Result<Vec<SendView>, Refusal> {
        let app = self.app(appid)?;
        if !app.settings().spec.keep_accepted {
            return Err(Refusal::Invalid("the app has no keep_accepted, so nothing was kept".to_owned()));
        }
        let records = lock(&app.accepted).clone();
        Ok(records.iter().map(|record| record.view()).collect())
    }

    /// How many sends were accepted, and which of them more than once: same person, template, page and data.
    pub fn accepted(&self, appid: &str) -> Result<Accepted, Refusal> {
        let mut all: BTreeMap<_, Vec<SendView>> = BTreeMap::new();
        let mut accepted = 0;
        for send in self.accepted_sends(appid)? {
            accepted += 1;
            let key =
                (send.openid.clone(), send.template_id.clone(), send.page.clone(), send.data.to_string());
            all.entry(key).or_default().push(send);
        }
        let distinct = all.len() as u64;
        let twice = all.into_values().filter(|sends| sends.len() > 1).filter_map(|mut sends| {
            let msgids = sends.iter().filter_map(|send| send.msgid.clone()).collect();
            let SendView { openid, template_id, page, data, .. } = sends.pop()?;
            Some(AcceptedTwice { openid, template_id, page, data, msgids })
        });
        Ok(Accepted { accepted, distinct, twice: twice.collect() })
    }
}
