//! The service through real HTTP against the simulator, and the binary as a person or a script runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod ambiguity;
mod api;
mod bad_input;
mod beside_serve;
mod campaigns;
mod chaos;
#[cfg(unix)]
mod cluster;
mod commands;
mod console;
mod crash;
mod database;
mod demo;
#[cfg(target_os = "linux")]
mod durable;
mod erase;
mod examples;
mod faults;
mod front;
mod headers;
mod http;
mod keys_in_change;
mod ledger;
mod master_key;
mod mini_program;
mod openapi;
mod operations;
mod peers;
mod people;
mod platform;
mod program;
mod pushes;
mod quarantine;
mod relay;
mod retention;
mod samples;
#[cfg(unix)]
mod snippets;
#[cfg(target_os = "linux")]
mod soak;
mod target;
mod token_source;
#[cfg(target_os = "linux")]
mod unit;
mod upgrade;
mod uploads;
mod walk;
mod watching;
mod world;
