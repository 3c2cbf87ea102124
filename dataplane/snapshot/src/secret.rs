//! Secrets: they can be used, never printed or serialised.

use std::collections::BTreeMap;
use std::fmt;

use crate::ProviderId;

/// A value that `Debug` prints as `***` and that has no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The one way to the value; search for `expose` to see who uses secrets.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The providers' credentials, beside the snapshot and never in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials(pub BTreeMap<ProviderId, Secret<String>>);
