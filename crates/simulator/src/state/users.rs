//! The users of one app, in shards of their openid, each under one lock: all a send has to take.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
};

use tokio::sync::{Notify, Semaphore};

use super::{lock, sending::SendRecord};
use crate::{api::Decision, faults::Strike};

const SHARDS: usize = 64;

pub(crate) struct Users {
    shards: Box<[Mutex<Shard>]>,
    pub(crate) count: AtomicU64,
}

pub(crate) type Shard = HashMap<Arc<str>, User>;

impl Default for Users {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), count: AtomicU64::new(0) }
    }
}

impl Users {
    /// The shard of an openid: FNV-1a, since all openids of an app share their beginning.
    pub(crate) fn shard(&self, openid: &str) -> &Mutex<Shard> {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in openid.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        &self.shards[usize::try_from(hash >> 40).unwrap_or_default() % SHARDS]
    }

    /// Visits users until `visit` answers false.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Arc<str>, &User) -> bool) {
        for shard in &self.shards {
            if !lock(shard).iter().all(|(openid, user)| visit(openid, user)) {
                return;
            }
        }
    }
}

pub(crate) struct User {
    pub(crate) nickname: Box<str>,
    pub(crate) created_at: i64,
    pub(crate) main_switch: bool,
    /// A send to this person is being answered (43108 for another one).
    pub(crate) busy: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Newest last.
    pub(crate) cards: VecDeque<Arc<SendRecord>>,
}

pub(crate) struct Subscription {
    pub(crate) template: u32,
    pub(crate) left: u32,
    pub(crate) status: Option<Decision>,
    pub(crate) refused: bool,
    pub(crate) always_keep: Option<Decision>,
}

impl User {
    pub(crate) fn new(nickname: &str, now: i64) -> Self {
        Self {
            nickname: nickname.into(),
            created_at: now,
            main_switch: true,
            busy: false,
            subscriptions: Vec::new(),
            cards: VecDeque::new(),
        }
    }

    pub(crate) fn subscription(&self, template: u32) -> Option<&Subscription> {
        self.subscriptions.iter().find(|subscription| subscription.template == template)
    }

    /// Makes it where there is none.
    pub(crate) fn subscription_mut(&mut self, template: u32) -> &mut Subscription {
        let place = match self.subscriptions.iter().position(|s| s.template == template) {
            Some(place) => place,
            None => {
                let fresh =
                    Subscription { template, left: 0, status: None, refused: false, always_keep: None };
                self.subscriptions.push(fresh);
                self.subscriptions.len() - 1
            }
        };
        &mut self.subscriptions[place]
    }
}

/// A `subscribe_msg_sent_event` to come.
pub(crate) struct Receipt {
    pub(crate) due: i64,
    pub(crate) openid: Arc<str>,
    pub(crate) template: Arc<super::Template>,
    pub(crate) msgid: u64,
    /// Decided when it was sent, so that a run can be repeated.
    pub(crate) fault: Option<Strike>,
}

/// How many pushes were made, for those that wait for others to go first.
#[derive(Default)]
pub(crate) struct Pushes {
    pub(crate) made: AtomicU64,
    pub(crate) moved: Notify,
}

/// An app's receipts in the order they fall due, and whether somebody is taking them out.
pub(crate) struct ReceiptQueue {
    pub(crate) waiting: Mutex<VecDeque<Receipt>>,
    pub(crate) served: AtomicBool,
    /// How many are pushed at once.
    pub(crate) slots: Arc<Semaphore>,
}

impl ReceiptQueue {
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            served: AtomicBool::new(false),
            slots: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }
}
