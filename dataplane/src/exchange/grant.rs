//! What the caller may do.

use std::sync::Arc;

use snapshot::{KeyHash, Operation, ProviderId};

use crate::live::LiveKey;

/// A known, valid key. Whoever holds one was let in.
#[derive(Debug, Clone)]
pub struct Grant {
    /// What it is found by.
    pub hash: KeyHash,
    /// The key with its allow-lists.
    pub key: Arc<LiveKey>,
}

impl Grant {
    /// The tenant.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.key.id.namespace()
    }

    /// Whether it may use the operation.
    #[must_use]
    pub fn allows_operation(&self, operation: Operation) -> bool {
        match &self.key.key.allow.operations {
            Some(allowed) => allowed.contains(&operation),
            None => operation.is_usual(),
        }
    }

    /// Whether it may use the provider.
    #[must_use]
    pub fn allows_provider(&self, provider: &ProviderId) -> bool {
        self.key.key.allow.providers.as_ref().is_none_or(|allowed| allowed.contains(provider))
    }

    /// Whether no list bounds its models.
    #[must_use]
    pub fn allows_all_models(&self) -> bool {
        self.key.key.allow.models.is_none()
    }

    /// Whether one of these names of a model (as written, as declared) fits its list.
    #[must_use]
    pub fn allows_model<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(allowed) = &self.key.key.allow.models else { return true };
        names.into_iter().any(|name| allowed.iter().any(|glob| glob.matches(name)))
    }
}
