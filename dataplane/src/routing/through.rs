//! Which provider does a path name, and does it let the path through? No policy is asked: a path is one provider's own.

use std::sync::Arc;

use super::{nearest, no_fallback, several_called};
use crate::exchange::{Attempt, Grant, Plan, Refusal, Through};
use crate::live::{Live, LiveProvider};

/// Longest path that an error message repeats.
const PATH_SHOWN_MAX: usize = 128;

/// A plan of one attempt.
///
/// # Errors
/// There is no such provider, or it does not let the path through.
pub fn through(live: &Live, grant: &Grant, through: &Through) -> Result<Plan, Refusal> {
    let shown = |text: &str| text.chars().take(PATH_SHOWN_MAX).collect();
    let named = live.models.named(grant.namespace(), &through.provider);
    let named: Vec<&Arc<LiveProvider>> = named.filter(|provider| grant.allows_provider(&provider.provider.id)).collect();
    let provider = match nearest(live, grant, named, |provider| provider.provider.id.namespace()).as_slice() {
        [] => return Err(Refusal::NoSuchProvider { name: shown(&through.provider) }),
        [provider] => *provider,
        several => return Err(several_called(&through.provider, several)),
    };
    let admitted = provider.provider.proxy.as_ref().and_then(|proxy| proxy.admits(through.verb, &through.path));
    let Some(pattern) = admitted else {
        let provider = provider.provider.id.name().to_owned();
        return Err(Refusal::PathNotAllowed { provider, path: shown(&through.path), method: through.method.to_string() });
    };
    let attempt = Attempt { provider: provider.clone(), model: "".into(), declared: None };
    Ok(Plan { attempts: vec![attempt], fallback_on: no_fallback(), rule: Some(pattern.as_str().into()) })
}
