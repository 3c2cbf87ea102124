//! Cohere's chat, version 2. Providers alone speak it, so requests are written and answers are read.

mod answer;
pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;
use snapshot::FailureClass;

use super::chat::Stop;
use crate::fault::Fault;

pub(super) use answer::read_answer;
pub(super) use writing::write_request;

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<Cow<'a, str>>,
}

/// The failure that an answer ended with, if it did.
fn failed(reason: &str, why: Option<&str>) -> Option<Fault> {
    let class = match reason {
        "ERROR" => FailureClass::ServerError,
        "TIMEOUT" => FailureClass::Timeout,
        _ => return None,
    };
    Some(Fault::new(class, why.unwrap_or("the answer ended with an error")))
}

fn stop(reason: &str, called: bool) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::Length,
        "ERROR_TOXIC" => Stop::Filtered,
        "TOOL_CALL" => Stop::Calls,
        _ if called => Stop::Calls,
        _ => Stop::End,
    }
}
