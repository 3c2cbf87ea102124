//! Writing: which objects to write, in which order, so that a reader never finds half a change.

use std::fmt;

use super::{Index, PART_BYTES_MAX, PART_CANONICAL_BYTES_MAX, PARTS, PartKind, PartRef, Slot};
use super::{
    cut::{Marks, cut},
    digest_at_once, index_name, part_name, sha256,
    squeeze::squeeze,
};
use crate::{Credentials, GatewayId, SCHEMA, Snapshot};

/// The longest name of an object of the Kubernetes API.
const NAME_LENGTH_MAX: usize = 253;

/// A configuration ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// What the index says once all is written.
    pub index: Index,
    /// To be written: parts first, in any order, and the last, which is the index itself, only after all of them are stored;
    /// empty when nothing changed. Whoever stops in between has changed nothing for a reader.
    pub writes: Vec<Write>,
}

/// One object to write.
#[derive(Clone, PartialEq, Eq)]
pub struct Write {
    /// The object's name, in the gateway's namespace.
    pub name: String,
    /// Its whole new content: a compressed part, or the index in JSON.
    pub bytes: Vec<u8>,
    /// A Secret, else a ConfigMap.
    pub secret: bool,
}

impl fmt::Debug for Write {
    /// Never the bytes: those of a small credential are hardly compressed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("name", &self.name).field("bytes", &self.bytes.len()).field("secret", &self.secret).finish()
    }
}

/// Why a configuration is not published. The previous one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A part is too large for an object of the Kubernetes API: there are too many or too large entries.
    #[error("part {number} has {bytes} bytes compressed, at most {PART_BYTES_MAX} fit: this gateway has too many or too large {}",
        match PartKind::of(*number) { PartKind::Config => "providers, keys and policies", PartKind::Credentials => "credentials" })]
    PartTooLarge {
        /// Its number.
        number: u8,
        /// Its length as it would be written.
        bytes: usize,
    },
    /// A part is too large for its readers, who bound what they inflate.
    #[error("part {number} has {bytes} bytes before compression, at most {PART_CANONICAL_BYTES_MAX} are read")]
    PartTooLargeInflated {
        /// Its number.
        number: u8,
        /// Its length before compression.
        bytes: usize,
    },
    /// The previous index is of another gateway.
    #[error("the previous index is of gateway {found}, not of {expected}")]
    ForeignPrevious {
        /// The snapshot's gateway.
        expected: GatewayId,
        /// The index's.
        found: GatewayId,
    },
    /// The gateway's name leaves no room for the names of its parts.
    #[error("`{name}` is longer than a Kubernetes name may be: give the gateway a shorter one")]
    NameTooLong {
        /// The first name that does not fit.
        name: String,
    },
    /// An entry stands under an id that is not its own; joined, it would be another.
    #[error("{kind} {id} stands under another id")]
    Misnamed {
        /// The entry's kind.
        kind: &'static str,
        /// The id under which it stands.
        id: String,
    },
    /// The sequence has no next number.
    #[error("the sequence of the previous index is the last there is")]
    SequenceExhausted,
    /// The previous index leaves out a part that did not change.
    #[error("the previous index does not name part {number}")]
    NotWhole {
        /// Its number.
        number: u8,
    },
    /// The encoder failed.
    #[error("the snapshot cannot be encoded: {detail}")]
    Unencodable {
        /// What it says.
        detail: String,
    },
}

/// Cuts a configuration and places what changed since `previous` into the slots that `previous` does not name.
///
/// Pure: the same arguments give the same bytes. Nothing changed: the previous index again and nothing to write.
///
/// # Errors
/// See [`PublishError`].
pub fn publish(previous: Option<&Index>, snapshot: &Snapshot, credentials: &Credentials) -> Result<Published, PublishError> {
    publish_parts(previous, snapshot, credentials, &Marks::ALL)
}

/// What its writer knows of a bundle that is published: the index, and the configuration whose parts it names, as
/// [`publish`] of this very version cuts them.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// The index.
    pub index: &'a Index,
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// The credentials.
    pub credentials: &'a Credentials,
}

/// The same as [`publish`] over the index of `before`, at the cost of the parts that hold what changed.
///
/// # Errors
/// See [`PublishError`].
pub fn publish_over(before: &Before<'_>, snapshot: &Snapshot, credentials: &Credentials) -> Result<Published, PublishError> {
    let touched = Marks::of_changes((before.snapshot, before.credentials), (snapshot, credentials));
    publish_parts(Some(before.index), snapshot, credentials, &touched)
}

fn publish_parts(
    previous: Option<&Index>,
    snapshot: &Snapshot,
    credentials: &Credentials,
    touched: &Marks,
) -> Result<Published, PublishError> {
    let gateway = &snapshot.gateway.id;
    if let Some(index) = previous.filter(|index| index.gateway != *gateway) {
        return Err(PublishError::ForeignPrevious { expected: gateway.clone(), found: index.gateway.clone() });
    }
    check_names(snapshot)?;
    let bodies = cut(snapshot, credentials, touched).map_err(|error| PublishError::Unencodable { detail: error.to_string() })?;
    let mut writes = Vec::new();
    let mut parts = Vec::with_capacity(usize::from(PARTS));
    for (number, body) in (0..PARTS).zip(bodies) {
        let before = previous.and_then(|index| index.part(number));
        let (part, write) = match (body, before) {
            (None, Some(same)) => (same.clone(), None),
            (Some(body), before) => place(gateway, number, &body, before)?,
            (None, None) => return Err(PublishError::NotWhole { number }),
        };
        parts.push(part);
        writes.extend(write);
    }
    let about = parts.iter().map(|part: &PartRef| part.bytes).sum();
    let digest = digest_at_once(snapshot, credentials, about);
    if let Some(index) = previous.filter(|index| writes.is_empty() && index.digest == digest) {
        return Ok(Published { index: index.clone(), writes });
    }
    let sequence = previous.map_or(0, |index| index.sequence).checked_add(1).ok_or(PublishError::SequenceExhausted)?;
    let index = Index { gateway: gateway.clone(), sequence, digest, schema: SCHEMA, requires: Vec::new(), parts };
    let bytes = index.encode().map_err(|error| PublishError::Unencodable { detail: error.to_string() })?;
    writes.push(Write { name: index_name(gateway), bytes, secret: false });
    Ok(Published { index, writes })
}

fn check_names(snapshot: &Snapshot) -> Result<(), PublishError> {
    let name = part_name(&snapshot.gateway.id, 0, Slot::A);
    if name.len() > NAME_LENGTH_MAX {
        return Err(PublishError::NameTooLong { name });
    }
    let provider = snapshot.providers.iter().find(|(id, provider)| **id != provider.id).map(|(id, _)| ("provider", id.as_str()));
    let key = snapshot.keys.iter().find(|(id, key)| **id != key.id).map(|(id, _)| ("key", id.as_str()));
    let policy = snapshot.policies.iter().find(|(id, policy)| **id != policy.id).map(|(id, _)| ("policy", id.as_str()));
    match provider.or(key).or(policy) {
        Some((kind, id)) => Err(PublishError::Misnamed { kind, id: id.to_owned() }),
        None => Ok(()),
    }
}

/// Decides by the canonical bytes, not the compressed ones: another version of the compressor rewrites nothing.
fn place(gateway: &GatewayId, number: u8, body: &[u8], before: Option<&PartRef>) -> Result<(PartRef, Option<Write>), PublishError> {
    let digest = sha256(body);
    if let Some(same) = before.filter(|part| part.digest == digest && part.bytes == body.len()) {
        return Ok((same.clone(), None));
    }
    if body.len() > PART_CANONICAL_BYTES_MAX {
        return Err(PublishError::PartTooLargeInflated { number, bytes: body.len() });
    }
    let bytes = squeeze(body).map_err(|error| PublishError::Unencodable { detail: error.to_string() })?;
    if bytes.len() > PART_BYTES_MAX {
        return Err(PublishError::PartTooLarge { number, bytes: bytes.len() });
    }
    let kind = PartKind::of(number);
    let slot = before.map_or(Slot::A, |part| part.slot.other());
    let write = Write { name: part_name(gateway, number, slot), bytes, secret: kind == PartKind::Credentials };
    Ok((PartRef { number, kind, slot, digest, bytes: body.len() }, Some(write)))
}
