//! How fast revisions follow on one another: a part stands in two slots, so whoever reads one has until the next but one
//! to come to its end. In a storm of edits a reader would never come to it.

use std::time::Duration;

use crate::clock::Instant;

/// The pace of a storm. Whoever reads has twice this time for it.
const EVERY: Duration = Duration::from_millis(500);
/// So many revisions a quiet time saves up: no edit by hand waits.
const SAVED: u32 = 10;

/// Turns to publish a revision.
#[derive(Debug)]
pub struct Turns {
    /// When all turns that were taken are over, were they taken at the pace.
    over: Instant,
}

impl Turns {
    /// None taken yet.
    #[must_use]
    pub fn all(now: Instant) -> Self {
        Self { over: now }
    }

    /// How long to wait for a turn; zero when there is one.
    #[must_use]
    pub fn wait(&self, now: Instant) -> Duration {
        self.over.saturating_duration_since(now).saturating_sub(EVERY * (SAVED - 1))
    }

    /// Takes one, whether there is one or not.
    pub fn take(&mut self, now: Instant) {
        self.over = self.over.max(now) + EVERY;
    }
}
