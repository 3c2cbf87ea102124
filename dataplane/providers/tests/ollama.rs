//! Ollama's own API: what it is asked, and its answers, lines and errors as clients of both dialects read them.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{CannotSay, Passage};
use serde_json::{Value, json};
use snapshot::{FailureClass, Surface};

fn passage(client: Surface, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([Surface::OllamaChat, Surface::OllamaEmbed]), &head, &body, "llama3")
}

fn chat(more: Value) -> Value {
    let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

fn sent(request: &Value) -> Value {
    let passage = passage(Surface::ChatCompletions, request).expect("a passage");
    assert_eq!(passage.surface(), Surface::OllamaChat);
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

const TOOL: &str = r#"{"type":"function","function":{"name":"weather","description":"d","parameters":{"type":"object"}}}"#;

#[test]
fn a_conversation_is_told_in_its_words() {
    let tool: Value = serde_json::from_str(TOOL).expect("JSON");
    let request = json!({
        "model": "m", "max_completion_tokens": 7, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["a"], "reasoning_effort": "high",
        "messages": [
            { "role": "system", "content": "short" },
            { "role": "user", "content": [{ "type": "text", "text": "what" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,QUJD" } }] },
            { "role": "assistant", "content": null, "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Paris\"}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": "rain" },
        ],
        "tools": [tool], "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "object" } } },
    });
    let wanted = json!({
        "model": "llama3",
        "messages": [
            { "role": "system", "content": "short" },
            { "role": "user", "content": "what", "images": ["QUJD"] },
            { "role": "assistant", "content": "", "tool_calls": [{ "id": "c1", "function": { "name": "weather", "arguments": { "city": "Paris" } } }] },
            { "role": "tool", "content": "rain", "tool_name": "weather", "tool_call_id": "c1" },
        ],
        "tools": [tool], "format": { "type": "object" },
        "options": { "num_predict": 7, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["a"] },
        "think": "high", "stream": false,
    });
    assert_eq!(sent(&request), wanted);
    assert_eq!(sent(&chat(json!({ "reasoning_effort": "none" })))["think"], false);
    assert_eq!(sent(&chat(json!({ "response_format": { "type": "json_object" } })))["format"], "json");
    let silent = sent(&chat(json!({ "tools": [tool], "tool_choice": "none" })));
    assert_eq!(silent["tools"], Value::Null, "a tool that must not be called is not offered");
}

#[test]
fn what_it_has_no_word_for_is_refused_by_name() {
    let tool: Value = serde_json::from_str(TOOL).expect("JSON");
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } }] }]);
    for (field, more) in [
        ("tool_choice", json!({ "tools": [tool], "tool_choice": "required" })),
        ("parallel_tool_calls", json!({ "tools": [tool], "parallel_tool_calls": false })),
        ("messages[].content[].image_url", json!({ "messages": image })),
        ("logprobs", json!({ "logprobs": true })),
        ("n", json!({ "n": 2 })),
    ] {
        let refused = passage(Surface::ChatCompletions, &chat(more)).expect_err(field);
        assert!(matches!(&refused, CannotSay::Field { field: named, .. } if named == field), "{refused:?}");
    }
}

const ANSWER: &str = r#"{"model":"llama3","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"hello","thinking":"hm","tool_calls":[{"function":{"name":"weather","arguments":{"city":"Paris"}}},{"function":{"name":"weather","arguments":{}}}]},"done_reason":"stop","done":true,"prompt_eval_count":17,"eval_count":6}"#;

#[test]
fn an_answer_is_told_in_both_dialects() {
    let answer = passage(Surface::ChatCompletions, &chat(json!({}))).expect("a passage").read_whole(Bytes::from_static(ANSWER.as_bytes()));
    let told: Value = serde_json::from_slice(&answer.expect("an answer").body).expect("JSON");
    let message = &told["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"], &told["model"]), (&json!("hello"), &json!("hm"), &json!("llama3")));
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"Paris"}"#);
    assert_ne!(message["tool_calls"][0]["id"], message["tool_calls"][1]["id"], "calls are told apart");
    assert_eq!((&told["choices"][0]["finish_reason"], &told["usage"]["total_tokens"]), (&json!("tool_calls"), &json!(23)));
    let answer =
        passage(Surface::Messages, &chat(json!({ "max_tokens": 9 }))).expect("a passage").read_whole(Bytes::from_static(ANSWER.as_bytes()));
    let told: Value = serde_json::from_slice(&answer.expect("an answer").body).expect("JSON");
    assert_eq!((&told["stop_reason"], &told["usage"]["input_tokens"]), (&json!("tool_use"), &json!(17)));
}

/// Feeds lines in pieces of a size; gives what a client is told, and the fault.
fn streamed(lines: &str, size: usize) -> (String, Option<Fault>) {
    let request = chat(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    let mut reader = passage(Surface::ChatCompletions, &request).expect("a passage").stream_reader();
    let (mut out, mut fault) = (Vec::new(), None);
    for piece in lines.as_bytes().chunks(size) {
        let pushed = reader.push(Bytes::copy_from_slice(piece));
        out.extend_from_slice(&pushed.bytes);
        fault = fault.or(pushed.fault);
    }
    let pushed = reader.finish();
    out.extend_from_slice(&pushed.bytes);
    (String::from_utf8(out).expect("UTF-8"), fault.or(pushed.fault))
}

#[test]
fn lines_are_told_as_events_however_they_are_cut() {
    let lines = concat!(
        r#"{"model":"llama3","message":{"role":"assistant","content":"","thinking":"h"},"done":false}"#,
        "\n",
        r#"{"model":"llama3","message":{"role":"assistant","content":"","thinking":"m"},"done":false}"#,
        "\r\n",
        r#"{"model":"llama3","message":{"role":"assistant","content":"h\u00e9"},"done":false}"#,
        "\n\n",
        r#"{"model":"llama3","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{"a":1}}}]},"done":false}"#,
        "\n",
        r#"{"model":"llama3","message":{"role":"assistant","content":"","tool_calls":[{"function":{"index":0,"name":"g","arguments":{}}}]},"done":false}"#,
        "\n",
        r#"{"model":"llama3","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"prompt_eval_count":3,"eval_count":4}"#,
    );
    let (whole, fault) = streamed(lines, usize::MAX);
    assert_eq!(fault, None);
    for size in [1, 7, 64] {
        assert_eq!(streamed(lines, size).0, whole, "pieces of {size}");
    }
    let chunks: Vec<Value> = whole.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let all = |field: &str| -> String { chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][field].as_str()).collect() };
    assert_eq!((all("content"), all("reasoning_content")), ("h\u{e9}".to_owned(), "hm".to_owned()));
    let numbers: BTreeSet<u64> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["index"].as_u64()).collect();
    assert_eq!(numbers, BTreeSet::from([0, 1]));
    let ids: BTreeSet<&str> = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["id"].as_str()).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| id.starts_with("call_")), "{ids:?}");
    assert!(
        whole.contains(r#""finish_reason":"tool_calls""#) && whole.contains(r#""total_tokens":7"#) && whole.ends_with("data: [DONE]\n\n")
    );
}

#[test]
fn an_answer_that_its_limit_cut_off_says_so() {
    let (told, fault) = streamed("{\"message\":{\"content\":\"x\"},\"done_reason\":\"length\",\"done\":true}\n", 9);
    assert!(fault.is_none() && told.contains(r#""finish_reason":"length""#), "{told}");
}

#[test]
fn errors_and_broken_streams_are_faults() {
    let error = r#"{"error":"model 'x' not found"}"#;
    assert_eq!(Fault::of_answer(Surface::OllamaChat, 404, error.as_bytes()).class, FailureClass::NotFound);
    let answer =
        passage(Surface::ChatCompletions, &chat(json!({}))).expect("a passage").read_whole(Bytes::from_static(b"{\"error\":\"no\"}"));
    assert_eq!(answer.expect_err("a fault").message, "no");
    let begun = "{\"message\":{\"content\":\"x\"},\"done\":false}\n";
    assert_eq!(streamed(begun, 9).1.map(|fault| fault.class), Some(FailureClass::StreamBroken));
    assert_eq!(
        streamed(&format!("{begun}{{\"error\":\"out of memory\"}}\n"), 9).1.map(|fault| fault.message),
        Some("out of memory".to_owned())
    );
    assert_eq!(streamed("<html>\n", 9).1.map(|fault| fault.class), Some(FailureClass::InvalidResponse));
}
