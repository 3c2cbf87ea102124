//! Each front before each back: what a client of any dialect understands of what a provider of any dialect says, whole and
//! streamed, with words and a call of a tool, and of how it fails.

use serde_json::{Value, json};

use crate::backs::{BACKS, Back};
use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider_of};
use crate::provider::Line;

/// A client's way to ask, and what it understands.
#[derive(Debug)]
pub struct Front {
    pub path: &'static str,
    ask: fn(stream: bool) -> Value,
    pub whole: fn(&Value) -> Value,
    pub events: fn(&[Value]) -> Value,
    /// The events that a stream ends with when it fails.
    pub last_words: &'static [&'static str],
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

pub fn understood() -> Value {
    json!(["hello", "call_1", "f", r#"{"x":1}"#, true, 3, 6])
}

pub fn house(back: &Back) -> House {
    House::of(&[provider_of(back.kind, "back", ""), key("app", "")])
}

/// A pair, for the message of a test that fails.
pub fn pairs() -> impl Iterator<Item = (&'static Front, &'static Back, String)> {
    FRONTS.iter().flat_map(|front| BACKS.iter().map(move |back| (front, back, format!("{} before {}", front.path, back.kind))))
}

pub fn call(front: &Front, stream: bool) -> Call {
    Call::post("app", front.path, &(front.ask)(stream).to_string())
}

/// The data of events that are JSON, and the name of each event.
pub fn events(body: &str) -> Vec<(String, Value)> {
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

pub async fn stream_begins(line: &mut Line, back: &Back, count: usize) {
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
