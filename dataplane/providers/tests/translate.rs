//! From one dialect into the other: what is said the same, what is refused by name.

#![expect(clippy::expect_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::head::Head;
use providers::passage::{CannotSay, Passage};
use serde_json::{Value, json};
use snapshot::Surface::{self, ChatCompletions, Messages};

fn translate(client: Surface, request: &Value) -> Result<Value, CannotSay> {
    let upstream = if client == Messages { ChatCompletions } else { Messages };
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    let passage = Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "real")?;
    Ok(serde_json::from_slice(&passage.request().concat()).expect("JSON"))
}

fn refused_field(client: Surface, request: &Value) -> String {
    match translate(client, request) {
        Err(CannotSay::Field { field, .. }) => field,
        other => panic!("{request} gave {other:?}"),
    }
}

#[test]
fn a_conversation_with_tools_is_said_to_anthropic() {
    let request = json!({
        "model": "m", "max_completion_tokens": 99, "temperature": 0.5, "stop": "END", "user": "u-1", "stream": true, "parallel_tool_calls": false,
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "developer", "content": [{ "type": "text", "text": "Be kind.", "cache_control": { "type": "ephemeral" } }] },
            { "role": "user", "content": [{ "type": "text", "text": "Look:" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }, { "type": "image_url", "image_url": { "url": "https://x/y.png", "detail": "low" } }] },
            { "role": "assistant", "content": "", "tool_calls": [
                { "id": "call:1", "type": "function", "function": { "name": "f", "arguments": "{\"x\": 1.50}" } },
                { "id": "call_2", "type": "function", "function": { "name": "g", "arguments": "" } },
            ] },
            { "role": "tool", "tool_call_id": "call:1", "content": "one" },
            { "role": "tool", "tool_call_id": "call_2", "content": [{ "type": "text", "text": "two" }] },
            { "role": "user", "content": "And now?" },
        ],
        "tools": [{ "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object", "properties": { "x": { "type": "number" } } }, "strict": true } }, { "type": "function", "function": { "name": "g" } }],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
    });
    assert_eq!(
        translate(ChatCompletions, &request).expect("a request"),
        json!({
            "model": "real", "max_tokens": 99,
            "system": [{ "type": "text", "text": "Be brief." }, { "type": "text", "text": "Be kind.", "cache_control": { "type": "ephemeral" } }],
            "messages": [
                { "role": "user", "content": [
                    { "type": "text", "text": "Look:" },
                    { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
                    { "type": "image", "source": { "type": "url", "url": "https://x/y.png" } },
                ] },
                { "role": "assistant", "content": [
                    { "type": "tool_use", "id": "call_1_0af6315558b41599", "name": "f", "input": { "x": 1.50 } },
                    { "type": "tool_use", "id": "call_2", "name": "g", "input": {} },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "call_1_0af6315558b41599", "content": [{ "type": "text", "text": "one" }] },
                    { "type": "tool_result", "tool_use_id": "call_2", "content": [{ "type": "text", "text": "two" }] },
                    { "type": "text", "text": "And now?" },
                ] },
            ],
            "temperature": 0.5, "stop_sequences": ["END"], "metadata": { "user_id": "u-1" },
            "tools": [
                { "name": "f", "description": "d", "input_schema": { "type": "object", "properties": { "x": { "type": "number" } } }, "strict": true },
                { "name": "g", "input_schema": { "type": "object", "properties": {} } },
            ],
            "tool_choice": { "type": "tool", "name": "f", "disable_parallel_tool_use": true }, "stream": true,
        })
    );
}

#[test]
fn a_conversation_with_tools_is_said_to_openai() {
    let request = json!({
        "model": "m", "max_tokens": 99, "system": [{ "type": "text", "text": "Be brief." }, { "type": "text", "text": "Be kind." }], "stop_sequences": ["END"],
        "metadata": { "user_id": "u-1" }, "stream": true, "tool_choice": { "type": "any", "disable_parallel_tool_use": true },
        "messages": [
            { "role": "user", "content": "Hi" },
            { "role": "assistant", "content": [{ "type": "text", "text": "Well." }, { "type": "tool_use", "id": "toolu_1", "name": "f", "input": { "x": 1.50 } }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": "one", "is_error": true },
                { "type": "text", "text": "And?", "cache_control": { "type": "ephemeral" } },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
            ] },
        ],
        "tools": [{ "name": "f", "description": "d", "input_schema": { "type": "object" } }],
    });
    assert_eq!(
        translate(Messages, &request).expect("a request"),
        json!({
            "model": "real",
            "messages": [
                { "role": "system", "content": "Be brief.\n\nBe kind." },
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": "Well.", "tool_calls": [{ "id": "toolu_1", "type": "function", "function": { "name": "f", "arguments": "{\"x\":1.5}" } }] },
                { "role": "tool", "tool_call_id": "toolu_1", "content": "Error: one" },
                { "role": "user", "content": [{ "type": "text", "text": "And?" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }] },
            ],
            "max_completion_tokens": 99, "stop": ["END"], "user": "u-1",
            "tools": [{ "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object" } } }],
            "tool_choice": "required", "parallel_tool_calls": false, "stream": true, "stream_options": { "include_usage": true },
        })
    );
}

#[test]
fn what_the_other_dialect_cannot_say_is_refused_by_name() {
    let chat = |field: &str, value: Value| {
        let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
        request[field] = value;
        request
    };
    for (field, value) in [
        ("n", json!(2)),
        ("seed", json!(1)),
        ("logprobs", json!(true)),
        ("logit_bias", json!({ "1": 2 })),
        ("presence_penalty", json!(0.5)),
        ("temperature", json!(1.5)),
        ("response_format", json!({ "type": "json_object" })),
        ("audio", json!({})),
        ("made_up", json!(1)),
        ("functions", json!([])),
    ] {
        assert_eq!(refused_field(ChatCompletions, &chat(field, value)), field);
    }
    for (field, value) in [
        ("n", json!(1)),
        ("logprobs", json!(false)),
        ("logit_bias", json!({})),
        ("presence_penalty", json!(0)),
        ("store", json!(true)),
        ("seed", Value::Null),
    ] {
        assert!(translate(ChatCompletions, &chat(field, value)).is_ok(), "a neutral {field} is taken");
    }
    let anthropic = |field: &str, value: Value| {
        let mut request = json!({ "model": "m", "max_tokens": 1, "messages": [{ "role": "user", "content": "x" }] });
        request[field] = value;
        request
    };
    for (field, value) in [("top_k", json!(5)), ("mcp_servers", json!([])), ("made_up", json!(1))] {
        assert_eq!(refused_field(Messages, &anthropic(field, value)), field);
    }
    let document = json!([{ "role": "user", "content": [{ "type": "document", "source": { "type": "url", "url": "https://x/y.pdf" } }] }]);
    assert_eq!(refused_field(Messages, &anthropic("messages", document)), "messages[].content");
    let broken = json!([{ "role": "assistant", "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "not json" } }] }]);
    assert_eq!(refused_field(ChatCompletions, &chat("messages", broken)), "messages[].tool_calls[0].function.arguments");
}

#[test]
fn thoughts_come_back_with_their_signatures() {
    let request = json!({ "model": "m", "reasoning_effort": "low", "messages": [
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": "y", "reasoning_content": "hm", "thinking_blocks": [{ "type": "thinking", "thinking": "hm", "signature": "sig" }, { "type": "redacted_thinking", "data": "dd" }] },
        { "role": "user", "content": "z" },
    ] });
    let sent = translate(ChatCompletions, &request).expect("a request");
    assert_eq!(
        sent["messages"][1]["content"],
        json!([{ "type": "thinking", "thinking": "hm", "signature": "sig" }, { "type": "redacted_thinking", "data": "dd" }, { "type": "text", "text": "y" }])
    );
    assert_eq!((&sent["thinking"]["type"], &sent["output_config"]["effort"]), (&json!("adaptive"), &json!("low")));
}

/// A stream of OpenAI's told to Anthropic's client.
fn told(events: &[Value]) -> Vec<Value> {
    let body = Bytes::from_static(br#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#);
    let head = Head::read(Messages, &body).expect("a request");
    let passage = Passage::choose(Messages, &BTreeSet::from([ChatCompletions]), &head, &body, "m").expect("a passage");
    let mut reader = passage.stream_reader();
    let mut text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    text.push_str("data: [DONE]\n\n");
    let pushed = reader.push(text.into());
    assert_eq!(pushed.fault, None);
    assert!(reader.is_done());
    let out = String::from_utf8(pushed.bytes.to_vec()).expect("UTF-8");
    out.lines().filter_map(|line| line.strip_prefix("data: ")).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn interleaved_tool_calls_become_blocks_one_after_the_other() {
    let call = |calls: Value| json!({ "id": "c", "model": "gpt", "choices": [{ "index": 0, "delta": { "tool_calls": calls }, "finish_reason": null }] });
    let events = told(&[
        json!({ "id": "c", "model": "gpt", "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "Hm." }, "finish_reason": null }] }),
        call(json!([{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }])),
        call(json!([{ "index": 1, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{\"y\"" } }])),
        call(json!([{ "index": 0, "function": { "arguments": "{\"x\":1}" } }, { "index": 1, "function": { "arguments": ":2}" } }])),
        json!({ "id": "c", "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] }),
        json!({ "id": "c", "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": { "cached_tokens": 6 } } }),
    ]);
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let indices: Vec<u64> = events.iter().filter_map(|event| event["index"].as_u64()).collect();
    assert_eq!(indices, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    assert_eq!(events[5]["delta"]["partial_json"], "{\"x\":1}");
    assert_eq!(events[8]["delta"]["partial_json"], "{\"y\":2}");
    assert_eq!(events[10]["delta"]["stop_reason"], "tool_use");
    assert_eq!(
        events[10]["usage"],
        json!({ "input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 6, "output_tokens": 4 })
    );
}
