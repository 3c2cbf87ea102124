//! The index of a bundle: which parts make it up, and in which slot each is.
//!
//! Written as `{"index":{..},"seal":".."}`; the seal is the SHA-256 of the inner object's bytes. This envelope and the
//! field `schema` inside never change, so that every reader can tell a newer bundle from a broken one.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{CONFIG_PARTS, INDEX_BYTES_MAX, PARTS, SCHEMA_OLDEST, Torn, sha256, torn::excerpt};
use crate::{GatewayId, SCHEMA};

/// What a bundle is made of. Written last, so that all it names is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Whose configuration this is.
    pub gateway: GatewayId,
    /// Grows by one with each published change; 1 is the first.
    pub sequence: u64,
    /// The configuration's digest, as [`super::digest`] gives it.
    pub digest: String,
    /// The number of the shape of the entries.
    pub schema: u32,
    /// Features without which nothing of this bundle may be used. What one entry alone needs stands at that entry.
    pub requires: Vec<String>,
    /// Every part once, by number.
    pub parts: Vec<PartRef>,
}

/// One part, as an index names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRef {
    /// 0 to 19.
    pub number: u8,
    /// What it holds; follows from the number.
    pub kind: PartKind,
    /// Which of its two objects holds it now.
    pub slot: Slot,
    /// SHA-256 of its canonical bytes (before compression), 64 lower-case hex digits.
    pub digest: String,
    /// Length of its canonical bytes.
    pub bytes: usize,
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// No secret; the part is a ConfigMap.
    Config,
    /// Credentials of providers; the part is a Secret.
    Credentials,
}

impl PartKind {
    /// The kind of the part with this number.
    #[must_use]
    pub fn of(number: u8) -> Self {
        if number < CONFIG_PARTS { Self::Config } else { Self::Credentials }
    }
}

/// One of the two objects of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// `..-a`
    A,
    /// `..-b`
    B,
}

impl Slot {
    /// The slot that may be written while this one is read.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }
}

/// The name of the object that holds a gateway's index: `<gateway>-snapshot`.
#[must_use]
pub fn index_name(gateway: &GatewayId) -> String {
    format!("{}-snapshot", gateway.name())
}

/// The name of the object that holds a part: `<gateway>-snapshot-07-a`.
#[must_use]
pub fn part_name(gateway: &GatewayId, number: u8, slot: Slot) -> String {
    format!("{}-snapshot-{number:02}-{}", gateway.name(), slot.letter())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    #[serde(borrow)]
    index: &'a RawValue,
    seal: String,
}

/// All that is read before the schema is known.
#[derive(Deserialize)]
struct Head {
    schema: u32,
}

impl Index {
    /// The names of the objects that hold its parts, in the order of [`Self::parts`].
    pub fn part_names(&self) -> impl Iterator<Item = (&PartRef, String)> {
        self.parts.iter().map(|part| (part, part_name(&self.gateway, part.number, part.slot)))
    }

    /// The part with this number.
    #[must_use]
    pub fn part(&self, number: u8) -> Option<&PartRef> {
        self.parts.iter().find(|part| part.number == number)
    }

    /// Its bytes, sealed.
    ///
    /// # Errors
    /// Never for these types; serde has it so.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let index = serde_json::value::to_raw_value(self)?;
        let seal = sha256(index.get().as_bytes());
        serde_json::to_vec(&Sealed { index: &index, seal })
    }

    /// Reads and verifies the index of a gateway. Knows nothing of the parts' bytes yet.
    ///
    /// # Errors
    /// See [`Torn`]: too large, broken, another gateway's, of another schema, or not naming each part once.
    pub fn parse(gateway: &GatewayId, bytes: &[u8]) -> Result<Self, Torn> {
        if bytes.len() > INDEX_BYTES_MAX {
            return Err(Torn::IndexTooLarge { bytes: bytes.len() });
        }
        let unreadable = |error: serde_json::Error| Torn::IndexUnreadable { detail: excerpt(&error.to_string()) };
        let sealed: Sealed<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
        if sha256(sealed.index.get().as_bytes()) != sealed.seal {
            return Err(Torn::IndexSealBroken);
        }
        let Head { schema } = serde_json::from_str(sealed.index.get()).map_err(unreadable)?;
        if schema > SCHEMA {
            return Err(Torn::SchemaTooNew { found: schema });
        }
        if schema < SCHEMA_OLDEST {
            return Err(Torn::SchemaTooOld { found: schema });
        }
        let index: Self = serde_json::from_str(sealed.index.get()).map_err(unreadable)?;
        if index.gateway != *gateway {
            return Err(Torn::ForeignIndex { expected: gateway.clone(), found: index.gateway });
        }
        if !is_digest(&index.digest) {
            return Err(Torn::IndexUnreadable { detail: "its digest is not 64 lower-case hex digits".to_owned() });
        }
        index.check_parts()?;
        Ok(index)
    }

    fn check_parts(&self) -> Result<(), Torn> {
        let mut seen = [false; PARTS as usize];
        for part in &self.parts {
            let Some(seen) = seen.get_mut(usize::from(part.number)) else {
                return Err(Torn::PartUnknown { number: part.number });
            };
            if part.kind != PartKind::of(part.number) {
                return Err(Torn::PartOfWrongKind { number: part.number });
            }
            if std::mem::replace(seen, true) {
                return Err(Torn::PartTwice { number: part.number });
            }
        }
        match (0..PARTS).zip(seen).find(|(_, seen)| !seen) {
            Some((number, _)) => Err(Torn::PartNotNamed { number }),
            None => Ok(()),
        }
    }
}

/// A part's digest needs no such check: it is compared with the bytes. The whole's may go unverified into a log line.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
