//! How many tokens a request has: asked of those who know, estimated in front of all others; and what Claude Code says.

use serde_json::json;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider, provider_of};

const BODY: &str = r#"{"model":"back/m","messages":[{"role":"user","content":"12345678"}],"system":"be brief"}"#;

fn count() -> Call {
    Call::post("app", "/v1/messages/count_tokens?beta=true", BODY)
}

#[tokio::test(start_paused = true)]
async fn a_provider_of_anthropics_counts_by_itself() {
    let house = House::of(&[provider_of("Anthropic", "back", ""), key("app", "")]);
    let calling = house.call(count().with("anthropic-beta", "token-counting-2024-11-01"));
    let (_line, asked) = house.providers.answers("back.example", 200, r#"{"input_tokens":14}"#).await;
    assert_eq!(asked.head.lines().next(), Some("POST /v1/messages/count_tokens HTTP/1.1"));
    assert_eq!((asked.header("anthropic-version"), asked.header("anthropic-beta")), ("2023-06-01", "token-counting-2024-11-01"));
    assert_eq!(asked.body["model"], "m");
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"input_tokens":14}"#));
    assert_eq!(answer.header("x-portolan-estimate"), "");
    let receipt = &house.receipts()[0];
    assert_eq!((&receipt["surface"], &receipt["outcome"]), (&json!("count_tokens"), &json!("answered")), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn in_front_of_all_others_it_is_an_estimate_that_says_so_and_asks_nobody() {
    let simulated =
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: { name: back }\nspec: { type: Simulated }\n".to_owned();
    let backs = ["Gemini", "Bedrock", "Cohere"].map(|kind| provider_of(kind, "back", ""));
    for back in backs.into_iter().chain([provider("back", ""), simulated]) {
        let house = House::of(&[back.clone(), key("app", "")]);
        let answer = house.call(count()).answer().await;
        // `role`, `user`, `content` and sixteen more characters, a message and the beginning of the answer.
        assert_eq!((answer.status, answer.json()), (200, json!({ "input_tokens": 8 + 6 })), "{back}");
        assert_eq!(answer.header("x-portolan-estimate"), "true");
        assert!(house.providers.dialled().is_empty(), "nobody is asked");
        let receipt = &house.receipts()[0];
        assert_eq!((&receipt["outcome"], &receipt["costNanoUsd"]), (&json!("answered"), &json!(null)), "{receipt}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_counted_is_refused_in_anthropics_words() {
    let house = House::of(&[provider("back", ""), key("app", "")]);
    let answer = house.call(Call::post("app", "/v1/messages/count_tokens", r#"{"messages":[]}"#)).answer().await;
    assert_eq!((answer.status, &answer.json()["type"]), (400, &json!("error")), "{}", answer.body);
    assert_eq!(answer.code(), "invalid_body");
    let unknown = BODY.replace("back/m", "nobody/m");
    let answer = house.call(Call::post("app", "/v1/messages/count_tokens", &unknown)).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "model_not_found"));
}

/// A request with all that Claude Code says.
#[tokio::test(start_paused = true)]
async fn claude_code_is_served_in_front_of_a_chat() {
    let house = House::of(&[provider("back", ""), key("app", "")]);
    let cache = json!({ "type": "ephemeral", "ttl": "1h" });
    let body = json!({
        "model": "back/m", "max_tokens": 32000, "temperature": 1, "stream": false, "metadata": { "user_id": "user_abc_account__session_def" },
        "system": [
            { "type": "text", "text": "You are Claude Code.", "cache_control": cache }, { "type": "text", "text": "Be brief.", "cache_control": cache },
        ],
        "thinking": { "type": "enabled", "budget_tokens": 31999 }, "stop_sequences": ["</stop>"],
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "<system-reminder>x</system-reminder>" }, { "type": "text", "text": "look", "cache_control": cache }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "Hm.", "signature": "sig" }, { "type": "tool_use", "id": "toolu_1", "name": "Read", "input": { "file_path": "/a.png" } },
                { "type": "tool_use", "id": "toolu_2", "name": "Bash", "input": { "command": "ls" } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } }] },
                { "type": "tool_result", "tool_use_id": "toolu_2", "content": "none", "is_error": true, "cache_control": cache },
            ] },
        ],
        "tools": [
            { "name": "Read", "description": "d", "input_schema": { "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": { "file_path": { "type": "string" } } } },
            { "name": "Bash", "description": "d", "input_schema": { "type": "object" }, "cache_control": cache },
        ],
        "tool_choice": { "type": "auto" },
    });
    let call = Call::post("app", "/v1/messages?beta=true", &body.to_string())
        .with("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14")
        .with("anthropic-version", "2023-06-01");
    let calling = house.call(call);
    let (_line, asked) = house.providers.answers("back.example", 200, crate::provider::ANSWER).await;
    assert_eq!(asked.header("anthropic-beta"), "", "what concerns another dialect stays here");
    assert_eq!(
        asked.body["messages"],
        json!([
            { "role": "system", "content": "You are Claude Code.\n\nBe brief." },
            { "role": "user", "content": [{ "type": "text", "text": "<system-reminder>x</system-reminder>" }, { "type": "text", "text": "look" }] },
            { "role": "assistant", "content": null, "tool_calls": [
                { "id": "toolu_1", "type": "function", "function": { "name": "Read", "arguments": "{\"file_path\":\"/a.png\"}" } },
                { "id": "toolu_2", "type": "function", "function": { "name": "Bash", "arguments": "{\"command\":\"ls\"}" } },
            ] },
            { "role": "tool", "tool_call_id": "toolu_1", "content": "" },
            { "role": "tool", "tool_call_id": "toolu_2", "content": "Error: none" },
            { "role": "user", "content": [{ "type": "text", "text": "The result of toolu_1 shows:" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }] },
        ])
    );
    assert_eq!((&asked.body["reasoning_effort"], &asked.body["user"]), (&json!("high"), &json!("user_abc_account__session_def")));
    let answer = calling.answer().await;
    assert_eq!((answer.status, &answer.json()["content"][0]["text"]), (200, &json!("hello")), "{}", answer.body);
    let edit = json!({ "edits": [{ "type": "clear_tool_uses_20250919" }] });
    let mut body = body;
    body["context_management"] = edit;
    let answer = house.call(Call::post("app", "/v1/messages", &body.to_string())).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "unsupported_by_provider"));
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("context_management") && message.contains("back"), "{message}");
}
