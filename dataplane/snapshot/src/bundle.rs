//! A snapshot in canonical bytes: its digest, and the parts in which it travels from the operator to the pods.
//!
//! Maps are ordered and fields stand in the order of their types, so that equal snapshots have equal bytes. The
//! credentials take part in the digest: a new credential is a new configuration.
//!
//! [`publish`] cuts a configuration into [`PARTS`] parts by kind and hash of each entry's id, and only then compresses
//! each part by itself: an edit of one entry rewrites one part. A part that changed goes into the slot that the previous
//! index does not name, and the index is written last; so what an index names is whole at every moment, also when the
//! writer dies half-way. [`join`] is the way back. It trusts nothing that it reads and says why it refuses.

mod cut;
mod index;
mod join;
mod publish;
mod squeeze;
mod torn;

use std::io;

use sha2::{Digest, Sha256};

pub use cut::EntryKind;
pub use index::{Index, PartKind, PartRef, Slot, index_name, part_name};
pub use join::{Because, FEATURES, Joined, Refused, join};
pub use publish::{Before, PublishError, Published, Write, publish, publish_over};
pub use torn::Torn;

use crate::{Credentials, SCHEMA, Snapshot, hex};

/// Parts that hold configuration: numbers 0 to 15, in ConfigMaps.
pub const CONFIG_PARTS: u8 = 16;
/// Parts that hold credentials: the numbers after those, in Secrets.
pub const CREDENTIAL_PARTS: u8 = 4;
/// All parts of a bundle; an index names each exactly once, also empty ones.
pub const PARTS: u8 = CONFIG_PARTS + CREDENTIAL_PARTS;
/// Largest part as written, compressed: in base64 it still fits an object of the Kubernetes API.
pub const PART_BYTES_MAX: usize = 700 << 10;
/// Largest part before compression. No reader inflates more, whatever the bytes promise.
pub const PART_CANONICAL_BYTES_MAX: usize = 8 << 20;
/// Largest index.
pub const INDEX_BYTES_MAX: usize = 64 << 10;
/// The oldest schema that this reader takes: its own or the one before.
pub const SCHEMA_OLDEST: u32 = if SCHEMA > 1 { SCHEMA - 1 } else { SCHEMA };

/// The canonical bytes of a snapshot: JSON without white space.
#[must_use]
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    serde_json::to_vec(snapshot).unwrap_or_default()
}

/// SHA-256 over the schema's number, the snapshot and the credentials, in lower-case hex.
#[must_use]
pub fn digest(snapshot: &Snapshot, credentials: &Credentials) -> String {
    let mut hasher = begun();
    // As `encode` gives it, and never whole in memory: of many thousand keys it would be megabytes for each reload.
    let mut length = 0_u64;
    written(snapshot, |bytes| length += bytes.len() as u64);
    hasher.update(length.to_le_bytes());
    written(snapshot, |bytes| hasher.update(bytes));
    ended(hasher, credentials)
}

/// The same for whoever has the memory: encodes once, into about so many bytes.
fn digest_at_once(snapshot: &Snapshot, credentials: &Credentials, about: usize) -> String {
    let mut hasher = begun();
    let mut whole = Vec::with_capacity(about);
    drop(serde_json::to_writer(&mut whole, snapshot));
    hasher.update((whole.len() as u64).to_le_bytes());
    hasher.update(&whole);
    ended(hasher, credentials)
}

fn begun() -> Sha256 {
    Sha256::new().chain_update(SCHEMA.to_le_bytes())
}

fn ended(mut hasher: Sha256, credentials: &Credentials) -> String {
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (provider, secret) in &credentials.0 {
        part(provider.as_str().as_bytes());
        part(secret.expose().as_bytes());
    }
    hex::with(&hasher.finalize().into(), str::to_owned)
}

/// Gives a snapshot's encoding piece by piece.
fn written(snapshot: &Snapshot, piece: impl FnMut(&[u8])) {
    struct Pieces<F>(F);
    impl<F: FnMut(&[u8])> io::Write for Pieces<F> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (self.0)(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut buffered = io::BufWriter::new(Pieces(piece));
    drop(serde_json::to_writer(&mut buffered, snapshot));
    drop(io::Write::flush(&mut buffered));
}

/// SHA-256 of some bytes, 64 lower-case hex digits.
fn sha256(bytes: &[u8]) -> String {
    hex::with(&Sha256::digest(bytes).into(), str::to_owned)
}
