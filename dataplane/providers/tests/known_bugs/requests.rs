//! Requests.

use std::collections::BTreeSet;

use bytes::Bytes;
use providers::head::Head;
use providers::passage::{CannotSay, Passage};
use serde_json::{Value, json};
use snapshot::Surface::{ChatCompletions, Messages};

use crate::play::{DONE, asked, call, chat, chunk, conversation, other, passage, refused, sse};

// 12
#[test]
fn blank_texts_and_blank_turns_are_not_sent_to_a_target_that_refuses_them() {
    let sent = asked(
        ChatCompletions,
        &conversation(json!([
            { "role": "system", "content": " \n" },
            { "role": "user", "content": [{ "type": "text", "text": "" }, { "type": "text", "text": " \n" }, { "type": "text", "text": "x" }] },
            { "role": "assistant", "content": "", "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "a", "content": " " },
            { "role": "assistant", "content": " " },
            { "role": "user", "content": "y" },
            { "role": "assistant", "content": "So  \n" },
        ])),
    );
    assert_eq!(sent.get("system"), None);
    assert_eq!(
        sent["messages"],
        json!([
            { "role": "user", "content": [{ "type": "text", "text": "x" }] },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "f", "input": {} }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": [] }] },
            { "role": "user", "content": [{ "type": "text", "text": "y" }] },
            { "role": "assistant", "content": [{ "type": "text", "text": "So" }] },
        ])
    );
    assert_eq!(refused(ChatCompletions, &chat(json!({ "stop": "\n" }))), "stop");
}

// 13
#[test]
fn thoughts_without_a_seal_are_not_sent_to_a_target_that_checks_seals() {
    let sent = asked(
        ChatCompletions,
        &conversation(json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": "y", "reasoning_content": "hm", "thinking_blocks": [{ "type": "thinking", "thinking": "hm", "signature": "" }] },
            { "role": "user", "content": "z" },
        ])),
    );
    assert_eq!(sent["messages"][1]["content"], json!([{ "type": "text", "text": "y" }]));
}

// 14
#[test]
fn results_of_parallel_calls_are_one_turn_with_the_results_first() {
    let calls = json!([
        { "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } },
        { "id": "b", "type": "function", "function": { "name": "f", "arguments": "{}" } },
    ]);
    let sent = asked(
        ChatCompletions,
        &conversation(json!([
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": null, "tool_calls": calls },
            { "role": "tool", "tool_call_id": "a", "content": "1" },
            { "role": "user", "content": "and" },
            { "role": "tool", "tool_call_id": "b", "content": "2" },
        ])),
    );
    let kinds: Vec<&Value> = sent["messages"][2]["content"].as_array().expect("blocks").iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(3));
}

// 15
#[test]
fn names_of_tools_that_the_target_refuses_are_changed_and_told_back() {
    let long = format!("mcp__{}", "x".repeat(90));
    let longer = format!("{long}y");
    let tools: Vec<Value> =
        ["f", "f_2", long.as_str(), longer.as_str()].iter().map(|name| json!({ "name": name, "input_schema": {} })).collect();
    let request = chat(json!({ "tools": tools, "tool_choice": { "type": "tool", "name": long }, "messages": [
        { "role": "user", "content": "x" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": longer, "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": "1" }] },
    ] }));
    let sent = asked(Messages, &request);
    let names: Vec<&str> =
        sent["tools"].as_array().expect("tools").iter().map(|tool| tool["function"]["name"].as_str().expect("a name")).collect();
    assert_eq!(names[..2], ["f", "f_2"], "what fits is left alone");
    assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 4, "and no two are one: {names:?}");
    assert_eq!(sent["tool_choice"]["function"]["name"], names[2]);
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], names[3]);
    let there = passage(Messages, ChatCompletions, &request).expect("a passage");
    let answer = json!({ "id": "c", "model": "g", "choices": [{ "finish_reason": "tool_calls", "message": {
        "tool_calls": [{ "id": "b", "type": "function", "function": { "name": names[2], "arguments": "{}" } }] } }] });
    let back: Value = serde_json::from_slice(&there.read_whole(answer.to_string().into()).expect("an answer").body).expect("JSON");
    assert_eq!(back["content"][0]["name"], json!(long));
    let mut reader = there.stream_reader();
    let pushed = reader.push((sse(&[call(Some(0), "b", names[3], "{}"), chunk(json!({}), json!("tool_calls"))]) + DONE).into());
    assert!(String::from_utf8_lossy(&pushed.bytes).contains(&format!("\"{longer}\"")));
    let strange = chat(json!({ "tools": [
        { "type": "function", "function": { "name": "files/read.all" } }, { "type": "function", "function": { "name": "files_read_all" } },
    ] }));
    let sent = asked(ChatCompletions, &strange);
    assert_eq!((&sent["tools"][0]["name"], &sent["tools"][1]["name"]), (&json!("files_read_all_2"), &json!("files_read_all")));
}

// 21
#[test]
fn the_limit_of_tokens_has_the_name_that_the_target_takes() {
    for field in ["max_tokens", "max_completion_tokens"] {
        let mut request = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
        request[field] = json!(77);
        assert_eq!(asked(ChatCompletions, &request)["max_tokens"], 77);
    }
    let sent = asked(Messages, &chat(json!({})));
    assert_eq!((&sent["max_completion_tokens"], sent.get("max_tokens")), (&json!(9), None));
    assert!(
        asked(ChatCompletions, &json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] }))["max_tokens"].is_u64(),
        "Anthropic wants one"
    );
}

// 29
#[test]
fn ids_of_calls_are_ones_that_the_target_takes_and_no_two_become_one() {
    let ids = ["functions.f:0", "functions:f.0", "call_1", "é", ""];
    let calls: Vec<Value> =
        ids.iter().map(|id| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } })).collect();
    let mut messages = vec![json!({ "role": "user", "content": "x" }), json!({ "role": "assistant", "tool_calls": calls })];
    messages.extend(ids.iter().map(|id| json!({ "role": "tool", "tool_call_id": id, "content": "1" })));
    let sent = asked(ChatCompletions, &conversation(json!(messages)));
    let of = |turn: usize, field: &str| -> Vec<String> {
        let blocks = sent["messages"][turn]["content"].as_array().expect("blocks");
        blocks.iter().map(|block| block[field].as_str().expect("an id").to_owned()).collect()
    };
    let (made, answered) = (of(1, "id"), of(2, "tool_use_id"));
    assert_eq!(made, answered);
    assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{made:?}");
    assert!(
        made.iter().all(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')),
        "{made:?}"
    );
}

// 34
#[test]
fn a_schema_for_the_answer_makes_no_tool_up_and_a_forced_call_no_thoughts() {
    let format = json!({ "type": "json_schema", "json_schema": { "name": "n", "schema": { "type": "object" } } });
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    let sent = asked(ChatCompletions, &chat(json!({ "response_format": format, "tools": tools, "reasoning_effort": "high" })));
    assert_eq!(sent["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(sent["output_config"]["format"], json!({ "type": "json_schema", "schema": { "type": "object" } }));
    assert_eq!((sent.get("tool_choice"), sent.get("thinking").is_some()), (None, true));
    let forced = asked(ChatCompletions, &chat(json!({ "tools": tools, "tool_choice": "required", "reasoning_effort": "high" })));
    assert_eq!(
        (forced.get("thinking"), &forced["output_config"]["effort"]),
        (None, &json!("high")),
        "the target refuses thoughts before a forced call"
    );
}

#[test]
fn the_effort_that_is_named_holds_wherever_it_stands() {
    let budget = json!({ "type": "enabled", "budget_tokens": 20000 });
    for request in [
        json!({ "thinking": budget, "output_config": { "effort": "low" } }),
        json!({ "output_config": { "effort": "low" }, "thinking": budget }),
    ] {
        assert_eq!(asked(Messages, &chat(request))["reasoning_effort"], "low");
    }
    assert_eq!(asked(Messages, &chat(json!({ "thinking": budget })))["reasoning_effort"], "high");
    assert_eq!(
        asked(Messages, &chat(json!({ "thinking": { "type": "adaptive" } }))).get("reasoning_effort"),
        None,
        "the model's own choice"
    );
}

// 37
#[test]
fn an_image_elsewhere_is_neither_dropped_nor_fetched() {
    let url = "http://169.254.169.254/latest/meta-data";
    let sent = asked(
        ChatCompletions,
        &conversation(json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }])),
    );
    assert_eq!(sent["messages"][0]["content"], json!([{ "type": "image", "source": { "type": "url", "url": url } }]));
    let sent = asked(
        Messages,
        &conversation(json!([{ "role": "user", "content": [{ "type": "image", "source": { "type": "url", "url": url } }] }])),
    );
    assert_eq!(sent["messages"][0]["content"], json!([{ "type": "image_url", "image_url": { "url": url } }]));
    let result =
        json!([{ "type": "tool_result", "tool_use_id": "a", "content": [{ "type": "image", "source": { "type": "url", "url": url } }] }]);
    let sent = asked(Messages, &conversation(json!([{ "role": "user", "content": result }])));
    let shown = json!([{ "type": "text", "text": "The result of a shows:" }, { "type": "image_url", "image_url": { "url": url } }]);
    assert_eq!((&sent["messages"][0]["role"], &sent["messages"][1]["content"]), (&json!("tool"), &shown));
    let system = json!([{ "role": "system", "content": [{ "type": "image_url", "image_url": { "url": url } }] }, { "role": "user", "content": "x" }]);
    assert_eq!(refused(ChatCompletions, &conversation(system)), "messages[].content");
}

// 38
#[test]
fn a_system_message_stays_where_it_was_said() {
    let sent = asked(
        ChatCompletions,
        &conversation(json!([
            { "role": "system", "content": "first" }, { "role": "user", "content": "x" }, { "role": "assistant", "content": "y" },
            { "role": "system", "content": "later" }, { "role": "user", "content": "z" },
        ])),
    );
    assert_eq!(sent["system"], json!([{ "type": "text", "text": "first" }]));
    assert_eq!(sent["messages"][2]["content"], json!([{ "type": "text", "text": "later" }, { "type": "text", "text": "z" }]));
    let alone = asked(ChatCompletions, &conversation(json!([{ "role": "system", "content": "alone" }])));
    assert_eq!(
        (alone.get("system"), &alone["messages"]),
        (None, &json!([{ "role": "user", "content": [{ "type": "text", "text": "alone" }] }]))
    );
}

// 39
#[test]
fn no_word_of_one_dialect_leaks_into_the_other() {
    let sent = asked(
        ChatCompletions,
        &chat(json!({
            "stream": true, "stream_options": { "include_usage": true }, "n": 1, "store": false, "metadata": { "a": "b" }, "parallel_tool_calls": true,
            "service_tier": "auto", "user": "u", "logprobs": false, "frequency_penalty": 0, "prompt_cache_key": "k", "verbosity": "medium",
        })),
    );
    let words: Vec<&String> = sent.as_object().expect("an object").keys().collect();
    assert_eq!(words, ["model", "max_tokens", "messages", "metadata", "stream"]);
    assert_eq!(refused(ChatCompletions, &chat(json!({ "verbosity": "low" }))), "verbosity");
    let sent =
        asked(Messages, &chat(json!({ "metadata": { "user_id": "u" }, "service_tier": "auto", "thinking": { "type": "disabled" } })));
    let words: Vec<&String> = sent.as_object().expect("an object").keys().collect();
    assert_eq!(words, ["model", "messages", "max_completion_tokens", "user"]);
    assert_eq!(refused(Messages, &chat(json!({ "stop_sequences": ["a", "b", "c", "d", "e"] }))), "stop_sequences");
}

#[test]
fn a_field_that_stands_in_a_body_twice_is_refused() {
    for (client, field) in [(ChatCompletions, "messages"), (Messages, "system")] {
        let text = format!("{{\"model\":\"m\",\"max_tokens\":1,\"{field}\":[],\"messages\":[],\"{field}\":[]}}");
        let body = Bytes::from(text);
        let head = Head::read(client, &body).expect("a request");
        let told = Passage::choose(client, &BTreeSet::from([other(client)]), &head, &body, "m");
        assert!(matches!(&told, Err(CannotSay::Field { field: named, .. }) if named == field || named == "messages"), "{told:?}");
    }
}
