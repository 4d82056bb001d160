#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod apps;
pub mod audit;
pub mod backup;
pub mod callbacks;
pub mod campaigns;
pub mod changes;
pub mod copying;
mod db;
pub mod erasure;
pub mod error;
pub mod gates;
pub mod grants;
pub mod happened;
pub mod health;
mod hints;
pub mod hot;
pub mod imports;
pub mod keys;
pub mod lanes;
mod listing;
pub mod messages;
mod meta;
pub mod nodes;
pub mod operators;
pub mod people;
pub mod person;
mod postgres;
pub mod private;
pub mod readiness;
pub mod rekey;
pub mod relay;
pub mod restored;
pub mod retention;
pub mod schedules;
pub mod secrets;
mod sessions;
mod sqlite;
pub mod store;
pub mod stuck;
pub mod subscriptions;
pub mod templates;
#[cfg(all(unix, any(test, feature = "testing")))]
pub mod testing;
pub mod tokens;
pub mod uploads;
pub mod vitals;
pub mod webhooks;
mod writing;

pub use error::{OpenError, StoreError};
pub use secrets::MasterKey;
pub use store::{OpenOptions, Role, Store};
pub use writing::work::Work;
