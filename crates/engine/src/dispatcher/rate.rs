//! How many messages an app may send a second: a bucket that fills with the monotonic clock.

use tokio::time::Instant;

/// The share of a second that may be sent at once.
const BURST: f64 = 0.1;

#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u32,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, tokens: (f64::from(per_second) * BURST).max(1.0), filled: now }
    }

    /// How many may leave now, out of `wanted`.
    pub(super) fn take(&mut self, per_second: u32, wanted: usize, now: Instant) -> usize {
        if per_second == 0 {
            return wanted;
        }
        self.per_second = per_second;
        let rate = f64::from(self.per_second);
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min((rate * BURST).max(1.0));
        self.filled = now;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let taken = (self.tokens.floor().max(0.0) as usize).min(wanted);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let spent = taken as f64;
        self.tokens -= spent;
        taken
    }

    /// Gives back what was not used after all.
    pub(super) fn give_back(&mut self, unused: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let unused = unused as f64;
        self.tokens += unused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_keeps_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start);
        let mut sent = 0;
        for step in 0..=1_000 {
            sent += bucket.take(100, 5, start + Duration::from_millis(step * 10));
        }
        assert!((990..=1_015).contains(&sent), "{sent} in ten seconds at 100 a second");
        assert_eq!(bucket.take(0, 7, start), 7, "0 is no limit");
    }
}
