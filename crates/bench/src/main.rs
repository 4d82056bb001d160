#![doc = include_str!("../README.md")]

mod shapes;
mod store;

use clap::{Parser, Subcommand};

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
    /// The layouts of the hot tables that were compared before the schema was fixed (ADR 1).
    Shapes(shapes::Arguments),
    /// The hot statements, SQLite beside PostgreSQL.
    Store(store::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().bench {
        Bench::Shapes(arguments) => shapes::run(arguments).await,
        Bench::Store(arguments) => store::run(arguments).await,
    }
}
