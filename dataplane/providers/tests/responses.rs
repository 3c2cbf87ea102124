//! The Responses API in front of providers that do not speak it: requests told in the words of each, answers and streams
//! told back, seals that go through the client, and what is refused by name.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails the test, or says that it is skipped"
)]

mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use providers::fault::ClientError;
use providers::head::Head;
use providers::passage::{CannotSay, Passage};
use schema::Schemas;
use serde_json::{Value, json};
use snapshot::Surface::{self, ChatCompletions, CohereChat, Converse, GenerateContent, Messages, Responses};

/// Those that a chat can be told to.
const BACKS: [Surface; 5] = [ChatCompletions, Messages, GenerateContent, Converse, CohereChat];

fn passage(upstream: Surface, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(format!("{request:#}"));
    let head = Head::read(Responses, &body).expect("a request");
    Passage::choose(Responses, &BTreeSet::from([upstream]), &head, &body, "real")
}

fn told(upstream: Surface, request: &Value) -> Value {
    let passage = passage(upstream, request).unwrap_or_else(|why| panic!("{why}"));
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

fn asks(field: &str, value: Value) -> Value {
    let mut request = json!({ "model": "m", "input": "x" });
    request[field] = value;
    request
}

/// A conversation with all that is common.
fn conversation() -> Value {
    json!({
        "model": "m", "instructions": "Be brief.", "max_output_tokens": 99, "temperature": 0.5, "user": "u-1", "stream": true, "store": false,
        "parallel_tool_calls": false, "include": ["reasoning.encrypted_content"], "metadata": { "a": "b" }, "truncation": "disabled",
        "reasoning": { "effort": "low", "summary": "auto" }, "text": { "verbosity": "low" }, "service_tier": "flex",
        "input": [
            { "role": "developer", "content": "Be kind." },
            { "type": "message", "role": "user", "content": [
                { "type": "input_text", "text": "Look:" },
                { "type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto" },
                { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB" },
            ] },
            { "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{ "type": "output_text", "text": "Well.", "annotations": [], "logprobs": [] }] },
            { "type": "function_call", "id": "fc_1", "call_id": "call:1", "name": "f", "arguments": "{\"x\": 1.50}", "status": "completed" },
            { "type": "function_call", "call_id": "call_2", "name": "g", "arguments": "" },
            { "type": "function_call_output", "call_id": "call:1", "output": "one" },
            { "type": "function_call_output", "call_id": "call_2", "output": [{ "type": "input_text", "text": "two" }, { "type": "input_image", "image_url": "data:image/png;base64,CCCC" }] },
            { "role": "user", "content": "And now?" },
        ],
        "tools": [
            { "type": "function", "name": "f", "description": "d", "parameters": { "type": "object", "properties": { "x": { "type": "number" } } }, "strict": true },
            { "type": "function", "name": "g", "parameters": null, "strict": null },
        ],
        "tool_choice": { "type": "function", "name": "f" },
    })
}

#[test]
fn a_conversation_is_told_to_a_chat() {
    assert_eq!(
        told(ChatCompletions, &conversation()),
        json!({
            "model": "real",
            "messages": [
                { "role": "system", "content": "Be brief.\n\nBe kind." },
                { "role": "user", "content": [
                    { "type": "text", "text": "Look:" },
                    { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
                    { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB" } },
                ] },
                { "role": "assistant", "content": "Well.", "tool_calls": [
                    { "id": "call_1_0af6315558b41599", "type": "function", "function": { "name": "f", "arguments": "{\"x\": 1.50}" } },
                    { "id": "call_2", "type": "function", "function": { "name": "g", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "call_1_0af6315558b41599", "content": "one" },
                { "role": "tool", "tool_call_id": "call_2", "content": "two" },
                { "role": "user", "content": [
                    { "type": "text", "text": "The result of call_2 shows:" },
                    { "type": "image_url", "image_url": { "url": "data:image/png;base64,CCCC" } },
                    { "type": "text", "text": "And now?" },
                ] },
            ],
            "max_completion_tokens": 99, "temperature": 0.5, "verbosity": "low", "service_tier": "flex", "user": "u-1", "reasoning_effort": "low",
            "tools": [
                { "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object", "properties": { "x": { "type": "number" } } }, "strict": true } },
                { "type": "function", "function": { "name": "g", "parameters": { "type": "object", "properties": {} } } },
            ],
            "tool_choice": { "type": "function", "function": { "name": "f" } }, "parallel_tool_calls": false,
            "stream": true, "stream_options": { "include_usage": true },
        })
    );
}

#[test]
fn a_conversation_is_told_to_anthropic() {
    let mut request = conversation();
    (request["text"], request["service_tier"]) =
        (json!({ "format": { "type": "json_schema", "name": "a", "schema": { "type": "object" } } }), Value::Null);
    let sent = told(Messages, &request);
    assert_eq!(sent["system"], json!([{ "type": "text", "text": "Be brief." }, { "type": "text", "text": "Be kind." }]));
    assert_eq!(
        sent["messages"][2]["content"],
        json!([
            { "type": "tool_result", "tool_use_id": "call_1_0af6315558b41599", "content": [{ "type": "text", "text": "one" }] },
            { "type": "tool_result", "tool_use_id": "call_2", "content": [
                { "type": "text", "text": "two" }, { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "CCCC" } },
            ] },
            { "type": "text", "text": "And now?" },
        ])
    );
    assert_eq!(sent["output_config"], json!({ "effort": "low", "format": { "type": "json_schema", "schema": { "type": "object" } } }));
    assert_eq!(sent["tool_choice"], json!({ "type": "tool", "name": "f", "disable_parallel_tool_use": true }));
}

#[test]
fn what_is_allowed_of_the_tools_alone_is_offered() {
    let mut request = conversation();
    request["tool_choice"] = json!({ "type": "allowed_tools", "mode": "required", "tools": [{ "type": "function", "name": "g" }] });
    let sent = told(ChatCompletions, &request);
    assert_eq!((sent["tools"].as_array().map(Vec::len), &sent["tools"][0]["function"]["name"]), (Some(1), &json!("g")));
    assert_eq!(sent["tool_choice"], "required");
}

#[test]
fn what_cannot_be_carried_is_refused_by_name() {
    let hosted = |kind: &str| json!([{ "type": kind }]);
    let part = |part: Value| json!([{ "role": "user", "content": [part] }]);
    for (field, value, named) in [
        ("store", json!(true), "store"),
        ("truncation", json!("auto"), "truncation"),
        ("include", json!(["message.output_text.logprobs"]), "include"),
        ("top_logprobs", json!(3), "top_logprobs"),
        ("context_management", json!([]), "context_management"),
        ("made_up", json!(1), "made_up"),
        ("tools", hosted("web_search"), "tools[].type"),
        ("tools", hosted("file_search"), "tools[].type"),
        ("tools", hosted("computer_use_preview"), "tools[].type"),
        ("tools", hosted("image_generation"), "tools[].type"),
        ("tools", json!([{ "type": "mcp", "server_label": "x", "server_url": "https://x" }]), "tools[].type"),
        (
            "tools",
            json!([{ "type": "custom", "name": "x", "format": { "type": "grammar", "syntax": "lark", "definition": "x" } }]),
            "tools[].format",
        ),
        ("tool_choice", json!({ "type": "web_search" }), "tool_choice"),
        ("input", json!([{ "type": "web_search_call", "id": "ws_1", "action": {}, "status": "completed" }]), "input[].type"),
        ("input", json!([{ "type": "message", "role": "user", "content": "x", "made_up": 1 }]), "input[]"),
        ("input", json!([{ "role": "robot", "content": "x" }]), "input[].role"),
        ("input", part(json!({ "type": "input_file", "file_url": "https://x/y.pdf" })), "input[].content[].file_url"),
        ("input", part(json!({ "type": "input_video", "text": "x" })), "input[].content[].type"),
        ("input", json!([{ "type": "function_call", "call_id": "a", "name": "f", "arguments": "no" }]), "input[].arguments"),
        ("reasoning", json!({ "mode": "pro" }), "reasoning"),
        ("text", json!({ "made_up": 1 }), "text"),
    ] {
        for back in BACKS {
            match passage(back, &asks(field, value.clone())) {
                Err(CannotSay::Field { field, .. }) => assert_eq!(field, named, "{value}"),
                other => panic!("{field} {value} gave {other:?}"),
            }
        }
    }
    for (field, value) in [("service_tier", json!("flex")), ("text", json!({ "verbosity": "high" }))] {
        assert!(passage(ChatCompletions, &asks(field, value.clone())).is_ok(), "a chat has a word for {field}");
        assert!(passage(Messages, &asks(field, value)).is_err());
    }
    for (field, value) in [
        ("store", json!(false)),
        ("background", json!(false)),
        ("truncation", json!("disabled")),
        ("top_logprobs", json!(0)),
        ("previous_response_id", Value::Null),
        ("service_tier", json!("auto")),
        ("prompt_cache_key", json!("k")),
        ("max_tool_calls", json!(9)),
        ("text", json!({ "format": { "type": "text" }, "verbosity": "medium" })),
        ("stream_options", json!({ "include_obfuscation": false })),
    ] {
        for back in BACKS {
            assert!(passage(back, &asks(field, value.clone())).is_ok(), "a neutral {field} is taken");
        }
    }
    // A provider that speaks it is given it as it is, whatever it says.
    assert!(passage(Responses, &asks("tools", hosted("web_search"))).is_ok());
}

fn whole(upstream: Surface, request: &Value, answer: &Value) -> Value {
    let passage = passage(upstream, request).unwrap_or_else(|why| panic!("{why}"));
    let read = passage.read_whole(answer.to_string().into()).unwrap_or_else(|fault| panic!("{fault:?}"));
    serde_json::from_slice(&read.body).expect("JSON")
}

/// The events that a client is told of a stream, each with its name checked.
fn events(upstream: Surface, request: &Value, stream: &str) -> Vec<Value> {
    let mut request = request.clone();
    request["stream"] = json!(true);
    let mut reader = passage(upstream, &request).unwrap_or_else(|why| panic!("{why}")).stream_reader();
    let (pushed, end) = (reader.push(Bytes::from(stream.to_owned())), reader.finish());
    assert_eq!((pushed.fault, end.fault), (None, None));
    read_events(&[pushed.bytes, end.bytes].concat())
}

fn read_events(told: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(told).expect("UTF-8");
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once("\ndata: ").expect("two lines");
        let event: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(Some(name), event["type"].as_str().map(|kind| format!("event: {kind}")).as_deref());
        event
    });
    events.collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()?.strip_prefix("response.")).collect()
}

const ANTHROPIC: [&str; 14] = [
    r#"{"type":"message_start","message":{"id":"msg_9","model":"claude-x","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig=="}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"dd"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"Well\n."}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}"#,
    r#"{"type":"content_block_stop","index":3}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}"#,
    r#"{"type":"message_stop"}"#,
];

fn anthropic_whole() -> Value {
    json!({
        "id": "msg_9", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            { "type": "thinking", "thinking": "Hm.", "signature": "sig==" }, { "type": "redacted_thinking", "data": "dd" },
            { "type": "text", "text": "Well\n." }, { "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} },
        ],
        "usage": { "input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 9 },
    })
}

fn stream_of(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn an_answer_is_told_whole_and_in_the_grammar_of_events_and_both_are_the_same() {
    let request = conversation_for_anthropic();
    let events = events(Messages, &request, &stream_of(&ANTHROPIC));
    assert_eq!(
        kinds(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    let response = &events[events.len() - 1]["response"];
    assert_eq!(*response, whole(Messages, &request, &anthropic_whole()), "whole and streamed are one");
    assert_eq!(
        response["usage"],
        json!({
            "input_tokens": 7, "input_tokens_details": { "cached_tokens": 4, "cache_write_tokens": 0 }, "output_tokens": 9,
            "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 16,
        })
    );
    for field in
        ["instructions", "tools", "tool_choice", "metadata", "reasoning", "temperature", "max_output_tokens", "user", "parallel_tool_calls"]
    {
        assert_eq!(response[field], request[field], "{field} is repeated as it was asked");
    }
    assert_eq!((&response["status"], &response["store"], &response["model"]), (&json!("completed"), &json!(false), &json!("claude-x")));
}

fn conversation_for_anthropic() -> Value {
    let mut request = conversation();
    (request["text"], request["service_tier"]) = (json!({ "format": { "type": "text" } }), json!("auto"));
    request
}

/// What the first answer puts out is put into the second request, as clients do.
fn sent_back(upstream: Surface, answer: &Value) -> Value {
    let mut request =
        json!({ "model": "m", "tools": [{ "type": "function", "name": "f" }], "input": [{ "role": "user", "content": "x" }] });
    let response = whole(upstream, &request, answer);
    let input = request["input"].as_array_mut().expect("items");
    for item in response["output"].as_array().expect("items") {
        input.push(item.clone());
        if item["type"] == "function_call" {
            input.push(json!({ "type": "function_call_output", "call_id": item["call_id"], "output": "r" }));
        }
    }
    told(upstream, &request)
}

#[test]
fn seals_of_each_provider_go_through_the_client_and_back() {
    let sent = sent_back(Messages, &anthropic_whole());
    assert_eq!(sent["messages"][1]["content"], anthropic_whole()["content"]);
    let gemini = json!({ "responseId": "r", "modelVersion": "gemini-3", "candidates": [{ "finishReason": "STOP", "content": { "role": "model", "parts": [
        { "text": "Hm.", "thought": true },
        { "functionCall": { "name": "f", "args": { "x": 1 } }, "thoughtSignature": "s1" },
    ] } }], "usageMetadata": { "promptTokenCount": 3 } });
    let sent = sent_back(GenerateContent, &gemini);
    assert_eq!(sent["contents"][1]["parts"][0]["thoughtSignature"], "s1", "{sent}");
    let bedrock = json!({ "output": { "message": { "role": "assistant", "content": [
        { "reasoningContent": { "reasoningText": { "text": "Hm.", "signature": "sig" } } }, { "reasoningContent": { "redactedContent": "dd" } }, { "text": "Well." },
    ] } }, "stopReason": "end_turn", "usage": { "inputTokens": 3, "outputTokens": 2 } });
    let sent = sent_back(Converse, &bedrock);
    assert_eq!(sent["messages"][1]["content"], bedrock["output"]["message"]["content"]);
    let cohere = json!({ "id": "c", "finish_reason": "TOOL_CALL", "message": { "role": "assistant", "tool_plan": "I ask.", "tool_calls": [
        { "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } },
    ] } });
    assert_eq!(sent_back(CohereChat, &cohere)["messages"][1]["tool_plan"], "I ask.");
}

#[test]
fn thoughts_that_another_provider_sealed_are_not_told_to_one_that_cannot_read_them() {
    let request = asks(
        "input",
        json!([
            { "role": "user", "content": "x" }, { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "Hm." }], "encrypted_content": "gAAAA=" },
            { "role": "assistant", "content": "y" }, { "role": "user", "content": "z" },
        ]),
    );
    assert_eq!(told(Messages, &request)["messages"][1]["content"], json!([{ "type": "text", "text": "y" }]));
}

#[test]
fn a_tool_that_is_given_a_text_is_offered_with_one_argument_and_called_with_the_text() {
    let request = json!({
        "model": "m", "tools": [{ "type": "custom", "name": "run", "description": "d" }],
        "input": [
            { "role": "user", "content": "x" },
            { "type": "custom_tool_call", "id": "ctc_1", "call_id": "a", "name": "run", "input": "ls \"-l\"" },
            { "type": "custom_tool_call_output", "call_id": "a", "output": "none" },
        ],
    });
    let sent = told(ChatCompletions, &request);
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["arguments"], r#"{"input":"ls \"-l\""}"#);
    assert_eq!(sent["tools"][0]["function"]["parameters"]["required"], json!(["input"]));
    let chunk = |delta: Value, finish: Value| {
        json!({ "id": "c", "model": "g", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }).to_string()
    };
    let call =
        |arguments: &str| json!({ "tool_calls": [{ "index": 0, "id": "b", "function": { "name": "run", "arguments": arguments } }] });
    let chunks = [chunk(call("{\"input\":\"l"), Value::Null), chunk(call("s\"}"), Value::Null), chunk(json!({}), json!("tool_calls"))];
    let chunks: Vec<&str> = chunks.iter().map(String::as_str).chain(["[DONE]"]).collect();
    let events = events(ChatCompletions, &request, &stream_of(&chunks));
    assert_eq!(
        kinds(&events)[2..],
        ["output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done", "completed"]
    );
    let item = &events[events.len() - 1]["response"]["output"][0];
    assert_eq!((&item["type"], &item["input"], &item["call_id"]), (&json!("custom_tool_call"), &json!("ls"), &json!("b")));
}

#[test]
fn refusals_and_cuts_are_told_as_incomplete_responses() {
    let chat = |message: Value, reason: &str| json!({ "id": "c", "model": "g", "choices": [{ "index": 0, "message": message, "finish_reason": reason }] });
    let request = asks("text", json!({}));
    let cut = whole(ChatCompletions, &request, &chat(json!({ "content": "Wel" }), "length"));
    assert_eq!((&cut["status"], &cut["incomplete_details"]), (&json!("incomplete"), &json!({ "reason": "max_output_tokens" })));
    assert_eq!(cut["output"][0]["status"], "incomplete");
    let refused = whole(ChatCompletions, &request, &chat(json!({ "content": null, "refusal": "No." }), "stop"));
    assert_eq!(refused["output"][0]["content"], json!([{ "type": "refusal", "refusal": "No." }]));
    assert_eq!(refused["incomplete_details"], json!({ "reason": "content_filter" }));
}

#[test]
fn a_stream_that_fails_ends_with_an_error_and_the_response_that_failed() {
    let mut request = conversation_for_anthropic();
    request["stream"] = json!(true);
    let mut reader = passage(Messages, &request).expect("a passage").stream_reader();
    let mut bytes = reader.push(stream_of(&ANTHROPIC[..9]).into()).bytes.to_vec();
    let fault = reader.push(stream_of(&[r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#]).into()).fault;
    assert!(fault.is_some());
    let error = ClientError {
        openai_type: "server_error",
        anthropic_type: "api_error",
        code: "upstream_overloaded",
        message: "busy",
        param: None,
        request_id: "r",
    };
    bytes.extend_from_slice(&reader.fail(Responses, &error));
    let events = read_events(&bytes);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let (told, failed) = (&events[events.len() - 2], &events[events.len() - 1]["response"]);
    assert_eq!(
        (&told["type"], &told["code"], &told["error"]["code"]),
        (&json!("error"), &json!("upstream_overloaded"), &json!("upstream_overloaded"))
    );
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!({ "code": "upstream_overloaded", "message": "busy" })));
    assert_eq!(failed["id"], events[0]["response"]["id"]);
    assert_eq!(failed["output"].as_array().map(Vec::len), Some(2), "what was whole is there");
}

/// OpenAI's own description of its API stays outside the project; without it this test says so and passes.
fn schemas() -> Option<Schemas> {
    #[expect(clippy::disallowed_methods, reason = "a test is told where recordings are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    let Ok(text) = std::fs::read(folder.join("openapi/openai.json")) else {
        println!("SKIPPED: no description at {}; set PORTOLAN_FIXTURES", folder.display());
        return None;
    };
    Some(Schemas::new(serde_json::from_slice(&text).expect("JSON")))
}

#[test]
fn responses_and_events_are_those_that_openai_describes() {
    let Some(mut schemas) = schemas() else { return };
    // It is told by the server, and stands in no description.
    schemas.ours = ["store"].into();
    let request = conversation_for_anthropic();
    let mut wrong = Vec::new();
    for event in events(Messages, &request, &stream_of(&ANTHROPIC)) {
        let complaints = schemas.complaints("ResponseStreamEvent", &event);
        wrong.extend(complaints.into_iter().map(|complaint| format!("{}: {complaint}", event["type"])));
    }
    wrong.extend(schemas.complaints("Response", &whole(Messages, &request, &anthropic_whole())));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
