//! What calls cost by the catalog: each class of what was used at its own price, and nothing silently free.

use serde_json::{Value, json};

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider, provider_of};

/// Asks, answers and reads the receipt.
async fn receipt(back: String, call: Call, said: impl AsRef<str>) -> Value {
    let house = House::of(&[back, key("app", "")]);
    let calling = house.call(call);
    let (_line, _) = house.providers.answers("back.example", 200, said.as_ref()).await;
    let answer = calling.answer().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    house.receipts().remove(0)
}

fn said(usage: &str, more: &str) -> String {
    format!(
        r#"{{"id":"c","model":"m-1","choices":[{{"index":0,"message":{{"role":"assistant","content":"hello"}},"finish_reason":"stop"}}],"usage":{usage}{more}}}"#
    )
}

fn message(usage: &str) -> String {
    format!(
        r#"{{"id":"m","type":"message","role":"assistant","model":"m-1","content":[{{"type":"text","text":"hello"}}],"stop_reason":"end_turn","usage":{usage}}}"#
    )
}

fn openai() -> String {
    provider_of("OpenAI", "back", "")
}

fn anthropic() -> String {
    provider_of("Anthropic", "back", "")
}

fn priced(receipt: &Value) -> (&Value, Option<u64>) {
    (&receipt["priced"], receipt["cost_nano_usd"].as_u64())
}

const YES: &Value = &Value::Bool(true);
const NO: &Value = &Value::Bool(false);

#[tokio::test(start_paused = true)]
async fn sound_has_its_own_price_heard_and_spoken() {
    let usage = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"audio_tokens":80,"cached_tokens":0},"completion_tokens_details":{"audio_tokens":40}}"#;
    let receipt = receipt(openai(), Call::chat("app", "back/gpt-4o-audio-preview-2025-06-03"), said(usage, "")).await;
    assert_eq!(priced(&receipt), (YES, Some(20 * 2_500 + 80 * 40_000 + 10 * 10_000 + 40 * 80_000)), "{receipt}");
    let usage = json!({"prompt":100,"completion":50,"cached":0,"cache_write":0,"reasoning":0,"audio_input":80,"audio_output":40});
    assert_eq!(receipt["usage"], usage);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_an_hour_costs_more_and_searches_cost_each() {
    let usage = r#"{"input_tokens":10,"cache_creation_input_tokens":600,"cache_read_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":400},"output_tokens":20,"server_tool_use":{"web_search_requests":3},"service_tier":"standard"}"#;
    let cost = 10 * 5_000 + 100 * 500 + 200 * 6_250 + 400 * 10_000 + 20 * 25_000 + 3 * 10_000_000;
    let body = r#"{"model":"back/claude-opus-4-6","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    for call in [Call::post("app", "/v1/messages", body), Call::chat("app", "back/claude-opus-4-6")] {
        let receipt = receipt(anthropic(), call, message(usage)).await;
        assert_eq!(priced(&receipt), (YES, Some(cost)), "{receipt}");
        assert_eq!((&receipt["usage"]["cache_write_1h"], &receipt["usage"]["searches"]), (&json!(400), &json!(3)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_a_flexible_and_a_hurried_call_cost_what_is_listed_for_them() {
    let usage = r#"{"input_tokens":10,"output_tokens":20,"service_tier":"batch"}"#;
    let batch = receipt(anthropic(), Call::chat("app", "back/claude-opus-4-6"), message(usage)).await;
    assert_eq!(priced(&batch), (YES, Some(10 * 2_500 + 20 * 12_500)), "{batch}");
    let usage = r#"{"prompt_tokens":10,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":4}}"#;
    for (tier, cost) in [
        ("flex", 6 * 625 + 4 * 62 + 2 + 20 * 5_000),
        ("priority", 6 * 2_500 + 4 * 250 + 20 * 20_000),
        ("default", 6 * 1_250 + 4 * 125 + 20 * 10_000),
    ] {
        let more = format!(r#","service_tier":"{tier}""#);
        let receipt = receipt(openai(), Call::chat("app", "back/gpt-5"), said(usage, &more)).await;
        assert_eq!(priced(&receipt), (YES, Some(cost)), "{receipt}");
        assert_eq!(receipt["usage"]["service"], if tier == "default" { Value::Null } else { json!(tier) });
    }
    let unlisted = receipt(openai(), Call::chat("app", "back/gpt-4o"), said(usage, r#","service_tier":"flex""#)).await;
    assert_eq!(priced(&unlisted), (NO, Some(6 * 2_500 + 4 * 1_250 + 20 * 10_000)), "at the usual price, which is not sure: {unlisted}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_its_service_and_its_sound_too() {
    let house = House::of(&[openai(), key("app", "")]);
    let calling = house.call(Call::stream("app", "back/gpt-5"));
    let mut line = house.providers.line("back.example").await;
    line.asked().await;
    line.begins().await;
    line.chunk("data: {\"id\":\"c\",\"model\":\"m-1\",\"service_tier\":\"flex\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\n").await;
    line.chunk("data: {\"id\":\"c\",\"model\":\"m-1\",\"service_tier\":\"flex\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2,\"prompt_tokens_details\":{\"audio_tokens\":3}}}\n\n").await;
    line.chunk("data: [DONE]\n\n").await;
    line.ends().await;
    calling.answer().await;
    let receipt = &house.receipts()[0];
    assert_eq!(priced(receipt), (YES, Some(8 * 625 + 2 * 5_000)), "sound without a price of its own costs as text: {receipt}");
    assert_eq!((&receipt["usage"]["service"], &receipt["usage"]["audio_input"]), (&json!("flex"), &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_tell_its_service_before_its_usage() {
    let body = r#"{"model":"back/gpt-5","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    for call in [Call::stream("app", "back/gpt-5"), Call::post("app", "/v1/messages", body)] {
        let house = House::of(&[openai(), key("app", "")]);
        let calling = house.call(call);
        let mut line = house.providers.line("back.example").await;
        line.asked().await;
        line.begins().await;
        line.chunk("data: {\"id\":\"c\",\"model\":\"m-1\",\"service_tier\":\"priority\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\n").await;
        line.chunk("data: {\"id\":\"c\",\"model\":\"m-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2}}\n\n")
            .await;
        line.chunk("data: [DONE]\n\n").await;
        line.ends().await;
        calling.answer().await;
        let receipt = &house.receipts()[0];
        assert_eq!(priced(receipt), (YES, Some(8 * 2_500 + 2 * 20_000)), "{receipt}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_that_was_asked_for_is_not_the_one_that_is_paid() {
    let body = r#"{"model":"back/gpt-5","service_tier":"priority","messages":[{"role":"user","content":"hi"}]}"#;
    let usage = r#"{"prompt_tokens":10,"completion_tokens":20}"#;
    let answer = said(usage, r#","service_tier":"default""#);
    let receipt = receipt(openai(), Call::post("app", "/v1/chat/completions", body), answer).await;
    assert_eq!(priced(&receipt), (YES, Some(10 * 1_250 + 20 * 10_000)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn what_costs_more_than_is_known_has_no_sure_price() {
    let fast = r#"{"input_tokens":10,"output_tokens":20,"speed":"fast"}"#;
    let receipt = receipt(anthropic(), Call::chat("app", "back/claude-opus-4-6"), message(fast)).await;
    assert_eq!(priced(&receipt), (NO, Some(10 * 5_000 + 20 * 25_000)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_paid_by_the_search() {
    let said = r#"{"id":"r","results":[{"index":0,"relevance_score":0.9}],"meta":{"billed_units":{"search_units":3}}}"#;
    let body = r#"{"model":"back/rerank-v3.5","query":"q","documents":["a"]}"#;
    let receipt = receipt(provider_of("Cohere", "back", ""), Call::post("app", "/v1/rerank", body), said).await;
    assert_eq!(priced(&receipt), (YES, Some(3 * 2_000_000)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn cohere_is_paid_what_it_bills() {
    let said = r#"{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"hello"}]},"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":8,"output_tokens":9},"tokens":{"input_tokens":503,"output_tokens":11}}}"#;
    let back = provider_of("Cohere", "back", "models: [{ name: m, price: { inputPerMillion: '2', outputPerMillion: '10' } }]");
    let receipt = receipt(back, Call::chat("app", "back/m"), said).await;
    assert_eq!(priced(&receipt), (YES, Some(8 * 2_000 + 9 * 10_000)), "{receipt}");
    assert_eq!((&receipt["usage"]["prompt"], &receipt["usage"]["billed_prompt"]), (&json!(503), &json!(8)));
}

#[tokio::test(start_paused = true)]
async fn searches_of_a_response_are_its_items() {
    let said = r#"{"id":"r","object":"response","status":"completed","model":"m-1","service_tier":"priority","output":[{"type":"web_search_call","id":"w","status":"completed","action":{"type":"search","query":"q"}},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"hello"}]}],"usage":{"input_tokens":10,"output_tokens":20}}"#;
    let receipt = receipt(openai(), Call::post("app", "/v1/responses", r#"{"model":"back/gpt-5","input":"hi"}"#), said).await;
    assert_eq!(priced(&receipt), (YES, Some(10 * 2_500 + 20 * 20_000 + 10_000_000)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn gemini_takes_once_for_all_searches_and_more_for_sound() {
    let said = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":30,"candidatesTokenCount":2,"thoughtsTokenCount":4,"totalTokenCount":36,"promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":20}]},"modelVersion":"gemini-x","responseId":"r1"}"#;
    let back = || provider_of("Gemini", "back", "");
    let receipt = receipt(back(), Call::chat("app", "back/gemini-2.5-flash"), said).await;
    assert_eq!(priced(&receipt), (YES, Some(10 * 300 + 20 * 1_000 + 6 * 2_500 + 35_000_000)), "{receipt}");
    assert_eq!(receipt["usage"]["searches"], 2);
}

#[tokio::test(start_paused = true)]
async fn what_perplexity_says_that_it_takes_is_what_it_takes() {
    let back = || provider("back", "preset: perplexity");
    let told = r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"search_context_size":"low","cost":{"input_tokens_cost":0.00001,"output_tokens_cost":0.00002,"request_cost":0.005,"total_cost":0.00503}}"#;
    let with = receipt(back(), Call::chat("app", "back/sonar"), said(told, "")).await;
    assert_eq!(priced(&with), (YES, Some(30 * 1_000 + 5_000_000)), "{with}");
    let untold = r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":30}"#;
    let without = receipt(back(), Call::chat("app", "back/sonar"), said(untold, "")).await;
    assert_eq!(priced(&without), (YES, Some(30 * 1_000 + 8_000_000)), "{without}");
}

#[tokio::test(start_paused = true)]
async fn pictures_cost_by_their_size_and_quality_unless_tokens_are_told() {
    let pictures = r#"{"created":1,"data":[{"b64_json":"aGk="},{"b64_json":"aGk="}]}"#;
    let drawn = |more: &str| {
        let body = format!(r#"{{"model":"back/gpt-image-1.5","prompt":"a sea","n":2{more}}}"#);
        receipt(openai(), Call::post("app", "/v1/images/generations", &body), pictures)
    };
    let large = drawn(r#","size":"1024x1536","quality":"high""#).await;
    assert_eq!(priced(&large), (YES, Some(2 * 200_000_000)), "{large}");
    assert_eq!(priced(&drawn("").await), (YES, Some(2 * 9_000_000)));
    assert_eq!(priced(&drawn(r#","size":"8x8""#).await), (NO, None), "nobody lists such a size");
    let told = r#"{"created":1,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":60,"output_tokens":272,"total_tokens":332,"input_tokens_details":{"text_tokens":10,"image_tokens":50}}}"#;
    let body = r#"{"model":"back/gpt-image-1.5","prompt":"a sea","size":"1024x1536","quality":"high"}"#;
    let receipt = receipt(openai(), Call::post("app", "/v1/images/generations", body), told).await;
    assert_eq!(priced(&receipt), (YES, Some(10 * 5_000 + 50 * 8_000 + 272 * 32_000)), "{receipt}");
    assert_eq!((&receipt["usage"]["image_input"], &receipt["usage"]["image_output"]), (&json!(50), &json!(272)));
}

#[tokio::test(start_paused = true)]
async fn a_form_tells_size_and_quality_as_well() {
    let house = House::of(&[openai(), key("app", "")]);
    let field = |name: &str, value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let file = "--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n\r\nbytes\r\n";
    let fields = [("model", "back/gpt-image-1.5"), ("size", "1024x1536"), ("quality", "medium"), ("prompt", "a sea")];
    let fields: String = fields.iter().map(|(name, value)| field(name, value)).collect();
    let call = Call::post("app", "/v1/images/edits", &format!("{file}{fields}--b--\r\n")).of_kind("multipart/form-data; boundary=b");
    let calling = house.call(call);
    house.providers.answers("back.example", 200, r#"{"created":1,"data":[{"b64_json":"aGk="}]}"#).await;
    assert_eq!(calling.answer().await.status, 200);
    let receipt = &house.receipts()[0];
    assert_eq!(priced(receipt), (YES, Some(50_000_000)), "{receipt}");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_price_of_its_own_is_told_and_counted() {
    let house = House::of(&[openai(), key("app", "")]);
    let calling = house.call(Call::chat("app", "back/gpt-4o"));
    let usage = r#"{"prompt_tokens":10,"completion_tokens":20,"completion_tokens_details":{"audio_tokens":5}}"#;
    house.providers.answers("back.example", 200, &said(usage, "")).await;
    calling.answer().await;
    let receipt = &house.receipts()[0];
    assert_eq!(priced(receipt), (NO, Some(10 * 2_500 + 20 * 10_000)), "{receipt}");
    let metrics = house.gateway.metrics.text();
    for line in [
        "portolan_unpriced_calls_total{provider=\"default/back\"} 1",
        "portolan_cost_nano_usd_total{provider=\"default/back\"} 225000",
        "portolan_tokens_total{kind=\"audio_output\",provider=\"default/back\"} 5",
        "portolan_tokens_total{kind=\"completion\",provider=\"default/back\"} 20",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn ones_own_prices_stand_before_those_of_the_catalog() {
    let mine = |price: &str| provider_of("OpenAI", "back", &format!("models: [{{ name: gpt-5, price: {{ {price} }} }}]"));
    let ask = |price: &str, usage: &str, more: &str| receipt(mine(price), Call::chat("app", "back/gpt-5"), said(usage, more));
    let text = "inputPerMillion: '2', outputPerMillion: '10'";
    let usage = r#"{"prompt_tokens":10,"completion_tokens":20,"completion_tokens_details":{"audio_tokens":5}}"#;
    let flex = r#","service_tier":"flex""#;
    let plain = ask(text, usage, flex).await;
    assert_eq!(priced(&plain), (YES, Some(10 * 2_000 + 20 * 10_000)), "whatever it is, and however it is served: {plain}");
    let all = format!(
        "{text}, audioOutputPerMillion: '80', perCall: '0.001', services: {{ flex: {{ inputPerMillion: '1', outputPerMillion: '5' }} }}, \
         longPrompts: [{{ aboveTokens: 100, inputPerMillion: '4', outputPerMillion: '20' }}]"
    );
    let served = ask(&all, usage, flex).await;
    assert_eq!(priced(&served), (YES, Some(10 * 1_000 + 15 * 5_000 + 5 * 80_000 + 1_000_000)), "{served}");
    let long = ask(&all, r#"{"prompt_tokens":101,"completion_tokens":20}"#, flex).await;
    assert_eq!(priced(&long), (YES, Some(101 * 4_000 + 20 * 20_000 + 1_000_000)), "{long}");
    let alone = ask("audioOutputPerMillion: '80'", usage, "").await;
    assert_eq!(priced(&alone), (YES, Some(10 * 1_250 + 15 * 10_000 + 5 * 80_000)), "one price beside the catalog's: {alone}");
}

#[tokio::test(start_paused = true)]
async fn ones_own_prices_are_of_units_too() {
    let back = |price: &str| provider_of("OpenAI", "back", &format!("models: [{{ name: mine, price: {{ {price} }} }}]"));
    let drawn = r#"{"created":1,"data":[{"b64_json":"aGk="}]}"#;
    let call = || Call::post("app", "/v1/images/generations", r#"{"model":"back/mine","prompt":"a sea"}"#);
    assert_eq!(priced(&receipt(back("perImage: '0.04'"), call(), drawn).await), (YES, Some(40_000_000)));
    assert_eq!(priced(&receipt(back("perSecond: '0.04'"), call(), drawn).await), (NO, None));
    let usage = r#"{"input_tokens":10,"output_tokens":20,"server_tool_use":{"web_search_requests":2}}"#;
    let price = "models: [{ name: mine, price: { inputPerMillion: '2', outputPerMillion: '10', perSearch: '0.01' } }]";
    let searched = receipt(provider_of("Anthropic", "back", price), Call::chat("app", "back/mine"), message(usage)).await;
    assert_eq!(priced(&searched), (YES, Some(10 * 2_000 + 20 * 10_000 + 20_000_000)), "{searched}");
}
