//! Ids. Public ones are UUIDv7: they sort by time and carry their lane in the twelve bits after the version, so
//! that whoever is given only an id knows where its row is. Ledger entries get time-ordered 64-bit numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;
use crate::entropy::{Entropy, random_bytes};
use crate::lane::Lane;

/// Makes a UUIDv7 of `now` whose `rand_a` is `lane`; the other 62 bits are random.
fn new_v7(now: Millis, lane: Lane, entropy: &dyn Entropy) -> Uuid {
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&now.max(0).to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&(0x7000 | (lane.0 & 0x0fff)).to_be_bytes());
    bytes[8..].copy_from_slice(&random_bytes::<8>(entropy));
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    Uuid::from_bytes(bytes)
}

fn lane_of(id: Uuid) -> Lane {
    let bytes = id.as_bytes();
    Lane(u16::from_be_bytes([bytes[6], bytes[7]]) & 0x0fff)
}

fn created_at(id: Uuid) -> Millis {
    let bytes = id.as_bytes();
    i64::from_be_bytes([0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]])
}

macro_rules! lane_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id of this moment, in this lane.
            pub fn new(now: Millis, lane: Lane, entropy: &dyn Entropy) -> Self {
                Self(new_v7(now, lane, entropy))
            }

            /// The lane that the id carries.
            pub fn lane(self) -> Lane {
                lane_of(self.0)
            }

            /// When it was made, milliseconds UTC.
            pub fn created_at(self) -> Millis {
                created_at(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    };
}

lane_id! {
    /// A message: one notice to one subscriber.
    MessageId
}
lane_id! {
    /// A row of the inbox: one callback of WeChat.
    InboxId
}

/// Gives ledger entries their numbers: milliseconds in the upper 43 bits, so that they sort by time, and never
/// the same number twice from one maker. A lane has one owner, so a lane's numbers are unique.
#[derive(Debug, Default)]
pub struct LedgerIds {
    last: AtomicI64,
    /// Added within a millisecond: two makers of one lane (a person's entry by hand beside the owner) hardly ever meet.
    tag: i64,
}

impl LedgerIds {
    const COUNTER_BITS: u32 = 20;

    /// A maker whose numbers lie above `last`, the highest that is stored.
    pub fn after(last: i64) -> Self {
        Self { last: AtomicI64::new(last), tag: 0 }
    }

    /// A maker among others.
    pub fn tagged(tag: u8) -> Self {
        Self { last: AtomicI64::new(0), tag: i64::from(tag) << 12 }
    }

    /// Further numbers lie above `last`.
    pub fn lift(&self, last: i64) {
        self.last.fetch_max(last, Ordering::SeqCst);
    }

    /// The next number; a burst borrows from the milliseconds ahead.
    pub fn next(&self, now: Millis) -> i64 {
        let floor = (now.max(0) << Self::COUNTER_BITS) + self.tag;
        let next = |last: i64| floor.max(last + 1);
        // The closure never refuses, so both arms hold the previous value.
        match self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last))) {
            Ok(last) | Err(last) => next(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_carries_its_lane_and_time(now in 0i64..(1 << 47), lane in 0u16..4096, seed: u64) {
            let id = MessageId::new(now, Lane(lane), &SeededEntropy::new(seed));
            prop_assert_eq!(id.lane(), Lane(lane));
            prop_assert_eq!(id.created_at(), now);
            prop_assert_eq!(id.0.get_version_num(), 7);
            prop_assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(id.to_string().parse::<MessageId>().ok(), Some(id));
        }

        #[test]
        fn ledger_numbers_rise(times in proptest::collection::vec(0i64..5_000, 1..50)) {
            let ids = LedgerIds::default();
            let made: Vec<i64> = times.into_iter().map(|now| ids.next(now)).collect();
            prop_assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
