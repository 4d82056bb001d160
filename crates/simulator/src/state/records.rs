//! The last N of what happened, and exact counters of all of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::lock;
use crate::api::{Counters, GrantCause};

/// Keeps the last N.
pub(crate) struct Ring<T> {
    keep: usize,
    items: Mutex<VecDeque<T>>,
}

impl<T: Clone> Ring<T> {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, items: Mutex::default() }
    }

    pub(crate) fn push(&self, item: T) {
        if self.keep == 0 {
            return;
        }
        let mut items = lock(&self.items);
        // What falls out is dropped after the lock.
        let _old = (items.len() >= self.keep).then(|| items.pop_front());
        items.push_back(item);
        drop(items);
    }

    /// Newest first.
    pub(crate) fn newest(&self, limit: usize, keep: impl Fn(&T) -> bool) -> Vec<T> {
        lock(&self.items).iter().rev().filter(|item| keep(item)).take(limit).cloned().collect()
    }
}

#[derive(Clone)]
pub(crate) struct GrantEntry {
    pub(crate) at: i64,
    pub(crate) openid: Arc<str>,
    pub(crate) template: u32,
    pub(crate) delta: i64,
    pub(crate) left: u32,
    pub(crate) cause: GrantCause,
}

#[derive(Clone)]
pub(crate) struct CallbackEntry {
    pub(crate) at: i64,
    pub(crate) openid: Arc<str>,
    pub(crate) event: std::borrow::Cow<'static, str>,
    pub(crate) attempt: u32,
    pub(crate) status: Option<u16>,
    pub(crate) body: Box<str>,
    pub(crate) latency_ms: u64,
    pub(crate) error: Option<Box<str>>,
    pub(crate) plaintext: Arc<str>,
}

/// The answers a send has by itself; faults have others.
const CODES: [i32; 12] = [0, 43101, 43108, 45009, 47003, 47001, 40003, 40037, 41030, 44002, 40001, 42001];

#[derive(Default)]
pub(crate) struct AppCounters {
    sends: [AtomicU64; CODES.len()],
    others: Mutex<BTreeMap<i32, u64>>,
    attempts: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    added: AtomicU64,
    spent: AtomicU64,
    taken: AtomicU64,
    tokens: AtomicU64,
    forced: AtomicU64,
}

impl AppCounters {
    pub(crate) fn send(&self, errcode: i32) {
        match CODES.iter().position(|code| *code == errcode) {
            Some(place) => drop(self.sends[place].fetch_add(1, Relaxed)),
            None => *lock(&self.others).entry(errcode).or_default() += 1,
        }
    }

    pub(crate) fn grant(&self, delta: i64, cause: GrantCause) {
        let counter = match cause {
            GrantCause::Accepted | GrantCause::Seeded => &self.added,
            GrantCause::Sent => &self.spent,
            GrantCause::Refused => &self.taken,
        };
        counter.fetch_add(delta.unsigned_abs(), Relaxed);
    }

    pub(crate) fn attempt(&self) {
        self.attempts.fetch_add(1, Relaxed);
    }

    pub(crate) fn settled(&self, delivered: bool) {
        if delivered { &self.delivered } else { &self.failed }.fetch_add(1, Relaxed);
    }

    pub(crate) fn tokens_issued(&self) {
        self.tokens.fetch_add(1, Relaxed);
    }

    pub(crate) fn forced(&self) {
        self.forced.fetch_add(1, Relaxed);
    }

    pub(crate) fn view(&self) -> Counters {
        let others = lock(&self.others);
        let mut sends: BTreeMap<String, u64> =
            others.iter().map(|(code, count)| (code.to_string(), *count)).collect();
        drop(others);
        for (code, counter) in CODES.iter().zip(&self.sends) {
            let count = counter.load(Relaxed);
            if count > 0 {
                sends.insert(code.to_string(), count);
            }
        }
        Counters {
            send_calls: sends.values().sum(),
            sends,
            callback_attempts: self.attempts.load(Relaxed),
            callbacks_delivered: self.delivered.load(Relaxed),
            callbacks_failed: self.failed.load(Relaxed),
            grants_added: self.added.load(Relaxed),
            grants_spent: self.spent.load(Relaxed),
            grants_taken: self.taken.load(Relaxed),
            tokens_issued: self.tokens.load(Relaxed),
            forced_refreshes: self.forced.load(Relaxed),
            ..Counters::default()
        }
    }
}
