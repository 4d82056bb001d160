//! The client against a small server: what goes out, and what every kind of answer is taken for.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod calls;
mod certificate;
mod send;
mod server;

use std::time::Duration;

use secrecy::SecretString;
use wechat::client::{Client, ClientConfig};

const TOKEN: &str = "TOKEN-that-nobody-sees";

fn token() -> SecretString {
    TOKEN.into()
}

fn client() -> Client {
    Client::new(ClientConfig::default()).unwrap()
}

/// With a short time for calls, for servers that never answer.
fn impatient() -> Client {
    let config = ClientConfig { call_timeout: Duration::from_secs(1), ..ClientConfig::default() };
    Client::new(config).unwrap()
}
