//! Anthropic's own.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::Messages;

use crate::client::{Read, calls, stream, whole};

fn answer(content: Value, reason: &str, more: Value) -> Read {
    let mut answer = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": { "input_tokens": 10, "output_tokens": 5 } });
    more.as_object().expect("fields").iter().for_each(|(name, value)| answer[name] = value.clone());
    whole(Messages, &BTreeSet::new(), &answer).expect("an answer")
}

fn told(events: &[Value]) -> Result<Read, FailureClass> {
    let named = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type")));
    stream(Messages, &BTreeSet::new(), named.collect::<String>())
}

fn start() -> Value {
    json!({ "type": "message_start", "message": { "id": "msg_1", "model": "claude", "content": [], "usage": { "input_tokens": 10, "output_tokens": 1 } } })
}

fn block(index: usize, block: Value, deltas: &[Value]) -> Vec<Value> {
    let begin = json!({ "type": "content_block_start", "index": index, "content_block": block });
    let deltas = deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    [begin].into_iter().chain(deltas).chain([json!({ "type": "content_block_stop", "index": index })]).collect()
}

fn stop(reason: &str) -> Vec<Value> {
    let delta =
        json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": { "output_tokens": 5 } });
    vec![delta, json!({ "type": "message_stop" })]
}

fn text(text: &str) -> (Value, Vec<Value>) {
    (json!({ "type": "text", "text": "" }), vec![json!({ "type": "text_delta", "text": text })])
}

/// What the provider's own tools leave in an answer.
fn own_tools() -> Vec<Value> {
    vec![
        json!({ "type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": { "query": "tides" }, "caller": { "type": "direct" } }),
        json!({ "type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": { "type": "web_search_tool_result_error", "error_code": "max_uses_exceeded" } }),
        json!({ "type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{ "type": "web_search_result", "url": "https://tides.example", "title": "Tides", "encrypted_content": "x", "page_age": null }] }),
        json!({ "type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": { "type": "web_fetch_result", "url": "https://tides.example", "content": { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "high" } } } }),
        json!({ "type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": { "type": "bash_code_execution_result", "stdout": "4\n", "stderr": "", "return_code": 0, "content": [] } }),
        json!({ "type": "code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": { "type": "code_execution_tool_result_error", "error_code": "unavailable" } }),
        json!({ "type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": { "type": "tool_search_tool_search_result", "tool_references": [] } }),
        json!({ "type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "s", "input": { "x": 1 } }),
        json!({ "type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": false, "content": [{ "type": "text", "text": "1" }] }),
        json!({ "type": "container_upload", "file_id": "file_1" }),
        json!({ "type": "compaction", "content": "before this" }),
        json!({ "type": "fallback", "from": { "model": "a" }, "to": { "model": "b" } }),
        json!({ "type": "something_new", "text": { "of": "another shape" }, "input": [1] }),
    ]
}

#[test]
fn tools_that_the_provider_runs_are_its_own_affair() {
    let mut content = vec![json!({ "type": "text", "text": "I look. " })];
    content.extend(own_tools().into_iter().filter(|block| block["type"] != "something_new"));
    content.push(json!({ "type": "text", "text": "High.", "citations": [{ "type": "web_search_result_location", "url": "https://tides.example", "title": "Tides", "cited_text": "high" }] }));
    let wanted = Read { text: "I look. High.".into(), finish: "stop".into(), usage: Some([10, 5, 0, 0, 0]), ..Read::default() };
    let more = json!({ "container": { "id": "c", "expires_at": "2030-01-01T00:00:00Z" }, "context_management": { "applied_edits": [] } });
    assert_eq!(answer(content.into(), "pause_turn", more), wanted);

    let mut events = vec![start()];
    let (begin, deltas) = text("I look. ");
    events.extend(block(0, begin, &deltas));
    for (place, own) in own_tools().into_iter().filter(|block| block["type"] != "something_new").enumerate() {
        let pieces =
            [json!({ "type": "input_json_delta", "partial_json": "{\"q\":1}" }), json!({ "type": "compaction_delta", "content": "x" })];
        events.extend(block(place + 1, own, &pieces));
    }
    let cited = json!({ "type": "citations_delta", "citation": { "type": "char_location", "cited_text": "high", "document_index": 0, "start_char_index": 0, "end_char_index": 4 } });
    events.extend(block(
        99,
        json!({ "type": "text", "text": "", "citations": [] }),
        &[cited, json!({ "type": "text_delta", "text": "High." })],
    ));
    events.extend(stop("pause_turn"));
    assert_eq!(told(&events), Ok(wanted));
}

#[test]
fn a_call_that_code_of_the_provider_makes_begins_with_all_its_input() {
    let call = |input: Value| json!({ "type": "tool_use", "id": "toolu_1", "name": "roll", "input": input, "caller": { "type": "code_execution_20250825", "tool_id": "srvtoolu_1" } });
    let pieces = ["", "{\"die\":", "6}"].map(|piece| json!({ "type": "input_json_delta", "partial_json": piece }));
    for (input, deltas, wanted) in [
        (json!({ "die": 6 }), &[][..], json!({ "die": 6 })),
        (json!({ "die": 6 }), &pieces[..1], json!({ "die": 6 })),
        (json!({ "die": 6 }), &pieces[..], json!({ "die": 6 })),
        (json!({}), &pieces[..], json!({ "die": 6 })),
        (json!({}), &[][..], json!({})),
    ] {
        let mut events = vec![start()];
        events.extend(block(0, call(input.clone()), deltas));
        events.extend(block(1, call(json!({})), &[]));
        events.extend(stop("tool_use"));
        let read = told(&events).expect("a stream");
        assert_eq!((read.calls, &*read.finish), (calls(&[("roll", wanted), ("roll", json!({}))]), "tool_calls"), "{input} {deltas:?}");
    }
}

#[test]
fn thoughts_come_in_pieces_or_at_once_or_with_nothing_to_read() {
    let mut events = vec![start()];
    events.extend(block(0, json!({ "type": "thinking", "thinking": "At once.", "signature": "s" }), &[]));
    let sealed = json!({ "type": "signature_delta", "signature": "s" });
    events.extend(block(1, json!({ "type": "thinking", "thinking": "", "signature": "" }), std::slice::from_ref(&sealed)));
    events.extend(block(2, json!({ "type": "redacted_thinking", "data": "dark" }), &[]));
    events.extend(block(
        3,
        json!({ "type": "thinking", "thinking": "" }),
        &[json!({ "type": "thinking_delta", "thinking": " Then.", "estimated_tokens": 3 }), sealed],
    ));
    let (begin, deltas) = text("So.");
    events.extend(block(4, begin, &deltas));
    events.extend(stop("end_turn"));
    let read = told(&events).expect("a stream");
    assert_eq!((&*read.thoughts, &*read.text, &*read.finish), ("At once. Then.", "So.", "stop"));
}

#[test]
fn reasons_to_stop_are_told() {
    let said = json!([{ "type": "text", "text": "x" }]);
    for (reason, wanted) in [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("compaction", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ] {
        assert_eq!(answer(said.clone(), reason, json!({})).finish, wanted, "{reason}");
        let (begin, deltas) = text("x");
        let events: Vec<Value> = [start()].into_iter().chain(block(0, begin, &deltas)).chain(stop(reason)).collect();
        assert_eq!(told(&events).map(|read| read.finish), Ok(wanted.to_owned()), "{reason}");
    }
}

#[test]
fn a_refusal_tells_why_if_it_does() {
    for (details, wanted) in [
        (json!({ "type": "refusal", "category": "cyber", "explanation": "Not this." }), "Not this."),
        (json!({ "type": "refusal", "category": null, "explanation": null }), ""),
        (Value::Null, ""),
    ] {
        let read = answer(json!([]), "refusal", json!({ "stop_details": details }));
        assert_eq!((&*read.refusal, &*read.text, &*read.finish), (wanted, "", "content_filter"));
        let mut last = stop("refusal");
        last[0]["delta"]["stop_details"] = details;
        let events: Vec<Value> = [start()].into_iter().chain(last).collect();
        let read = told(&events).expect("a stream");
        assert_eq!((&*read.refusal, &*read.text, &*read.finish), (wanted, "", "content_filter"));
    }
}

#[test]
fn all_that_is_read_written_and_thought_is_counted() {
    let usage = json!({ "input_tokens": 3, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 100, "output_tokens": 9,
        "cache_creation": { "ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40 }, "output_tokens_details": { "thinking_tokens": 4 },
        "server_tool_use": { "web_search_requests": 1, "web_fetch_requests": 0 }, "service_tier": "standard", "inference_geo": "not_available" });
    let wanted = Some([123, 9, 20, 100, 4]);
    assert_eq!(answer(json!([]), "end_turn", json!({ "usage": usage })).usage, wanted);
    let (mut begin, mut last) = (start(), stop("end_turn"));
    begin["message"]["usage"] = usage.clone();
    begin["message"]["usage"]["output_tokens"] = json!(1);
    last[0]["usage"] = usage;
    let events: Vec<Value> = [begin].into_iter().chain(last).collect();
    assert_eq!(told(&events).map(|read| read.usage), Ok(wanted));
}

#[test]
fn an_error_in_a_stream_has_its_class() {
    for (kind, class) in [
        ("overloaded_error", FailureClass::Overloaded),
        ("rate_limit_error", FailureClass::RateLimited),
        ("api_error", FailureClass::ServerError),
        ("timeout_error", FailureClass::Timeout),
        ("authentication_error", FailureClass::AuthFailed),
        ("billing_error", FailureClass::QuotaExceeded),
        ("invalid_request_error", FailureClass::BadRequest),
    ] {
        let error = json!({ "type": "error", "error": { "type": kind, "message": "no", "details": null }, "request_id": "req_1" });
        assert_eq!(told(&[start(), json!({ "type": "ping" }), error.clone()]), Err(class), "{kind}");
        assert_eq!(told(&[error]), Err(class), "{kind}");
    }
}
