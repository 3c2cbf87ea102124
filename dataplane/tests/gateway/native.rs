//! Providers that speak a dialect of their own: path, credential and answer, as they see and say them.

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider_of};

const GEMINI: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"thoughtsTokenCount":4,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"r1"}"#;
const BEDROCK: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":6,"totalTokens":9}}"#;
const COHERE: &str = r#"{"id":"c1","message":{"role":"assistant","content":[{"type":"text","text":"hello"}]},"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":3,"output_tokens":6}}}"#;
const OLLAMA: &str = r#"{"model":"m","message":{"role":"assistant","content":"hello"},"done_reason":"stop","done":true,"prompt_eval_count":3,"eval_count":6}"#;

#[tokio::test(start_paused = true)]
async fn each_native_provider_is_asked_at_its_path_with_its_header_and_its_answer_is_read() {
    for (kind, header, value, path, said) in [
        ("Gemini", "x-goog-api-key", "credential-of-native", "POST /v1/models/us.m-1%3A0:generateContent HTTP/1.1", GEMINI),
        ("Bedrock", "authorization", "Bearer credential-of-native", "POST /v1/model/us.m-1%3A0/converse HTTP/1.1", BEDROCK),
        ("Cohere", "authorization", "Bearer credential-of-native", "POST /v1/chat HTTP/1.1", COHERE),
        ("Ollama", "authorization", "Bearer credential-of-native", "POST /v1/chat HTTP/1.1", OLLAMA),
    ] {
        let house = House::of(&[provider_of(kind, "native", ""), key("app", "")]);
        let calling = house.call(Call::chat("app", "native/us.m-1:0"));
        let (_line, asked) = house.providers.answers("native.example", 200, said).await;
        assert_eq!((asked.head.lines().next(), asked.header(header)), (Some(path), value), "{kind}");
        let answer = calling.answer().await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, body["choices"][0]["message"]["content"].as_str()), (200, Some("hello")), "{kind}");
        assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&3.into(), &6.into()), "{kind}");
        let receipt = &house.receipts()[0];
        assert_eq!((&receipt["translated"], &receipt["outcome"]), (&true.into(), &"answered".into()), "{kind}: {receipt}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_gemini_is_asked_for_as_events_and_ends_for_the_client_with_done() {
    let house = House::of(&[provider_of("Gemini", "native", ""), key("app", "")]);
    let calling = house.call(Call::stream("app", "native/m"));
    let mut line = house.providers.line("native.example").await;
    let asked = line.asked().await;
    assert_eq!(asked.head.lines().next(), Some("POST /v1/models/m:streamGenerateContent?alt=sse HTTP/1.1"));
    line.begins().await;
    for text in ["hel", "lo"] {
        line.chunk(&format!("data: {}\r\n\r\n", GEMINI.replace("hello", text).replace(r#","finishReason":"STOP""#, ""))).await;
    }
    line.chunk(&format!("data: {}\r\n\r\n", GEMINI.replace("hello", ""))).await;
    line.ends().await;
    let answer = calling.answer().await;
    let said: String = answer
        .body
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(said, "hello");
    assert!(answer.body.ends_with("data: [DONE]\n\n"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn lines_of_ollama_are_events_for_the_client() {
    let house = House::of(&[provider_of("Ollama", "native", ""), key("app", "")]);
    let calling = house.call(Call::stream("app", "native/m"));
    let mut line = house.providers.line("native.example").await;
    let asked = line.asked().await;
    assert_eq!((asked.header("accept"), &asked.body["stream"]), ("application/x-ndjson", &true.into()));
    line.begins().await;
    for text in ["hel", "lo"] {
        line.chunk(&format!("{{\"message\":{{\"content\":\"{text}\"}},\"done\":false}}\n")).await;
    }
    line.chunk(&format!("{}\n", OLLAMA.replace("hello", ""))).await;
    line.ends().await;
    let answer = calling.answer().await;
    let told = answer.body.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok());
    let said: String = told.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect();
    assert_eq!(said, "hello");
    assert_eq!(house.receipts()[0]["usage"]["prompt"], 3);
}

#[tokio::test(start_paused = true)]
async fn texts_are_embedded_by_providers_that_have_their_own_way_of_it() {
    const GEMINI_VECTORS: &str = r#"{"embeddings":[{"values":[1,0]}]}"#;
    const COHERE_VECTORS: &str = r#"{"embeddings":{"float":[[1,0]]},"meta":{"billed_units":{"input_tokens":3}}}"#;
    const OLLAMA_VECTORS: &str = r#"{"embeddings":[[1,0]],"prompt_eval_count":3}"#;
    for (kind, path, said) in [
        ("Gemini", "POST /v1/models/m:batchEmbedContents HTTP/1.1", GEMINI_VECTORS),
        ("Cohere", "POST /v1/embed HTTP/1.1", COHERE_VECTORS),
        ("Ollama", "POST /v1/embed HTTP/1.1", OLLAMA_VECTORS),
    ] {
        let house = House::of(&[provider_of(kind, "native", ""), key("app", "")]);
        let calling = house.call(Call::post("app", "/v1/embeddings", r#"{"model":"native/m","input":"x"}"#));
        let (_line, asked) = house.providers.answers("native.example", 200, said).await;
        assert_eq!(asked.head.lines().next(), Some(path), "{kind}");
        let answer = calling.answer().await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, &body["data"][0]["embedding"]), (200, &serde_json::json!([1, 0])), "{kind}");
    }
}
