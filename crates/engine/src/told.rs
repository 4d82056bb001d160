//! How the applier and the dispatcher are told where to look: what is new gathers until they take it.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Where to look.
pub(crate) struct Told<T> {
    pub(crate) places: HashSet<T>,
    pub(crate) everywhere: bool,
}

impl<T> Default for Told<T> {
    fn default() -> Self {
        Self { places: HashSet::new(), everywhere: false }
    }
}

/// Both ends: one tells, the other waits and takes.
pub(crate) struct Handle<T> {
    told: Arc<Mutex<Told<T>>>,
    wake: Arc<Notify>,
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self { told: Arc::clone(&self.told), wake: Arc::clone(&self.wake) }
    }
}

impl<T> Default for Handle<T> {
    fn default() -> Self {
        Self { told: Arc::default(), wake: Arc::default() }
    }
}

impl<T: Eq + Hash> Handle<T> {
    pub(crate) fn tell(&self, places: HashSet<T>, everywhere: bool) {
        if places.is_empty() && !everywhere {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.places.extend(places);
        told.everywhere |= everywhere;
        drop(told);
        self.wake.notify_one();
    }

    /// Takes what was told, leaving nothing.
    pub(crate) fn take(&self) -> Told<T> {
        std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something is told.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}
