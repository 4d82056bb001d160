//! Setting, showing and clearing an app's faults: what the control API and the command line do.

use crate::{
    Simulator,
    api::{FaultEntry, FaultScript, FaultsView},
    state::{App, Refusal},
};

impl Simulator {
    /// Puts a fault script in force for this app, in place of the one before. Its rules count anew.
    pub fn set_faults(&self, appid: &str, script: FaultScript) -> Result<(), Refusal> {
        let app = self.app(appid)?;
        let mut drawn = [0; 8];
        self.0.chance.fill(&mut drawn);
        // A number that JavaScript can hold.
        app.faults.set(script, u64::from_be_bytes(drawn) >> 11)?;
        self.tell_faults(appid);
        Ok(())
    }

    /// The script in force, with how often its rules struck.
    pub fn faults(&self, appid: &str) -> Result<FaultsView, Refusal> {
        Ok(self.app(appid)?.faults.view())
    }

    /// Nothing goes wrong any more.
    pub fn clear_faults(&self, appid: &str) -> Result<(), Refusal> {
        self.set_faults(appid, FaultScript::default())
    }

    /// What went wrong, newest first.
    pub fn fault_log(&self, appid: &str, limit: usize) -> Result<Vec<FaultEntry>, Refusal> {
        Ok(self.app(appid)?.faults.newest(limit))
    }

    pub(crate) fn note_fault(&self, app: &App, entry: FaultEntry) {
        self.0.live.tell("fault", &app.appid, entry.openid.as_deref(), || serde_json::json!(entry));
        app.faults.note(entry);
    }

    pub(crate) fn tell_faults(&self, appid: &str) {
        self.0.live.tell("faults", appid, None, || serde_json::json!({}));
    }
}
