//! What a method and a path ask for.

use http::Method;
use snapshot::{Dialect, Surface};

use crate::exchange::Refusal;

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// A call of a model.
    Call(Surface),
    /// Which models there are.
    Models,
    /// One model by its name.
    Model(&'a str),
}

/// Longest path that an error message repeats.
const PATH_SHOWN_MAX: usize = 128;

pub(super) fn parse<'a>(method: &Method, path: &'a str) -> Result<Asked<'a>, Refusal> {
    let surface = path.strip_prefix("/v1").and_then(|rest| Surface::ALL.into_iter().find(|surface| surface.path() == rest));
    if let Some(surface) = surface {
        return if method == Method::POST { Ok(Asked::Call(surface)) } else { Err(Refusal::MethodNotAllowed { allowed: "POST" }) };
    }
    let asked = match path {
        "/v1/models" | "/v1/models/" => Asked::Models,
        _ => match path.strip_prefix("/v1/models/") {
            Some(model) => Asked::Model(model),
            None => return Err(Refusal::UnknownPath { path: shown(path) }),
        },
    };
    if method == Method::GET || method == Method::HEAD { Ok(asked) } else { Err(Refusal::MethodNotAllowed { allowed: "GET" }) }
}

/// The dialect of errors for a path, also for one that is none.
pub(super) fn dialect(path: &str) -> Dialect {
    if path.starts_with("/v1/messages") { Dialect::Anthropic } else { Dialect::OpenAi }
}

fn shown(path: &str) -> String {
    path.chars().take(PATH_SHOWN_MAX).collect()
}
