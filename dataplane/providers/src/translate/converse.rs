//! Bedrock's Converse. Providers alone speak it, so requests are written and answers are read.
//!
//! An answer names neither itself nor its model, and a stream comes in the frames of [`crate::eventstream`].

mod answer;
pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;

use super::chat::Stop;

pub(super) use answer::read_answer;
pub(super) use writing::write_request;

/// A thought of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow, default)]
    reasoning_text: Option<ReasoningText<'a>>,
    /// In base64.
    #[serde(borrow, default)]
    redacted_content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ReasoningText<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
}

/// Whether a tool of this type is one that the provider runs itself.
fn is_the_providers(kind: Option<&str>) -> bool {
    kind == Some("server_tool_use")
}

fn stop(reason: &str, called: bool) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "guardrail_intervened" | "content_filtered" => Stop::Filtered,
        "tool_use" => Stop::Calls,
        _ if called => Stop::Calls,
        _ => Stop::End,
    }
}
