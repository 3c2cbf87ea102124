//! Embeddings of Bedrock and Vertex AI: what is asked, what is refused, and what comes back.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use providers::embeddings::{Embeddings, Family};
use providers::passage::CannotSay;
use serde_json::{Value, json};

fn tell(family: Family, model: &str, request: &Value) -> Result<Embeddings, CannotSay> {
    Embeddings::tell(family, &[Bytes::from(request.to_string())], model)
}

fn told(family: Family, model: &str, request: &Value) -> Embeddings {
    tell(family, model, request).expect("it can be told")
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn requests_are_told_in_the_words_of_each_family() {
    for (family, model, request, body) in [
        (Family::Titan, "amazon.titan-embed-text-v2:0", json!({"model": "m", "input": "hi"}), json!({"inputText": "hi"})),
        (
            Family::Titan,
            "amazon.titan-embed-text-v2:0",
            json!({"model": "m", "input": ["hi"], "dimensions": 256, "encoding_format": "base64", "user": null}),
            json!({"inputText": "hi", "dimensions": 256}),
        ),
        (
            Family::CohereOnBedrock,
            "cohere.embed-v4:0",
            json!({"model": "m", "input": ["a", "b"], "dimensions": 512, "input_type": "search_query"}),
            json!({"texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 512}),
        ),
        (
            Family::CohereOnBedrock,
            "cohere.embed-english-v3",
            json!({"model": "m", "input": "a"}),
            json!({"texts": ["a"], "input_type": "search_document", "embedding_types": ["float"]}),
        ),
        (
            Family::Vertex,
            "text-embedding-005",
            json!({"model": "m", "input": ["a", "b"], "dimensions": 128}),
            json!({"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 128}}),
        ),
        (Family::Vertex, "gemini-embedding-001", json!({"model": "m", "input": "a"}), json!({"instances": [{"content": "a"}]})),
    ] {
        assert_eq!(json_of(&told(family, model, &request).body), body, "{model}");
    }
}

#[test]
fn what_a_family_has_no_word_for_is_refused_by_its_field() {
    for (family, model, request, field) in [
        (Family::Titan, "amazon.titan-embed-text-v2:0", json!({"input": ["a", "b"]}), "input"),
        (Family::Titan, "amazon.titan-embed-text-v2:0", json!({"input": []}), "input"),
        (Family::Vertex, "gemini-embedding-001", json!({"input": ["a", "b"]}), "input"),
        (Family::Vertex, "text-embedding-005", json!({"input": [1, 2]}), "input"),
        (Family::CohereOnBedrock, "cohere.embed-v4:0", json!({"input": [[1, 2]]}), "input"),
        (Family::CohereOnBedrock, "cohere.embed-v4:0", json!({"input": 7}), "input"),
        (Family::CohereOnBedrock, "cohere.embed-v4:0", json!({"input": "a", "user": "ada"}), "user"),
        (Family::CohereOnBedrock, "cohere.embed-v4:0", json!({"input": "a", "encoding_format": "binary"}), "encoding_format"),
        (Family::Titan, "amazon.titan-embed-text-v2:0", json!({"input": "a", "input_type": "search_query"}), "input_type"),
    ] {
        match tell(family, model, &request) {
            Err(CannotSay::Field { field: told, .. }) => assert_eq!(told, field, "{request}"),
            other => assert!(other.is_err(), "{request} is told"),
        }
    }
}

#[test]
fn answers_are_told_as_openai_tells_them() {
    let request = json!({"model": "m", "input": ["a"]});
    let list = |vector: Value, usage: Value| {
        let mut list = json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector}], "model": "the-model"});
        if !usage.is_null() {
            list["usage"] = json!({"prompt_tokens": usage, "total_tokens": usage});
        }
        list
    };
    for (family, answer, header, expected) in [
        (Family::Titan, json!({"embedding": [0.5, -1], "inputTextTokenCount": 3}), None, list(json!([0.5, -1]), json!(3))),
        (Family::CohereOnBedrock, json!({"embeddings": {"float": [[0.5, 1e-9]]}}), Some(4), list(json!([0.5, 1e-9]), json!(4))),
        (Family::CohereOnBedrock, json!({"embeddings": [[0.5]], "texts": ["a"]}), None, list(json!([0.5]), Value::Null)),
        (
            Family::Vertex,
            json!({"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 2, "truncated": false}}}]}),
            None,
            list(json!([0.5]), json!(2)),
        ),
    ] {
        let embeddings = told(family, "the-model", &request);
        let body = embeddings.answer(answer.to_string().as_bytes(), header).expect("an answer");
        assert_eq!(json_of(&body), expected, "{answer}");
    }
}

#[test]
fn vectors_are_base64_where_that_is_asked_for() {
    let embeddings = told(Family::Titan, "m", &json!({"input": "a", "encoding_format": "base64"}));
    let body = json_of(&embeddings.answer(br#"{"embedding":[1.5,-0.25],"inputTextTokenCount":1}"#, None).expect("an answer"));
    let bytes = STANDARD.decode(body["data"][0]["embedding"].as_str().expect("text")).expect("base64");
    assert_eq!(bytes, [1.5_f32.to_le_bytes(), (-0.25_f32).to_le_bytes()].concat());
}

#[test]
fn what_is_no_answer_is_told_as_that() {
    let embeddings = told(Family::CohereOnBedrock, "m", &json!({"input": ["a", "b"]}));
    for bad in ["", "{}", "[]", "[[[1],[2]]]", r#"{"embeddings":7}"#, r#"{"embeddings":[[1]]}"#, r#"{"embeddings":{"int8":[[1],[2]]}}"#] {
        assert!(embeddings.answer(bad.as_bytes(), None).is_err(), "{bad}");
    }
    let base64 = told(Family::Titan, "m", &json!({"input": "a", "encoding_format": "base64"}));
    assert!(base64.answer(br#"{"embedding":"x"}"#, None).is_err());
}

#[test]
fn recorded_answers_are_read() {
    #[expect(clippy::disallowed_methods, reason = "a test is told where recordings are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    let root = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    if !root.is_dir() {
        println!("SKIPPED: no recordings at {}; set PORTOLAN_FIXTURES", root.display());
        return;
    }
    for (case, family, texts, tokens) in
        [("bedrock/embed-cohere-v4", Family::CohereOnBedrock, 1, None), ("vertex/vx-embedding", Family::Vertex, 2, Some(11))]
    {
        let body = std::fs::read(root.join(case).join("response.json")).expect("a recording");
        let embeddings = told(family, "m", &json!({"input": vec!["text"; texts]}));
        let answer = json_of(&embeddings.answer(&body, None).expect("an answer"));
        assert_eq!(answer["data"].as_array().map(Vec::len), Some(texts), "{case}");
        assert!(answer["data"][0]["embedding"][0].is_f64(), "{case}");
        assert_eq!(answer["usage"]["prompt_tokens"].as_u64(), tokens, "{case}");
    }
}
