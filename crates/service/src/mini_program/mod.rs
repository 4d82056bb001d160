//! What a mini program asks and tells for the user who holds it: a session, the templates to ask for, the report of what the
//! user decided. Called by the API under `/mp`, by nobody with a key.
//!
//! The other side is a phone that anybody may have taken apart: a session speaks for one person of one app, and what it says is
//! about that person alone. See docs/adr/0008-the-mini-program.md.

mod ask;
mod breaker;
mod limits;
mod login;
mod report;
mod session;

pub use ask::{Ask, AskedFor};
pub use breaker::Breakers;
pub use limits::Limits;
pub use report::{Report, Reported};
pub use session::{MpSession, Visitor};
