//! The same bugs where a provider speaks a dialect of its own.

#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "the dialects of providers are few of all surfaces, and each says one thing here in its own words"
)]

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{CannotSay, Facts, Passage};
use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::{self, ChatCompletions, CohereChat, Converse, GenerateContent, Messages, OllamaChat};

use crate::frames::{frame, frame_of};
use crate::play::{blocks, chat, conversation};

/// The dialects that providers alone speak, and Anthropic's.
const NATIVES: [Surface; 5] = [Messages, GenerateContent, Converse, CohereChat, OllamaChat];

fn passage(client: Surface, upstream: Surface, model: &str, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    Passage::choose(client, &BTreeSet::from([upstream]), &head, &body, model)
}

fn told(upstream: Surface, model: &str, request: &Value) -> Value {
    let passage = passage(ChatCompletions, upstream, model, request).unwrap_or_else(|why| panic!("{why}"));
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

fn refused(upstream: Surface, model: &str, request: &Value) -> String {
    match passage(ChatCompletions, upstream, model, request) {
        Err(CannotSay::Field { field, .. }) => field,
        told => panic!("{request} gave {told:?}"),
    }
}

/// A client's call that can be told to each of them.
fn asking(client: Surface, stream: bool) -> Value {
    let mut request = chat(json!({ "stream": stream }));
    if client == ChatCompletions && stream {
        request["stream_options"] = json!({ "include_usage": true });
    }
    request
}

fn whole(client: Surface, upstream: Surface, answer: &Value) -> Result<Value, Fault> {
    let passage = passage(client, upstream, "real", &asking(client, false)).expect("a passage");
    Ok(serde_json::from_slice(&passage.read_whole(answer.to_string().into())?.body).expect("JSON"))
}

/// Events as each of them sends them: the kind is that of a frame, where there are frames.
fn bytes(upstream: Surface, events: &[(&str, Value)]) -> Vec<u8> {
    let written = events.iter().map(|(kind, data)| match upstream {
        Converse => frame(kind, data.to_string().as_bytes()),
        OllamaChat => format!("{data}\n").into_bytes(),
        _ => format!("data: {data}\n\n").into_bytes(),
    });
    written.flatten().collect()
}

fn read(client: Surface, upstream: Surface, sent: &[u8]) -> (Vec<Value>, Facts, Option<Fault>) {
    let mut reader = passage(client, upstream, "real", &asking(client, true)).expect("a passage").stream_reader();
    let pushed = reader.push(Bytes::copy_from_slice(sent));
    let end = if pushed.fault.is_none() { reader.finish() } else { providers::passage::Pushed::default() };
    let out = String::from_utf8([pushed.bytes, end.bytes].concat()).expect("UTF-8");
    let data = out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events = data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
    (events, reader.facts().clone(), pushed.fault.or(end.fault))
}

fn streamed(client: Surface, upstream: Surface, events: &[(&str, Value)]) -> Vec<Value> {
    let (told, _, fault) = read(client, upstream, &bytes(upstream, events));
    assert_eq!(fault, None, "{upstream:?}: {events:?}");
    told
}

fn finish(chunks: &[Value]) -> Vec<&str> {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect()
}

/// Calls as a client of chat completions puts them together.
fn calls(chunks: &[Value]) -> Vec<(String, String)> {
    let mut calls: Vec<(String, String)> = Vec::new();
    for delta in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)) {
        let place = usize::try_from(delta["index"].as_u64().expect("an index")).expect("small");
        calls.resize(calls.len().max(place + 1), <(String, String)>::default());
        calls[place].0.push_str(delta["function"]["name"].as_str().unwrap_or_default());
        calls[place].1.push_str(delta["function"]["arguments"].as_str().unwrap_or_default());
    }
    calls
}

/// An answer that says "hi", calls `f` or not, and ends for this reason: whole, and streamed.
fn ended(upstream: Surface, reason: &str, called: bool) -> (Value, Vec<(&'static str, Value)>) {
    let calls = |call: Value| if called { json!([call]) } else { json!([]) };
    match upstream {
        Messages => {
            let mut content = vec![json!({ "type": "text", "text": "hi" })];
            let mut events = vec![
                (
                    "",
                    json!({ "type": "message_start", "message": { "id": "m", "model": "c", "usage": { "input_tokens": 3, "output_tokens": 1 } } }),
                ),
                ("", json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } })),
                ("", json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "hi" } })),
                ("", json!({ "type": "content_block_stop", "index": 0 })),
            ];
            if called {
                let call = json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} });
                content.push(call.clone());
                events.push(("", json!({ "type": "content_block_start", "index": 1, "content_block": call })));
                events.push(("", json!({ "type": "content_block_stop", "index": 1 })));
            }
            events.push(("", json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": { "output_tokens": 6 } })));
            events.push(("", json!({ "type": "message_stop" })));
            let usage = json!({ "input_tokens": 3, "output_tokens": 6 });
            (json!({ "id": "m", "type": "message", "model": "c", "content": content, "stop_reason": reason, "usage": usage }), events)
        }
        GenerateContent => {
            let candidate = |parts: Value, reason: Value| json!({ "candidates": [{ "content": { "role": "model", "parts": parts }, "finishReason": reason }], "responseId": "r" });
            let call = calls(json!({ "functionCall": { "name": "f" } }));
            let mut parts = vec![json!({ "text": "hi" })];
            parts.extend(call.as_array().expect("a list").clone());
            let events = vec![
                ("", candidate(json!([{ "text": "hi" }]), Value::Null)),
                ("", candidate(call, Value::Null)),
                ("", candidate(json!([{ "text": "" }]), json!(reason))),
            ];
            (candidate(json!(parts), json!(reason)), events)
        }
        Converse => {
            let mut content = vec![json!({ "text": "hi" })];
            let mut events = vec![
                ("messageStart", json!({ "role": "assistant" })),
                ("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "hi" } })),
                ("contentBlockStop", json!({ "contentBlockIndex": 0 })),
            ];
            if called {
                content.push(json!({ "toolUse": { "toolUseId": "a", "name": "f", "input": {} } }));
                events.push((
                    "contentBlockStart",
                    json!({ "contentBlockIndex": 1, "start": { "toolUse": { "toolUseId": "a", "name": "f" } } }),
                ));
                events.push(("contentBlockStop", json!({ "contentBlockIndex": 1 })));
            }
            events.push(("messageStop", json!({ "stopReason": reason })));
            events.push(("metadata", json!({ "usage": { "inputTokens": 3, "outputTokens": 6 } })));
            (json!({ "output": { "message": { "content": content } }, "stopReason": reason }), events)
        }
        CohereChat => {
            let call = json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } });
            let mut events = vec![
                ("", json!({ "type": "message-start", "id": "c" })),
                ("", json!({ "type": "content-start", "index": 0, "delta": { "message": { "content": { "type": "text", "text": "" } } } })),
                ("", json!({ "type": "content-delta", "index": 0, "delta": { "message": { "content": { "text": "hi" } } } })),
                ("", json!({ "type": "content-end", "index": 0 })),
            ];
            if called {
                events.push(("", json!({ "type": "tool-call-start", "index": 0, "delta": { "message": { "tool_calls": call } } })));
                events.push(("", json!({ "type": "tool-call-end", "index": 0 })));
            }
            events.push(("", json!({ "type": "message-end", "delta": { "finish_reason": reason } })));
            let message = json!({ "content": [{ "type": "text", "text": "hi" }], "tool_calls": calls(call) });
            (json!({ "id": "c", "message": message, "finish_reason": reason }), events)
        }
        _ => {
            let call = calls(json!({ "function": { "name": "f", "arguments": {} } }));
            let line = |text: &str, calls: &Value, done: bool| json!({ "model": "o", "message": { "content": text, "tool_calls": calls }, "done": done, "done_reason": reason });
            let events = vec![("", line("hi", &json!([]), false)), ("", line("", &call, false)), ("", line("", &json!([]), true))];
            (line("hi", &call, true), events)
        }
    }
}

// 3, 4, 30
#[test]
fn each_reason_of_each_dialect_is_the_one_of_openais_that_means_the_same() {
    let table: [(Surface, &[(&str, &str)]); 5] = [
        (
            Messages,
            &[
                ("end_turn", "stop"),
                ("stop_sequence", "stop"),
                ("max_tokens", "length"),
                ("model_context_window_exceeded", "length"),
                ("compaction", "length"),
                ("refusal", "content_filter"),
            ],
        ),
        (
            GenerateContent,
            &[
                ("STOP", "stop"),
                ("MAX_TOKENS", "length"),
                ("CONTINUATION", "length"),
                ("SAFETY", "content_filter"),
                ("RECITATION", "content_filter"),
                ("LANGUAGE", "content_filter"),
                ("OTHER", "content_filter"),
                ("BLOCKLIST", "content_filter"),
                ("PROHIBITED_CONTENT", "content_filter"),
                ("SPII", "content_filter"),
                ("IMAGE_SAFETY", "content_filter"),
                ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
                ("IMAGE_OTHER", "content_filter"),
                ("NO_IMAGE", "content_filter"),
                ("IMAGE_RECITATION", "content_filter"),
                ("ESCALATION", "content_filter"),
                ("MODEL_ARMOR", "content_filter"),
                ("PUP_LIMITED_DISABLED", "content_filter"),
                ("MALFORMED_FUNCTION_CALL", "stop"),
                ("FINISH_REASON_UNSPECIFIED", "stop"),
            ],
        ),
        (
            Converse,
            &[
                ("end_turn", "stop"),
                ("stop_sequence", "stop"),
                ("max_tokens", "length"),
                ("model_context_window_exceeded", "length"),
                ("guardrail_intervened", "content_filter"),
                ("content_filtered", "content_filter"),
                ("malformed_model_output", "stop"),
                ("malformed_tool_use", "stop"),
            ],
        ),
        (CohereChat, &[("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"), ("ERROR_TOXIC", "content_filter")]),
        (OllamaChat, &[("stop", "stop"), ("length", "length"), ("load", "stop")]),
    ];
    for (upstream, reasons) in table {
        for (reason, wanted) in reasons {
            let (answer, events) = ended(upstream, reason, false);
            let answer = whole(ChatCompletions, upstream, &answer).expect("an answer");
            assert_eq!(answer["choices"][0]["finish_reason"], *wanted, "{upstream:?} {reason}");
            assert_eq!(finish(&streamed(ChatCompletions, upstream, &events)), [*wanted], "{upstream:?} {reason}, streamed");
        }
    }
    for (upstream, reason) in
        [(Messages, "tool_use"), (GenerateContent, "STOP"), (Converse, "tool_use"), (CohereChat, "TOOL_CALL"), (OllamaChat, "stop")]
    {
        let (answer, events) = ended(upstream, reason, true);
        let answer = whole(ChatCompletions, upstream, &answer).expect("an answer");
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "{upstream:?}");
        assert_eq!(finish(&streamed(ChatCompletions, upstream, &events)), ["tool_calls"], "{upstream:?}, streamed");
    }
}

// 30
#[test]
fn an_answer_that_cohere_ends_with_an_error_is_no_success() {
    for (reason, class) in [("ERROR", FailureClass::ServerError), ("TIMEOUT", FailureClass::Timeout)] {
        let (answer, events) = ended(CohereChat, reason, false);
        assert_eq!(whole(ChatCompletions, CohereChat, &answer).map_err(|fault| fault.class), Err(class), "{reason}");
        let (told, _, fault) = read(ChatCompletions, CohereChat, &bytes(CohereChat, &events));
        assert_eq!((fault.map(|fault| fault.class), finish(&told).len()), (Some(class), 0), "{reason}");
    }
}

/// Two calls that begin before either ends, with their pieces in turn.
fn interleaved(upstream: Surface) -> Vec<(&'static str, Value)> {
    match upstream {
        Messages => {
            let piece = |index: u32, text: &str| {
                (
                    "",
                    json!({ "type": "content_block_delta", "index": index, "delta": { "type": "input_json_delta", "partial_json": text } }),
                )
            };
            let start = |index: u32, name: &str| {
                (
                    "",
                    json!({ "type": "content_block_start", "index": index, "content_block": { "type": "tool_use", "id": name, "name": name, "input": {} } }),
                )
            };
            let mut events = ended(Messages, "tool_use", false).1;
            let end = events.split_off(4);
            events.extend([start(1, "f"), start(2, "g"), piece(2, "{\"y\""), piece(1, "{\"x\""), piece(2, ":2}"), piece(1, ":1}")]);
            events.extend([2, 1].map(|index| ("", json!({ "type": "content_block_stop", "index": index }))));
            events.extend(end);
            events
        }
        Converse => {
            let piece = |index: u32, text: &str| {
                ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": { "toolUse": { "input": text } } }))
            };
            let start = |index: u32, name: &str| {
                ("contentBlockStart", json!({ "contentBlockIndex": index, "start": { "toolUse": { "toolUseId": name, "name": name } } }))
            };
            let mut events = ended(Converse, "tool_use", false).1;
            let end = events.split_off(3);
            events.extend([start(1, "f"), start(2, "g"), piece(2, "{\"y\""), piece(1, "{\"x\""), piece(2, ":2}"), piece(1, ":1}")]);
            events.extend([2, 1].map(|index| ("contentBlockStop", json!({ "contentBlockIndex": index }))));
            events.extend(end);
            events
        }
        _ => {
            let piece = |index: u32, text: &str| {
                (
                    "",
                    json!({ "type": "tool-call-delta", "index": index, "delta": { "message": { "tool_calls": { "function": { "arguments": text } } } } }),
                )
            };
            let start = |index: u32, name: &str| {
                (
                    "",
                    json!({ "type": "tool-call-start", "index": index, "delta": { "message": { "tool_calls": { "id": name, "function": { "name": name, "arguments": "" } } } } }),
                )
            };
            let mut events = ended(CohereChat, "TOOL_CALL", false).1;
            let end = events.split_off(4);
            events.extend([start(0, "f"), start(1, "g"), piece(1, "{\"y\""), piece(0, "{\"x\""), piece(1, ":2}"), piece(0, ":1}")]);
            events.extend([1, 0].map(|index| ("", json!({ "type": "tool-call-end", "index": index }))));
            events.extend(end);
            events
        }
    }
}

// 10
#[test]
fn calls_that_come_interleaved_keep_their_arguments() {
    for upstream in [Messages, Converse, CohereChat] {
        let mut all = interleaved(upstream);
        // A server that leaves the ends out means the same.
        for ends in [true, false] {
            if !ends {
                all.retain(|(kind, data)| {
                    !kind.ends_with("BlockStop") && !["content_block_stop", "tool-call-end"].iter().any(|end| data["type"] == *end)
                });
            }
            let told = calls(&streamed(ChatCompletions, upstream, &all));
            let wanted = [("f", "{\"x\":1}"), ("g", "{\"y\":2}")].map(|(name, input)| (name.to_owned(), input.to_owned()));
            assert_eq!(told, wanted, "{upstream:?}, with their ends: {ends}");
            if upstream != Messages {
                let blocks = blocks(&streamed(Messages, upstream, &all));
                assert_eq!((&blocks[1]["input"], &blocks[2]["input"]), (&json!({ "x": 1 }), &json!({ "y": 2 })), "{upstream:?}");
            }
        }
    }
}

// 11
#[test]
fn a_call_without_arguments_has_an_empty_object_whoever_makes_it() {
    for (upstream, reason) in
        [(Messages, "tool_use"), (GenerateContent, "STOP"), (Converse, "tool_use"), (CohereChat, "TOOL_CALL"), (OllamaChat, "stop")]
    {
        let (answer, events) = ended(upstream, reason, true);
        let told = whole(ChatCompletions, upstream, &answer).expect("an answer");
        assert_eq!(told["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}", "{upstream:?}");
        assert_eq!(calls(&streamed(ChatCompletions, upstream, &events)), [("f".to_owned(), "{}".to_owned())], "{upstream:?}, streamed");
        if upstream != Messages {
            assert_eq!(blocks(&streamed(Messages, upstream, &events))[1]["input"], json!({}), "{upstream:?}, to Anthropic");
        }
    }
}

// 18
#[test]
fn a_native_stream_that_is_cut_off_anywhere_is_broken() {
    for upstream in NATIVES {
        let reason = if upstream == GenerateContent { "STOP" } else { "end_turn" };
        let events = ended(upstream, reason, false).1;
        // Of Bedrock's two last events the first ends the answer, for those who never hear of its tokens.
        let last = events.len() - if upstream == Converse { 2 } else { 1 };
        let whole = bytes(upstream, &events[..last]);
        for cut in 0..=whole.len() {
            let (told, _, fault) = read(ChatCompletions, upstream, &whole[..cut]);
            assert!(fault.is_some() && finish(&told).is_empty(), "{upstream:?} cut at {cut}");
        }
    }
}

// 17
#[test]
fn the_tokens_that_bedrock_tells_after_the_end_are_counted_and_told() {
    let events = ended(Converse, "end_turn", false).1;
    let (told, facts, fault) = read(ChatCompletions, Converse, &bytes(Converse, &events));
    assert_eq!((fault, facts.usage.map(|usage| (usage.prompt, usage.completion))), (None, Some((3, 6))));
    assert_eq!(told.last().expect("a chunk")["usage"]["total_tokens"], 9);
}

// 23
#[test]
fn an_error_in_bare_json_behind_the_events_of_gemini_is_one() {
    let mut sent = bytes(GenerateContent, &ended(GenerateContent, "STOP", false).1);
    sent.extend_from_slice(b"{\"error\":{\"code\":503,\"message\":\"shed\",\"status\":\"UNAVAILABLE\"}}");
    let (told, _, fault) = read(ChatCompletions, GenerateContent, &sent);
    assert_eq!(fault.map(|fault| (fault.class, fault.message)), Some((FailureClass::Overloaded, "shed".to_owned())));
    assert!(finish(&told).is_empty());
}

#[test]
fn an_event_that_nobody_knows_is_passed_over_whatever_it_holds() {
    let odd = |kind: &str| json!({ "type": kind, "index": "one", "delta": [1], "start": 2, "message": "x", "content_block": 3, "usage": "y", "contentBlockIndex": {} });
    for upstream in [Messages, Converse, CohereChat] {
        let (_, events) = ended(upstream, if upstream == CohereChat { "COMPLETE" } else { "end_turn" }, false);
        let plain = streamed(ChatCompletions, upstream, &events);
        let all: Vec<(&str, Value)> = events.into_iter().flat_map(|event| [("newThing", odd("new-thing")), event]).collect();
        assert_eq!(streamed(ChatCompletions, upstream, &all), plain, "{upstream:?}");
    }
    for upstream in [Messages, CohereChat] {
        for broken in [odd("message_stop"), odd("message-end"), json!({ "delta": [1] })] {
            let known = (upstream == Messages) != (broken["type"] == "message-end");
            let fault = read(ChatCompletions, upstream, &bytes(upstream, &[("", broken.clone())])).2;
            assert_eq!(
                fault.is_some_and(|fault| fault.class == FailureClass::InvalidResponse),
                known || broken["type"].is_null(),
                "{broken}"
            );
        }
    }
    let google = json!({ "error": { "code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED" } });
    let fault = read(ChatCompletions, Messages, &bytes(Messages, &[("", google)])).2;
    assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::RateLimited), "as Vertex AI tells it of Anthropic's models");
}

// 22
#[test]
fn a_frame_that_is_an_error_is_one_whatever_it_is_called() {
    let begun = bytes(Converse, &ended(Converse, "end_turn", false).1[..2]);
    for headers in [
        &[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "no")][..],
        &[(":message-type", "exception"), (":exception-type", "newTrouble")],
    ] {
        let sent = [begun.clone(), frame_of(headers, b"{\"message\":\"no\"}")].concat();
        let fault = read(ChatCompletions, Converse, &sent).2;
        assert_eq!(fault.map(|fault| (fault.class, fault.message)), Some((FailureClass::ServerError, "no".to_owned())), "{headers:?}");
    }
}

// 24
#[test]
fn an_answer_with_an_empty_list_of_choices_and_a_stream_of_nothing_but_its_end_are_no_success() {
    let request = asking(ChatCompletions, true);
    let same = passage(ChatCompletions, ChatCompletions, "m", &request).expect("a passage");
    let empty = same.read_whole(Bytes::from_static(b"{\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}"));
    assert_eq!(empty.map(|_| ()).map_err(|fault| fault.class), Err(FailureClass::InvalidResponse));
    let error = Bytes::from_static(b"{\"object\":\"error\",\"message\":\"no\",\"type\":\"rate_limit_error\",\"code\":\"1300\"}");
    for client in [ChatCompletions, Messages] {
        let passage = passage(client, ChatCompletions, "m", &asking(client, true)).expect("a passage");
        let fault = passage.read_whole(error.clone()).map(|_| ()).map_err(|fault| (fault.class, fault.message));
        assert_eq!(fault, Err((FailureClass::RateLimited, "no".to_owned())), "as Mistral and vLLM tell it, to {client:?}");
        let event = Bytes::from([b"data: ", &*error, b"\n\n"].concat());
        let fault = passage.stream_reader().push(event).fault;
        assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::RateLimited), "streamed, to {client:?}");
    }
    let pushed = same.stream_reader().push(Bytes::from_static(b"data: [DONE]\n\n"));
    assert_eq!((pushed.fault.map(|fault| fault.class), pushed.bytes.len()), (Some(FailureClass::StreamBroken), 0));
}

#[test]
fn a_call_without_an_id_gets_one_and_a_call_of_nothing_is_none() {
    let call = |id: &str| {
        let mut call = json!({ "type": "tool_use", "name": "f", "input": {} });
        if id != "none" {
            call["id"] = json!(id);
        }
        json!({ "id": "m", "type": "message", "model": "c", "content": [call, call], "stop_reason": "tool_use" })
    };
    for id in ["none", ""] {
        let told = whole(ChatCompletions, Messages, &call(id)).expect("an answer");
        let calls = told["choices"][0]["message"]["tool_calls"].as_array().expect("calls").clone();
        let ids: BTreeSet<&str> = calls.iter().filter_map(|call| call["id"].as_str().filter(|id| id.len() > 5)).collect();
        assert_eq!(ids.len(), 2, "{told}");
    }
    for upstream in NATIVES {
        let (answer, events) = ended(upstream, "tool_use", true);
        let nameless =
            |value: &Value| -> Value { serde_json::from_str(&value.to_string().replace("\"name\":\"f\"", "\"name\":\"\"")).expect("JSON") };
        assert_eq!(
            whole(ChatCompletions, upstream, &nameless(&answer)).map_err(|fault| fault.class),
            Err(FailureClass::InvalidResponse),
            "{upstream:?}"
        );
        let events: Vec<(&str, Value)> = events.iter().map(|(kind, data)| (*kind, nameless(data))).collect();
        let (told, _, fault) = read(ChatCompletions, upstream, &bytes(upstream, &events));
        assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::InvalidResponse), "{upstream:?}, streamed");
        assert!(finish(&told).is_empty(), "{upstream:?}");
    }
}

#[test]
fn two_streamed_calls_of_one_id_are_told_apart() {
    let start = |index: u32| {
        ("contentBlockStart", json!({ "contentBlockIndex": index, "start": { "toolUse": { "toolUseId": "a", "name": "f" } } }))
    };
    let stop = |index: u32| ("contentBlockStop", json!({ "contentBlockIndex": index }));
    let events = [start(0), stop(0), start(1), stop(1), ("messageStop", json!({ "stopReason": "tool_use" }))];
    let told = streamed(ChatCompletions, Converse, &events);
    let ids: Vec<&str> = told.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["id"].as_str()).collect();
    assert!(ids.len() == 2 && ids[0] == "a" && ids[1] != "a" && !ids[1].is_empty(), "{ids:?}");
}

/// A round of two calls of these names, all of these ids, with their results in another order.
fn round(names: [&str; 2], ids: [&str; 2]) -> Vec<Value> {
    let call = |place: usize| json!({ "id": ids[place], "type": "function", "function": { "name": names[place], "arguments": "{}" } });
    let result = |place: usize| json!({ "role": "tool", "tool_call_id": ids[place], "content": format!("of {}", names[place]) });
    vec![json!({ "role": "assistant", "content": null, "tool_calls": [call(0), call(1)] }), result(1), result(0)]
}

// 7
#[test]
fn results_go_to_gemini_in_the_order_of_their_calls_and_under_the_name_of_the_last_call_of_their_id() {
    let mut messages = vec![json!({ "role": "user", "content": "x" })];
    messages.extend(round(["f", "g"], ["call_0", "call_1"]));
    messages.extend(round(["h", "i"], ["call_0", "call_1"]));
    let sent = told(GenerateContent, "gemini-2.5-flash", &conversation(json!(messages)));
    let results = |turn: usize| -> Vec<(Value, Value)> {
        let parts = sent["contents"][turn]["parts"].as_array().expect("parts");
        let results = parts.iter().map(|part| &part["functionResponse"]);
        results.map(|result| (result["name"].clone(), result["response"]["result"].clone())).collect()
    };
    assert_eq!(results(2), [(json!("f"), json!("of f")), (json!("g"), json!("of g"))], "{sent}");
    assert_eq!(results(4), [(json!("h"), json!("of h")), (json!("i"), json!("of i"))], "{sent}");
}

// 8
#[test]
fn schemas_go_whole_to_where_json_schema_is_read() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
        "$defs": { "n": { "type": ["integer", "null"], "exclusiveMinimum": 0, "multipleOf": 2 } },
        "properties": { "a": { "$ref": "#/$defs/n" }, "b": { "oneOf": [{ "const": 1 }, { "type": "string", "format": "uuid" }] } },
        "patternProperties": { "^x": {} }, "propertyNames": { "maxLength": 3 }, "required": ["a"],
    });
    let request = chat(json!({ "tools": [{ "type": "function", "function": { "name": "f", "parameters": schema } }] }));
    for (upstream, place) in [
        (Messages, "/tools/0/input_schema"),
        (GenerateContent, "/tools/0/functionDeclarations/0/parametersJsonSchema"),
        (Converse, "/toolConfig/tools/0/toolSpec/inputSchema/json"),
        (CohereChat, "/tools/0/function/parameters"),
        (OllamaChat, "/tools/0/function/parameters"),
    ] {
        assert_eq!(told(upstream, "gemini-2.5-pro", &request).pointer(place), Some(&schema), "{upstream:?}");
    }
}

// 12
#[test]
fn bedrock_is_told_nothing_blank_and_a_user_speaks_first() {
    let sent = |messages: Value| told(Converse, "us.amazon.nova-lite-v1:0", &conversation(messages))["messages"].clone();
    let user = json!({ "role": "user", "content": [{ "text": "." }] });
    assert_eq!(sent(json!([{ "role": "system", "content": "alone" }])), json!([user]));
    assert_eq!(
        sent(json!([
            { "role": "user", "content": " " },
            { "role": "assistant", "content": [{ "type": "text", "text": "\n" }, { "type": "text", "text": "y " }] },
            { "role": "user", "content": [{ "type": "text", "text": "" }, { "type": "text", "text": "z" }] },
            { "role": "assistant", "content": "So  \n" },
            { "role": "user", "content": "\t" },
        ])),
        json!([
            user,
            { "role": "assistant", "content": [{ "text": "y " }] },
            { "role": "user", "content": [{ "text": "z" }] },
            { "role": "assistant", "content": [{ "text": "So" }] },
        ])
    );
    let gemini = told(GenerateContent, "gemini-2.5-pro", &conversation(json!([{ "role": "assistant", "content": "y" }])));
    let turns = json!([{ "role": "user", "parts": [{ "text": " " }] }, { "role": "model", "parts": [{ "text": "y" }] }]);
    assert_eq!(gemini["contents"], turns, "nor does Gemini's model speak first");
}

// 13
#[test]
fn thoughts_and_their_seals_go_through_a_client_of_chats_and_back_to_bedrock() {
    let thought =
        |index: u32, content: Value| ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": { "reasoningContent": content } }));
    let stop = |index: u32| ("contentBlockStop", json!({ "contentBlockIndex": index }));
    let mut events = vec![
        ("messageStart", json!({ "role": "assistant" })),
        thought(0, json!({ "text": "First " })),
        thought(0, json!({ "text": "this." })),
        thought(0, json!({ "signature": "seal" })),
        stop(0),
        thought(1, json!({ "redactedContent": "ZGFyaw==" })),
        stop(1),
        ("contentBlockStart", json!({ "contentBlockIndex": 2, "start": { "toolUse": { "toolUseId": "a", "name": "f" } } })),
        stop(2),
    ];
    events.push(("messageStop", json!({ "stopReason": "tool_use" })));
    let chunks = streamed(ChatCompletions, Converse, &events);
    let sealed: Vec<Value> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["thinking_blocks"].as_array()).flatten().cloned().collect();
    let call = json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let kept = json!({ "role": "assistant", "content": null, "thinking_blocks": sealed, "tool_calls": [call] });
    let sent = told(
        Converse,
        "us.anthropic.claude-haiku-4-5-v1:0",
        &conversation(json!([{ "role": "user", "content": "x" }, kept, { "role": "tool", "tool_call_id": "a", "content": "r" }])),
    );
    assert_eq!(
        sent["messages"][1]["content"],
        json!([
            { "reasoningContent": { "reasoningText": { "text": "First this.", "signature": "seal" } } },
            { "reasoningContent": { "redactedContent": "ZGFyaw==" } },
            { "toolUse": { "toolUseId": "a", "name": "f", "input": {} } },
        ])
    );
}

// 15, 29
#[test]
fn ids_of_calls_are_ones_that_bedrock_takes_and_no_two_become_one() {
    let long = "x".repeat(80);
    let ids = ["functions.f:0", "functions:f.0", "call_1", long.as_str(), &format!("{long}y")];
    let calls: Vec<Value> = ids.iter().map(|id| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} })).collect();
    let results: Vec<Value> = ids.iter().map(|id| json!({ "type": "tool_result", "tool_use_id": id, "content": "1" })).collect();
    let request = conversation(json!([
        { "role": "user", "content": "x" }, { "role": "assistant", "content": calls }, { "role": "user", "content": results },
    ]));
    let sent = passage(Messages, Converse, "m", &request).expect("a passage").request().concat();
    let sent: Value = serde_json::from_slice(&sent).expect("JSON");
    let of = |turn: usize, kind: &str| -> Vec<String> {
        let blocks = sent["messages"][turn]["content"].as_array().expect("blocks");
        blocks.iter().map(|block| block[kind]["toolUseId"].as_str().expect("an id").to_owned()).collect()
    };
    let made = of(1, "toolUse");
    assert_eq!(made, of(2, "toolResult"));
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{made:?}");
    let fits = |id: &String| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    assert!(made.iter().all(fits) && made[2] == "call_1", "{made:?}");
}

// 13, 21
#[test]
fn models_of_anthropics_before_4_6_think_by_a_budget_unless_thoughts_before_were_lost() {
    let ask = |model: &str, more: Value| {
        let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }], "reasoning_effort": "high" });
        request.as_object_mut().zip(more.as_object()).into_iter().for_each(|(all, more)| all.extend(more.clone()));
        request["model"] = json!(model);
        request
    };
    let old = "claude-haiku-4-5-20251001";
    let sent = told(Messages, old, &ask(old, json!({})));
    assert_eq!(sent["thinking"], json!({ "type": "enabled", "budget_tokens": 16384 }));
    assert_eq!((sent.get("output_config"), sent["max_tokens"].as_u64().is_some_and(|max| max > 16384)), (None, true), "{sent}");
    assert_eq!(told(Messages, old, &ask(old, json!({ "max_tokens": 2000 })))["thinking"]["budget_tokens"], 1999);
    assert_eq!(refused(Messages, old, &ask(old, json!({ "max_tokens": 1024 }))), "max_tokens");
    let new = told(Messages, "claude-opus-4-6", &ask("m", json!({})));
    assert_eq!((&new["thinking"]["type"], &new["output_config"]["effort"]), (&json!("adaptive"), &json!("high")));
    let call = json!({ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let history = |blocks: Value| {
        json!({ "messages": [
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": null, "tool_calls": [call], "thinking_blocks": blocks },
            { "role": "tool", "tool_call_id": "a", "content": "r" },
        ] })
    };
    let kept = json!([{ "type": "thinking", "thinking": "hm", "signature": "s" }]);
    for (upstream, place) in [(Messages, "/thinking"), (Converse, "/additionalModelRequestFields/thinking")] {
        let lost = told(upstream, old, &ask(old, history(json!([]))));
        assert_eq!(lost.pointer(place), None, "{upstream:?} would refuse a call that no thought precedes");
        assert!(told(upstream, old, &ask(old, history(kept.clone()))).pointer(place).is_some(), "{upstream:?}");
    }
}
