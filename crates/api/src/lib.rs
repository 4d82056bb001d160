#![doc = include_str!("../README.md")]

mod audit;
mod auth;
mod body;
mod callback;
mod callback_body;
pub mod csv;
mod docs;
mod headers;
mod health;
mod kit;
mod language;
mod leftover;
pub mod metrics;
mod mp;
mod openapi;
mod problem;
mod request;
mod routes;
mod server;

pub use metrics::{install_metrics, keep_metrics};
pub use openapi::openapi;
pub use server::Api;
