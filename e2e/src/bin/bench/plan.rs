//! What the load generator is told and what it tells: the contract between two processes, as JSON.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Whom to call.
    pub address: SocketAddr,
    /// The path of each call.
    pub path: String,
    /// The file with the body of each call.
    pub body: PathBuf,
    /// A file with the keys to show, one a line and all of one length: each call shows the next.
    pub keys: PathBuf,
    /// What is spoken.
    pub speech: Speech,
    /// Connections.
    pub connections: u32,
    /// Calls at once on each connection; more than one only with HTTP/2.
    pub at_once: u32,
    /// Calls a second; absent: each call begins when the one before it ended.
    pub per_second: Option<u32>,
    /// For how long calls begin.
    pub seconds: f64,
}

/// What is spoken with whom is called.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Speech {
    /// HTTP/1.1 with keep-alive.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge.
    Http2,
    /// HTTP/2 over TLS; the folder's `cert.pem` is trusted.
    TlsHttp2(PathBuf),
}

/// What was seen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Calls that were answered with 200, to the end.
    pub answered: u64,
    /// Calls that were not.
    pub failed: u64,
    /// The last failure.
    pub last_failure: String,
    /// Events of streams, the last ones among them.
    pub events: u64,
    /// From the first call to the end of the last one.
    pub seconds: f64,
    /// The whole call, in microseconds.
    pub call: Percentiles,
    /// To the first byte of the body, in microseconds.
    pub first: Percentiles,
}

/// Percentiles in microseconds; zeros when nothing was seen.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half are faster.
    pub p50: f64,
    /// One of a hundred is slower.
    pub p99: f64,
}

/// What one worker of a load saw; times in nanoseconds.
#[derive(Debug, Default)]
pub struct Tally {
    /// As in [`Seen`].
    pub failed: u64,
    /// As in [`Seen`].
    pub last_failure: String,
    /// As in [`Seen`].
    pub events: u64,
    /// Whole calls.
    pub calls: Vec<u64>,
    /// To the first byte of the body.
    pub firsts: Vec<u64>,
}

impl Tally {
    /// Takes what another worker saw.
    pub fn add(&mut self, other: Self) {
        self.failed += other.failed;
        self.events += other.events;
        self.calls.extend(other.calls);
        self.firsts.extend(other.firsts);
        if !other.last_failure.is_empty() {
            self.last_failure = other.last_failure;
        }
    }

    /// Notes a call that failed.
    pub fn failure(&mut self, why: impl ToString) {
        self.failed += 1;
        self.last_failure = why.to_string();
    }

    /// Sums up.
    pub fn seen(mut self, seconds: f64) -> Seen {
        Seen {
            answered: self.calls.len() as u64,
            failed: self.failed,
            last_failure: self.last_failure,
            events: self.events,
            seconds,
            call: Percentiles::of(&mut self.calls),
            first: Percentiles::of(&mut self.firsts),
        }
    }
}

impl Percentiles {
    fn of(nanoseconds: &mut [u64]) -> Self {
        nanoseconds.sort_unstable();
        let at = |percent: usize| {
            let last = nanoseconds.len().saturating_sub(1);
            nanoseconds.get(last * percent / 100).map_or(0.0, |time| *time as f64 / 1e3)
        };
        Self { p50: at(50), p99: at(99) }
    }
}
