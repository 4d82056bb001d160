//! What happens, for those who watch: the phone page. Costs nothing while nobody does.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::broadcast;

use crate::api::LiveEvent;

/// A watcher further behind than this is told that it missed something.
const BACKLOG: usize = 512;

pub(crate) struct Live(broadcast::Sender<Arc<LiveEvent>>);

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Live {
    /// Tells the watchers, if any; `data` is only built for them.
    pub(crate) fn tell(&self, kind: &str, appid: &str, openid: Option<&str>, data: impl FnOnce() -> Value) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let event = LiveEvent {
            kind: kind.to_owned(),
            appid: appid.to_owned(),
            openid: openid.map(str::to_owned),
            data: data(),
        };
        // Fails only when the last watcher has just left.
        let _ = self.0.send(Arc::new(event));
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<LiveEvent>> {
        self.0.subscribe()
    }
}
