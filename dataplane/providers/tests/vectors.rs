//! Embeddings in front of providers that speak a dialect of their own.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use providers::fault::Fault;
use providers::head::Head;
use providers::passage::{CannotSay, Passage, Whole};
use serde_json::{Value, json};
use snapshot::{FailureClass, Surface};

const ALL: [Surface; 3] = [Surface::BatchEmbedContents, Surface::CohereEmbed, Surface::OllamaEmbed];

fn passage(upstream: Surface, request: &Value) -> Result<Passage, CannotSay> {
    let body = Bytes::from(request.to_string());
    let head = Head::read(Surface::Embeddings, &body).expect("a request");
    Passage::choose(Surface::Embeddings, &BTreeSet::from([upstream]), &head, &body, "embedder")
}

fn sent(upstream: Surface, request: &Value) -> Value {
    let passage = passage(upstream, request).expect("a passage");
    assert_eq!(passage.surface(), upstream);
    serde_json::from_slice(&passage.request().concat()).expect("JSON")
}

fn read(upstream: Surface, request: &Value, answer: &str) -> Result<(Value, Whole), Fault> {
    let whole = passage(upstream, request).expect("a passage").read_whole(Bytes::copy_from_slice(answer.as_bytes()))?;
    Ok((serde_json::from_slice(&whole.body).expect("JSON"), whole))
}

#[test]
fn each_is_asked_in_its_words() {
    let request = json!({ "model": "m", "input": ["a \u{fc}", "b"], "dimensions": 2, "encoding_format": "base64", "user": "u" });
    let part = |text: &str| json!({ "model": "models/embedder", "content": { "parts": [{ "text": text }] }, "outputDimensionality": 2 });
    assert_eq!(sent(Surface::BatchEmbedContents, &request), json!({ "requests": [part("a \u{fc}"), part("b")] }));
    let cohere = json!({ "model": "embedder", "texts": ["a \u{fc}", "b"], "input_type": "search_document", "embedding_types": ["float"],
        "truncate": "NONE", "output_dimension": 2 });
    assert_eq!(sent(Surface::CohereEmbed, &request), cohere);
    let ollama = json!({ "model": "embedder", "input": ["a \u{fc}", "b"], "truncate": false, "dimensions": 2 });
    assert_eq!(sent(Surface::OllamaEmbed, &request), ollama);
    let one = json!({ "model": "m", "input": "a", "input_type": "search_query" });
    assert_eq!(sent(Surface::CohereEmbed, &one)["input_type"], "search_query");
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let many = |count: usize| json!({ "model": "m", "input": vec!["a"; count] });
    for (upstream, field, request) in [
        (Surface::CohereEmbed, "input", many(97)),
        (Surface::BatchEmbedContents, "input", many(101)),
        (Surface::OllamaEmbed, "input", json!({ "model": "m", "input": [1, 2] })),
        (Surface::OllamaEmbed, "input", json!({ "model": "m", "input": [[1], [2]] })),
        (Surface::OllamaEmbed, "input", json!({ "model": "m", "input": [] })),
        (Surface::OllamaEmbed, "input", json!({ "model": "m" })),
        (Surface::CohereEmbed, "input_type", json!({ "model": "m", "input": "a", "input_type": "image" })),
        (Surface::OllamaEmbed, "input_type", json!({ "model": "m", "input": "a", "input_type": "search_query" })),
        (Surface::CohereEmbed, "dimensions", json!({ "model": "m", "input": "a", "dimensions": 0 })),
        (Surface::CohereEmbed, "encoding_format", json!({ "model": "m", "input": "a", "encoding_format": "int8" })),
        (Surface::CohereEmbed, "stream", json!({ "model": "m", "input": "a", "stream": true })),
        (Surface::CohereEmbed, "else", json!({ "model": "m", "input": "a", "else": 1 })),
    ] {
        let refused = passage(upstream, &request).expect_err(field);
        assert!(matches!(&refused, CannotSay::Field { field: named, .. } if named == field), "{refused:?}");
    }
    let chat_alone = passage(Surface::Converse, &many(1)).expect_err("it embeds nothing");
    assert!(matches!(chat_alone, CannotSay::Surface { .. }), "{chat_alone:?}");
}

fn answer(upstream: Surface, vectors: &str) -> String {
    if upstream == Surface::BatchEmbedContents {
        let vectors: Vec<Value> = serde_json::from_str(vectors).expect("JSON");
        let list: Vec<Value> = vectors.into_iter().map(|values| json!({ "values": values })).collect();
        return json!({ "embeddings": list, "usageMetadata": { "promptTokenCount": 5 } }).to_string();
    }
    if upstream == Surface::CohereEmbed {
        return format!("{{\"id\":\"x\",\"embeddings\":{{\"float\":{vectors}}},\"meta\":{{\"billed_units\":{{\"input_tokens\":5.0}}}}}}");
    }
    format!("{{\"model\":\"embedder\",\"embeddings\":{vectors},\"prompt_eval_count\":5}}")
}

#[test]
fn vectors_are_told_as_numbers_or_packed_with_their_tokens() {
    for upstream in ALL {
        let request = json!({ "model": "m", "input": ["a", "b"] });
        let (told, whole) = read(upstream, &request, &answer(upstream, "[[0.25,-1.5],[3,4]]")).expect("an answer");
        let vector = |place: u64, numbers: Value| json!({ "object": "embedding", "index": place, "embedding": numbers });
        let wanted = json!({ "object": "list", "data": [vector(0, json!([0.25, -1.5])), vector(1, json!([3, 4]))], "model": "embedder",
            "usage": { "prompt_tokens": 5, "total_tokens": 5 } });
        assert_eq!(told, wanted, "{upstream:?}");
        assert_eq!(whole.facts.usage.map(|usage| (usage.prompt, usage.completion)), Some((5, 0)));
        let packed = json!({ "model": "m", "input": ["a", "b"], "encoding_format": "base64" });
        let (told, _) = read(upstream, &packed, &answer(upstream, "[[0.25,-1.5],[3,4]]")).expect("an answer");
        let bytes = STANDARD.decode(told["data"][1]["embedding"].as_str().expect("a text")).expect("base64");
        assert_eq!(bytes, [3.0_f32.to_le_bytes(), 4.0_f32.to_le_bytes()].concat());
    }
}

#[test]
fn a_vector_that_gemini_cut_short_has_length_one() {
    let request = json!({ "model": "m", "input": "a", "dimensions": 2 });
    let (told, _) = read(Surface::BatchEmbedContents, &request, &answer(Surface::BatchEmbedContents, "[[3,4]]")).expect("an answer");
    assert_eq!(told["data"][0]["embedding"], json!([0.6, 0.8]));
    let (told, _) = read(Surface::BatchEmbedContents, &request, &answer(Surface::BatchEmbedContents, "[[0,0]]")).expect("an answer");
    assert_eq!(told["data"][0]["embedding"], json!([0, 0]), "nothing has no length");
}

#[test]
fn errors_and_what_is_no_answer_are_faults() {
    for upstream in ALL {
        let request = json!({ "model": "m", "input": ["a", "b"] });
        for bad in ["", "<html>", "{}", "[]", "{\"embeddings\":7}", &answer(upstream, "[[1]]"), &answer(upstream, "[\"x\",{}]")] {
            let fault = read(upstream, &request, bad).expect_err(bad);
            assert_eq!(fault.class, FailureClass::InvalidResponse, "{upstream:?} {bad}");
        }
        let fault = read(upstream, &request, "{\"error\":{\"message\":\"busy\",\"code\":503}}").expect_err("a fault");
        assert_eq!((fault.class, fault.message.as_str()), (FailureClass::Overloaded, "busy"));
    }
    let missing = Fault::of_answer(Surface::CohereEmbed, 404, br#"{"id":"8","message":"model 'x' not found"}"#);
    assert_eq!(missing.class, FailureClass::NotFound);
}
