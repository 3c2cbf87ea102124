//! What of a provider clients may reach by its path.

use snapshot::{PathPattern, Proxy, Verb};

use crate::api::proxy::{self as api, MethodName};
use crate::report::Problem;

/// As the machine needs it.
pub(super) fn lower(proxy: &api::Proxy) -> Result<Proxy, Problem> {
    let pattern = |text: &String| {
        let path = || "spec.proxy.paths".to_owned();
        PathPattern::new(text).map_err(|error| Problem::Malformed { path: path(), why: format!("{text}: {error}") })
    };
    let verb = |name: &MethodName| match name {
        MethodName::GET => Verb::Get,
        MethodName::POST => Verb::Post,
        MethodName::PUT => Verb::Put,
        MethodName::PATCH => Verb::Patch,
        MethodName::DELETE => Verb::Delete,
    };
    let paths = proxy.paths.iter().map(pattern).collect::<Result<_, _>>()?;
    Ok(Proxy { paths, methods: proxy.methods.iter().map(verb).collect() })
}
