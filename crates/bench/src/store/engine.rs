//! What the rounds ask of an engine; the two implementations only pass it on to the store.

use ::store::hot::append::NewInboxRow;
use ::store::hot::apply::ToApply;
use ::store::hot::arm::Arm;
use ::store::hot::enqueue::Queue;
use ::store::hot::settle::Settlement;
use domain::{Lane, Millis};

use super::seed::{Subscriber, Waiting};

pub(crate) trait Engine {
    /// Inserts the subscribers, in the order given.
    async fn seed_subscribers(&mut self, subscribers: &[Subscriber]) -> anyhow::Result<()>;
    /// Inserts ready messages: text, state, place in the queue, reservation.
    async fn seed_messages(&mut self, messages: &[Waiting<'_>]) -> anyhow::Result<()>;
    /// Ends a phase of seeding: statistics, checkpoint.
    async fn seeded(&mut self) -> anyhow::Result<()>;
    /// Takes all lanes; every epoch is 1 afterwards.
    async fn own(&mut self) -> anyhow::Result<()>;
    /// Each gives how many rows took effect.
    async fn append(&mut self, rows: Vec<NewInboxRow>) -> anyhow::Result<usize>;
    async fn apply(&mut self, events: Vec<ToApply>) -> anyhow::Result<usize>;
    async fn arm(&mut self, attempts: Vec<Arm>) -> anyhow::Result<usize>;
    async fn settle(&mut self, outcomes: Vec<Settlement>) -> anyhow::Result<usize>;
    async fn claim(&mut self, lane: Lane, queue: Queue, now: Millis, limit: i64) -> anyhow::Result<usize>;
    /// The reference: rows into a bare table, one commit.
    async fn bare(&mut self, rows: &[String]) -> anyhow::Result<()>;
}
