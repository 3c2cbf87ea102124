//! The only file that asks what time it is, and the dice.
//!
//! Wall time is for expiry and logs, monotonic time for timeouts and durations. Monotonic time is tokio's, so that a
//! test with paused time moves it.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

pub use tokio::time::Instant;

/// Tells the time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Milliseconds that tests add to the wall time.
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Monotonic time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Milliseconds since 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        u64::try_from(now.saturating_add(self.offset_ms.load(Relaxed))).unwrap_or(0)
    }

    /// Moves the wall time, for tests of expiry.
    pub fn shift_wall_ms(&self, by: i64) {
        self.offset_ms.fetch_add(by, Relaxed);
    }
}

/// Random numbers that are quick and good enough for ids and spreading; not for secrets.
#[derive(Debug)]
pub struct Dice(Mutex<[u64; 2]>);

impl Dice {
    /// Seeded by the operating system's entropy, through the hasher that std seeds from it.
    #[must_use]
    pub fn new() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(Mutex::new([RandomState::new().hash_one(1u8) | 1, RandomState::new().hash_one(2u8)]))
    }

    /// Two random words (xoroshiro128++, one step each).
    #[must_use]
    pub fn roll(&self) -> [u64; 2] {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut step = || {
            let [a, mut b] = *state;
            let word = a.wrapping_add(b).rotate_left(17).wrapping_add(a);
            b ^= a;
            *state = [a.rotate_left(49) ^ b ^ (b << 21), b.rotate_left(28)];
            word
        };
        [step(), step()]
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}
