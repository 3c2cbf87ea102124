//! What the list of models tells: what is known, what this key reaches, and no guess.

use serde_json::{Value, json};

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider, provider_of};

async fn one(house: &House, key: &str, path: &'static str) -> Value {
    house.call(Call::get(key, path)).answer().await.json()
}

#[tokio::test(start_paused = true)]
async fn a_model_that_the_catalog_knows_is_told_in_full() {
    let models = "models: [{ name: small, upstreamName: gpt-4o-mini }, { name: text-embedding-3-small }, { name: o1-pro }]";
    let house = House::of(&[provider_of("OpenAI", "openai", models), key("app", ""), key("chat", "allow: { operations: [Chat] }")]);
    let expected = json!({
        "id": "small", "object": "model", "created": 1_735_689_600, "owned_by": "openai",
        "context_window": 128_000, "max_output_tokens": 16_384,
        "capabilities": ["vision", "tools", "parallel_tools", "structured_output", "prompt_caching", "documents"],
        "input_modalities": ["text", "image", "file"], "output_modalities": ["text"],
        "pricing": { "currency": "USD", "per_tokens": 1_000_000, "input": "0.15", "output": "0.6", "cached_input": "0.075" },
        "endpoints": ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"],
    });
    assert_eq!(one(&house, "app", "/v1/models/small").await, expected);
    let list = one(&house, "app", "/v1/models").await;
    let of = |id: &str| list["data"].as_array().expect("a list").iter().find(|model| model["id"] == id).cloned().expect("listed");
    assert_eq!(of("small"), expected, "the list tells the same");
    assert_eq!(of("text-embedding-3-small")["endpoints"], json!(["/v1/embeddings"]));
    assert_eq!(of("text-embedding-3-small")["output_modalities"], json!(["embedding"]));
    assert!(of("text-embedding-3-small").get("capabilities").is_none(), "nobody told");
    assert_eq!(of("o1-pro")["endpoints"], json!(["/v1/responses"]));
    let undeclared = one(&house, "app", "/v1/models/openai%2Fgpt-4o-mini").await;
    assert_eq!((&undeclared["id"], &undeclared["pricing"]), (&json!("openai/gpt-4o-mini"), &expected["pricing"]));
    let chat = one(&house, "chat", "/v1/models/small").await;
    assert_eq!(chat["endpoints"], json!(["/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"]), "what this key may");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_nobody_knows_is_told_without_a_guess() {
    let models = "models: [{ name: gpt-4o-mini }, { name: mine, price: { inputPerMillion: '0.10', outputPerMillion: '2', cachedInputPerMillion: '0' } }]";
    let house = House::of(&[provider("alpha", models), key("app", "")]);
    assert_eq!(
        one(&house, "app", "/v1/models/gpt-4o-mini").await,
        json!({
            "id": "gpt-4o-mini", "object": "model", "created": 1_735_689_600, "owned_by": "alpha",
            "endpoints": ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"],
        }),
        "whoever answers behind the URL is not OpenAI"
    );
    let pricing = json!({ "currency": "USD", "per_tokens": 1_000_000, "input": "0.1", "output": "2", "cached_input": "0" });
    assert_eq!(one(&house, "app", "/v1/models/mine").await["pricing"], pricing);
}

#[tokio::test(start_paused = true)]
async fn prices_of_long_prompts_are_told_and_an_own_price_has_none() {
    let models = "models: [{ name: gemini-2.5-pro }, { name: own, upstreamName: gemini-2.5-pro, price: { inputPerMillion: '1', outputPerMillion: '2' } }]";
    let house = House::of(&[provider_of("Gemini", "gemini", models), key("app", "")]);
    let listed = one(&house, "app", "/v1/models/gemini-2.5-pro").await;
    let long = json!([{ "above_input_tokens": 200_000, "input": "2.5", "output": "15", "cached_input": "0.25" }]);
    assert_eq!((&listed["pricing"]["input"], &listed["pricing"]["long_prompts"]), (&json!("1.25"), &long));
    assert_eq!(listed["input_modalities"], json!(["text", "image", "file", "audio", "video"]));
    let own = one(&house, "app", "/v1/models/own").await;
    assert_eq!((&own["pricing"]["input"], &own["pricing"]["long_prompts"]), (&json!("1"), &Value::Null));
    assert_eq!(own["context_window"], listed["context_window"], "a price alone is overridden");
}

#[tokio::test(start_paused = true)]
async fn prices_of_more_than_text_are_told_by_class() {
    let own = "price: { inputPerMillion: '1', outputPerMillion: '2', cacheWriteHourPerMillion: '3' }";
    let beside = "price: { audioInputPerMillion: '9' }";
    let models = format!(
        "models: [{{ name: gpt-4o-audio-preview-2025-06-03 }}, {{ name: own, upstreamName: gpt-4o-audio-preview-2025-06-03, {own} }}, \
         {{ name: beside, upstreamName: gpt-4o-audio-preview-2025-06-03, {beside} }}]"
    );
    let house = House::of(&[provider_of("OpenAI", "openai", &models), key("app", "")]);
    let listed = one(&house, "app", "/v1/models/gpt-4o-audio-preview-2025-06-03").await;
    let sound = |card: &Value| (card["pricing"]["audio_input"].clone(), card["pricing"]["audio_output"].clone());
    assert_eq!(sound(&listed), (json!("40"), json!("80")));
    assert_eq!(sound(&one(&house, "app", "/v1/models/beside").await), (json!("9"), json!("80")));
    let own = one(&house, "app", "/v1/models/own").await;
    assert_eq!((sound(&own), &own["pricing"]["cache_write_1h"]), ((Value::Null, Value::Null), &json!("3")));
}

#[tokio::test(start_paused = true)]
async fn clients_of_anthropic_read_their_own_dialect() {
    let house = House::of(&[provider_of("OpenAI", "openai", "models: [{ name: gpt-4o-mini }]"), key("app", "")]);
    let list = house.call(Call::get("app", "/v1/models").with("anthropic-version", "2023-06-01")).answer().await.json();
    let entry = json!({ "type": "model", "id": "gpt-4o-mini", "display_name": "gpt-4o-mini", "created_at": "2025-01-01T00:00:00Z" });
    assert_eq!(list, json!({ "data": [entry], "has_more": false, "first_id": "gpt-4o-mini", "last_id": "gpt-4o-mini" }));
}
