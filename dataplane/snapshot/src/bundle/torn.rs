//! Why a bundle is not joined.

use super::{INDEX_BYTES_MAX, PART_BYTES_MAX, PART_CANONICAL_BYTES_MAX, SCHEMA_OLDEST};
use crate::{GatewayId, SCHEMA};

/// Why a bundle is refused as a whole. No message holds a credential, nor more than an excerpt of what was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Torn {
    /// More than [`INDEX_BYTES_MAX`].
    #[error("the index has {bytes} bytes, at most {INDEX_BYTES_MAX} are read")]
    IndexTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Cut, or not an index at all.
    #[error("the index cannot be read: {detail}")]
    IndexUnreadable {
        /// What the decoder says.
        detail: String,
    },
    /// It was changed after it was sealed.
    #[error("the index does not fit its seal: it was changed by another hand or damaged")]
    IndexSealBroken,
    /// It is of another gateway.
    #[error("the index is of gateway {found}, not of {expected}")]
    ForeignIndex {
        /// The reader's.
        expected: GatewayId,
        /// The index's.
        found: GatewayId,
    },
    /// A newer operator wrote it.
    #[error("the bundle has schema {found}, this reader takes at most {SCHEMA}: upgrade this data plane")]
    SchemaTooNew {
        /// The index's.
        found: u32,
    },
    /// Older than the schema before the reader's.
    #[error("the bundle has schema {found}, this reader takes at least {SCHEMA_OLDEST}: upgrade the operator")]
    SchemaTooOld {
        /// The index's.
        found: u32,
    },
    /// The gateway itself, or the whole bundle, needs what this reader does not have.
    #[error("the bundle needs {features:?}, which this reader does not have: upgrade this data plane")]
    FeatureMissing {
        /// What it needs.
        features: Vec<String>,
    },
    /// The index names a part that no bundle has.
    #[error("the index names part {number}, which no bundle has")]
    PartUnknown {
        /// Its number.
        number: u8,
    },
    /// A part of credentials would be read from a ConfigMap, or the reverse.
    #[error("the index gives part {number} the wrong kind")]
    PartOfWrongKind {
        /// Its number.
        number: u8,
    },
    /// The index names a part more than once.
    #[error("the index names part {number} twice")]
    PartTwice {
        /// Its number.
        number: u8,
    },
    /// The index leaves a part out.
    #[error("the index does not name part {number}")]
    PartNotNamed {
        /// Its number.
        number: u8,
    },
    /// The index names a part that is not there.
    #[error("part {name} is missing")]
    PartMissing {
        /// Its object.
        name: String,
    },
    /// More than [`PART_BYTES_MAX`].
    #[error("part {name} has {bytes} bytes, at most {PART_BYTES_MAX} are read")]
    PartTooLarge {
        /// Its object.
        name: String,
        /// Its length as written.
        bytes: usize,
    },
    /// It would inflate to more than [`PART_CANONICAL_BYTES_MAX`].
    #[error("part {name} would inflate to {bytes} bytes, at most {PART_CANONICAL_BYTES_MAX} are")]
    PartTooLargeInflated {
        /// Its object.
        name: String,
        /// What the index says.
        bytes: usize,
    },
    /// It does not inflate: cut or damaged.
    #[error("part {name} does not inflate: it is cut or damaged")]
    PartBroken {
        /// Its object.
        name: String,
    },
    /// Bytes follow its end.
    #[error("part {name} has bytes behind its end")]
    PartTrailing {
        /// Its object.
        name: String,
    },
    /// It inflates to another length than the index says.
    #[error("part {name} does not have the length that the index says: it is of another revision")]
    PartWrongLength {
        /// Its object.
        name: String,
    },
    /// It is not what the index says.
    #[error("part {name} does not have the digest that the index says: it is of another revision")]
    PartWrongDigest {
        /// Its object.
        name: String,
    },
    /// The operator that wrote it disagrees with this reader on the shape of parts.
    #[error("part {name} cannot be read: {detail}")]
    PartUnreadable {
        /// Its object.
        name: String,
        /// What the decoder says; only the place for credentials.
        detail: String,
    },
    /// It says of itself that it belongs elsewhere: to another gateway, number or schema.
    #[error("part {name} belongs elsewhere: it says that it is part {number} of {gateway} in schema {schema}")]
    PartForeign {
        /// Its object.
        name: String,
        /// What it says.
        gateway: GatewayId,
        /// What it says.
        number: u8,
        /// What it says.
        schema: u32,
    },
    /// An entry cannot be decoded.
    #[error("{kind} {id} in part {name} cannot be read: {detail}")]
    EntryUnreadable {
        /// Its part's object.
        name: String,
        /// Its kind's word.
        kind: String,
        /// Its id.
        id: String,
        /// What the decoder says; only the place for credentials.
        detail: String,
    },
    /// An entry stands in a part where no reader would look for it.
    #[error("{kind} {id} does not belong into part {name}")]
    EntryMisplaced {
        /// Its part's object.
        name: String,
        /// Its kind's word.
        kind: String,
        /// Its id.
        id: String,
    },
    /// An entry comes twice.
    #[error("{kind} {id} comes twice in part {name}")]
    EntryTwice {
        /// Its part's object.
        name: String,
        /// Its kind's word.
        kind: String,
        /// Its id.
        id: String,
    },
    /// No part holds the gateway itself.
    #[error("no part holds the gateway itself")]
    GatewayMissing,
    /// All parts are as the index says, yet together they are not what was published.
    #[error("the joined configuration does not have the digest that the index says")]
    WrongDigest,
}

/// The beginning of a text that someone else wrote, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    short
}
