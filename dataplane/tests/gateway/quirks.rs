//! Servers that differ from OpenAI: what they are asked, and what their clients are told of it.

use serde_json::{Value, json};

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider};

const ANSWER: &str = r#"{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x","reasoning":"hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

fn asking() -> Call {
    let body = json!({ "model": "odd/m", "messages": [], "logit_bias": { "1": 2 }, "max_completion_tokens": 7 });
    Call::post("app", "/v1/chat/completions", &body.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_field_that_a_server_cannot_be_told_is_refused_by_name_and_the_server_is_not_asked() {
    let house = House::of(&[provider("odd", "preset: groq"), key("app", "")]);
    let answer = house.call(asking()).answer().await;
    let error = &serde_json::from_str::<Value>(&answer.body).expect("JSON")["error"];
    assert_eq!((answer.status, &error["param"]), (400, &json!("logit_bias")), "{error}");
    assert!(error["message"].as_str().expect("a message").contains("provider `odd`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_field_that_is_dropped_is_named_in_the_answer() {
    let house =
        House::of(&[provider("odd", "preset: groq, quirks: [NoLogitBias, MaxTokens, Reasoning], unsupportedFields: Drop"), key("app", "")]);
    let calling = house.call(asking());
    let (_line, asked) = house.providers.answers("odd.example", 200, ANSWER).await;
    assert_eq!(asked.body, json!({ "model": "m", "messages": [], "max_tokens": 7 }));
    let answer = calling.answer().await;
    assert_eq!((answer.status, answer.header("x-portolan-dropped")), (200, "logit_bias"));
    let told: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(told["choices"][0]["message"]["reasoning_content"], "hm");
}

#[tokio::test(start_paused = true)]
async fn a_preset_tells_the_price_of_a_model() {
    let house = House::of(&[provider("odd", "preset: groq"), key("app", "")]);
    let calling = house.call(Call::chat("app", "odd/llama-guard-3-8b"));
    let (_line, _) = house.providers.answers("odd.example", 200, ANSWER).await;
    assert_eq!(calling.answer().await.header("x-portolan-dropped"), "");
    let receipt = &house.receipts()[0];
    assert_eq!(receipt["priced"], true, "{receipt}");
}
