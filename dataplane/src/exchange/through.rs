//! What is asked of a provider by its path.

use http::{HeaderMap, Method};
use snapshot::Verb;

/// A request that is passed through. Whoever holds one knows that its path leads nowhere else than it says.
#[derive(Debug)]
pub struct Through {
    /// The provider's name.
    pub provider: String,
    /// The method as it is sent.
    pub method: Method,
    /// The method as it is allowed.
    pub verb: Verb,
    /// Below the provider's base path, as it came: it begins with `/`, and no segment of it is empty, leads upwards or hides
    /// a separator.
    pub path: String,
    /// What followed the `?`.
    pub query: Option<String>,
    /// What of the head goes on.
    pub headers: HeaderMap,
}
