//! Whole answers, and answers of either kind.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use providers::fault::Fault;
use providers::simulated::{Beat, Heard, play};
use serde_json::{Value, json};
use snapshot::Surface::{self, ChatCompletions, Messages};
use snapshot::{FailureClass, Simulated};

use crate::play::{DONE, asked, block, blocks, call, chat, chunk, conversation, fine, passage, start, stop, told, tool_use};

// 1, 2
#[test]
fn cached_tokens_are_counted_once_and_instalments_of_usage_are_not_added_up() {
    let usage = json!({ "input_tokens": 10, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 30, "output_tokens": 1 });
    let last = json!({ "input_tokens": 10, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 30, "output_tokens": 7 });
    let mut events = vec![start(usage)];
    events.extend(block(0, json!({ "type": "text", "text": "" }), &[json!({ "type": "text_delta", "text": "hi" })]));
    events.extend(stop("end_turn", last.clone()));
    let (chunks, facts) = fine(ChatCompletions, &events, "");
    let usage = facts.usage.expect("usage");
    assert_eq!((usage.prompt, usage.cached, usage.cache_write, usage.completion), (120, 80, 30, 7));
    let told_usage = &chunks.last().expect("a chunk")["usage"];
    assert_eq!(
        (&told_usage["prompt_tokens"], &told_usage["completion_tokens"], &told_usage["total_tokens"]),
        (&json!(120), &json!(7), &json!(127))
    );
    assert_eq!(told_usage["prompt_tokens_details"]["cached_tokens"], 80);
    let whole = json!({ "id": "m", "type": "message", "model": "c", "content": [], "stop_reason": "end_turn", "usage": last });
    assert_eq!(told(ChatCompletions, &whole).expect("an answer").0["usage"]["prompt_tokens"], 120);
    let openai = json!({ "id": "c", "model": "g", "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 120, "completion_tokens": 7, "prompt_tokens_details": { "cached_tokens": 80 } } });
    let anthropic = &told(Messages, &openai).expect("an answer").0["usage"];
    assert_eq!(
        (&anthropic["input_tokens"], &anthropic["cache_read_input_tokens"], &anthropic["output_tokens"]),
        (&json!(40), &json!(80), &json!(7))
    );
}

// 3
#[test]
fn a_stream_with_a_call_ends_as_one_whatever_the_provider_calls_it() {
    let (events, _) = fine(Messages, &[call(Some(0), "a", "f", "{}"), chunk(json!({}), json!("stop"))], DONE);
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    let answer = json!({ "id": "c", "model": "g", "choices": [{ "finish_reason": "stop", "message": { "content": null,
        "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] } }] });
    assert_eq!(told(Messages, &answer).expect("an answer").0["stop_reason"], "tool_use");
}

// 9
#[test]
fn calls_without_ids_get_ids_that_differ_in_the_answer_and_between_answers() {
    let answer = |id: &str| {
        let call = json!({ "type": "function", "id": "", "function": { "name": "f", "arguments": "{}" } });
        json!({ "id": id, "model": "g", "choices": [{ "finish_reason": "tool_calls", "message": { "tool_calls": [call, call] } }] })
    };
    let mut ids = BTreeSet::new();
    for id in ["one", "two"] {
        let (told, _) = told(Messages, &answer(id)).expect("an answer");
        ids.extend(told["content"].as_array().expect("blocks").iter().map(|block| block["id"].as_str().expect("an id").to_owned()));
    }
    let (events, _) = fine(Messages, &[call(Some(0), "", "f", "{}"), call(Some(1), "", "f", "{}"), chunk(json!({}), json!("stop"))], DONE);
    ids.extend(blocks(&events).iter().map(|block| block["id"].as_str().expect("an id").to_owned()));
    assert_eq!(ids.len(), 6, "{ids:?}");
}

// 11
#[test]
fn a_call_without_arguments_has_an_empty_object_for_them() {
    for deltas in [vec![], vec![json!({ "type": "input_json_delta", "partial_json": "" })]] {
        let mut events = vec![start(json!({ "input_tokens": 1, "output_tokens": 1 }))];
        events.extend(block(0, tool_use("toolu_a", "f"), &deltas));
        events.extend(stop("tool_use", json!({ "output_tokens": 2 })));
        let (chunks, _) = fine(ChatCompletions, &events, "");
        let pieces = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str());
        assert_eq!(pieces.collect::<String>(), "{}");
    }
    let (events, _) = fine(Messages, &[call(Some(0), "a", "f", ""), chunk(json!({}), json!("tool_calls"))], DONE);
    assert_eq!(blocks(&events)[0]["input"], json!({}));
    let sent = asked(
        ChatCompletions,
        &conversation(json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": null, "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }] },
            { "role": "tool", "tool_call_id": "a", "content": "" },
        ])),
    );
    assert_eq!(sent["messages"][1]["content"][0]["input"], json!({}));
}

// 20
#[test]
fn a_refusal_of_the_content_filter_is_known_by_its_code() {
    let body = br#"{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    assert_eq!(Fault::of_answer(ChatCompletions, 400, body).class, FailureClass::ContentFiltered);
}

// 24
#[test]
fn an_answer_of_200_without_choices_or_with_an_error_is_no_success() {
    for (client, answer) in [
        (Messages, json!({ "error": { "message": "no", "code": 429 } })),
        (Messages, json!({ "id": "c", "choices": [] })),
        (Messages, json!({ "id": "c" })),
        (ChatCompletions, json!({ "type": "error", "error": { "type": "rate_limit_error", "message": "no" } })),
        (ChatCompletions, json!({ "id": "m", "type": "message" })),
        (ChatCompletions, json!("<html>")),
    ] {
        assert!(told(client, &answer).is_err(), "{answer}");
    }
}

#[test]
fn arguments_are_one_object_to_their_end_or_the_answer_is_none() {
    let answer = |arguments: &str, finish: &str| {
        json!({ "id": "c", "model": "g", "choices": [{ "finish_reason": finish, "message": { "content": "x",
            "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": arguments } }] } }] })
    };
    for arguments in ["{\"x\":1},\"stop_reason\":\"end_turn\"", "{} {}", "[1]", "{\"x\":", "nothing"] {
        assert_eq!(
            told(Messages, &answer(arguments, "tool_calls")).map_err(|fault| fault.class),
            Err(FailureClass::InvalidResponse),
            "{arguments}"
        );
    }
    let (cut, _) = told(Messages, &answer("{\"x\":", "length")).expect("an answer");
    assert_eq!(
        (&cut["content"], &cut["stop_reason"]),
        (&json!([{ "type": "text", "text": "x" }]), &json!("max_tokens")),
        "cut off by the limit"
    );
}

// 26
#[test]
fn an_embedding_in_base64_is_the_same_as_in_numbers() {
    let config = Simulated { seed: 1, latency_ms: 0, token_interval_ms: 0, answer_tokens: 1, faults: Vec::new() };
    let ask = |format: &str| {
        let request = json!({ "model": "e", "input": ["one", "two"], "encoding_format": format, "dimensions": 256 }).to_string();
        let beats = play(&config, Surface::Embeddings, Heard::Json(request.as_bytes()), 0).beats;
        let bytes: Vec<u8> = beats.filter_map(|beat| if let Beat::Bytes(bytes) = beat { Some(bytes) } else { None }).flatten().collect();
        serde_json::from_slice::<Value>(&bytes).expect("JSON")
    };
    let (numbers, packed) = (ask("float"), ask("base64"));
    for place in 0..2 {
        let bytes = STANDARD.decode(packed["data"][place]["embedding"].as_str().expect("base64")).expect("base64");
        let read: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect();
        let plain: Vec<f32> = serde_json::from_value(numbers["data"][place]["embedding"].clone()).expect("numbers");
        assert_eq!((read.len(), read), (256, plain));
    }
}

// 28
#[test]
fn thoughts_are_read_by_each_of_their_names() {
    let delta = |field: &str| {
        let mut delta = json!({});
        delta[field] = json!("hm");
        fine(Messages, &[chunk(delta, Value::Null), chunk(json!({ "content": "x" }), json!("stop"))], DONE).0
    };
    let mistral = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }], "closed": true }]);
    let listed =
        fine(Messages, &[chunk(json!({ "content": mistral }), Value::Null), chunk(json!({ "content": "x" }), json!("stop"))], DONE).0;
    for events in [delta("reasoning_content"), delta("reasoning"), listed] {
        assert_eq!(
            blocks(&events),
            [json!({ "type": "thinking", "thinking": "hm", "signature": "" }), json!({ "type": "text", "text": "x" })]
        );
    }
    for message in [
        json!({ "content": "x", "reasoning_content": "hm" }),
        json!({ "content": "x", "reasoning": "hm" }),
        json!({ "content": [mistral[0], { "type": "text", "text": "x" }, { "type": "reference", "reference_ids": [1] }] }),
    ] {
        let answer = json!({ "id": "c", "model": "g", "choices": [{ "message": message, "finish_reason": "stop" }] });
        let content = told(Messages, &answer).expect("an answer").0["content"].clone();
        assert_eq!(content, json!([{ "type": "thinking", "thinking": "hm", "signature": "" }, { "type": "text", "text": "x" }]));
    }
}

// 40
#[test]
fn the_words_and_codes_of_a_providers_error_are_kept() {
    let fault = Fault::of_answer(
        ChatCompletions,
        429,
        br#"{"error":{"message":"slow down, please","type":"requests","param":"model","code":"rate_limit_exceeded"}}"#,
    );
    assert_eq!(
        (fault.message.as_str(), fault.code.as_deref(), fault.param.as_deref()),
        ("slow down, please", Some("rate_limit_exceeded"), Some("model"))
    );
}

#[test]
fn a_refusal_is_a_reason_to_stop_in_both_dialects() {
    let refusal =
        json!({ "id": "c", "model": "g", "choices": [{ "message": { "content": null, "refusal": "No." }, "finish_reason": "stop" }] });
    let (answer, _) = told(Messages, &refusal).expect("an answer");
    assert_eq!((&answer["stop_reason"], &answer["content"]), (&json!("refusal"), &json!([{ "type": "text", "text": "No." }])));
    let (events, _) = fine(Messages, &[chunk(json!({ "refusal": "No." }), Value::Null), chunk(json!({}), json!("stop"))], DONE);
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "refusal");
    let back = json!({ "id": "m", "type": "message", "model": "c", "content": [], "stop_reason": "refusal", "stop_details": { "explanation": "No." } });
    let (answer, _) = told(ChatCompletions, &back).expect("an answer");
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["refusal"], &choice["message"]["content"]),
        (&json!("content_filter"), &json!("No."), &Value::Null)
    );
}

#[test]
fn nesting_without_end_in_an_answer_takes_no_stack() {
    let deep = |part: &str, end: &str| format!("{}{}", part.repeat(100_000), end.repeat(100_000));
    for (part, end) in [("[{\"type\":\"thinking\",\"thinking\":", "\"x\"}]"), ("[", "]"), ("{\"x\":", "1}")] {
        let content = deep(part, end);
        let whole = format!(
            "{{\"id\":\"c\",\"error\":null,\"choices\":[{{\"message\":{{\"content\":{content}}},\"finish_reason\":\"stop\"}}],\"content\":{content}}}"
        );
        let event = format!("data: {{\"id\":\"c\",\"type\":\"x\",\"choices\":[{{\"delta\":{{\"content\":{content}}}}}]}}\n\n");
        for client in [ChatCompletions, Messages] {
            for upstream in [ChatCompletions, Messages] {
                let passage = passage(client, upstream, &chat(json!({ "stream": true }))).expect("a passage");
                drop(passage.read_whole(whole.clone().into()));
                drop(passage.stream_reader().push(event.clone().into()));
                drop(Fault::of_answer(upstream, 500, whole.as_bytes()));
            }
        }
    }
}
