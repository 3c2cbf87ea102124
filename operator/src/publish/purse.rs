//! The byte budget: what a storm of edits may write, so that etcd's quota survives it. Revocations never wait.

use std::sync::Arc;
use std::time::Duration;

use crds::compile::Config;

use crate::clock::Instant;

/// Bytes that flow in each second.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// What a quiet time saves up at most: five minutes' worth.
const BYTES_MAX: u64 = BYTES_PER_SECOND * 300;

/// Bytes that may be written. May be overdrawn: then it takes longer until there is something in it again.
#[derive(Debug)]
pub struct Purse {
    bytes: i64,
    since: Instant,
}

impl Purse {
    /// A full one.
    #[must_use]
    pub fn full(now: Instant) -> Self {
        Self { bytes: BYTES_MAX.cast_signed(), since: now }
    }

    /// How long to wait until there is something in it; zero when there is.
    #[must_use]
    pub fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        if self.bytes > 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(((self.bytes.unsigned_abs() + 1) * 1000).div_ceil(BYTES_PER_SECOND))
    }

    /// Takes what is written.
    pub fn take(&mut self, now: Instant, bytes: usize) {
        self.fill(now);
        self.bytes = self.bytes.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn fill(&mut self, now: Instant) {
        let passed = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        let bytes = passed.saturating_mul(BYTES_PER_SECOND) / 1000;
        if bytes > 0 {
            self.since = now;
            self.bytes = self.bytes.saturating_add_unsigned(bytes).min(BYTES_MAX.cast_signed());
        }
    }
}

/// What is published, without the keys and texts that `next` does not grant any more, and with those suspended that it
/// suspends or lets expire sooner. None when there is nothing to revoke.
#[must_use]
pub fn revocations(published: &Config, next: &Config) -> Option<Config> {
    let mut urgent = published.clone();
    let wanted = &next.snapshot.keys;
    urgent.snapshot.keys.retain(|id, _| wanted.contains_key(id));
    for (id, key) in &mut urgent.snapshot.keys {
        let Some(wanted) = wanted.get(id).filter(|wanted| *wanted != key) else { continue };
        let key = Arc::make_mut(key);
        key.hashes.retain(|hash| wanted.hashes.contains(hash));
        key.suspended |= wanted.suspended;
        key.expires_at = match (key.expires_at, wanted.expires_at) {
            (Some(now), Some(then)) => Some(now.min(then)),
            (now, then) => now.or(then),
        };
    }
    (urgent.snapshot.keys != published.snapshot.keys).then_some(urgent)
}
