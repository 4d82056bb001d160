//! The service through real HTTP against the simulator, and the binary as a person or a script runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod api;
mod commands;
mod crash;
mod demo;
mod erase;
mod http;
mod keys_in_change;
mod peers;
mod platform;
mod program;
mod pushes;
mod quarantine;
mod relay;
mod target;
mod token_source;
mod walk;
mod world;
