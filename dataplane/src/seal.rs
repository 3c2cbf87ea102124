//! Ids of objects that a provider keeps, as clients hold them: sealed with whose they are and where they are kept.
//!
//! A provider sees one account, whoever of our tenants asks, so that an id alone proves nothing. What goes out is the id
//! encrypted and authenticated together with its tenant, its provider and its credential, and only that comes in again.
//!
//! Invariants: the same object has the same text each time; one changed byte, another tenant, another kind of object or
//! another key opens nothing, and nothing tells which of these it was.

mod file;
mod keys;
mod mark;
mod text;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sha2::{Digest, Sha256};

pub use file::{NoSeal, SealFile};
pub use keys::{BadKeys, Keys};

/// Where an object is kept: fingerprints of the provider's name and of its credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Of the provider.
    pub provider: [u8; 8],
    /// Of the credential that it was made with.
    pub credential: [u8; 8],
}

impl Place {
    /// Of a provider and its credential.
    #[must_use]
    pub fn of(provider: &str, credential: Option<&str>) -> Self {
        let credential = credential.map_or([0; 8], |secret| fingerprint(&["credential", provider, secret]));
        Self { provider: fingerprint(&["provider", provider]), credential }
    }
}

fn fingerprint(of: &[&str]) -> [u8; 8] {
    let digest = Sha256::digest(of.join("\0"));
    let mut first = [0; 8];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    first
}

/// What an id names. An id of one kind is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// An answer of the Responses API.
    Response,
}

impl Kind {
    /// Part of what is authenticated: must never change.
    fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Response => "response",
        }
    }

    /// Stands before an id whose own beginning says nothing.
    fn prefix(self) -> &'static str {
        match self {
            Self::File => "file-",
            Self::Response => "resp_",
        }
    }
}

/// Where the current keys hang; swapped whole. Empty: there are none, and nothing can be sealed.
#[derive(Debug, Default)]
pub struct SealHandle(ArcSwapOption<Keys>);

impl SealHandle {
    /// The current keys.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Keys>> {
        self.0.load_full()
    }

    /// Puts other keys, or none, in the place of the current ones.
    pub fn swap(&self, keys: impl Into<Option<Keys>>) {
        self.0.store(keys.into().map(Arc::new));
    }
}

/// Who an id belongs to: a team of a gateway.
#[derive(Debug, Clone, Copy)]
pub struct Tenant<'a> {
    /// `namespace/name` of the gateway.
    pub gateway: &'a str,
    /// The proven team.
    pub team: &'a str,
}

impl Tenant<'_> {
    /// Neither name can hold a zero, so that no two tenants are written alike.
    fn written(self) -> Vec<u8> {
        [self.gateway.as_bytes(), b"\0", self.team.as_bytes()].concat()
    }
}

/// The seal in the hand of one tenant.
#[derive(Clone)]
pub struct Seals {
    keys: Arc<Keys>,
    tenant: Arc<[u8]>,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seals(***)")
    }
}

impl Seals {
    /// Of a tenant.
    #[must_use]
    pub fn new(keys: Arc<Keys>, tenant: Tenant<'_>) -> Self {
        Self { keys, tenant: tenant.written().into() }
    }

    /// An id as the client gets it; `None` for a text that is too long or too strange to be one.
    #[must_use]
    pub fn seal(&self, kind: Kind, place: Place, id: &str) -> Option<String> {
        text::seal(self.keys.first(), (kind, &self.tenant), place, id)
    }

    /// What a client's id stands for; `None`, whatever is wrong with it.
    #[must_use]
    pub fn open(&self, kind: Kind, sealed: &str) -> Option<(Place, String)> {
        let parsed = text::Sealed::parse(sealed)?;
        self.keys.all().find_map(|key| parsed.open(key, (kind, &self.tenant)))
    }

    /// The tenant's mark, which a provider keeps in a file's name, and its place in that.
    #[must_use]
    pub fn mark(&self, filename: &str) -> (usize, String) {
        (mark::place(filename), mark::written(&self.keys.first().mark(&self.tenant)))
    }

    /// Every text that may be a mark of the tenant.
    pub fn marks(&self) -> impl Iterator<Item = String> {
        self.keys.all().map(|key| mark::written(&key.mark(&self.tenant)))
    }

    /// A file's name without the mark; `None` for a name that does not bear this tenant's.
    #[must_use]
    pub fn unmarked(&self, filename: &str) -> Option<String> {
        self.keys.all().find_map(|key| mark::take(filename, &key.mark(&self.tenant)))
    }
}

#[cfg(test)]
mod tests;
