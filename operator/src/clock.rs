//! The only file of the operator that asks what time it is.

use k8s_openapi::jiff::Timestamp;
pub use tokio::time::Instant;

/// Monotonic time. It goes on while the process is stopped, so that a leader that was paused knows that its term is over.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall time, for statuses and rotations.
#[must_use]
pub fn timestamp() -> Timestamp {
    Timestamp::now()
}
