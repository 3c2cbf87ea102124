//! A snapshot in canonical bytes, and its digest.
//!
//! Maps are ordered and fields stand in the order of their types, so that equal snapshots have equal bytes. The
//! credentials take part in the digest: a new credential is a new configuration.

use sha2::{Digest, Sha256};

use crate::{Credentials, SCHEMA, Snapshot};

/// The canonical bytes of a snapshot: JSON without white space.
#[must_use]
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    serde_json::to_vec(snapshot).unwrap_or_default()
}

/// SHA-256 over the schema's number, the snapshot and the credentials, in lower-case hex.
#[must_use]
pub fn digest(snapshot: &Snapshot, credentials: &Credentials) -> String {
    let mut hasher = Sha256::new();
    hasher.update(SCHEMA.to_le_bytes());
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&encode(snapshot));
    for (provider, secret) in &credentials.0 {
        part(provider.as_str().as_bytes());
        part(secret.expose().as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}
