//! What was read beside what must be read.

use e2e::client::Answer;
use serde_json::{Value, json};

use crate::cases::Case;
use crate::strict::{self, Read};

/// Errors that the client is told otherwise than the provider told the gateway: its status, and the code. What a recording
/// expects of an error is the provider's own status; these are where that would tell the client something untrue.
const REFUSALS: [(&str, u16, &str); 8] = [
    // The key that the provider does not take is the gateway's: a 401 would send the client to look for its own.
    ("azure/error-401", 502, "upstream_auth_failed"),
    ("deepseek/error-401", 502, "upstream_auth_failed"),
    ("mistral/error-401", 502, "upstream_auth_failed"),
    ("openai/error-401", 502, "upstream_auth_failed"),
    ("perplexity/error-401", 502, "upstream_auth_failed"),
    // A model that is not there is a 404 with everybody else.
    ("bedrock/error-400-stream", 404, "upstream_not_found"),
    ("bedrock/error-400-validation", 404, "upstream_not_found"),
    // The gateway's money there is used up, which is no fault of the request.
    ("openai/vx-responses-error", 503, "upstream_quota_exceeded"),
];

/// Recordings that leave what must be read to judgement, by their own word: the steps of one answer are added up, since all of
/// them are billed.
const COMPACTION: &str = "anthropic/vx-compaction";
/// And an answer that begins a second time in the middle of a call: what was told is told, so the stream must end in good form.
/// It ends with an error, because the arguments of the first call are cut off, and no client is to make it.
const SPLICED: &str = "anthropic/vx-stream-spliced-message-start";
/// And Cohere's text `null` for no arguments: arguments are an object, as seven of the frameworks that are tried against the
/// gateway insist (`e2e/tests/sdk`), and the SDK of whose tests the recording is.
const NO_ARGUMENTS: &str = "cohere/vx-tool-null-args";

/// What is wrong with what a client was given; nothing, where all is as expected.
pub fn judge(case: &Case, answer: &Answer) -> Vec<String> {
    if case.is_refusal() {
        return refusal(case, answer);
    }
    if answer.status != 200 {
        return vec![format!("{} {}", answer.status, answer.text())];
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let wanted = if case.stream { "text/event-stream" } else { "application/json" };
    let read = if case.stream { strict::stream(&answer.body) } else { strict::whole(&answer.body) };
    let mut wrong = if case.name == SPLICED { broken_off(&read) } else { compared(case, &read) };
    if !kind.starts_with(wanted) {
        wrong.push(format!("it comes as {kind}"));
    }
    wrong
}

/// A stream that ends with an error in good form.
fn broken_off(read: &Read) -> Vec<String> {
    let mut wrong = read.complaints.clone();
    if read.error["code"] != "upstream_invalid_response" || !read.calls.is_empty() || !read.finish.is_null() {
        wrong.push(format!("it does not break off in good form: {read:?}"));
    }
    wrong
}

fn refusal(case: &Case, answer: &Answer) -> Vec<String> {
    let (status, code) = REFUSALS.iter().find(|(name, ..)| *name == case.name).map_or((case.status, None), |row| (row.1, Some(row.2)));
    let error = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()["error"].clone();
    let mut wrong = Vec::new();
    if answer.status != status || code.is_some_and(|code| error["code"] != code) {
        wrong.push(format!("{} {error}, and {status} {} is expected", answer.status, code.unwrap_or_default()));
    }
    if error["message"].as_str().is_none_or(str::is_empty) || !error["type"].is_string() {
        wrong.push(format!("that is no error of OpenAI's: {}", answer.text()));
    }
    wrong
}

/// Calls without their ids, for providers that give none.
fn without_ids(calls: &Value) -> Value {
    let shown = |call: &Value| json!({ "name": call["name"], "arguments": call["arguments"] });
    calls.as_array().into_iter().flatten().map(shown).collect()
}

fn compared(case: &Case, read: &Read) -> Vec<String> {
    let expected = &case.expected;
    let mut wrong = read.complaints.clone();
    let mut same = |what: &str, told: &Value, wanted: &Value| {
        if told != wanted {
            wrong.push(format!("{what}: read {told}, expected {wanted}"));
        }
    };
    same("text", &json!(read.text), &expected["text"]);
    same("reasoning", &json!(read.reasoning), &expected["reasoning"]);
    let mut wanted = expected["tool_calls"].clone();
    if case.name == NO_ARGUMENTS {
        wanted[0]["arguments"] = json!({});
    }
    let (calls, wanted) = (Value::from(read.calls.clone()), &wanted);
    if wanted.as_array().into_iter().flatten().all(|call| call["id"].is_string()) {
        same("tool_calls", &calls, wanted);
    } else {
        same("tool_calls", &without_ids(&calls), &without_ids(wanted));
    }
    same("finish_reason", &read.finish, &expected["finish_reason"]);
    if expected["tool_plan"].is_string() {
        same("tool_plan", &json!(read.plan), &expected["tool_plan"]);
    }
    for field in ["message", "type", "code"] {
        same(&format!("error.{field}"), &read.error[field], &expected["error"][field]);
    }
    let mut billed = expected["usage"].clone();
    if case.name == COMPACTION {
        (billed["prompt_tokens"], billed["completion_tokens"], billed["total_tokens"]) = (json!(61_067), json!(1912), json!(62_979));
    }
    usage(&read.usage, &billed, &mut same);
    wrong
}

fn usage(told: &Value, wanted: &Value, same: &mut impl FnMut(&str, &Value, &Value)) {
    if wanted.is_null() {
        return same("usage", told, &Value::Null);
    }
    for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        same(name, &told[name], &wanted[name]);
    }
    let (prompt, completion) = (&told["prompt_tokens_details"], &told["completion_tokens_details"]);
    for (name, detail) in [
        ("cached_tokens", &prompt["cached_tokens"]),
        ("cache_write_tokens", &prompt["cache_write_tokens"]),
        ("reasoning_tokens", &completion["reasoning_tokens"]),
    ] {
        // Null: the provider does not say.
        if !wanted[name].is_null() {
            same(name, &json!(detail.as_u64().unwrap_or(0)), &wanted[name]);
        }
    }
}
