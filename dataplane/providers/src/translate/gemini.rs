//! Gemini's `generateContent`, as the Gemini API and Vertex AI speak it. Providers alone do, so requests are written and
//! answers are read.

mod answer;
mod partial;
pub(super) mod stream;
mod writing;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapshot::Usage;

use super::chat::Stop;
use crate::usage;

pub(super) use answer::read_answer;
pub(super) use writing::write_request;

/// An answer; each event of a stream is one too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, default)]
    prompt_feedback: Option<Feedback<'a>>,
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model_version: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    content: Option<Content<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    grounding_metadata: Option<Grounding<'a>>,
}

/// What the provider looked up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grounding<'a> {
    #[serde(borrow, default)]
    web_search_queries: Option<Vec<&'a RawValue>>,
}

impl Candidate<'_> {
    /// Searches that it tells of.
    fn searches(&self) -> u64 {
        let told = self.grounding_metadata.as_ref().and_then(|grounding| grounding.web_search_queries.as_ref());
        told.map_or(0, |queries| queries.len() as u64)
    }
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<Said<'a>>>,
}

/// A part of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(default)]
    thought: Option<bool>,
    #[serde(borrow, default)]
    thought_signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function_call: Option<FunctionCall<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionCall<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    partial_args: Option<Vec<PartialArg<'a>>>,
    #[serde(default)]
    will_continue: Option<bool>,
}

/// A piece of the arguments of a call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PartialArg<'a> {
    #[serde(borrow, default)]
    json_path: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    string_value: Option<Cow<'a, str>>,
    #[serde(default)]
    number_value: Option<serde_json::Number>,
    #[serde(default)]
    bool_value: Option<bool>,
    #[serde(default)]
    will_continue: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow, default)]
    block_reason: Option<Cow<'a, str>>,
}

fn usage_of(raw: Option<&RawValue>) -> Option<Usage> {
    usage::of_gemini(raw?.get().as_bytes())
}

/// Gemini tells of calls by the calls alone.
fn stop(reason: &str, called: bool) -> Stop {
    match reason {
        "MAX_TOKENS" | "CONTINUATION" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "OTHER"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_OTHER"
        | "NO_IMAGE"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "MODEL_ARMOR"
        | "PUP_LIMITED_DISABLED" => Stop::Filtered,
        _ if called => Stop::Calls,
        _ => Stop::End,
    }
}
