//! The simulated WeChat's memory: apps, their users and tokens, records. [`Simulator`] is the handle that
//! the HTTP handlers, the demo and the tests share; its methods are what the control API does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::{SimulatorConfig, push::Courier};

mod accepted;
mod app;
mod authorization;
mod chance;
mod chat;
mod codes;
mod control;
pub(crate) mod library;
mod live;
mod people;
mod quota;
mod records;
mod rids;
mod sending;
mod templates;
mod tokens;
mod users;
mod views;

pub(crate) use app::{App, Settings};
pub(crate) use chance::Chance;
pub(crate) use codes::CodeFault;
pub(crate) use live::Live;
pub(crate) use records::{CallbackEntry, Ring};
pub(crate) use rids::{RidCall, RidFault};
pub(crate) use sending::{Busy, Sent};
pub(crate) use templates::Template;
pub(crate) use tokens::{TokenFault, TokenKind, Tokens};
pub(crate) use users::Receipt;

/// WeChat in a box. Cloning shares it.
#[derive(Clone)]
pub struct Simulator(pub(crate) Arc<World>);

/// What all clones share.
pub(crate) struct World {
    pub(crate) config: SimulatorConfig,
    pub(crate) chance: Chance,
    pub(crate) apps: RwLock<BTreeMap<String, Arc<App>>>,
    pub(crate) tokens: Tokens,
    pub(crate) live: Live,
    pub(crate) courier: Courier,
    /// Ends streams and retries when the server stops.
    pub(crate) stop: CancellationToken,
}

/// Why a control call was refused.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error("no app {0} here")]
    UnknownApp(String),
    #[error("no user {0} in this app")]
    UnknownUser(String),
    #[error("no template {0} in this app")]
    UnknownTemplate(String),
    #[error("the app has no callback URL")]
    NoCallback,
    #[error("{0}")]
    Invalid(String),
}

impl Simulator {
    pub fn new(config: SimulatorConfig) -> Self {
        let chance = Chance::new(config.entropy.clone());
        Self(Arc::new(World {
            chance,
            apps: RwLock::default(),
            tokens: Tokens::default(),
            live: Live::default(),
            courier: Courier::new(),
            stop: CancellationToken::new(),
            config,
        }))
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0.config.clock)()
    }

    pub(crate) fn find_app(&self, appid: &str) -> Option<Arc<App>> {
        read(&self.0.apps).get(appid).cloned()
    }

    pub(crate) fn app(&self, appid: &str) -> Result<Arc<App>, Refusal> {
        self.find_app(appid).ok_or_else(|| Refusal::UnknownApp(appid.to_owned()))
    }
}

/// A panic under a lock leaves plain data behind it, so a poisoned lock is taken as it is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
