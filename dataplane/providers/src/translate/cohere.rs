//! Cohere's chat, version 2. Providers alone speak it, so requests are written and answers are read.

mod answer;
pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;

use super::chat::Stop;

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

fn stop(reason: &str, called: bool) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::Length,
        "ERROR_TOXIC" => Stop::Filtered,
        "TOOL_CALL" => Stop::Calls,
        _ if called => Stop::Calls,
        _ => Stop::End,
    }
}
