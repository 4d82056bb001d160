//! What the simulator is given from outside: the clock, randomness and its limits. Used by whoever starts
//! one (the binary, the demo, tests, benches).

use std::{sync::Arc, time::Duration};

/// Milliseconds since 1970-01-01 UTC. Tests pass one they can move.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Fills a buffer with randomness: tokens, openids and the random part of ciphertexts come from here.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Everything but the apps, which are added later. Times of callbacks follow WeChat unless changed.
#[derive(Clone)]
pub struct SimulatorConfig {
    pub clock: Clock,
    pub entropy: Entropy,
    /// The address under which others reach this simulator; shown on the phone page only.
    pub public_base_url: Option<String>,
    /// A folder with the H5 build of a mini program, to be served and shown in the phone at `/mini-program/`.
    pub mini_program: Option<std::path::PathBuf>,
    /// How many records of each kind (sends, callbacks, grants) an app keeps. Counters stay exact.
    pub keep_records: usize,
    /// How many cards a user's phone keeps.
    pub keep_cards: usize,
    /// How long one callback attempt may take.
    pub callback_deadline: Duration,
    /// How many times a callback is tried in all.
    pub callback_tries: u32,
    /// The pause between two tries.
    pub callback_retry_delay: Duration,
    /// How many receipts of one app may be under way at once.
    pub callback_concurrency: usize,
}

impl SimulatorConfig {
    /// WeChat's own times: 5 seconds a try, 3 tries, 5 seconds between them.
    pub fn new(clock: Clock, entropy: Entropy) -> Self {
        Self {
            clock,
            entropy,
            public_base_url: None,
            mini_program: None,
            keep_records: 10_000,
            keep_cards: 50,
            callback_deadline: Duration::from_secs(5),
            callback_tries: 3,
            callback_retry_delay: Duration::from_secs(5),
            callback_concurrency: 64,
        }
    }
}

/// Where the phone finds a mini program that is served as a folder.
pub const MINI_PROGRAM: &str = "/mini-program/";
