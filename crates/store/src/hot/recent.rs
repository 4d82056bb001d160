//! The identities of what this process appended last: a push that WeChat repeats within minutes is known before it is
//! written again. Only a saving: what is not known here any more is found by its identity when it is applied.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::{InboxId, Lane, Millis};

/// Identities of one generation; two are kept.
const GENERATION: usize = 65_536;

/// Lane, CreateTime, digest; and whether it was set aside.
pub(crate) type Identity = (Lane, Millis, [u8; 16], bool);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Identity, InboxId>,
    old: HashMap<Identity, InboxId>,
}

/// The last appended rows by what they are.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Generations>);

impl Recent {
    /// Whose row an event is: its own, or that of an earlier push.
    pub(crate) fn claim(&self, identity: Identity, id: InboxId) -> InboxId {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = held.young.get(&identity).or_else(|| held.old.get(&identity)) {
            return *first;
        }
        if held.young.len() >= GENERATION {
            held.old = std::mem::take(&mut held.young);
        }
        held.young.insert(identity, id);
        id
    }

    /// After a commit that failed, nobody knows what of it was kept.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Generations::default();
    }
}
