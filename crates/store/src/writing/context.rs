//! What the batches need beside the connection, and what is remembered between them.

use std::sync::atomic::AtomicBool;

use domain::LedgerIds;

use super::work::Meter;
use crate::hot::recent::Recent;
use crate::templates::TemplateIds;

/// What the batches need beside the connection.
pub(crate) struct Context {
    pub(crate) ledger_ids: LedgerIds,
    pub(crate) templates: TemplateIds,
    pub(crate) recent: Recent,
    pub(crate) work: Meter,
    /// Set where the WAL has grown long enough to begin anew.
    pub(crate) fold: AtomicBool,
    /// Set where nothing of what was deleted may stay in the files.
    pub(crate) scrub: AtomicBool,
    /// Microseconds that every commit waits before it syncs: how benches see a slower disk.
    #[cfg(feature = "testing")]
    pub(crate) delay: std::sync::atomic::AtomicU64,
}

impl Context {
    pub(crate) fn new(ledger_ids: LedgerIds) -> Self {
        Self {
            ledger_ids,
            templates: TemplateIds::default(),
            recent: Recent::default(),
            work: Meter::default(),
            fold: AtomicBool::default(),
            scrub: AtomicBool::default(),
            #[cfg(feature = "testing")]
            delay: std::sync::atomic::AtomicU64::default(),
        }
    }

    /// What is remembered of a write that was rolled back is wrong.
    pub(crate) fn forget(&self) {
        self.templates.forget();
        self.recent.forget();
    }
}
