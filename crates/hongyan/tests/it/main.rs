//! The service through real HTTP against the simulator, and the binary as a person or a script runs it.

mod api;
mod commands;
mod crash;
mod demo;
mod http;
mod program;
mod walk;
mod world;
