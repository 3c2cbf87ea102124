//! Bedrock's Converse.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::Converse;

use crate::client::{Read, calls, stream, whole};

/// A frame of an event stream.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut told = Vec::new();
    for (name, value) in headers {
        told.push(u8::try_from(name.len()).expect("short"));
        told.extend_from_slice(name.as_bytes());
        told.push(7);
        told.extend_from_slice(&u16::try_from(value.len()).expect("short").to_be_bytes());
        told.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).expect("short").to_be_bytes();
    let mut out = [length(16 + told.len() + payload.len()), length(told.len())].concat();
    out.extend_from_slice(&crc(&out).to_be_bytes());
    out.extend_from_slice(&told);
    out.extend_from_slice(payload.as_bytes());
    out.extend_from_slice(&crc(&out).to_be_bytes());
    out
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn event(kind: &str, payload: &Value) -> Vec<u8> {
    frame(&[(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")], &payload.to_string())
}

fn answer(content: &Value, reason: &str) -> Read {
    let answer = json!({ "output": { "message": { "role": "assistant", "content": content } }, "stopReason": reason,
        "usage": { "inputTokens": 4, "outputTokens": 2, "totalTokens": 6 }, "metrics": { "latencyMs": 9 }, "performanceConfig": { "latency": "optimized" },
        "trace": { "guardrail": { "modelOutput": ["x"], "inputAssessment": {} } }, "additionalModelResponseFields": { "stop_sequence": null } });
    whole(Converse, &BTreeSet::new(), &answer).expect("an answer")
}

fn told(events: &[(&str, Value)]) -> Result<Read, FailureClass> {
    let frames = events.iter().flat_map(|(kind, payload)| event(kind, payload)).collect::<Vec<u8>>();
    stream(Converse, &BTreeSet::new(), frames)
}

fn piece(index: u32, delta: Value) -> (&'static str, Value) {
    ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": delta, "p": "abcdefghij" }))
}

fn begin(index: u32, start: Value) -> (&'static str, Value) {
    ("contentBlockStart", json!({ "contentBlockIndex": index, "start": start }))
}

fn end(index: u32) -> (&'static str, Value) {
    ("contentBlockStop", json!({ "contentBlockIndex": index }))
}

fn stop(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({ "stopReason": reason, "additionalModelResponseFields": { "stop_sequence": null } }))
}

fn usage() -> (&'static str, Value) {
    (
        "metadata",
        json!({ "usage": { "inputTokens": 4, "outputTokens": 2, "totalTokens": 6 }, "metrics": { "latencyMs": 9 }, "trace": { "guardrail": {} }, "performanceConfig": { "latency": "standard" } }),
    )
}

#[test]
fn words_that_rest_on_documents_are_words() {
    let cited = |text: &str| json!({ "citationsContent": { "content": [{ "text": text }], "citations": [{ "title": "Tides", "sourceContent": [{ "text": "high" }], "location": { "documentPage": { "documentIndex": 0, "start": 1, "end": 2 } } }] } });
    let read =
        answer(&json!([{ "text": "It is " }, cited("high"), { "text": ", and " }, cited("wet"), { "citationsContent": {} }]), "end_turn");
    assert_eq!((&*read.text, &*read.finish), ("It is high, and wet", "stop"));
    let read = told(&[
        ("messageStart", json!({ "role": "assistant" })),
        piece(0, json!({ "text": "It is " })),
        end(0),
        piece(
            1,
            json!({ "citation": { "title": "Tides", "sourceContent": [{ "text": "high" }], "location": { "web": { "url": "https://tides.example", "domain": "tides.example" } } } }),
        ),
        piece(1, json!({ "text": "high" })),
        end(1),
        stop("end_turn"),
        usage(),
    ]);
    assert_eq!(read.map(|read| read.text), Ok("It is high".to_owned()));
}

#[test]
fn tools_that_the_provider_runs_are_its_own_affair() {
    let own = json!({ "toolUseId": "tooluse_1", "name": "nova_grounding", "type": "server_tool_use" });
    let result =
        json!({ "toolUseId": "tooluse_1", "type": "nova_grounding_result", "status": "success", "content": [{ "json": { "x": 1 } }] });
    let mut asked = own.clone();
    asked["input"] = json!({ "query": "tides" });
    let client = json!({ "toolUseId": "tooluse_2", "name": "f", "input": { "x": 1 } });
    let content = json!([{ "toolUse": asked }, { "toolResult": result }, { "text": "High." }]);
    let read = answer(&content, "end_turn");
    assert_eq!((read.calls, &*read.text, &*read.finish), (vec![], "High.", "stop"));
    let both = json!([{ "toolUse": asked }, { "toolResult": result }, { "toolUse": client }]);
    assert_eq!(answer(&both, "tool_use").calls, calls(&[("f", json!({ "x": 1 }))]));
    let run = [
        ("messageStart", json!({ "role": "assistant" })),
        begin(0, json!({ "toolUse": own })),
        piece(0, json!({ "toolUse": { "input": "{\"query\":\"tides\"}" } })),
        end(0),
        begin(1, json!({ "toolResult": { "toolUseId": "tooluse_1", "type": "nova_grounding_result", "status": "success" } })),
        piece(1, json!({ "toolResult": [{ "json": { "x": 1 } }] })),
        end(1),
    ];
    let said = [piece(2, json!({ "text": "High." })), end(2), stop("end_turn"), usage()];
    let read = told(&[&run[..], &said].concat()).expect("a stream");
    assert_eq!((read.calls, &*read.text, &*read.finish, read.usage), (vec![], "High.", "stop", Some([4, 2, 0, 0, 0])));
    let called = [
        begin(2, json!({ "toolUse": { "toolUseId": "tooluse_2", "name": "f" } })),
        piece(2, json!({ "toolUse": { "input": "{\"x\":1}" } })),
        end(2),
        stop("tool_use"),
        usage(),
    ];
    let read = told(&[&run[..], &called].concat()).expect("a stream");
    assert_eq!((read.calls, &*read.finish), (calls(&[("f", json!({ "x": 1 }))]), "tool_calls"));
}

#[test]
fn ids_of_calls_are_the_providers_own() {
    let call = json!({ "toolUseId": "functions.f:0", "name": "f" });
    let mut asked = call.clone();
    asked["input"] = json!({});
    assert_eq!(answer(&json!([{ "toolUse": asked }]), "tool_use").ids, ["functions.f:0"]);
    let events = [begin(0, json!({ "toolUse": call })), piece(0, json!({ "toolUse": { "input": "" } })), end(0), usage(), stop("tool_use")];
    let read = told(&events).expect("a stream");
    assert_eq!((read.ids, read.calls), (vec!["functions.f:0".to_owned()], calls(&[("f", json!({}))])));
}

#[test]
fn thoughts_may_be_hidden() {
    let content = json!([
        { "reasoningContent": { "reasoningText": { "text": "Hm.", "signature": "s" } } },
        { "reasoningContent": { "redactedContent": "ZGFyaw==" } },
        { "text": "So." },
    ]);
    let read = answer(&content, "end_turn");
    assert_eq!((&*read.thoughts, &*read.text), ("Hm.", "So."));
    let read = told(&[
        piece(0, json!({ "reasoningContent": { "text": "Hm." } })),
        piece(0, json!({ "reasoningContent": { "signature": "s" } })),
        end(0),
        piece(1, json!({ "reasoningContent": { "redactedContent": "ZGFyaw==" } })),
        end(1),
        piece(2, json!({ "text": "So." })),
        end(2),
        stop("end_turn"),
        usage(),
    ]);
    assert_eq!(read.map(|read| (read.thoughts, read.text)), Ok(("Hm.".to_owned(), "So.".to_owned())));
}

#[test]
fn reasons_to_stop_are_told() {
    for (reason, wanted) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_model_output", "stop"),
        ("malformed_tool_use", "stop"),
    ] {
        assert_eq!(answer(&json!([{ "text": "x" }]), reason).finish, wanted, "{reason}");
        let events = [piece(0, json!({ "text": "x" })), end(0), stop(reason), usage()];
        assert_eq!(told(&events).map(|read| read.finish), Ok(wanted.to_owned()), "{reason}");
    }
}

#[test]
fn usage_that_nobody_told_is_not_told_as_nothing() {
    let events = [piece(0, json!({ "text": "x" })), end(0), stop("end_turn")];
    assert_eq!(told(&events).map(|read| read.usage), Ok(None));
    let cached = json!({ "inputTokens": 4, "outputTokens": 2, "totalTokens": 36, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 20, "cacheDetails": [{ "ttl": "5m", "inputTokens": 20 }] });
    let events = [piece(0, json!({ "text": "x" })), end(0), ("metadata", json!({ "usage": cached })), stop("end_turn")];
    assert_eq!(told(&events).map(|read| read.usage), Ok(Some([34, 2, 10, 20, 0])));
}

#[test]
fn exceptions_break_a_stream_off() {
    for (kind, class) in [
        ("throttlingException", FailureClass::RateLimited),
        ("serviceUnavailableException", FailureClass::Overloaded),
        ("internalServerException", FailureClass::ServerError),
        ("modelStreamErrorException", FailureClass::ServerError),
        ("validationException", FailureClass::BadRequest),
    ] {
        let broken = frame(
            &[(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")],
            r#"{"message":"no"}"#,
        );
        let begun = event("contentBlockDelta", &json!({ "contentBlockIndex": 0, "delta": { "text": "x" } }));
        for frames in [[begun, broken.clone()].concat(), broken] {
            assert_eq!(stream(Converse, &BTreeSet::new(), frames), Err(class), "{kind}");
        }
    }
    let error = frame(&[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "no")], "");
    assert_eq!(stream(Converse, &BTreeSet::new(), error), Err(FailureClass::ServerError));
}
