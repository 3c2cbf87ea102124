//! How soon a watch that stumbled is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::Event;

use crate::clock::{self, Instant};

/// The first pause, and the longest. Up to as much again is added by chance, so that watches do not come back all at once.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
/// After so long without an error it begins anew.
const CALM: Duration = Duration::from_secs(30);

/// Pauses that grow while errors go on, but never so long that an API server which is back stays unseen: `kube`'s own pace
/// grows to a minute. It is kind enough: a few dozen watches, each once in three to six seconds.
pub(super) struct Pace {
    pauses: ExponentialBackoff,
    last: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { pauses: pauses(), last: None }
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(PAUSE.0).with_max_delay(PAUSE.1).with_jitter().without_max_times().build()
}

impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = clock::now();
        if self.last.replace(now).is_some_and(|last| now.duration_since(last) > CALM) {
            self.pauses = pauses();
        }
        self.pauses.next()
    }
}

impl Backoff for Pace {
    /// Does nothing: a watch tells that it begins before it knows whether it may, so a good word proves nothing.
    fn reset(&mut self) {}
}

/// Errors that follow one another: the first is told.
#[derive(Default)]
pub(super) struct Stumbling {
    told: bool,
}

impl Stumbling {
    /// Whether this error is to be told.
    pub(super) fn begins(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Takes in a good event. That a list begins is none.
    pub(super) fn heard<K>(&mut self, event: &Event<K>) {
        match event {
            Event::Init => {}
            Event::InitApply(_) | Event::InitDone | Event::Apply(_) | Event::Delete(_) => self.told = false,
        }
    }
}

#[cfg(test)]
#[tokio::test(start_paused = true)]
async fn pauses_grow_to_seconds_and_begin_anew_after_a_calm() {
    let mut pace = Pace::new();
    for round in 0..50 {
        let pause = pace.next().expect("it never gives up");
        pace.reset();
        assert!(pause >= PAUSE.0 && pause <= PAUSE.1 * 2, "{pause:?} in round {round}");
        assert!(round < 5 || pause >= PAUSE.1, "{pause:?} in round {round}: nothing but a calm makes it short again");
        tokio::time::advance(pause).await;
    }
    tokio::time::advance(CALM).await;
    assert!(pace.next().expect("it never gives up") <= PAUSE.0 * 2);
}
