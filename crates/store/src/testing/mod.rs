//! What tests and benches need of PostgreSQL, behind the feature `testing`: throw-away servers, a standby, and a proxy that
//! breaks the link to them. Used by the tests of this crate, of `hongyan`, and by `bench`.

mod guard;
mod port;
mod postgres;
mod proxy;
mod standby;
mod still;

pub use postgres::{BIN, FAST, REQUIRE, SAFE, TempPostgres};
pub use proxy::Proxy;
pub use standby::Standby;
pub use still::StandingStill;
