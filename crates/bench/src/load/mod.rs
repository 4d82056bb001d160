//! What the benches over HTTP share: the world they serve (a million subscribers), the running service, the clients
//! that load it, and what the processor's time went to.

pub(crate) mod budget;
pub(crate) mod client;
pub(crate) mod report;
pub(crate) mod served;
pub(crate) mod serving;
pub(crate) mod world;
