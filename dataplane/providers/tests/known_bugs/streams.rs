//! Streams.

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::Passage;
use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::{self, ChatCompletions, Messages};

use crate::play::{DONE, asked, block, blocks, call, chat, chunk, conversation, fine, reader, sse, start, stop, stream, tool_use};

// 4
#[test]
fn the_reason_to_finish_is_told_once_and_last() {
    let (events, _) =
        fine(Messages, &[chunk(json!({ "content": "a" }), json!("length")), chunk(json!({ "content": "b" }), json!("length"))], DONE);
    assert_eq!(blocks(&events), [json!({ "type": "text", "text": "ab" })]);
    assert_eq!(events.iter().filter(|event| event["type"] == "message_delta").count(), 1);
    let mut told = vec![start(json!({ "input_tokens": 1, "output_tokens": 1 }))];
    told.extend(block(0, json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": "hi" })]));
    told.extend(stop("max_tokens", json!({ "output_tokens": 2 })));
    let (chunks, _) = fine(ChatCompletions, &told, "");
    let reasons: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).filter(|reason| !reason.is_null()).collect();
    assert_eq!(reasons, [&json!("length")]);
}

// 9
#[test]
fn calls_that_are_all_numbered_zero_are_told_apart_by_their_ids() {
    let (events, _) = fine(
        Messages,
        &[
            call(Some(0), "a", "f", "{\"x\":1}"),
            call(Some(0), "b", "g", "{\"y\":2}"),
            call(None, "c", "h", "{}"),
            chunk(json!({}), json!("tool_calls")),
        ],
        DONE,
    );
    let told: Vec<(Value, Value)> = blocks(&events).into_iter().map(|block| (block["name"].clone(), block["input"].clone())).collect();
    assert_eq!(told, [(json!("f"), json!({ "x": 1 })), (json!("g"), json!({ "y": 2 })), (json!("h"), json!({}))]);
    // And towards OpenAI the number is that of the call, not of the block.
    let mut events = vec![start(json!({ "input_tokens": 1, "output_tokens": 1 }))];
    events.extend(block(0, json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": "hi" })]));
    for (index, id) in [(1, "toolu_a"), (2, "toolu_b")] {
        events.extend(block(index, tool_use(id, "f"), &[json!({ "type": "input_json_delta", "partial_json": "{\"x\":1}" })]));
    }
    events.extend(stop("tool_use", json!({ "output_tokens": 2 })));
    let (chunks, _) = fine(ChatCompletions, &events, "");
    let numbers: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)).map(|call| &call["index"]).collect();
    assert_eq!(numbers, [0, 0, 1, 1]);
}

// 9
#[test]
fn a_server_that_repeats_id_and_name_with_every_piece_means_one_call() {
    let pieces = ["", "{\"x\"", ":1", "}"];
    let mut events: Vec<Value> = pieces.iter().map(|piece| call(Some(0), "a", "f", piece)).collect();
    events.extend(pieces.iter().map(|piece| call(Some(1), "b", "g", piece)));
    events.push(chunk(json!({}), json!("tool_calls")));
    let told = blocks(&fine(Messages, &events, DONE).0);
    assert_eq!(told.len(), 2);
    assert_eq!((&told[1]["name"], &told[1]["input"]), (&json!("g"), &json!({ "x": 1 })));
}

// 9
#[test]
fn a_server_that_makes_up_an_id_for_every_piece_means_one_call() {
    let events = [
        call(Some(0), "a", "f", ""),
        call(Some(0), "b", "", "{\"x\""),
        call(Some(0), "c", "", ":1}"),
        chunk(json!({}), json!("tool_calls")),
    ];
    let told = blocks(&fine(Messages, &events, DONE).0);
    assert_eq!(told, [json!({ "type": "tool_use", "id": "a", "name": "f", "input": { "x": 1 } })]);
}

// 10
#[test]
fn arguments_that_come_interleaved_with_others_and_with_words_stay_with_their_call() {
    let (events, _) = fine(
        Messages,
        &[
            call(Some(0), "a", "f", "{\"x\""),
            call(Some(1), "b", "g", "{\"y\""),
            chunk(json!({ "content": "Well, ", "reasoning_content": "hm" }), Value::Null),
            call(Some(0), "", "", ":1}"),
            chunk(json!({ "content": "then." }), Value::Null),
            call(Some(1), "", "", ":2}"),
            chunk(json!({}), json!("tool_calls")),
        ],
        DONE,
    );
    let told = blocks(&events);
    let of = |kind: &str| told.iter().filter(|block| block["type"] == kind).collect::<Vec<_>>();
    assert_eq!(of("tool_use").iter().map(|block| &block["input"]).collect::<Vec<_>>(), [&json!({ "x": 1 }), &json!({ "y": 2 })]);
    assert_eq!((&of("text")[0]["text"], &of("thinking")[0]["thinking"]), (&json!("Well, then."), &json!("hm")));
}

// 13
#[test]
fn thoughts_and_their_seals_survive_a_loop_of_tools() {
    let mut events = vec![start(json!({ "input_tokens": 1, "output_tokens": 1 }))];
    events.extend(block(
        0,
        json!({ "type": "thinking", "thinking": "", "signature": "" }),
        &[
            json!({ "type": "thinking_delta", "thinking": "First " }),
            json!({ "type": "thinking_delta", "thinking": "this." }),
            json!({ "type": "signature_delta", "signature": "seal" }),
        ],
    ));
    events.extend(block(1, json!({ "type": "redacted_thinking", "data": "dark" }), &[]));
    events.extend(block(
        2,
        json!({ "type": "thinking", "thinking": "", "signature": "" }),
        &[json!({ "type": "signature_delta", "signature": "bare" })],
    ));
    events.extend(block(3, tool_use("toolu_a", "f"), &[]));
    events.extend(stop("tool_use", json!({ "output_tokens": 2 })));
    let (chunks, _) = fine(ChatCompletions, &events, "");
    let sealed: Vec<Value> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["thinking_blocks"].as_array()).flatten().cloned().collect();
    let wanted = [
        json!({ "type": "thinking", "thinking": "First this.", "signature": "seal" }),
        json!({ "type": "redacted_thinking", "data": "dark" }),
        json!({ "type": "thinking", "thinking": "", "signature": "bare" }),
    ];
    assert_eq!(sealed, wanted, "each is whole in its chunk, so that a client can send the list back");
    let sent = asked(
        ChatCompletions,
        &conversation(json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": null, "reasoning_content": "First this.", "thinking_blocks": sealed,
              "tool_calls": [{ "id": "toolu_a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "toolu_a", "content": "1" },
        ])),
    );
    assert_eq!(sent["messages"][1]["content"].as_array().map(|blocks| &blocks[..3]), Some(&wanted[..]));
}

// 18
#[test]
fn a_stream_that_is_cut_off_anywhere_is_broken() {
    let mut anthropic = vec![start(json!({ "input_tokens": 1, "output_tokens": 1 }))];
    anthropic.extend(block(0, json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": "hi" })]));
    anthropic.extend(stop("end_turn", json!({ "output_tokens": 2 })));
    let openai = [chunk(json!({ "content": "hi" }), Value::Null), chunk(json!({}), json!("stop"))];
    for (client, text, end) in
        [(ChatCompletions, sse(&anthropic), "event: message_stop"), (Messages, sse(&openai), "\"finish_reason\":\"stop\"")]
    {
        let last = text.find(end).expect("an end");
        for cut in 0..last {
            let (events, _, fault) = stream(client, &text[..cut]);
            assert!(fault.is_some(), "cut at {cut}");
            assert!(
                events.iter().all(|event| event["type"] != "message_stop" && event["choices"][0]["finish_reason"].is_null()),
                "cut at {cut}"
            );
        }
    }
}

// 18, 22
#[test]
fn done_without_a_reason_to_finish_is_no_success() {
    let (events, _, fault) = stream(Messages, &(sse(&[chunk(json!({ "content": "hi" }), Value::Null)]) + DONE));
    assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::StreamBroken));
    assert!(events.iter().all(|event| event["type"] != "message_stop"));
}

// 19
#[test]
fn chunks_without_choices_or_delta_are_passed_over() {
    let (events, _) = fine(
        Messages,
        &[
            json!({ "id": "", "model": "", "choices": [], "prompt_filter_results": [{ "prompt_index": 0 }] }),
            json!({ "id": "c", "model": "gpt", "choices": [{ "index": 0, "finish_reason": null, "content_filter_results": {} }] }),
            json!({ "id": "c", "model": "gpt", "choices": [{ "index": 0, "delta": null }] }),
            json!({ "id": "c", "model": "gpt", "choices": null }),
            chunk(json!({ "content": "hi", "obfuscation": "xx" }), Value::Null),
            chunk(json!({}), json!("stop")),
        ],
        DONE,
    );
    assert_eq!(blocks(&events), [json!({ "type": "text", "text": "hi" })]);
    assert_eq!(events[0]["message"]["model"], "gpt");
}

// 22, 23, 25
#[test]
fn an_error_in_a_stream_is_told_before_or_after_its_beginning_and_nothing_is_made_up() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let mut first = reader(ChatCompletions, Messages, false);
    let pushed = first.push(Bytes::from_static(overloaded.as_bytes()));
    assert_eq!(pushed.fault.map(|fault| fault.class), Some(FailureClass::Overloaded));
    assert!(!first.has_begun() && pushed.bytes.is_empty(), "so that the call can go elsewhere");
    let begun = sse(&[start(json!({ "input_tokens": 1, "output_tokens": 1 }))]);
    let (events, _, fault) = stream(ChatCompletions, &(begun + overloaded));
    assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::Overloaded));
    assert!(events.iter().all(|event| event["choices"][0]["finish_reason"].is_null()));
    let tail = sse(&[chunk(json!({ "content": "hi" }), Value::Null)]) + "{\"error\":{\"message\":\"shed\",\"code\":503}}";
    assert_eq!(stream(Messages, &tail).2.map(|fault| (fault.class, fault.message)), Some((FailureClass::Overloaded, "shed".to_owned())));
    assert_eq!(Fault::of_answer(Messages, 529, b"{}").class, FailureClass::Overloaded);
    let after = sse(&[chunk(json!({}), json!("length")), json!({ "error": { "message": "late", "code": 502 }, "choices": [] })]);
    assert_eq!(stream(Messages, &after).2.map(|fault| fault.message), Some("late".to_owned()), "even after a reason to finish");
}

// 33
#[test]
fn usage_is_always_asked_for_and_told_to_those_alone_who_asked() {
    let sent = asked(Messages, &chat(json!({ "stream": true })));
    assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
    let mut events = vec![start(json!({ "input_tokens": 3, "output_tokens": 1 }))];
    events.extend(stop("end_turn", json!({ "output_tokens": 2 })));
    for asked in [true, false] {
        let mut reader = reader(ChatCompletions, Messages, asked);
        let text = String::from_utf8(reader.push(sse(&events).into()).bytes.to_vec()).expect("UTF-8");
        assert_eq!(text.contains("\"prompt_tokens\":3"), asked);
        assert_eq!(text.contains("\"choices\":[]"), asked);
        assert!(text.ends_with(DONE));
        assert_eq!(reader.facts().usage.map(|usage| usage.prompt), Some(3), "counted all the same");
    }
}

// 35
#[test]
fn a_response_that_is_incomplete_or_failed_is_an_end_and_its_usage_counts() {
    let body = Bytes::from_static(br#"{"model":"m","stream":true,"input":"x"}"#);
    let head = Head::read(Surface::Responses, &body).expect("a request");
    let usage = json!({ "input_tokens": 30, "input_tokens_details": { "cached_tokens": 20 }, "output_tokens": 9, "output_tokens_details": { "reasoning_tokens": 4 } });
    for status in ["completed", "incomplete", "failed"] {
        let passage = Passage::choose(Surface::Responses, &BTreeSet::from([Surface::Responses]), &head, &body, "m").expect("a passage");
        let mut reader = passage.stream_reader();
        let text = sse(&[
            json!({ "type": "response.created", "response": { "id": "r", "model": "g", "status": "in_progress", "usage": null } }),
            json!({ "type": "response.output_text.delta", "delta": "x" }),
            json!({ "type": format!("response.{status}"), "response": { "id": "r", "model": "g", "status": status, "usage": usage } }),
        ]);
        let pushed = reader.push(Bytes::from(text.clone()));
        assert_eq!(
            (pushed.fault, pushed.bytes, reader.finish().fault, reader.is_done()),
            (None, Bytes::from(text), None, true),
            "{status}"
        );
        let usage = reader.facts().usage.map(|usage| (usage.prompt, usage.cached, usage.completion, usage.reasoning));
        assert_eq!(usage, Some((30, 20, 9, 4)), "{status}");
    }
}
