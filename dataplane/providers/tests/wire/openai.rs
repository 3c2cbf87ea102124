//! OpenAI's chat and those who speak it as it is: what passes is read by clients of the other dialects too.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::ChatCompletions;

use crate::client::{Read, calls, events, stream, whole};

fn chunk(delta: Value, finish: Value) -> Value {
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }], "usage": null, "obfuscation": "abc" })
}

fn told(all: &[Value]) -> Result<Read, FailureClass> {
    stream(ChatCompletions, &BTreeSet::new(), events(all, true))
}

fn answer(message: Value, reason: &str) -> Read {
    let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "gpt", "choices": [{ "index": 0, "message": message, "logprobs": { "content": [], "refusal": null }, "finish_reason": reason }],
        "usage": { "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": { "cached_tokens": 2, "audio_tokens": 0 }, "completion_tokens_details": { "reasoning_tokens": 1, "audio_tokens": 3, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 } },
        "service_tier": "flex", "system_fingerprint": "fp" });
    whole(ChatCompletions, &BTreeSet::new(), &answer).expect("an answer")
}

#[test]
fn words_beside_sound_and_links_are_told() {
    let message = json!({ "role": "assistant", "content": null, "refusal": null, "audio": { "id": "a", "expires_at": 9, "data": "AAAA", "transcript": "High." }, "annotations": [] });
    assert_eq!(answer(message, "stop").usage, Some([9, 4, 2, 0, 1]));
    let cited = json!([{ "type": "url_citation", "url_citation": { "start_index": 0, "end_index": 4, "url": "https://tides.example", "title": "Tides" } }]);
    assert_eq!(answer(json!({ "role": "assistant", "content": "High.", "annotations": cited }), "stop").text, "High.");
    let read = told(&[
        chunk(json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null),
        chunk(json!({ "content": "High." }), Value::Null),
        chunk(json!({ "annotations": cited }), Value::Null),
        chunk(json!({ "audio": { "id": "a", "transcript": "Hi" } }), Value::Null),
        chunk(json!({}), json!("stop")),
        json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": [], "usage": { "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 } }),
    ]);
    assert_eq!(read.map(|read| (read.text, read.usage)), Ok(("High.".to_owned(), Some([9, 4, 0, 0, 0]))));
}

#[test]
fn refusals_and_filters_are_told() {
    let read = answer(json!({ "role": "assistant", "content": null, "refusal": "Not this." }), "stop");
    assert_eq!((&*read.refusal, &*read.text, &*read.finish), ("Not this.", "", "stop"));
    let read = told(&[
        chunk(json!({ "role": "assistant", "content": "", "refusal": null }), Value::Null),
        chunk(json!({ "refusal": "Not " }), Value::Null),
        chunk(json!({ "refusal": "this." }), Value::Null),
        chunk(json!({}), json!("stop")),
    ]);
    assert_eq!(read.map(|read| read.refusal), Ok("Not this.".to_owned()));
    let read = told(&[chunk(json!({ "role": "assistant", "content": "x" }), Value::Null), chunk(json!({}), json!("content_filter"))]);
    assert_eq!(read.map(|read| read.finish), Ok("content_filter".to_owned()));
}

#[test]
fn calls_that_come_interleaved_stay_apart() {
    let call = |index: u32, id: &str, arguments: &str| {
        let mut call = json!({ "index": index, "function": { "arguments": arguments } });
        if !id.is_empty() {
            call = json!({ "index": index, "id": id, "type": "function", "function": { "name": id, "arguments": arguments } });
        }
        call
    };
    let read = told(&[
        chunk(json!({ "role": "assistant", "content": null, "tool_calls": [call(0, "a", "")] }), Value::Null),
        chunk(json!({ "tool_calls": [call(1, "b", ""), call(0, "", "{\"x\":")] }), Value::Null),
        chunk(json!({ "tool_calls": [call(1, "", "{}")] }), Value::Null),
        chunk(json!({ "tool_calls": [call(0, "", "1}")] }), Value::Null),
        chunk(json!({}), json!("tool_calls")),
    ]);
    assert_eq!(read.map(|read| read.calls), Ok(calls(&[("a", json!({ "x": 1 })), ("b", json!({}))])));
}

#[test]
fn errors_in_a_stream_have_their_class() {
    let begun = chunk(json!({ "role": "assistant", "content": "x" }), Value::Null);
    for (error, class) in [
        (json!({ "message": "no", "type": "server_error", "code": null, "param": null }), FailureClass::ServerError),
        (json!({ "message": "no", "type": "tokens", "code": "rate_limit_exceeded", "param": null }), FailureClass::RateLimited),
        (json!({ "message": "no", "code": 502, "metadata": { "provider_name": "P" } }), FailureClass::ServerError),
        (
            json!({ "message": "no", "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": "x", "status_code": 400 }),
            FailureClass::BadRequest,
        ),
        (json!({ "message": "no", "type": "insufficient_quota", "code": "insufficient_quota" }), FailureClass::QuotaExceeded),
    ] {
        for text in [format!("event: error\ndata: {}\n\n", json!({ "error": error })), format!("data: {}\n\n", json!({ "error": error }))] {
            assert_eq!(
                stream(ChatCompletions, &BTreeSet::new(), events(std::slice::from_ref(&begun), false) + &text),
                Err(class),
                "{text}"
            );
        }
    }
}
