//! Where configuration comes from.

pub mod manifests;

use snapshot::{Credentials, Snapshot};

/// A configuration as a source brings it.
#[derive(Debug)]
pub struct Loaded {
    /// What to serve.
    pub snapshot: Snapshot,
    /// With what.
    pub credentials: Credentials,
    /// Of both, in hex.
    pub digest: String,
    /// What was found out about each object that is not simply accepted.
    pub reports: Vec<ObjectReport>,
}

/// One object's verdict, for logs, metrics and `/internal/config`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
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
