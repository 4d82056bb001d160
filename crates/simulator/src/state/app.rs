//! One mini program: its settings, which can be replaced at any time, and everything that is its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, RwLock},
};

use super::{
    Template,
    codes::Codes,
    lock,
    quota::{Daily, Monthly},
    read,
    records::{AppCounters, Ring},
    rids::{self, RidCall},
    sending::SendRecord,
    tokens::AppTokens,
    users::{Pushes, ReceiptQueue, Users},
    write,
};
use crate::{SimulatorConfig, api, faults::Faults, push::Envelope, state::Refusal};

pub(crate) struct App {
    pub(crate) appid: Arc<str>,
    settings: RwLock<Arc<Settings>>,
    /// Template numbers by id, never forgotten, so that grants outlive a change of the templates.
    numbers: Mutex<HashMap<String, u32>>,
    pub(crate) users: Users,
    pub(crate) tokens: AppTokens,
    pub(crate) quota: Daily,
    pub(crate) clears: Monthly,
    pub(crate) codes: Codes,
    pub(crate) rids: Ring<RidCall>,
    pub(crate) sends: Ring<Arc<SendRecord>>,
    pub(crate) chats: Ring<api::ChatView>,
    pub(crate) callbacks: Ring<super::CallbackEntry>,
    pub(crate) grants: Ring<super::records::GrantEntry>,
    pub(crate) counters: AppCounters,
    pub(crate) receipts: ReceiptQueue,
    pub(crate) faults: Faults,
    /// Those of the time with `keep_accepted`, all of them.
    pub(crate) accepted: Mutex<Vec<Arc<SendRecord>>>,
    pub(crate) pushes: Pushes,
}

/// The app's settings, prepared: templates parsed, the key decoded.
pub(crate) struct Settings {
    pub(crate) spec: api::AppSpec,
    pub(crate) templates: Vec<Arc<Template>>,
    pub(crate) envelope: Option<Envelope>,
}

impl Settings {
    pub(crate) fn template(&self, id: &str) -> Option<&Arc<Template>> {
        self.templates.iter().find(|template| template.id == id)
    }

    pub(crate) fn numbered(&self, number: u32) -> Option<&Arc<Template>> {
        self.templates.iter().find(|template| template.number == number)
    }
}

impl App {
    pub(crate) fn new(appid: &str, spec: api::AppSpec, config: &SimulatorConfig) -> Result<Self, Refusal> {
        let mut numbers = HashMap::new();
        let settings = prepare(appid, spec, &mut numbers)?;
        Ok(Self {
            appid: appid.into(),
            settings: RwLock::new(Arc::new(settings)),
            numbers: Mutex::new(numbers),
            users: Users::default(),
            tokens: AppTokens::default(),
            quota: Daily::default(),
            clears: Monthly::default(),
            codes: Codes::default(),
            rids: Ring::new(rids::KEEP),
            sends: Ring::new(config.keep_records),
            chats: Ring::new(config.keep_records),
            callbacks: Ring::new(config.keep_records),
            grants: Ring::new(config.keep_records),
            counters: AppCounters::default(),
            receipts: ReceiptQueue::new(config.callback_concurrency),
            faults: Faults::new(config.keep_records),
            accepted: Mutex::default(),
            pushes: Pushes::default(),
        })
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        read(&self.settings).clone()
    }

    pub(crate) fn change(&self, spec: api::AppSpec) -> Result<(), Refusal> {
        let settings = prepare(&self.appid, spec, &mut lock(&self.numbers))?;
        *write(&self.settings) = Arc::new(settings);
        Ok(())
    }

    /// Changes a part of the settings; an errcode refuses it.
    pub(crate) fn amend(&self, change: impl FnOnce(&mut api::AppSpec) -> Result<(), i32>) -> Result<(), i32> {
        let mut settings = write(&self.settings);
        let mut spec = settings.spec.clone();
        change(&mut spec)?;
        let prepared = prepare(&self.appid, spec, &mut lock(&self.numbers)).map_err(|_| 200_001)?;
        *settings = Arc::new(prepared);
        Ok(())
    }
}

fn prepare(appid: &str, spec: api::AppSpec, numbers: &mut HashMap<String, u32>) -> Result<Settings, Refusal> {
    let mut templates: Vec<Arc<Template>> = Vec::with_capacity(spec.templates.len());
    for template in &spec.templates {
        if templates.iter().any(|other| other.id == template.id) {
            return Err(Refusal::Invalid(format!("template {} stands twice", template.id)));
        }
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        let number = *numbers.entry(template.id.clone()).or_insert(next);
        templates.push(Arc::new(Template::parse(template, number)?));
    }
    let envelope = match &spec.callback {
        Some(callback) => Some(Envelope::new(appid, callback)?),
        None => None,
    };
    Ok(Settings { spec, templates, envelope })
}
