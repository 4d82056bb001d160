//! Campaigns: their states, what may be done in which, and their accounts (I9). Used by the store, the service and the
//! engine.

mod accounts;
mod state;

pub use accounts::{Accounts, Broken};
pub use state::{Act, CampaignState, Wrong, act};
