//! Calls between the two dialects, and what either side makes of them.

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{CannotSay, Facts, Passage, StreamReader};
use serde_json::{Value, json};
use snapshot::Surface::{self, ChatCompletions, Messages};

pub fn other(surface: Surface) -> Surface {
    if surface == Messages { ChatCompletions } else { Messages }
}

pub fn passage(client: Surface, upstream: Surface, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, "real")
}

pub fn asked(client: Surface, request: &Value) -> Value {
    let passage = passage(client, other(client), request).expect("a passage");
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

pub fn refused(client: Surface, request: &Value) -> String {
    match passage(client, other(client), request) {
        Err(CannotSay::Field { field, .. }) => field,
        told => panic!("{request} gave {told:?}"),
    }
}

pub fn chat(more: Value) -> Value {
    let mut request = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    request.as_object_mut().zip(more.as_object()).into_iter().for_each(|(all, more)| all.extend(more.clone()));
    request
}

pub fn conversation(messages: Value) -> Value {
    chat(json!({ "messages": messages }))
}

/// An answer of the other dialect, as a client of this one gets it.
pub fn told(client: Surface, answer: &Value) -> Result<(Value, Facts), Fault> {
    let passage = passage(client, other(client), &chat(json!({}))).expect("a passage");
    let read = passage.read_whole(answer.to_string().into())?;
    Ok((serde_json::from_slice(&read.body).expect("JSON"), read.facts))
}

pub fn reader(client: Surface, upstream: Surface, include_usage: bool) -> StreamReader {
    let mut request = chat(json!({ "stream": true }));
    if include_usage {
        request["stream_options"] = json!({ "include_usage": true });
    }
    passage(client, upstream, &request).expect("a passage").stream_reader()
}

pub fn sse(events: &[Value]) -> String {
    let lines = events.iter().map(|event| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    });
    lines.collect()
}

/// A stream of the other dialect, as a client of this one gets it: its data, its facts, its fault.
pub fn stream(client: Surface, text: &str) -> (Vec<Value>, Facts, Option<Fault>) {
    let mut reader = reader(client, other(client), client == ChatCompletions);
    let pushed = reader.push(Bytes::from(text.to_owned()));
    let end = reader.finish();
    let out = String::from_utf8([pushed.bytes, end.bytes].concat()).expect("UTF-8");
    let data = out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events = data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
    (events, reader.facts().clone(), pushed.fault.or(end.fault))
}

pub fn fine(client: Surface, events: &[Value], done: &str) -> (Vec<Value>, Facts) {
    let (events, facts, fault) = stream(client, &(sse(events) + done));
    assert_eq!(fault, None);
    (events, facts)
}

/// A chunk of OpenAI's.
pub fn chunk(delta: Value, finish: Value) -> Value {
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
}

pub fn call(index: Option<u32>, id: &str, name: &str, arguments: &str) -> Value {
    let mut call = json!({ "function": { "arguments": arguments } });
    if let Some(index) = index {
        call["index"] = json!(index);
    }
    if !id.is_empty() {
        call["id"] = json!(id);
    }
    if !name.is_empty() {
        call["function"]["name"] = json!(name);
    }
    chunk(json!({ "tool_calls": [call] }), Value::Null)
}

pub const DONE: &str = "data: [DONE]\n\n";

/// What an Anthropic client makes of events: the blocks, with their input parsed.
pub fn blocks(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for event in events {
        match event["type"].as_str().expect("a type") {
            "content_block_start" => {
                assert_eq!(event["index"], json!(blocks.len()), "blocks are numbered in turn");
                blocks.push(event["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                assert_eq!(event["index"], json!(blocks.len() - 1), "a delta belongs to the open block");
                let (delta, block) = (&event["delta"], blocks.last_mut().expect("a block"));
                let (kind, field) = match delta["type"].as_str().expect("a type") {
                    "text_delta" => ("text", "text"),
                    "thinking_delta" => ("thinking", "thinking"),
                    "signature_delta" => ("thinking", "signature"),
                    "input_json_delta" => {
                        assert_eq!(block["type"], "tool_use", "arguments belong to a call");
                        input.push_str(delta["partial_json"].as_str().expect("text"));
                        continue;
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(block["type"], kind, "a delta is of the kind of its block");
                block[field] = json!(block[field].as_str().expect("text").to_owned() + delta[field].as_str().expect("text"));
            }
            "content_block_stop" => {
                let block = blocks.last_mut().expect("a block");
                if block["type"] == "tool_use" && !input.is_empty() {
                    block["input"] = serde_json::from_str(&input).expect("arguments are JSON");
                }
            }
            _ => {}
        }
    }
    blocks
}

pub fn start(usage: Value) -> Value {
    json!({ "type": "message_start", "message": { "id": "msg_1", "model": "claude", "content": [], "usage": usage } })
}

pub fn block(index: u32, block: Value, deltas: &[Value]) -> Vec<Value> {
    let mut events = vec![json!({ "type": "content_block_start", "index": index, "content_block": block })];
    events.extend(deltas.iter().map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })));
    events.push(json!({ "type": "content_block_stop", "index": index }));
    events
}

pub fn stop(reason: &str, usage: Value) -> Vec<Value> {
    vec![
        json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": usage }),
        json!({ "type": "message_stop" }),
    ]
}

pub fn tool_use(id: &str, name: &str) -> Value {
    json!({ "type": "tool_use", "id": id, "name": name, "input": {} })
}
