//! Each front before each back: what a client of any dialect understands of what a provider of any dialect says, whole and
//! streamed, with words and a call of a tool, and of how it fails.

use serde_json::{Value, json};

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider_of};
use crate::provider::Line;

/// A provider's way to say one thing: "hello", then a call of `f` with `{"x":1}`, after 3 tokens and in 6.
struct Back {
    kind: &'static str,
    whole: &'static str,
    /// Each with its event or its kind of frame.
    stream: &'static [(&'static str, &'static str)],
    error: &'static str,
}

const BACKS: [Back; 5] = [
    Back {
        kind: "OpenAICompatible",
        whole: r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9}}"#,
        stream: &[
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":null}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            ),
            (
                "",
                r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":6,"total_tokens":9}}"#,
            ),
            ("", "[DONE]"),
        ],
        error: r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
    },
    Back {
        kind: "Anthropic",
        whole: r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"},{"type":"tool_use","id":"call_1","name":"f","input":{"x":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":6}}"#,
        stream: &[
            (
                "message_start",
                r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#,
            ),
            ("content_block_start", r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#),
            ("content_block_delta", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}"#),
            ("content_block_stop", r#"{"type":"content_block_stop","index":0}"#),
            (
                "content_block_start",
                r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}"#,
            ),
            (
                "content_block_delta",
                r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":1}"}}"#,
            ),
            ("content_block_stop", r#"{"type":"content_block_stop","index":1}"#),
            (
                "message_delta",
                r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":6}}"#,
            ),
            ("message_stop", r#"{"type":"message_stop"}"#),
        ],
        error: r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#,
    },
    Back {
        kind: "Gemini",
        whole: r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"},{"functionCall":{"id":"call_1","name":"f","args":{"x":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":6,"totalTokenCount":9},"modelVersion":"m","responseId":"r1"}"#,
        stream: &[
            (
                "",
                r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1,"totalTokenCount":4},"modelVersion":"m","responseId":"r1"}"#,
            ),
            (
                "",
                r#"{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"id":"call_1","name":"f","args":{"x":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":6,"totalTokenCount":9},"modelVersion":"m","responseId":"r1"}"#,
            ),
        ],
        error: r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#,
    },
    Back {
        kind: "Bedrock",
        whole: r#"{"output":{"message":{"role":"assistant","content":[{"text":"hello"},{"toolUse":{"toolUseId":"call_1","name":"f","input":{"x":1}}}]}},"stopReason":"tool_use","usage":{"inputTokens":3,"outputTokens":6,"totalTokens":9}}"#,
        stream: &[
            ("messageStart", r#"{"role":"assistant"}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"hello"}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
            ("contentBlockStart", r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"call_1","name":"f"}}}"#),
            ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"x\":1}"}}}"#),
            ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
            ("messageStop", r#"{"stopReason":"tool_use"}"#),
            ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":6,"totalTokens":9}}"#),
        ],
        error: r#"{"message":"slow down"}"#,
    },
    Back {
        kind: "Cohere",
        whole: r#"{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"hello"}],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},"finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":3,"output_tokens":6}}}"#,
        stream: &[
            ("message-start", r#"{"type":"message-start","id":"c1","delta":{"message":{"role":"assistant"}}}"#),
            ("content-start", r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#),
            ("content-delta", r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"hello"}}}}"#),
            ("content-end", r#"{"type":"content-end","index":0}"#),
            (
                "tool-call-start",
                r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"call_1","type":"function","function":{"name":"f","arguments":""}}}}}"#,
            ),
            (
                "tool-call-delta",
                r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"x\":1}"}}}}}"#,
            ),
            ("tool-call-end", r#"{"type":"tool-call-end","index":0}"#),
            (
                "message-end",
                r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":3,"output_tokens":6}}}}"#,
            ),
        ],
        error: r#"{"message":"slow down"}"#,
    },
];

impl Back {
    /// The bytes of so many events.
    fn bytes(&self, events: usize) -> Vec<u8> {
        let write = |(name, data): &(&str, &str)| match (self.kind, *name) {
            ("Bedrock", kind) => frame(kind, data.as_bytes()),
            (_, "") => format!("data: {data}\n\n").into_bytes(),
            (_, name) => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
        };
        self.stream.iter().take(events).flat_map(write).collect()
    }
}

/// A client's way to ask, and what it understands.
struct Front {
    path: &'static str,
    ask: fn(stream: bool) -> Value,
    whole: fn(&Value) -> Value,
    events: fn(&[Value]) -> Value,
    /// The events that a stream ends with when it fails.
    last_words: &'static [&'static str],
}

const FRONTS: [Front; 3] = [
    Front {
        path: "/v1/chat/completions",
        ask: |stream| {
            let mut body = json!({ "model": "back/m", "messages": [{ "role": "user", "content": "hi" }], "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }] });
            if stream {
                (body["stream"], body["stream_options"]) = (json!(true), json!({ "include_usage": true }));
            }
            body
        },
        whole: |answer| {
            let message = &answer["choices"][0]["message"];
            let call = &message["tool_calls"][0];
            let usage = &answer["usage"];
            json!([
                message["content"],
                call["id"],
                call["function"]["name"],
                call["function"]["arguments"],
                answer["choices"][0]["finish_reason"] == "tool_calls",
                usage["prompt_tokens"],
                usage["completion_tokens"]
            ])
        },
        events: |events| {
            let said = |path: &str| -> String { events.iter().filter_map(|event| event.pointer(path)?.as_str()).collect() };
            let usage = events.iter().rev().find(|event| event["usage"].is_object()).map_or(Value::Null, |event| event["usage"].clone());
            let call = "/choices/0/delta/tool_calls/0";
            json!([
                said("/choices/0/delta/content"),
                said(&format!("{call}/id")),
                said(&format!("{call}/function/name")),
                said(&format!("{call}/function/arguments")),
                said("/choices/0/finish_reason") == "tool_calls",
                usage["prompt_tokens"],
                usage["completion_tokens"],
            ])
        },
        last_words: &[""],
    },
    Front {
        path: "/v1/responses",
        ask: |stream| json!({ "model": "back/m", "input": "hi", "stream": stream, "tools": [{ "type": "function", "name": "f", "parameters": { "type": "object" } }] }),
        whole: response,
        events: |events| response(events.last().map_or(&Value::Null, |event| &event["response"])),
        last_words: &["error", "response.failed"],
    },
    Front {
        path: "/v1/messages",
        ask: |stream| json!({ "model": "back/m", "max_tokens": 9, "stream": stream, "messages": [{ "role": "user", "content": "hi" }], "tools": [{ "name": "f", "input_schema": { "type": "object" } }] }),
        whole: |answer| {
            let (text, call, usage) = (&answer["content"][0], &answer["content"][1], &answer["usage"]);
            json!([
                text["text"],
                call["id"],
                call["name"],
                call["input"].to_string(),
                answer["stop_reason"] == "tool_use",
                usage["input_tokens"],
                usage["output_tokens"]
            ])
        },
        events: |events| {
            let said = |path: &str| -> String { events.iter().filter_map(|event| event.pointer(path)?.as_str()).collect() };
            let counted = |field: &str| {
                let mut counts = events.iter().filter_map(|event| {
                    let told = if event["usage"].is_object() { &event["usage"] } else { &event["message"]["usage"] };
                    told[field].as_u64()
                });
                counts.next_back()
            };
            json!([
                said("/delta/text"),
                said("/content_block/id"),
                said("/content_block/name"),
                said("/delta/partial_json"),
                said("/delta/stop_reason") == "tool_use",
                counted("input_tokens"),
                counted("output_tokens"),
            ])
        },
        last_words: &["error"],
    },
];

fn response(response: &Value) -> Value {
    let (message, call, usage) = (&response["output"][0], &response["output"][1], &response["usage"]);
    json!([
        message["content"][0]["text"],
        call["call_id"],
        call["name"],
        call["arguments"],
        response["status"] == "completed",
        usage["input_tokens"],
        usage["output_tokens"],
    ])
}

fn understood() -> Value {
    json!(["hello", "call_1", "f", r#"{"x":1}"#, true, 3, 6])
}

fn house(back: &Back) -> House {
    House::of(&[provider_of(back.kind, "back", ""), key("app", "")])
}

/// A pair, for the message of a test that fails.
fn pairs() -> impl Iterator<Item = (&'static Front, &'static Back, String)> {
    FRONTS.iter().flat_map(|front| BACKS.iter().map(move |back| (front, back, format!("{} before {}", front.path, back.kind))))
}

fn call(front: &Front, stream: bool) -> Call {
    Call::post("app", front.path, &(front.ask)(stream).to_string())
}

/// The data of events that are JSON, and the name of each event.
fn events(body: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let mut name = String::new();
    for line in body.lines() {
        if let Some(told) = line.strip_prefix("event: ") {
            told.clone_into(&mut name);
        } else if let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") {
            found.push((std::mem::take(&mut name), serde_json::from_str(data).expect("JSON")));
        }
    }
    found
}

async fn stream_begins(line: &mut Line, back: &Back, count: usize) {
    line.begins().await;
    line.bytes_of_chunk(&back.bytes(count)).await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_understood_the_same_by_every_client_of_every_provider() {
    for (front, back, pair) in pairs() {
        let house = house(back);
        let calling = house.call(call(front, false));
        house.providers.answers("back.example", 200, back.whole).await;
        let answer = calling.answer().await;
        assert_eq!((answer.status, (front.whole)(&answer.json())), (200, understood()), "{pair}: {}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_understood_the_same_by_every_client_of_every_provider() {
    for (front, back, pair) in pairs() {
        let house = house(back);
        let calling = house.call(call(front, true));
        let mut line = house.providers.line("back.example").await;
        line.asked().await;
        stream_begins(&mut line, back, back.stream.len()).await;
        line.ends().await;
        let answer = calling.answer().await;
        let told: Vec<Value> = events(&answer.body).into_iter().map(|(_, event)| event).collect();
        assert_eq!((answer.status, (front.events)(&told)), (200, understood()), "{pair}: {}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_in_the_words_of_every_client() {
    for (front, back, pair) in pairs() {
        for stream in [false, true] {
            let house = house(back);
            let calling = house.call(call(front, stream));
            house.providers.answers("back.example", 429, back.error).await;
            let answer = calling.answer().await;
            let told = answer.json();
            assert_eq!(answer.status, 429, "{pair}: {}", answer.body);
            assert_eq!(told["error"]["type"], "rate_limit_error", "{pair}: {told}");
            assert_eq!(told["type"] == "error", front.path == "/v1/messages", "{pair}: {told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_ends_with_the_last_words_of_every_client() {
    for (front, back, pair) in pairs() {
        let house = house(back);
        let calling = house.call(call(front, true));
        let mut line = house.providers.line("back.example").await;
        line.asked().await;
        stream_begins(&mut line, back, back.stream.len() / 2).await;
        line.ends().await;
        let answer = calling.answer().await;
        let told = events(&answer.body);
        let last = &told[told.len() - front.last_words.len()..];
        assert_eq!(last.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), front.last_words, "{pair}: {}", answer.body);
        let error = &last[0].1["error"];
        assert!(error["message"].is_string() && error["type"].is_string(), "{pair}: {}", answer.body);
    }
}

/// A frame of Amazon's event stream.
fn frame(kind: &str, payload: &[u8]) -> Vec<u8> {
    let header = [&[11][..], b":event-type", &[7], &u16::try_from(kind.len()).expect("short").to_be_bytes(), kind.as_bytes()].concat();
    let total = u32::try_from(16 + header.len() + payload.len()).expect("short");
    let mut frame = [total.to_be_bytes(), u32::try_from(header.len()).expect("short").to_be_bytes()].concat();
    frame.extend_from_slice(&crc(&frame).to_be_bytes());
    frame.extend_from_slice(&[&header, payload].concat());
    let tail = crc(&frame).to_be_bytes();
    frame.extend_from_slice(&tail);
    frame
}

/// CRC-32 bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
