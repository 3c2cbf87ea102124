//! Virtual keys: who may call, and what.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::{Glob, KeyId, Operation, PolicyId, ProviderId, TeamName, hex};

/// A virtual key as the machine needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Which VirtualKey this is.
    pub id: KeyId,
    /// Who answers for its calls; receipts carry it.
    pub owner: Owner,
    /// SHA-256 of each text that is this key now.
    pub hashes: BTreeSet<KeyHash>,
    /// What it may do.
    pub allow: Allow,
    /// Seconds since 1970 from which it is refused.
    pub expires_at: Option<i64>,
    /// Refused until it is resumed.
    pub suspended: bool,
    /// Calls that may run at once in this process.
    pub calls_in_flight_max: Option<u32>,
    /// Where its calls go; by default wherever the model is declared.
    pub policy: Option<PolicyId>,
}

/// Labels of a key for receipts and, later, budgets. `team` is proven by the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The namespace, or a name that the gateway granted to it.
    pub team: TeamName,
    /// A person.
    pub user: Option<String>,
    /// A program.
    pub application: Option<String>,
    /// `prod`, `staging` and the like.
    pub environment: Option<String>,
    /// Who pays.
    pub cost_center: Option<String>,
}

/// Allow-lists. An absent list allows all that the namespace may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Names of models as the client writes them.
    pub models: Option<Vec<Glob>>,
    /// Providers.
    pub providers: Option<BTreeSet<ProviderId>>,
    /// Operations.
    pub operations: Option<BTreeSet<Operation>>,
}

/// SHA-256 of a key's text, 64 lower-case hex digits when written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyHash(pub [u8; 32]);

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::with(&self.0, |text| serializer.serialize_str(text))
    }
}

impl TryFrom<String> for KeyHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = text.as_bytes();
        let digit = |b: u8| match b {
            b'0'..=b'9' => Ok(b - b'0'),
            b'a'..=b'f' => Ok(b - b'a' + 10),
            _ => Err("a hash is 64 lower-case hex digits"),
        };
        if bytes.len() != 64 {
            return Err("a hash is 64 lower-case hex digits");
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::with(&self.0, |text| f.write_str(text))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}
