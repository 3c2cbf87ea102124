//! Helpers of the tests of the whole: a started gateway, a folder of manifests, a scripted upstream, a client that sends
//! what SDKs never would, a Kubernetes and images for it. Each server is real, listens on a free loopback port and ends with the test, also when it fails.
#![expect(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "helpers of tests: what fails here fails the test")]

pub mod client;
pub mod cluster;
pub mod fixtures;
pub mod folder;
pub mod gateway;
pub mod image;
pub mod load;
pub mod metrics;
pub mod past;
pub mod portolan;
pub mod upstream;

use std::time::{Duration, Instant};

/// The longest that a test waits for a condition. Far beyond what any claim allows: it ends a hung test, it proves nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the tests run that measure a machine that has nothing else to do: `PORTOLAN_E2E_SOAK=1`. Tells of the skip
/// otherwise.
#[must_use]
pub fn has_time_to_soak(what: &str) -> bool {
    let asked = std::env::var_os("PORTOLAN_E2E_SOAK").is_some_and(|value| !value.is_empty());
    if !asked {
        cluster::say(&format!(
            "SKIPPED {what}: it measures times and memory; PORTOLAN_E2E_SOAK=1 runs it, with nothing else on the machine"
        ));
    }
    asked
}

/// Asks until there is an answer.
///
/// # Panics
/// When there is none for 30 s.
pub async fn until<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, ask).await
}

/// The same for what takes longer.
///
/// # Panics
/// When there is no answer for so long.
pub async fn until_within<T>(limit: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(began.elapsed() < limit, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
