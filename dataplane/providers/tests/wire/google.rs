//! Gemini's `generateContent`.

use std::collections::BTreeSet;

use providers::fault::Fault;
use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::GenerateContent;

use crate::client::{Read, calls, events, stream, whole};

fn answer(answer: &Value) -> Result<Read, Fault> {
    whole(GenerateContent, &BTreeSet::new(), answer)
}

fn told(all: &[Value]) -> Result<Read, FailureClass> {
    stream(GenerateContent, &BTreeSet::new(), events(all, false))
}

fn candidate(parts: Value, reason: &str) -> Value {
    json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts }, "finishReason": reason }], "modelVersion": "gemini", "responseId": "r" })
}

fn own_tools() -> Vec<Value> {
    vec![
        json!({ "executableCode": { "id": "x", "language": "PYTHON", "code": "print(4)" } }),
        json!({ "codeExecutionResult": { "id": "x", "outcome": "OUTCOME_OK", "output": "4\n" } }),
        json!({ "toolCall": { "id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": { "queries": ["tides"] } }, "thoughtSignature": "s" }),
        json!({ "toolResponse": { "id": "t", "toolType": "GOOGLE_SEARCH_WEB", "response": { "x": 1 } } }),
        json!({ "thoughtSignature": "s", "text": "" }),
    ]
}

#[test]
fn tools_that_the_provider_runs_are_its_own_affair() {
    let mut parts = vec![json!({ "text": "Hm.", "thought": true, "thoughtSignature": "s" }), json!({ "text": "I look. " })];
    parts.extend(own_tools());
    parts.push(json!({ "text": "Four.", "thoughtSignature": "s" }));
    let wanted = || Read { text: "I look. Four.".into(), thoughts: "Hm.".into(), finish: "stop".into(), ..Read::default() };
    let mut all = candidate(parts.clone().into(), "STOP");
    all["candidates"][0]["groundingMetadata"] = json!({ "webSearchQueries": ["tides"], "searchEntryPoint": { "renderedContent": "<b>" }, "groundingChunks": [{ "web": { "uri": "https://tides.example", "title": "Tides" } }], "groundingSupports": [{ "segment": { "endIndex": 4, "text": "Four" }, "groundingChunkIndices": [0] }] });
    all["candidates"][0]["urlContextMetadata"] =
        json!({ "urlMetadata": [{ "retrievedUrl": "https://tides.example", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS" }] });
    all["candidates"][0]["citationMetadata"] =
        json!({ "citationSources": [{ "startIndex": 0, "endIndex": 4, "uri": "https://tides.example" }] });
    all["candidates"][0]["safetyRatings"] =
        json!([{ "category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE", "blocked": false }]);
    assert_eq!(answer(&all), Ok(wanted()));
    let mut pieces: Vec<Value> = parts.iter().map(|part| json!({ "candidates": [{ "content": { "role": "model", "parts": [part] } }], "modelVersion": "gemini", "responseId": "r" })).collect();
    pieces.push(
        json!({ "candidates": [{ "content": {}, "finishReason": "STOP", "index": 0 }], "modelVersion": "gemini", "responseId": "r" }),
    );
    assert_eq!(told(&pieces), Ok(wanted()));
}

#[test]
fn reasons_to_stop_are_told() {
    for (reason, wanted) in [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("OTHER", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("NO_IMAGE", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "stop"),
        ("TOO_MANY_TOOL_CALLS", "stop"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
    ] {
        for content in [json!({ "role": "model", "parts": [{ "text": "x" }] }), json!({ "role": "model" }), json!({}), Value::Null] {
            let mut all = candidate(json!([]), reason);
            all["candidates"][0]["content"] = content;
            all["candidates"][0]["finishMessage"] = json!("why");
            assert_eq!(answer(&all).map(|read| read.finish), Ok(wanted.to_owned()), "{all}");
            assert_eq!(told(&[all.clone()]).map(|read| read.finish), Ok(wanted.to_owned()), "{all}");
        }
    }
}

#[test]
fn a_prompt_that_is_blocked_is_filtered() {
    for reason in ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK"] {
        let all = json!({ "promptFeedback": { "blockReason": reason, "blockReasonMessage": "no" }, "usageMetadata": { "promptTokenCount": 7, "totalTokenCount": 7 }, "modelVersion": "gemini", "responseId": "r" });
        let wanted = || Read { finish: "content_filter".into(), usage: Some([7, 0, 0, 0, 0]), ..Read::default() };
        assert_eq!(answer(&all), Ok(wanted()), "{reason}");
        assert_eq!(told(&[all]), Ok(wanted()), "{reason}");
    }
}

#[test]
fn an_answer_without_an_id_gets_one() {
    let mut all = candidate(json!([{ "functionCall": { "name": "f", "args": { "x": 1 } } }, { "functionCall": { "name": "f" } }]), "STOP");
    all.as_object_mut().expect("an object").remove("responseId");
    let read = answer(&all).expect("an answer");
    assert_eq!((&read.calls, &*read.finish), (&calls(&[("f", json!({ "x": 1 })), ("f", json!({}))]), "tool_calls"));
    let streamed = told(&[all]).expect("a stream");
    assert_eq!((&streamed.calls, &*streamed.finish), (&read.calls, "tool_calls"));
    assert_ne!(read.ids[0], read.ids[1]);
}

#[test]
fn all_that_is_read_and_thought_is_counted_once() {
    let mut all = candidate(json!([{ "text": "x" }]), "STOP");
    let usage = json!({ "promptTokenCount": 10, "toolUsePromptTokenCount": 30, "cachedContentTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 5, "totalTokenCount": 48, "trafficType": "ON_DEMAND", "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 10 }] });
    all["usageMetadata"] = usage;
    assert_eq!(answer(&all).map(|read| read.usage), Ok(Some([40, 8, 4, 0, 5])));
    let mut first = candidate(json!([{ "text": "x" }]), "STOP");
    first["candidates"][0].as_object_mut().expect("an object").remove("finishReason");
    let mut only_traffic = first.clone();
    only_traffic["usageMetadata"] = json!({ "trafficType": "ON_DEMAND" });
    first["usageMetadata"] = json!({ "promptTokenCount": 10, "totalTokenCount": 10 });
    assert_eq!(told(&[first, only_traffic, all]).map(|read| read.usage), Ok(Some([40, 8, 4, 0, 5])));
}

#[test]
fn of_two_candidates_the_first_is_told() {
    let all = json!({ "candidates": [{ "index": 1, "content": { "parts": [{ "text": "second" }] }, "finishReason": "MAX_TOKENS" }, { "content": { "parts": [{ "text": "first" }] }, "finishReason": "STOP" }], "modelVersion": "gemini", "responseId": "r" });
    let wanted = || Read { text: "first".into(), finish: "stop".into(), ..Read::default() };
    assert_eq!(answer(&all), Ok(wanted()));
    assert_eq!(told(&[all]), Ok(wanted()));
}

#[test]
fn errors_in_the_place_of_an_answer_have_their_class() {
    for (code, status, class) in [
        (429, "RESOURCE_EXHAUSTED", FailureClass::RateLimited),
        (503, "UNAVAILABLE", FailureClass::Overloaded),
        (500, "INTERNAL", FailureClass::ServerError),
        (504, "DEADLINE_EXCEEDED", FailureClass::Timeout),
        (400, "INVALID_ARGUMENT", FailureClass::BadRequest),
        (403, "PERMISSION_DENIED", FailureClass::AuthFailed),
        (404, "NOT_FOUND", FailureClass::NotFound),
    ] {
        let error = json!({ "error": { "code": code, "message": "no", "status": status } });
        assert_eq!(answer(&error).map_err(|fault| fault.class), Err(class), "{status}");
        let begun = json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] } }], "responseId": "r", "modelVersion": "g" });
        assert_eq!(told(&[begun.clone(), error.clone()]), Err(class), "{status}");
        let list = json!([begun, error]).to_string();
        assert_eq!(stream(GenerateContent, &BTreeSet::new(), list), Err(class), "{status}");
    }
    for nothing in [json!({ "usageMetadata": { "promptTokenCount": 1 } }), json!({ "candidates": [] })] {
        assert_eq!(answer(&nothing).map_err(|fault| fault.class), Err(FailureClass::InvalidResponse), "{nothing}");
        assert_eq!(told(&[nothing]), Err(FailureClass::StreamBroken));
    }
}
