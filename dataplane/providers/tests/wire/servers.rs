//! Servers that speak OpenAI's chat in ways of their own, by their presets.

use serde_json::{Value, json};
use snapshot::FailureClass;
use snapshot::Surface::ChatCompletions;

use crate::client::{Read, calls, events, preset, stream, whole};

fn told(server: &str, all: &[Value]) -> Result<Read, FailureClass> {
    stream(ChatCompletions, &preset(server), events(all, true))
}

fn answer(server: &str, model: &str, message: Value, reason: &str, usage: Value) -> Read {
    let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [{ "index": 0, "message": message, "finish_reason": reason }], "usage": usage });
    whole(ChatCompletions, &preset(server), &answer).expect("an answer")
}

fn chunk(delta: Value, finish: Value) -> Value {
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
}

fn with_usage(mut chunk: Value) -> Value {
    chunk["usage"] = json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 });
    chunk
}

#[test]
fn mistral_tells_calls_without_their_type_or_place() {
    let call = json!({ "id": "gSIMJiOkT", "function": { "name": "f", "arguments": "{\"x\": 1}" } });
    let read = answer("mistral", "m", json!({ "role": "assistant", "content": "", "tool_calls": [call] }), "tool_calls", Value::Null);
    assert_eq!((read.calls, read.ids), (calls(&[("f", json!({ "x": 1 }))]), vec!["gSIMJiOkT".to_owned()]));
    let start = chunk(json!({ "role": "assistant", "content": "" }), Value::Null);
    let read = told("mistral", &[start, with_usage(chunk(json!({ "content": null, "tool_calls": [call] }), json!("tool_calls")))])
        .expect("a stream");
    assert_eq!(
        (read.calls, read.ids, read.usage),
        (calls(&[("f", json!({ "x": 1 }))]), vec!["gSIMJiOkT".to_owned()], Some([9, 4, 0, 0, 0]))
    );
}

#[test]
fn mistral_may_begin_with_a_call_in_pieces_and_no_role() {
    let piece = |id: Value, name: &str, arguments: &str| json!({ "tool_calls": [{ "id": id, "type": "function", "function": { "name": name, "arguments": arguments }, "index": 0 }], "index": 0, "content": "" });
    let read = told(
        "mistral",
        &[
            chunk(piece(json!("tool-1"), "f", ""), Value::Null),
            chunk(piece(Value::Null, "", "{\"x\":"), Value::Null),
            chunk(piece(Value::Null, "", "1}"), Value::Null),
            with_usage(chunk(json!({ "index": 0, "content": "" }), json!("tool_calls"))),
        ],
    );
    assert_eq!(read.map(|read| read.calls), Ok(calls(&[("f", json!({ "x": 1 }))])));
}

#[test]
fn mistral_counts_sounds_in_the_total_alone() {
    let usage = json!({ "prompt_audio_seconds": 3, "prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 404, "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 375 } });
    assert_eq!(answer("mistral", "m", json!({ "role": "assistant", "content": "x" }), "stop", usage).usage, Some([384, 20, 0, 0, 0]));
}

#[test]
fn mistral_thinks_and_refers_in_lists() {
    let list = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }], "closed": true }, { "type": "text", "text": "High" }, { "type": "reference", "reference_ids": [0] }, { "type": "text", "text": "." }]);
    let read = answer(
        "mistral",
        "m",
        json!({ "role": "assistant", "content": list, "tool_calls": null, "prefix": false }),
        "model_length",
        Value::Null,
    );
    assert_eq!((&*read.thoughts, &*read.text, &*read.finish), ("Hm.", "High.", "length"));
    let read = told(
        "mistral",
        &[
            chunk(json!({ "role": "assistant", "content": [list[0]] }), Value::Null),
            chunk(json!({ "content": "High" }), Value::Null),
            chunk(json!({ "content": [list[2], list[3]] }), json!("stop")),
        ],
    );
    assert_eq!(read.map(|read| (read.thoughts, read.text)), Ok(("Hm.".to_owned(), "High.".to_owned())));
}

#[test]
fn alibaba_repeats_an_empty_id() {
    let piece = |id: &str, function: Value| {
        chunk(json!({ "content": null, "tool_calls": [{ "index": 0, "id": id, "type": "function", "function": function }] }), Value::Null)
    };
    let read = told(
        "alibaba",
        &[
            chunk(
                json!({ "role": "assistant", "content": null, "tool_calls": [{ "index": 0, "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "" } }] }),
                Value::Null,
            ),
            piece("", json!({ "arguments": "{\"x\":" })),
            piece("", json!({ "arguments": "1}" })),
            chunk(json!({ "content": "" }), json!("tool_calls")),
        ],
    );
    assert_eq!(read.map(|read| (read.calls, read.ids)), Ok((calls(&[("f", json!({ "x": 1 }))]), vec!["call_1".to_owned()])));
}

#[test]
fn calls_without_arguments_have_an_object_for_them() {
    for server in ["openrouter", "snowflake", "mistral", "ollama-openai"] {
        for function in [
            json!({ "name": "f" }),
            json!({ "name": "f", "arguments": "" }),
            json!({ "name": "f", "arguments": null }),
            json!({ "name": "f", "arguments": {} }),
        ] {
            let call = json!({ "index": 0, "id": "call_1", "type": "function", "function": function });
            let read = answer(server, "m", json!({ "role": "assistant", "content": "x", "tool_calls": [call] }), "tool_calls", Value::Null);
            assert_eq!(read.calls, calls(&[("f", json!({}))]), "{server} {function}");
            let (start, said) = (chunk(json!({ "role": "assistant", "content": "x" }), Value::Null), json!({ "tool_calls": [call] }));
            let apart = [start.clone(), chunk(said.clone(), Value::Null), chunk(json!({ "content": "" }), json!("tool_calls"))];
            let at_last = [start, chunk(said, json!("tool_calls"))];
            for all in [&apart[..], &at_last[..]] {
                assert_eq!(told(server, all).map(|read| read.calls), Ok(calls(&[("f", json!({}))])), "{server} {function}");
            }
        }
    }
}

#[test]
fn chunks_of_every_form_are_told_in_openais() {
    let no_object = |mut chunk: Value| {
        chunk.as_object_mut().expect("an object").remove("object");
        chunk
    };
    for server in ["moonshot", "zai", "ollama-cloud", "vllm", "groq", "deepseek"] {
        let with_role = |delta: Value, finish: Value| {
            let mut delta = delta;
            delta["role"] = json!("assistant");
            no_object(chunk(delta, finish))
        };
        let roles = [
            with_role(json!({ "reasoning_content": "Hm." }), Value::Null),
            with_role(json!({ "content": "So." }), Value::Null),
            with_usage(with_role(json!({ "content": "" }), json!("stop"))),
        ];
        let none = [
            chunk(json!({ "reasoning_content": "Hm." }), Value::Null),
            chunk(json!({ "content": "So." }), Value::Null),
            with_usage(chunk(json!({}), json!("stop"))),
        ];
        for all in [roles, none] {
            let wanted =
                Read { text: "So.".into(), thoughts: "Hm.".into(), finish: "stop".into(), usage: Some([9, 4, 0, 0, 0]), ..Read::default() };
            assert_eq!(told(server, &all), Ok(wanted), "{server}");
        }
    }
}

#[test]
fn snowflake_may_leave_the_model_and_the_reason_blank() {
    let read = answer("snowflake", "", json!({ "role": "assistant", "content": "x" }), "", Value::Null);
    assert_eq!((&*read.text, &*read.finish), ("x", "stop"));
    let mut all = [chunk(json!({ "role": "assistant", "content": "x" }), Value::Null), chunk(json!({}), json!("stop"))];
    all.iter_mut().for_each(|chunk| chunk["model"] = json!(""));
    assert_eq!(told("snowflake", &all).map(|read| read.text), Ok("x".to_owned()));
}

#[test]
fn openrouter_breaks_off_in_its_own_way() {
    let begun = chunk(json!({ "role": "assistant", "content": "x", "reasoning": null }), Value::Null);
    let mut broken = chunk(json!({ "content": "" }), json!("error"));
    broken["error"] = json!({ "code": 502, "message": "Upstream error", "metadata": { "error_type": "provider_unavailable" } });
    assert_eq!(told("openrouter", &[begun.clone(), broken]), Err(FailureClass::ServerError));
    assert_eq!(
        told("openrouter", &[begun.clone(), chunk(json!({}), json!("length")), chunk(json!({}), json!("length"))]).map(|read| read.finish),
        Ok("length".to_owned())
    );
    let commented = format!(": OPENROUTER PROCESSING\n\n{}", events(&[begun, chunk(json!({ "content": "y" }), json!("stop"))], true));
    let read = stream(ChatCompletions, &preset("openrouter"), commented.replacen("data: {", ": OPENROUTER PROCESSING\n\ndata: {", 1));
    assert_eq!(read.map(|read| read.text), Ok("xy".to_owned()));
}
