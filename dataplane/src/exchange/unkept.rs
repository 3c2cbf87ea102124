//! The gateway says no to what is asked of objects that a provider keeps.

use snapshot::Surface;

use super::Refusal;

/// Why. Holds what the client may read, nothing internal.
#[derive(Debug)]
pub enum Unkept {
    /// There is no seal, so that no id can be given to a tenant or taken from one.
    NoSeal,
    /// No such object of the tenant.
    NoSuchObject {
        /// The field that names it.
        field: &'static str,
    },
    /// The provider that keeps it is not in reach any more.
    KeeperGone,
    /// The provider that keeps it has another credential now.
    CredentialGone {
        /// Its name.
        provider: String,
    },
    /// What the call names is kept at another provider than the call leads to.
    KeptElsewhere {
        /// The field that names it.
        field: &'static str,
        /// The name of who keeps it.
        keeper: String,
        /// Where the call leads.
        led: String,
    },
    /// Two things that the call names are kept at two places.
    TwoKeepers {
        /// The field that names the second.
        field: &'static str,
    },
    /// No provider that the key may use keeps such things, or the one that is named does not.
    NoKeeper {
        /// What kind of things.
        surface: Surface,
        /// Its name.
        provider: Option<String>,
    },
    /// Several providers could be meant.
    WhichProvider {
        /// Their names.
        candidates: Vec<String>,
    },
    /// A parameter of the query.
    BadParameter {
        /// Its name, bounded.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// None of the tenant's own is among as many objects as are looked through.
    ListTooLong,
}

impl From<Unkept> for Refusal {
    fn from(unkept: Unkept) -> Self {
        Self::Unkept(unkept)
    }
}
