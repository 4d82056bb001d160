//! Campaigns in the database: the rows themselves, their accounts, and the three walks over their recipients (expanding,
//! sweeping, resending; docs/adr/0004-campaigns.md). Used by the service and the engine.

mod accounts;
mod audience;
mod expand;
mod lists;
mod results;
mod rows;
mod walks;

pub use accounts::{LaneAccounts, Progress};
pub use audience::Member;
pub use expand::{Chunk, Expanded, NewRecipient, Place};
pub use lists::{ListKind, ListedRecipient};
pub use results::{ResultFilter, ResultRow};
pub use rows::{CampaignChange, CampaignKept, CampaignKey, NewCampaign, StoredCampaign};
