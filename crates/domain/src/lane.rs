//! Lanes: the share of recipients that one node serves at a time. Everything about one recipient carries its
//! lane. Used by the store's keys, the ids and the engine's dispatcher.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The number of lanes of a database unless it was created with another.
pub const DEFAULT_LANES: u16 = 64;
/// More lanes than this do not fit into an id.
pub const MAX_LANES: u16 = 4096;

/// One lane, `0..lanes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lane(pub u16);

/// How many lanes a database has; fixed when it is created, since every key begins with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes(u16);

impl Lanes {
    /// `count` lanes, brought into `1..=MAX_LANES`.
    pub fn new(count: u16) -> Self {
        Self(count.clamp(1, MAX_LANES))
    }

    /// How many.
    pub fn count(self) -> u16 {
        self.0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Lane> {
        (0..self.0).map(Lane)
    }

    /// The lane of everything about one recipient. The hash is pinned by test vectors: changing it would lose
    /// every row of an existing database.
    pub fn of_openid(self, openid: &str) -> Lane {
        self.of_hash(xxh3_64(openid.as_bytes()))
    }

    /// The lane of what is not one recipient's: an idempotency key, an alias; scoped to the app.
    pub fn of_key(self, app: i64, key: &str) -> Lane {
        let mut bytes = Vec::with_capacity(8 + key.len());
        bytes.extend_from_slice(&app.to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        self.of_hash(xxh3_64(&bytes))
    }

    fn of_hash(self, hash: u64) -> Lane {
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a u16")]
        Lane((hash % u64::from(self.0)) as u16)
    }
}

impl Default for Lanes {
    fn default() -> Self {
        Self(DEFAULT_LANES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_pinned() {
        let lanes = Lanes::default();
        for (openid, hash, lane) in PINNED {
            assert_eq!(xxh3_64(openid.as_bytes()), hash);
            assert_eq!(lanes.of_openid(openid), Lane(lane));
        }
        assert_eq!(lanes.of_key(7, "bill-2026-11"), Lane(PINNED_KEY));
    }

    /// Computed with another implementation of XXH3.
    const PINNED: [(&str, u64, u16); 3] = [
        ("oG0NJ5Oi_3Dd1HlZJ14xfnA0sJ6s", 13_514_275_527_295_387_283, 19),
        ("o9AgO5Kd5ggOC-bXrbNODIiE3bGY", 15_287_750_712_504_177_662, 62),
        ("", 3_244_421_341_483_603_138, 2),
    ];
    const PINNED_KEY: u16 = 38;

    #[test]
    fn openids_spread_evenly() {
        let lanes = Lanes::default();
        let mut counts = vec![0u32; usize::from(lanes.count())];
        for i in 0..64_000u32 {
            counts[usize::from(lanes.of_openid(&format!("oG0NJ5{i:022}")).0)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
