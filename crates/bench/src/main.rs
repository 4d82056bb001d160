#![doc = include_str!("../README.md")]

mod callbacks;
mod campaign;
mod load;
mod pages;
mod sends;
mod shapes;
mod start;
mod store;
mod uploads;

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "bench", about = "Hongyan's measurements")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Callbacks acknowledged and applied, beside a bare axum handler.
    Callbacks(callbacks::Arguments),
    /// A campaign from its start to its last outcome, beside a bare hyper loop.
    Campaign(campaign::whole::Arguments),
    /// The same campaign by 1, 2 and 4 nodes over one PostgreSQL.
    Cluster(campaign::cluster::Arguments),
    /// Campaigns of growing size: the cost of a message and the memory of `hongyan serve`.
    Scale(campaign::scale::Arguments),
    /// One urgent message from the REST call to WeChat's socket, idle and during a campaign.
    Latency(campaign::latency::Arguments),
    /// The console's pages in a database of 1,000,000 messages: milliseconds and bytes.
    Pages(pages::Arguments),
    /// Single messages through the REST interface to `accepted`, beside a bare hyper loop.
    Sends(sends::Arguments),
    /// The layouts of the hot tables that were compared before the schema was fixed (ADR 1).
    Shapes(shapes::Arguments),
    /// The real `hongyan serve` on an empty database: time to ready, memory when idle, size of the file.
    Start(start::Arguments),
    /// A spreadsheet of 100,000 rows: seconds and memory of `hongyan serve`.
    Uploads(uploads::Arguments),
    /// The hot statements, SQLite beside PostgreSQL.
    Store(store::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().bench {
        // These two keep their clients, the service and the simulator on threads of their own.
        Bench::Callbacks(arguments) => callbacks::run(&arguments),
        Bench::Campaign(arguments) => campaign::whole::run(&arguments),
        Bench::Cluster(arguments) => campaign::cluster::run(&arguments),
        Bench::Scale(arguments) => campaign::scale::run(&arguments),
        Bench::Latency(arguments) => campaign::latency::run(&arguments),
        Bench::Pages(arguments) => pages::run(&arguments),
        Bench::Sends(arguments) => sends::run(&arguments),
        Bench::Start(arguments) => start::run(&arguments),
        Bench::Uploads(arguments) => uploads::run(&arguments),
        Bench::Shapes(arguments) => Runtime::new()?.block_on(shapes::run(arguments)),
        Bench::Store(arguments) => Runtime::new()?.block_on(store::run(arguments)),
    }
}
