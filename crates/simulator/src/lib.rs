#![doc = include_str!("../README.md")]

pub mod api;
mod config;
mod control;
mod faults;
mod phone;
mod push;
mod sample;
mod server;
mod state;

pub use config::{Clock, Entropy, MINI_PROGRAM, SimulatorConfig};
pub use sample::{SAMPLE_APPID, SAMPLE_OPENID, sample_app};
pub use server::{router, serve};
pub use state::{Refusal, Simulator};
