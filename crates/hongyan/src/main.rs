#![doc = include_str!("../README.md")]

mod cli;
mod commands;
mod config;
#[cfg(test)]
mod documents;
mod http;
mod locale;
mod open;
mod output;
mod try_out;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&error.into()),
    };
    let done = runtime.block_on(async {
        let done = commands::run(arguments).await;
        open::close_all().await;
        done
    });
    match done {
        Ok(code) => code,
        Err(error) => output::failed(&error),
    }
}
