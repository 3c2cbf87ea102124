//! Where configuration comes from: a folder of manifests, or a bundle that an operator made.

mod apiobjects;
mod apiserver;
mod cluster;
mod last_good;
pub mod manifests;
mod mounted;
mod objects;
mod ratchet;
pub mod supply;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use snapshot::{Credentials, GatewayId, Secret, Snapshot};

use crate::clock::{Clock, Instant};

/// Lets go of what a thread made and others only looked at, on a thread again: what the others freed, they would keep a
/// little of at hand, here and there, and the heap that it is of could not go back to the system.
pub fn let_go<T: Send + 'static>(what: T) {
    drop(std::thread::spawn(move || drop(what)));
}

/// A configuration as a source brings it.
#[derive(Debug)]
pub struct Loaded {
    /// What to serve.
    pub snapshot: Snapshot,
    /// With what.
    pub credentials: Credentials,
    /// Of both, in hex.
    pub digest: String,
    /// The number that the operator gave it; `None`: nobody did, whoever takes it counts by itself.
    pub sequence: Option<u64>,
    /// Where it was found.
    pub place: Place,
    /// What was found out about each object that is not simply accepted.
    pub reports: Vec<ObjectReport>,
}

/// Where a configuration was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A folder of manifests.
    Manifests,
    /// The bundle that this pod served last, before its container started again.
    LastGood,
    /// The bundle in a mounted volume.
    Volume,
    /// The bundle in the API server.
    Api,
}

impl Place {
    /// As messages name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Manifests => "the folder of manifests",
            Self::LastGood => "the last good bundle",
            Self::Volume => "the mounted bundle",
            Self::Api => "the API server",
        }
    }
}

/// One object's verdict, for logs, metrics and `/internal/config`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectReport {
    /// `LLMProvider` and the like.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// One word of a closed set.
    pub reason: String,
    /// What is wrong and the way out.
    pub message: String,
    /// Whether it is served all the same, in this or its last accepted form.
    pub served: bool,
}

/// Where a configuration is to be looked for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// In a folder of manifests, compiled here.
    Manifests {
        /// The folder.
        folder: PathBuf,
        /// Values that manifests may name.
        env: BTreeMap<String, Secret<String>>,
        /// Which gateway to be; `None`: the only one.
        gateway: Option<GatewayId>,
    },
    /// In a bundle that an operator made.
    Bundle(Places),
}

/// Where a gateway's bundle is looked for.
#[derive(Debug, Clone)]
pub struct Places {
    /// Which gateway to be.
    pub gateway: GatewayId,
    /// A volume that holds each object of the bundle as a file of the object's name.
    pub volume: Option<PathBuf>,
    /// A folder of this pod's own that outlives its containers.
    pub last_good: Option<PathBuf>,
    /// The API server.
    pub api: Option<ApiServer>,
}

/// How the API server is reached.
#[derive(Debug, Clone)]
pub struct ApiServer {
    /// Its address or name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The folder with the account's `token` and the authority's `ca.crt`; both are read again each time.
    pub account: PathBuf,
}

/// How sure the process is that what is in use is what should be.
#[derive(Debug)]
pub struct Certainty {
    clock: Clock,
    confirmed: Mutex<Option<Instant>>,
    settled: AtomicBool,
}

impl Certainty {
    /// Nobody is asked, nothing is settled yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, confirmed: Mutex::default(), settled: AtomicBool::new(false) }
    }

    /// The API server said so now. Also called once by whoever begins to ask it: the age is counted from there until it
    /// answers.
    fn confirm(&self) {
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
    }

    /// Whole seconds since the API server last said that what is in use is what should be; `None` when no API server is
    /// asked.
    #[must_use]
    pub fn confirmed_age_seconds(&self) -> Option<u64> {
        let at = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        at.map(|at| self.clock.now().saturating_duration_since(at).as_secs())
    }

    fn settle(&self) {
        self.settled.store(true, Relaxed);
    }

    /// Whether what is in use is the best that was to be had at the start: until then the process is not ready. Never
    /// taken back: a gateway that falls behind later goes on serving.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.settled.load(Relaxed)
    }
}
