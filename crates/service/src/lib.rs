#![doc = include_str!("../README.md")]

pub mod address;
pub mod apps;
pub mod arrivals;
pub mod ask_again;
pub mod attention;
pub mod audit;
mod backlog;
pub mod callback;
pub mod campaigns;
pub mod checks;
pub mod cluster;
pub mod csv;
pub mod doctor;
pub mod erasure;
mod explanation;
pub mod export;
pub mod fresh;
pub mod grants;
pub mod inbox;

pub mod import;
pub mod keys;
pub mod library;
pub mod messages;
pub mod mini_program;
pub mod operators;
pub mod people;
pub mod problem;
pub mod quota;
pub mod recipient;
mod registering;
mod relay;
pub mod restored;
pub mod schedules;
pub mod settings;
pub mod snippets;
pub mod statistics;
pub mod subscriptions;
pub mod templates;
pub mod token_source;
pub mod tokens;
pub mod uploads;
pub mod view;
pub mod webhooks;

use std::sync::Arc;

use domain::{Clock, Entropy, Millis};
use store::Store;

pub use apps::{App, Apps};
pub use keys::{Caller, Scope};
pub use problem::{Kind, Problem};
pub use settings::Settings;
pub use tokens::Tokens;
pub use wechat::Lang;

/// Everything a use case needs; cloning is cheap.
#[derive(Clone)]
pub struct Service(Arc<Parts>);

/// What a service is made of.
#[doc(hidden)]
pub struct Parts {
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    apps: Apps,
    tokens: Tokens,
    keys: keys::KeyCache,
    client: wechat::client::Client,
    fresh: fresh::HandOver,
    known_templates: templates::KnownTemplates,
    chat_answers: relay::ChatAnswers,
    campaigns: campaigns::Campaigns,
    guests: people::Guests,
    attempts: operators::Attempts,
    arrivals: arrivals::Arrivals,
    limits: mini_program::Limits,
    breakers: mini_program::Breakers,
    public_url: std::sync::OnceLock<String>,
    certificates: doctor::Certificates,
}

impl std::ops::Deref for Service {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Service {
    /// Puts the use cases on top of an open store.
    pub fn new(
        store: Store,
        client: wechat::client::Client,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let apps = Apps::new(store.clone(), Arc::clone(&clock));
        let name = hex::encode(domain::entropy::random_bytes::<8>(&*entropy));
        let tokens = Tokens::new(store.clone(), client.clone(), Arc::clone(&clock), name);
        let (keys, fresh, known_templates, chat_answers, campaigns, guests) = Default::default();
        let (attempts, arrivals, public_url, limits, breakers, certificates) = Default::default();
        Self(Arc::new(Parts {
            store,
            clock,
            entropy,
            apps,
            tokens,
            keys,
            client,
            fresh,
            known_templates,
            chat_answers,
            campaigns,
            guests,
            attempts,
            arrivals,
            limits,
            breakers,
            public_url,
            certificates,
        }))
    }

    /// Says where the outside reaches this service; once.
    pub fn set_public_url(&self, url: String) {
        let _ = self.public_url.set(url);
    }

    /// Where the outside reaches this service, where that is known.
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.get().map(String::as_str)
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The registered apps.
    pub fn apps(&self) -> &Apps {
        &self.apps
    }

    /// The access tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The client that calls WeChat.
    pub fn client(&self) -> &wechat::client::Client {
        &self.client
    }

    /// Pushes that wait to be applied.
    pub fn fresh(&self) -> &fresh::HandOver {
        &self.fresh
    }

    /// The campaigns under way.
    pub fn campaigns(&self) -> &campaigns::Campaigns {
        &self.campaigns
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The source of randomness.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.entropy
    }

    /// Now, milliseconds UTC.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Reads again what another process may have changed: apps, keys, templates.
    pub async fn refresh(&self) {
        self.keys.forget();
        self.known_templates.forget();
        if let Err(error) = self.apps.reload().await {
            tracing::warn!(%error, "apps could not be read again");
        }
        if let Err(error) = self.reload_guests().await {
            tracing::warn!(%error, "guests could not be read again");
        }
        if let Err(error) = self.reload_campaigns().await {
            tracing::warn!(%error, "campaigns could not be read again");
        }
    }
}
