//! Time as a parameter. The binary passes [`SystemClock`], tests pass [`ManualClock`] and move it by hand;
//! nothing else in the project may ask the operating system what time it is (a lint sees to it).

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds since 1970-01-01T00:00:00Z: the only form of time that is stored.
pub type Millis = i64;

/// One second in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// Something that knows the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present moment in milliseconds UTC.
    fn now(&self) -> Millis;

    /// What time it is for everybody: a clock that follows others goes on from there, the others do not care.
    fn learn(&self, _now: Millis) {}
}

/// The operating system's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where real time enters")]
    fn now(&self) -> Millis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that goes on from the last time that it was told (the database's, when a lease was renewed), so that the nodes
/// of a cluster agree on the time however wrong their own clocks are. Until it is told one it shows the machine's.
#[derive(Debug)]
pub struct FollowingClock {
    /// What the monotonic clock has to be added to.
    base: AtomicI64,
    started: std::time::Instant,
}

impl Default for FollowingClock {
    fn default() -> Self {
        let clock = Self { base: AtomicI64::new(0), started: std::time::Instant::now() };
        clock.learn(SystemClock.now());
        clock
    }
}

impl FollowingClock {
    fn elapsed(&self) -> Millis {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for FollowingClock {
    fn now(&self) -> Millis {
        self.base.load(Ordering::SeqCst) + self.elapsed()
    }

    fn learn(&self, now: Millis) {
        self.base.store(now - self.elapsed(), Ordering::SeqCst);
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Millis) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves the clock forward by `by` milliseconds (backward where negative).
    pub fn advance(&self, by: Millis) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}
