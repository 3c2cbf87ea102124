//! Each way in which a server differs from OpenAI: what it is asked, and what a client is told.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{CannotSay, Passage, Target};
use serde_json::{Value, json};
use snapshot::{FailureClass, Quirk, Surface};

fn request(more: Value) -> Value {
    let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

fn passage(client: Surface, quirks: &[Quirk], drops: bool, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(request.to_string());
    let head = Head::read(client, &body).expect("a request");
    let (speaks, quirks) = (BTreeSet::from([Surface::ChatCompletions]), quirks.iter().copied().collect());
    Passage::toward(client, &Target { speaks: &speaks, quirks: &quirks, drops }, &head, &body, "m")
}

/// What the server is sent.
fn asked(quirks: &[Quirk], more: Value) -> Value {
    let passage = passage(Surface::ChatCompletions, quirks, false, &request(more)).expect("a passage");
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

/// What a client is told of a whole answer.
fn told(quirks: &[Quirk], answer: Value) -> Result<Value, Fault> {
    let passage = passage(Surface::ChatCompletions, quirks, false, &request(json!({}))).expect("a passage");
    let whole = passage.read_whole(Bytes::from(answer.to_string()))?;
    Ok(serde_json::from_slice(&whole.body).expect("JSON"))
}

/// What a client is told of a stream, event by event, with the fault that ended it.
fn streamed(quirks: &[Quirk], include_usage: bool, events: &[Value]) -> (Vec<Value>, Option<Fault>) {
    let mut request = request(json!({ "stream": true }));
    if include_usage {
        request["stream_options"] = json!({ "include_usage": true });
    }
    let passage = passage(Surface::ChatCompletions, quirks, false, &request).expect("a passage");
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).chain(["data: [DONE]\n\n".to_owned()]).collect();
    let mut seen: Option<Vec<Value>> = None;
    for size in [usize::MAX, 7, 1] {
        let mut reader = passage.stream_reader();
        let mut out = Vec::new();
        let mut fault = None;
        for piece in stream.as_bytes().chunks(size.min(stream.len())) {
            let pushed = reader.push(Bytes::copy_from_slice(piece));
            out.extend_from_slice(&pushed.bytes);
            fault = fault.or(pushed.fault);
        }
        let pushed = reader.finish();
        out.extend_from_slice(&pushed.bytes);
        fault = fault.or(pushed.fault);
        let text = String::from_utf8(out).expect("UTF-8");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        let told: Vec<Value> = data.map(|data| serde_json::from_str(data).expect("JSON")).collect();
        assert_eq!(seen.get_or_insert_with(|| told.clone()), &told, "cut into pieces of {size}");
        if fault.is_some() {
            return (told, fault);
        }
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
    (seen.unwrap_or_default(), None)
}

#[test]
fn without_quirks_and_where_none_concerns_it_every_byte_stays() {
    let body = Bytes::from_static(b"{ \"model\" :\"m\",\n \"messages\":[] , \"seed\": 1e2, \"max_completion_tokens\":7 }");
    let answer =
        Bytes::from_static(b" { \"choices\" : [ { \"index\":0, \"message\":{\"content\":\"x\"} , \"finish_reason\":\"stop\"} ] } ");
    for quirks in [&[][..], &[Quirk::Reasoning, Quirk::ContentParts, Quirk::FinishReasons, Quirk::ReasoningApart, Quirk::CallIds]] {
        let quirks: BTreeSet<Quirk> = quirks.iter().copied().collect();
        let speaks = BTreeSet::from([Surface::ChatCompletions]);
        let head = Head::read(Surface::ChatCompletions, &body).expect("a request");
        let target = Target { speaks: &speaks, quirks: &quirks, drops: false };
        let passage = Passage::toward(Surface::ChatCompletions, &target, &head, &body, "m").expect("a passage");
        assert_eq!(passage.request().concat(), body);
        assert_eq!(passage.read_whole(answer.clone()).expect("an answer").body, answer);
    }
}

#[test]
fn fields_are_told_by_the_names_that_the_server_knows() {
    assert_eq!(asked(&[Quirk::MaxTokens], json!({ "max_completion_tokens": 7 })), request(json!({ "max_tokens": 7 })));
    assert_eq!(asked(&[Quirk::MaxTokens], json!({ "max_tokens": 5, "max_completion_tokens": 7 })), request(json!({ "max_tokens": 5 })));
    assert_eq!(asked(&[Quirk::MaxTokens], json!({ "max_completion_tokens": null, "max_tokens": 7 })), request(json!({ "max_tokens": 7 })));
    assert_eq!(asked(&[Quirk::RandomSeed], json!({ "seed": 7 })), request(json!({ "random_seed": 7 })));
    assert_eq!(asked(&[Quirk::AnyToolChoice], json!({ "tool_choice": "required" })), request(json!({ "tool_choice": "any" })));
    assert_eq!(asked(&[Quirk::AnyToolChoice], json!({ "tool_choice": "auto" })), request(json!({ "tool_choice": "auto" })));
    let said = |role: &str| json!({ "messages": [{ "role": role, "name": "ada", "content": "x" }, 7], "user": "u", "store": true });
    assert_eq!(asked(&[Quirk::SystemRole], said("developer")), request(said("system")));
    let bare = request(json!({ "messages": [{ "role": "user", "content": "x" }, 7] }));
    assert_eq!(asked(&[Quirk::NoLabels], said("user")), bare);
}

#[test]
fn a_stream_is_asked_for_its_usage_unless_the_server_does_not_know_how() {
    let usage = json!({ "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(asked(&[Quirk::MaxTokens], json!({ "stream": true }))["stream_options"], usage["stream_options"]);
    assert_eq!(asked(&[Quirk::NoStreamOptions], json!({ "stream": true })), request(json!({ "stream": true })));
    assert_eq!(asked(&[Quirk::NoStreamOptions], usage), request(json!({ "stream": true })));
}

#[test]
fn ids_of_calls_are_nine_letters_and_digits_and_stay_one_and_the_same() {
    let messages = json!([
        { "role": "assistant", "tool_calls": [{ "id": "call_\u{fc}-1", "function": { "name": "f", "arguments": "{}" } }, { "id": "abcDEF123" }] },
        { "role": "tool", "tool_call_id": "call_\u{fc}-1", "content": "x" }, { "role": "tool", "tool_call_id": "abcDEF123", "content": "x" },
    ]);
    let sent = asked(&[Quirk::ShortCallIds], json!({ "messages": messages }));
    let id = sent["messages"][0]["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(sent["messages"][1]["tool_call_id"], id);
    assert_eq!(
        (&sent["messages"][0]["tool_calls"][1]["id"], &sent["messages"][2]["tool_call_id"]),
        (&json!("abcDEF123"), &json!("abcDEF123"))
    );
    assert_eq!(sent["messages"][0]["tool_calls"][0]["function"], messages[0]["tool_calls"][0]["function"], "all else stays");
}

/// Fields that a server cannot be told: quirk, field, a value that says something, one that does not.
const CANNOT: [(Quirk, &str, &str, &str); 16] = [
    (Quirk::NoTools, "tools", r#"[{"type":"function","function":{"name":"f"}}]"#, "[]"),
    (Quirk::NoTools, "tool_choice", r#""required""#, r#""auto""#),
    (Quirk::NoRequiredToolChoice, "tool_choice", r#""required""#, "null"),
    (Quirk::NoNamedToolChoice, "tool_choice", r#"{"type":"function","function":{"name":"f"}}"#, "null"),
    (Quirk::NoParallelToolCalls, "parallel_tool_calls", "false", "true"),
    (Quirk::NoSeed, "seed", "7", "null"),
    (Quirk::NoPenalties, "presence_penalty", "0.5", "0"),
    (Quirk::NoPenalties, "frequency_penalty", "1", "0.0"),
    (Quirk::NoLogprobs, "logprobs", "true", "false"),
    (Quirk::NoLogprobs, "top_logprobs", "3", "0"),
    (Quirk::NoLogitBias, "logit_bias", r#"{"1":2}"#, "{}"),
    (Quirk::OneChoice, "n", "2", "1"),
    (Quirk::NoJsonSchema, "response_format", r#"{"type":"json_schema","json_schema":{"name":"a","schema":{}}}"#, "null"),
    (Quirk::NoJsonSchema, "response_format", r#"{"json_schema":{"name":"a"},"type":"json_schema"}"#, "null"),
    (Quirk::NoServiceTier, "service_tier", r#""flex""#, r#""auto""#),
    (Quirk::NoServiceTier, "service_tier", r#""priority""#, r#""default""#),
];

#[test]
fn what_a_server_cannot_be_told_is_refused_by_name_or_dropped_and_named() {
    for (quirk, field, says, neutral) in CANNOT {
        let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let with = |text: &str| request(json!({ field: value(text) }));
        let refused = passage(Surface::ChatCompletions, &[quirk], false, &with(says)).expect_err(field);
        assert!(matches!(&refused, CannotSay::Field { field: named, .. } if named == field), "{refused:?}");
        let dropping = passage(Surface::ChatCompletions, &[quirk], true, &with(says)).expect("a passage");
        assert_eq!(dropping.dropped(), [field]);
        let sent = |passage: &Passage| serde_json::from_slice::<Value>(&passage.request().concat()).expect("JSON");
        assert_eq!(sent(&dropping), request(json!({})), "{field}");
        let silent = passage(Surface::ChatCompletions, &[quirk], false, &with(neutral)).expect("a passage");
        assert_eq!((sent(&silent), silent.dropped()), (request(json!({})), &[][..]), "{field}");
        let others = passage(Surface::ChatCompletions, &[Quirk::Reasoning], false, &with(says)).expect("a passage");
        assert_eq!(sent(&others), with(says), "{field} passes where nothing is against it");
    }
    let object = json!({ "response_format": { "type": "json_object" } });
    assert_eq!(asked(&[Quirk::NoJsonSchema], object.clone()), request(object));
}

#[test]
fn a_translated_call_meets_the_same_quirks() {
    let request = json!({
        "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }], "tools": [{ "name": "f", "input_schema": { "type": "object" } }],
        "tool_choice": { "type": "any" },
    });
    let translated = passage(Surface::Messages, &[Quirk::MaxTokens, Quirk::AnyToolChoice], false, &request).expect("a passage");
    let sent: Value = serde_json::from_slice(&translated.request().concat()).expect("JSON");
    assert_eq!((&sent["max_tokens"], &sent["max_completion_tokens"], &sent["tool_choice"]), (&json!(9), &Value::Null, &json!("any")));
    let refused = passage(Surface::Messages, &[Quirk::NoRequiredToolChoice], false, &request).expect_err("it is refused");
    assert!(refused.to_string().contains("tool_choice"), "{refused}");
    let translated = passage(Surface::Messages, &[Quirk::ContentParts, Quirk::FinishReasons], false, &request).expect("a passage");
    let answer = json!({ "choices": [{ "message": { "content": [{ "type": "thinking", "thinking": "hm" }, { "type": "text", "text": "so" }],
        "tool_calls": [{ "id": "a", "function": { "name": "f", "arguments": "{}" } }] }, "finish_reason": "" }] });
    let whole = translated.read_whole(Bytes::from(answer.to_string())).expect("an answer");
    let told: Value = serde_json::from_slice(&whole.body).expect("JSON");
    assert_eq!(
        (&told["stop_reason"], &told["content"][0]["thinking"], &told["content"][1]["text"]),
        (&json!("tool_use"), &json!("hm"), &json!("so"))
    );
}

#[test]
fn what_another_dialect_has_no_word_for_is_dropped_and_named_too() {
    let request = request(json!({ "max_tokens": 9, "logit_bias": { "1": 2 }, "n": 2, "seed": 7 }));
    let body = Bytes::from(request.to_string());
    let head = Head::read(Surface::ChatCompletions, &body).expect("a request");
    let (speaks, quirks) = (BTreeSet::from([Surface::Messages]), BTreeSet::new());
    let toward = |drops| Passage::toward(Surface::ChatCompletions, &Target { speaks: &speaks, quirks: &quirks, drops }, &head, &body, "m");
    assert!(matches!(toward(false), Err(CannotSay::Field { field, .. }) if field == "logit_bias"));
    let passage = toward(true).expect("a passage");
    assert_eq!(
        passage.dropped().iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"logit_bias".to_owned(), &"n".to_owned(), &"seed".to_owned()])
    );
    let sent: Value = serde_json::from_slice(&passage.request().concat()).expect("JSON");
    assert_eq!((&sent["messages"][0]["role"], &sent["max_tokens"]), (&json!("user"), &json!(9)));
    let odd = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "alien", "content": "x" }] });
    let body = Bytes::from(odd.to_string());
    let head = Head::read(Surface::ChatCompletions, &body).expect("a request");
    let target = Target { speaks: &speaks, quirks: &quirks, drops: true };
    assert!(Passage::toward(Surface::ChatCompletions, &target, &head, &body, "m").is_err(), "what a request is about is not dropped");
}

fn choice(message: Value, finish: &str) -> Value {
    json!({ "id": "a", "choices": [{ "index": 0, "message": message, "finish_reason": finish }] })
}

fn chunk(delta: Value, finish: Value) -> Value {
    json!({ "id": "a", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
}

#[test]
fn thoughts_are_told_where_clients_look_for_them() {
    let answer = told(&[Quirk::Reasoning], choice(json!({ "content": "x", "reasoning": "h\u{fc}m" }), "stop")).expect("an answer");
    let message = &answer["choices"][0]["message"];
    assert_eq!((&message["reasoning"], &message["reasoning_content"]), (&json!("h\u{fc}m"), &json!("h\u{fc}m")));
    let both = choice(json!({ "content": "x", "reasoning": "a", "reasoning_content": "a" }), "stop");
    assert_eq!(told(&[Quirk::Reasoning], both.clone()).expect("an answer"), both);
    let parts = json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
        { "type": "text", "text": "said" }], "tool_calls": null });
    let answer = told(&[Quirk::ContentParts], choice(parts, "stop")).expect("an answer");
    let wanted = json!({ "content": "said", "tool_calls": null, "reasoning_content": "ab" });
    assert_eq!(answer["choices"][0]["message"], wanted);
    let (events, _) = streamed(
        &[Quirk::ContentParts, Quirk::Reasoning],
        false,
        &[
            chunk(
                json!({ "role": "assistant", "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "a" }] }] }),
                Value::Null,
            ),
            chunk(json!({ "reasoning": "b" }), Value::Null),
            chunk(json!({ "content": "said" }), json!("stop")),
        ],
    );
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    assert_eq!(deltas[0], &json!({ "role": "assistant", "content": "", "reasoning_content": "a" }));
    assert_eq!((&deltas[1]["reasoning_content"], &deltas[2]["content"]), (&json!("b"), &json!("said")));
}

#[test]
fn reasons_to_finish_are_those_that_openai_has() {
    let called = json!({ "content": null, "tool_calls": [{ "id": "x", "function": { "name": "f", "arguments": "{}" } }] });
    for (message, given, wanted) in [
        (json!({ "content": "x" }), "eos", "stop"),
        (json!({ "content": "x" }), "", "stop"),
        (json!({ "content": "x" }), "model_length", "length"),
        (json!({ "content": "x" }), "sensitive", "content_filter"),
        (called.clone(), "", "tool_calls"),
        (called.clone(), "stop", "tool_calls"),
        (called.clone(), "length", "length"),
    ] {
        let answer = told(&[Quirk::FinishReasons], choice(message, given)).expect("an answer");
        assert_eq!(answer["choices"][0]["finish_reason"], wanted, "{given}");
    }
    let failed = told(&[Quirk::FinishReasons], choice(json!({ "content": "x" }), "error")).expect_err("a fault");
    assert_eq!(failed.class, FailureClass::ServerError);
}

#[test]
fn an_empty_reason_in_a_stream_is_none_and_the_end_has_one() {
    let call = json!({ "tool_calls": [{ "index": 0, "id": "x", "function": { "name": "f", "arguments": "{}" } }] });
    let reasons = |events: &[Value]| -> Vec<Value> {
        let (told, fault) = streamed(&[Quirk::FinishReasons], false, events);
        assert_eq!(fault, None);
        told.iter().map(|event| event["choices"][0]["finish_reason"].clone()).collect()
    };
    let blank = json!("");
    assert_eq!(reasons(&[chunk(json!({ "content": "x" }), blank.clone()), chunk(json!({}), json!("stop"))]), [Value::Null, json!("stop")]);
    let given = reasons(&[chunk(call.clone(), blank.clone()), chunk(json!({}), blank.clone())]);
    assert_eq!(given, [Value::Null, Value::Null, json!("tool_calls")], "one is made where none was told");
    assert_eq!(reasons(&[chunk(call, Value::Null), chunk(json!({}), json!("stop"))]), [Value::Null, json!("tool_calls")]);
    let twice = [chunk(json!({}), json!("length")), chunk(json!({}), json!("length"))];
    assert_eq!(reasons(&twice), [json!("length"), Value::Null], "one is enough");
    let (_, fault) =
        streamed(&[Quirk::FinishReasons], false, &[chunk(json!({ "content": "x" }), Value::Null), chunk(json!({}), json!("error"))]);
    assert_eq!(fault.map(|fault| fault.class), Some(FailureClass::ServerError));
}

#[test]
fn calls_without_ids_or_numbers_are_told_apart() {
    let answer = choice(
        json!({ "tool_calls": [{ "id": "", "function": { "name": "f", "arguments": "{}" } }, { "function": { "name": "g", "arguments": "{}" } }] }),
        "tool_calls",
    );
    let answer = told(&[Quirk::CallIds], answer).expect("an answer");
    let calls = answer["choices"][0]["message"]["tool_calls"].as_array().expect("calls");
    let ids: BTreeSet<&str> = calls.iter().map(|call| call["id"].as_str().expect("an id")).collect();
    assert!(ids.len() == 2 && !ids.contains(""), "{ids:?}");
    let piece = |id: &str, name: Value, arguments: &str| {
        let call = json!({ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
        chunk(json!({ "tool_calls": [call] }), Value::Null)
    };
    for (first, second) in [("x", "y"), ("", "")] {
        let events = [
            piece(first, json!("f"), "{\"a\""),
            piece(first, Value::Null, ":1}"),
            piece(second, json!("g"), "{}"),
            chunk(json!({}), json!("tool_calls")),
        ];
        let (told, _) = streamed(&[Quirk::CallIds], false, &events);
        let calls: Vec<&Value> = told.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0)).collect();
        let numbers: Vec<&Value> = calls.iter().map(|call| &call["index"]).collect();
        assert_eq!(numbers, [&json!(0), &json!(0), &json!(1)]);
        assert_eq!(calls[1]["id"], Value::Null, "what goes on has no id of its own");
        assert_ne!(calls[0]["id"], calls[2]["id"]);
        assert_ne!(calls[0]["id"], "");
    }
}

#[test]
fn usage_is_told_where_and_as_openai_tells_it() {
    let usage = json!({ "prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 301, "completion_tokens_details": { "reasoning_tokens": 290 } });
    let mut answer = choice(json!({ "content": "x" }), "stop");
    answer["usage"] = usage;
    let answer = told(&[Quirk::ReasoningApart], answer).expect("an answer");
    assert_eq!(answer["usage"]["completion_tokens"], 291);
    assert_eq!(told(&[Quirk::ReasoningApart], answer.clone()).expect("an answer"), answer, "what is right stays");
    let mut last = chunk(json!({}), json!("stop"));
    last["x_groq"] = json!({ "id": "r", "usage": { "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 } });
    let events = [chunk(json!({ "content": "x" }), Value::Null), last.clone()];
    let (told, _) = streamed(&[Quirk::UsageInXGroq], true, &events);
    assert_eq!(told[1]["usage"], last["x_groq"]["usage"]);
    let (told, _) = streamed(&[Quirk::UsageInXGroq], false, &events);
    assert_eq!(told[1], last, "who did not ask for it is not told more than the server told");
}

#[test]
fn what_the_cache_gave_is_told_among_the_details() {
    let with = |usage: Value| {
        let mut answer = choice(json!({ "content": "x" }), "stop");
        answer["usage"] = usage;
        answer
    };
    let counts = json!({ "prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21 });
    for (name, details) in [("cached_tokens", Value::Null), ("prompt_cache_hit_tokens", json!({ "audio_tokens": 2 }))] {
        let mut usage = counts.clone();
        usage[name] = json!(10);
        usage["prompt_tokens_details"] = details.clone();
        let answer = told(&[Quirk::CachedApart], with(usage)).expect("an answer");
        assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 10, "{answer}");
        assert_eq!(answer["usage"]["prompt_tokens_details"]["audio_tokens"], details["audio_tokens"]);
    }
    let mut right = counts.clone();
    right["prompt_tokens_details"] = json!({ "cached_tokens": 3 });
    right["cached_tokens"] = json!(10);
    for right in [with(counts), with(right)] {
        assert_eq!(told(&[Quirk::CachedApart], right.clone()).expect("an answer"), right, "what is right stays");
    }
}

#[test]
fn chunks_in_a_form_of_their_own_are_told_in_openais() {
    let usage = |count: u64| json!({ "prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count });
    let mut events = [("a", Value::Null), ("b", Value::Null), ("", json!("stop"))]
        .map(|(text, reason)| chunk(json!({ "role": "assistant", "content": text }), reason));
    for (count, event) in (1..).zip(&mut events) {
        event["id"] = json!("");
        event["usage"] = usage(count);
    }
    events[2]["object"] = json!("chat.completion.done");
    for include in [true, false] {
        let (told, fault) = streamed(&[Quirk::LooseChunks], include, &events);
        assert_eq!(fault, None);
        assert_eq!(told.len(), if include { 4 } else { 3 }, "{told:?}");
        let roles: Vec<&Value> = told.iter().map(|event| &event["choices"][0]["delta"]["role"]).take(3).collect();
        assert_eq!(roles, [&json!("assistant"), &Value::Null, &Value::Null]);
        assert!(told.iter().all(|event| event["object"] == "chat.completion.chunk" && event["id"] == told[0]["id"] && event["id"] != ""));
        assert!(told[..3].iter().all(|event| event["usage"].is_null()), "{told:?}");
        if include {
            assert_eq!((&told[3]["choices"], &told[3]["usage"]), (&json!([]), &usage(3)), "the last holds, at the end");
        }
    }
}

#[test]
fn an_error_inside_an_answer_is_one() {
    for (code, class) in [
        (1002, FailureClass::RateLimited),
        (1004, FailureClass::AuthFailed),
        (1008, FailureClass::QuotaExceeded),
        (1000, FailureClass::ServerError),
    ] {
        let answer = json!({ "choices": null, "base_resp": { "status_code": code, "status_msg": "no" } });
        let fault = told(&[Quirk::ErrorsInAnswers], answer.clone()).expect_err("a fault");
        assert_eq!((fault.class, fault.message.as_str()), (class, "no"), "{code}");
        let (_, fault) = streamed(&[Quirk::ErrorsInAnswers], false, &[answer]);
        assert_eq!(fault.map(|fault| fault.class), Some(class));
    }
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "x" }, "finish_reason": "stop" });
    let fine = json!({ "choices": [choice], "base_resp": { "status_code": 0, "status_msg": "" } });
    assert_eq!(told(&[Quirk::ErrorsInAnswers], fine.clone()).expect("an answer"), fine);
}

#[test]
fn every_quirk_has_a_test_here() {
    let source = include_str!("quirks.rs");
    let untested: Vec<&str> =
        Quirk::ALL.iter().map(|quirk| quirk.word()).filter(|word| !source.contains(&format!("Quirk::{word}"))).collect();
    assert!(untested.is_empty(), "{untested:?}");
}

#[test]
fn bytes_of_strangers_harm_nobody() {
    let all: Vec<Quirk> = Quirk::ALL.into_iter().filter(|quirk| !quirk.is_of_requests()).collect();
    let deep = format!("{}{}", "{\"choices\":[".repeat(70), "]}".repeat(70));
    for answer in [
        "",
        "[]",
        "{}",
        "{\"choices\":{}}",
        "{\"choices\":[1,null,[]]}",
        "{\"choices\":[{\"delta\":[],\"message\":7}]}",
        &deep,
        "{\"choices\":[{\"index\":-1,\"message\":{\"content\":[[[]]],\"tool_calls\":[1,{},{\"function\":7}]},\"finish_reason\":{}}]}",
        "{\"usage\":{\"prompt_tokens\":-1,\"total_tokens\":1e99},\"x_groq\":{\"usage\":7},\"base_resp\":{\"status_code\":\"x\"}}",
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"\\ud800\",\"function\":{\"name\":\"\\ud800\"}}]}}]}",
    ] {
        let passage = passage(Surface::ChatCompletions, &all, false, &request(json!({ "stream": true }))).expect("a passage");
        drop(passage.read_whole(Bytes::copy_from_slice(answer.as_bytes())));
        let mut reader = passage.stream_reader();
        drop(reader.push(Bytes::from(format!("data: {answer}\n\n"))));
        drop(reader.finish());
    }
}
