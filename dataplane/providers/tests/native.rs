//! Requests told to Gemini, Bedrock and Cohere in their own words, and frames of Amazon's event stream.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails the test, or says that it is skipped"
)]

mod frames;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use frames::frame;
use proptest::prelude::{any, proptest};
use providers::eventstream::{Broken, Frames};
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{CannotSay, Passage};
use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::{self, ChatCompletions, CohereChat, Converse, GenerateContent, Messages};

fn passage(client: Surface, upstream: Surface, model: &str, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, model)
}

fn told(client: Surface, upstream: Surface, model: &str, request: &Value) -> Value {
    let passage = passage(client, upstream, model, request).unwrap_or_else(|why| panic!("{why}"));
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

fn refused(upstream: Surface, model: &str, field: &str, value: Value) -> String {
    let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "tools": [{ "type": "function", "function": { "name": "f" } }] });
    request[field] = value;
    match passage(ChatCompletions, upstream, model, &request) {
        Err(CannotSay::Field { field, .. }) => field,
        other => panic!("{request} gave {other:?}"),
    }
}

/// A conversation with all that is common.
fn conversation() -> Value {
    json!({
        "model": "m", "max_completion_tokens": 99, "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "stream": true,
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Look:" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }] },
            { "role": "assistant", "content": "", "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"x\": 1.50}" }, "extra_content": { "google": { "thought_signature": "s1" } } },
                { "id": "c2", "type": "function", "function": { "name": "9.g", "arguments": "" } },
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "one" },
            { "role": "tool", "tool_call_id": "c2", "content": [{ "type": "text", "text": "two" }] },
            { "role": "user", "content": "And now?" },
        ],
        "tools": [
            { "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object", "properties": { "x": { "type": "number" } } } } },
            { "type": "function", "function": { "name": "9.g" } },
        ],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
    })
}

#[test]
fn a_conversation_is_told_to_gemini() {
    let schema = json!({ "type": "object", "properties": { "x": { "type": "number" } } });
    assert_eq!(
        told(ChatCompletions, GenerateContent, "gemini-3-pro-preview", &conversation()),
        json!({
            "contents": [
                { "role": "user", "parts": [{ "text": "Look:" }, { "inlineData": { "mimeType": "image/png", "data": "AAAA" } }] },
                { "role": "model", "parts": [
                    { "functionCall": { "id": "c1", "name": "f", "args": { "x": 1.50 } }, "thoughtSignature": "s1" },
                    { "functionCall": { "id": "c2", "name": "_9_g", "args": {} } },
                ] },
                { "role": "user", "parts": [
                    { "functionResponse": { "id": "c1", "name": "f", "response": { "result": "one" } } },
                    { "functionResponse": { "id": "c2", "name": "_9_g", "response": { "result": "two" } } },
                    { "text": "And now?" },
                ] },
            ],
            "systemInstruction": { "parts": [{ "text": "Be brief." }] },
            "generationConfig": { "maxOutputTokens": 99, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"] },
            "tools": [{ "functionDeclarations": [{ "name": "f", "description": "d", "parametersJsonSchema": schema }, { "name": "_9_g" }] }],
            "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["f"] } },
        })
    );
}

#[test]
fn a_gemini_that_knows_no_ids_gets_none_and_a_lost_seal_is_stood_in_for() {
    let mut request = conversation();
    request["messages"][2]["tool_calls"][0].as_object_mut().expect("a call").remove("extra_content");
    let told_to = |model: &str| told(ChatCompletions, GenerateContent, model, &request)["contents"][1]["parts"][0].clone();
    assert_eq!(told_to("gemini-2.5-flash"), json!({ "functionCall": { "name": "f", "args": { "x": 1.50 } } }));
    assert_eq!(
        told_to("gemini-3.5-flash"),
        json!({ "functionCall": { "id": "c1", "name": "f", "args": { "x": 1.50 } }, "thoughtSignature": "skip_thought_signature_validator" })
    );
}

#[test]
fn gemini_is_told_how_to_think_and_how_to_answer() {
    let config = |model: &str, extra: Value| {
        let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
        for (field, value) in extra.as_object().expect("fields") {
            request[field] = value.clone();
        }
        told(ChatCompletions, GenerateContent, model, &request)["generationConfig"].clone()
    };
    let level = |level: &str| json!({ "thinkingConfig": { "thinkingLevel": level, "includeThoughts": true } });
    assert_eq!(config("gemini-3-flash", json!({ "reasoning_effort": "minimal" })), level("minimal"));
    assert_eq!(config("gemini-3-pro", json!({ "reasoning_effort": "xhigh" })), level("high"));
    assert_eq!(
        config("gemini-2.5-pro", json!({ "reasoning_effort": "none" })),
        json!({ "thinkingConfig": { "thinkingBudget": 128, "includeThoughts": false } })
    );
    let schema = json!({ "type": "object", "additionalProperties": false });
    assert_eq!(
        config("gemini-2.5-pro", json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "a", "schema": schema } } })),
        json!({ "responseMimeType": "application/json", "responseJsonSchema": schema })
    );
    assert_eq!(
        config("gemini-2.5-pro", json!({ "response_format": { "type": "json_object" }, "seed": 7, "presence_penalty": 0.5 })),
        json!({ "seed": 7, "presencePenalty": 0.5, "responseMimeType": "application/json" })
    );
}

#[test]
fn a_conversation_is_told_to_bedrock() {
    assert_eq!(
        told(ChatCompletions, Converse, "us.amazon.nova-lite-v1:0", &conversation()),
        json!({
            "messages": [
                { "role": "user", "content": [{ "text": "Look:" }, { "image": { "format": "png", "source": { "bytes": "AAAA" } } }] },
                { "role": "assistant", "content": [
                    { "toolUse": { "toolUseId": "c1", "name": "f", "input": { "x": 1.50 } } },
                    { "toolUse": { "toolUseId": "c2", "name": "9_g", "input": {} } },
                ] },
                { "role": "user", "content": [
                    { "toolResult": { "toolUseId": "c1", "content": [{ "text": "one" }], "status": "success" } },
                    { "toolResult": { "toolUseId": "c2", "content": [{ "text": "two" }], "status": "success" } },
                    { "text": "And now?" },
                ] },
            ],
            "system": [{ "text": "Be brief." }],
            "inferenceConfig": { "maxTokens": 99, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"] },
            "toolConfig": {
                "tools": [
                    { "toolSpec": { "name": "f", "description": "d", "inputSchema": { "json": { "type": "object", "properties": { "x": { "type": "number" } } } } } },
                    { "toolSpec": { "name": "9_g", "inputSchema": { "json": { "type": "object", "properties": {} } } } },
                ],
                "toolChoice": { "tool": { "name": "f" } },
            },
        })
    );
}

#[test]
fn each_family_on_bedrock_is_told_to_think_in_its_own_words() {
    let fields = |model: &str, effort: &str| {
        let request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "reasoning_effort": effort });
        told(ChatCompletions, Converse, model, &request)["additionalModelRequestFields"].clone()
    };
    assert_eq!(
        fields("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "low"),
        json!({ "thinking": { "type": "enabled", "budget_tokens": 1024 } })
    );
    assert_eq!(
        fields("global.anthropic.claude-opus-4-6-v1", "high"),
        json!({ "thinking": { "type": "adaptive", "display": "summarized" }, "output_config": { "effort": "high" } })
    );
    assert_eq!(
        fields("us.amazon.nova-2-lite-v1:0", "minimal"),
        json!({ "reasoningConfig": { "type": "enabled", "maxReasoningEffort": "low" } })
    );
    assert_eq!(fields("openai.gpt-oss-120b-1:0", "max"), json!({ "reasoning_effort": "high" }));
    assert_eq!(refused(Converse, "meta.llama3-70b", "reasoning_effort", json!("low")), "reasoning_effort");
}

#[test]
fn a_model_on_bedrock_that_must_call_nothing_is_told_so_where_calls_were_made() {
    let mut request = conversation();
    request["tool_choice"] = json!("none");
    let asked = told(ChatCompletions, Converse, "m", &request);
    assert_eq!(asked["system"][1], json!({ "text": "Answer in words; do not call any tool." }));
    assert!(asked["toolConfig"]["tools"].is_array(), "the calls before want their tools");
    request["messages"] = json!([{ "role": "user", "content": "x" }]);
    assert_eq!(told(ChatCompletions, Converse, "m", &request).get("toolConfig"), None, "without calls no tool is offered");
}

#[test]
fn a_conversation_is_told_to_cohere() {
    assert_eq!(
        told(ChatCompletions, CohereChat, "command-a", &conversation()),
        json!({
            "model": "command-a",
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [{ "type": "text", "text": "Look:" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }] },
                { "role": "assistant", "tool_calls": [
                    { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"x\": 1.50}" } },
                    { "id": "c2", "type": "function", "function": { "name": "9_g", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "c1", "content": "one" },
                { "role": "tool", "tool_call_id": "c2", "content": "two" },
                { "role": "user", "content": "And now?" },
            ],
            "max_tokens": 99, "temperature": 0.5, "p": 0.9, "stop_sequences": ["END"],
            "tools": [{ "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object", "properties": { "x": { "type": "number" } } } } }],
            "tool_choice": "REQUIRED",
            "stream": true,
        }),
        "the one tool that is wanted is offered alone"
    );
}

#[test]
fn a_call_without_arguments_and_a_plan_that_a_client_kept_go_back_to_cohere() {
    let said = r#"{"id":"c","finish_reason":"TOOL_CALL","message":{"role":"assistant","tool_plan":"I ask.","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"null"}}]}}"#;
    let asked = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "tools": [{ "type": "function", "function": { "name": "f" } }] });
    let answer = passage(ChatCompletions, CohereChat, "m", &asked).expect("a passage").read_whole(Bytes::from(said)).expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}", "{answer}");
    for arguments in ["{}", "null", "", " "] {
        let call = json!({ "id": "c1", "type": "function", "function": { "name": "f", "arguments": arguments } });
        let mut again = asked.clone();
        let kept =
            json!({ "role": "assistant", "content": null, "tool_calls": [call], "provider_specific_fields": { "tool_plan": "I ask." } });
        again["messages"] = json!([asked["messages"][0], kept, { "role": "tool", "tool_call_id": "c1", "content": "r" }]);
        let told = told(ChatCompletions, CohereChat, "m", &again);
        let message = &told["messages"][1];
        assert_eq!((&message["tool_plan"], &message["tool_calls"][0]["function"]["arguments"]), (&json!("I ask."), &json!("{}")), "{told}");
    }
    let listed = told(
        Surface::Responses,
        CohereChat,
        "m",
        &json!({ "model": "m", "input": [
        { "type": "message", "role": "user", "content": "x" },
        { "type": "function_call", "call_id": "c1", "name": "f", "arguments": "null" },
        { "type": "function_call_output", "call_id": "c1", "output": "r" },
    ] }),
    );
    assert_eq!(listed["messages"][1]["tool_calls"][0]["function"]["arguments"], "{}", "{listed}");
}

#[test]
fn what_a_target_cannot_say_is_refused_by_name() {
    for (upstream, field, value) in [
        (GenerateContent, "logit_bias", json!({ "1": 2 })),
        (GenerateContent, "parallel_tool_calls", json!(false)),
        (GenerateContent, "stop", json!(["a", "b", "c", "d", "e", "f"])),
        (Converse, "seed", json!(1)),
        (Converse, "response_format", json!({ "type": "json_object" })),
        (Converse, "parallel_tool_calls", json!(false)),
        (CohereChat, "logprobs", json!(true)),
        (CohereChat, "parallel_tool_calls", json!(false)),
        (Messages, "seed", json!(1)),
        (Messages, "response_format", json!({ "type": "json_object" })),
    ] {
        assert_eq!(refused(upstream, "m", field, value), field, "{upstream:?}");
    }
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://x/y.png" } }] }]);
    assert_eq!(refused(Converse, "m", "messages", image), "messages[].content[].image_url", "it fetches nothing");
    let unnamed = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://x/y" } }] }]);
    assert_eq!(refused(GenerateContent, "m", "messages", unnamed), "messages[].content[].image_url", "it wants the type");
}

#[test]
fn the_seal_of_a_call_goes_to_clients_of_either_dialect_and_comes_back() {
    let answer = json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "functionCall": { "name": "f", "args": { "x": 1 } }, "thoughtSignature": "s1" }] }, "finishReason": "STOP" }], "usageMetadata": { "promptTokenCount": 1, "totalTokenCount": 1 }, "responseId": "r" });
    let whole = |client: Surface| {
        let request = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
        let passage = passage(client, GenerateContent, "gemini-3-pro", &request).expect("a passage");
        let body = passage.read_whole(Bytes::from(answer.to_string())).expect("an answer").body;
        serde_json::from_slice::<Value>(&body).expect("JSON")
    };
    let sealed = json!({ "functionCall": { "name": "f", "args": { "x": 1 } }, "thoughtSignature": "s1" });
    let came_back = |client: Surface, said: Value, result: Value| {
        let request = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }, said, result] });
        let mut call = told(client, GenerateContent, "gemini-2.5-pro", &request)["contents"][1]["parts"][0].clone();
        call["functionCall"].as_object_mut().expect("a call").remove("id");
        call
    };
    let message = whole(ChatCompletions)["choices"][0]["message"].clone();
    let result = json!({ "role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "y" });
    assert_eq!(came_back(ChatCompletions, message, result), sealed);
    let message = whole(Messages);
    let id = message["content"][1]["id"].clone();
    let said = json!({ "role": "assistant", "content": message["content"] });
    let result = json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "y" }] });
    assert_eq!(came_back(Messages, said, result), sealed);
}

#[test]
fn errors_of_each_are_told_apart() {
    let class = |surface: Surface, status: u16, body: Value| Fault::of_answer(surface, status, body.to_string().as_bytes()).class;
    let google = |code: u16, status: &str, message: &str, details: Value| json!({ "error": { "code": code, "status": status, "message": message, "details": details } });
    let invalid = google(400, "INVALID_ARGUMENT", "API key not valid.", json!([{ "reason": "API_KEY_INVALID" }]));
    assert_eq!(class(GenerateContent, 400, invalid), FailureClass::AuthFailed);
    let long = google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).", json!([]));
    assert_eq!(class(GenerateContent, 400, long), FailureClass::ContextLengthExceeded);
    let busy = google(429, "RESOURCE_EXHAUSTED", "quota", json!([{ "retryDelay": "34.5s" }]));
    assert_eq!(Fault::retry_delay(busy.to_string().as_bytes()), Some(std::time::Duration::from_millis(34_500)));
    assert_eq!(class(GenerateContent, 429, busy), FailureClass::RateLimited);
    assert_eq!(
        class(Converse, 400, json!({ "message": "Input Tokens Exceeded: Number of input tokens" })),
        FailureClass::ContextLengthExceeded
    );
    assert_eq!(class(Converse, 424, json!({ "message": "The model failed" })), FailureClass::ServerError);
    assert_eq!(class(CohereChat, 400, json!({ "error_type": "TOO_MANY_TOKENS", "message": "x" })), FailureClass::ContextLengthExceeded);
    assert_eq!(class(CohereChat, 404, json!({ "message": "model 'x' not found" })), FailureClass::NotFound);
    for bad in ["", "[]", "{\"error\":{\"details\":[{\"retryDelay\":\"-1s\"}]}}", "{\"error\":{\"details\":{\"retryDelay\":\"1s\"}}}"] {
        assert_eq!(Fault::retry_delay(bad.as_bytes()), None, "{bad}");
    }
}

fn vectors(folder: &str) -> Vec<(String, Vec<u8>)> {
    #[expect(clippy::disallowed_methods, reason = "a test is told where recordings are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    let root = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    let Ok(files) = std::fs::read_dir(root.join("_vectors").join(folder)) else {
        println!("SKIPPED: no vectors at {}; set PORTOLAN_FIXTURES", root.display());
        return Vec::new();
    };
    files
        .filter_map(|file| Some((file.as_ref().ok()?.file_name().to_string_lossy().into_owned(), std::fs::read(file.ok()?.path()).ok()?)))
        .collect()
}

#[test]
fn official_vectors_of_frames_are_taken_and_refused() {
    for (name, bytes) in vectors("eventstream") {
        let mut frames = Frames::default();
        frames.push(&bytes);
        match frames.next_frame() {
            Some(Ok(frame)) => assert!(name.starts_with("valid") && frame.payload.is_empty(), "{name}: {frame:?}"),
            Some(Err(_)) | None => assert!(name.starts_with("invalid"), "{name} is refused, or waits for more than comes"),
        }
    }
}

#[test]
fn an_exception_inside_a_stream_is_a_failure_of_its_class_however_the_stream_is_cut() {
    let request = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "x" }] });
    let passage = passage(ChatCompletions, Converse, "m", &request).expect("a passage");
    for (name, bytes) in vectors("eventstream-synthetic") {
        for cut in [1, 7, usize::MAX] {
            let mut reader = passage.stream_reader();
            let faults: Vec<Fault> =
                bytes.chunks(cut.min(bytes.len())).filter_map(|chunk| reader.push(Bytes::copy_from_slice(chunk)).fault).collect();
            let class = match name.as_str() {
                "mid-stream-validationException.bin" => Some(FailureClass::BadRequest),
                "unknown-event-type.bin" => None,
                _ => Some(FailureClass::ServerError),
            };
            assert_eq!(faults.first().map(|fault| fault.class), class, "{name} cut at {cut}: {faults:?}");
        }
    }
}

proptest! {
    #[test]
    fn frames_are_found_wherever_they_are_cut(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..5), size in 1_usize..40) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| frame("messageStart", payload)).collect();
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in bytes.chunks(size) {
            frames.push(chunk);
            while let Some(frame) = frames.next_frame() {
                let frame = frame.expect("a frame");
                assert_eq!(frame.kind, "messageStart");
                found.push(frame.payload.to_vec());
            }
        }
        assert_eq!(found, payloads);
        assert!(!frames.is_cut());
    }

    #[test]
    fn bytes_of_strangers_are_no_frames_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), flip in any::<usize>()) {
        let mut frames = Frames::default();
        frames.push(&bytes);
        drop(frames.next_frame());
        let mut whole = frame("messageStart", &bytes);
        let at = flip % whole.len();
        whole[at] ^= 1;
        let mut frames = Frames::default();
        frames.push(&whole);
        assert!(matches!(frames.next_frame(), None | Some(Err(Broken::Checksum | Broken::Length | Broken::Oversized))), "one bit is enough");
    }

    #[test]
    fn answers_and_streams_of_strangers_never_panic(bytes in r#"[\[\]{}":,a-z0-9\n]{0,200}"#, surface in 0_usize..3) {
        let surface = [GenerateContent, Converse, CohereChat][surface];
        let request = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "x" }] });
        for client in [ChatCompletions, Messages] {
            let mut request = request.clone();
            request["max_tokens"] = json!(9);
            let passage = passage(client, surface, "m", &request).expect("a passage");
            drop(passage.read_whole(Bytes::from(bytes.clone())));
            let mut reader = passage.stream_reader();
            drop(reader.push(Bytes::from(format!("data: {bytes}\n\n"))));
            drop(reader.push(Bytes::from(frame("contentBlockDelta", bytes.as_bytes()))));
            drop(reader.finish());
        }
    }
}
