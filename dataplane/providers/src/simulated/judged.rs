//! Judgements and orders of the simulated provider: by words that stand there, and by nothing else.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Bad, Made};

/// Categories, each with the words that make it.
const CATEGORIES: [(&str, &[&str]); 13] = [
    ("harassment", &["idiot", "loser"]),
    ("harassment/threatening", &[]),
    ("hate", &["hate"]),
    ("hate/threatening", &[]),
    ("illicit", &["drugs"]),
    ("illicit/violent", &[]),
    ("self-harm", &["suicide"]),
    ("self-harm/instructions", &[]),
    ("self-harm/intent", &[]),
    ("sexual", &["nude"]),
    ("sexual/minors", &[]),
    ("violence", &["kill", "murder"]),
    ("violence/graphic", &[]),
];

fn words(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Texts of a field that is one, or a list of texts or of objects with a text.
fn texts(value: &Value) -> Vec<String> {
    let one = |value: &Value| value.as_str().or_else(|| value["text"].as_str()).unwrap_or_default().to_owned();
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        Value::Null => Vec::new(),
        _ => vec![one(value)],
    }
}

/// Texts judged.
pub(super) fn moderations(request: &Value, id: &str) -> Result<Made, Bad> {
    let texts = texts(&request["input"]);
    if texts.is_empty() {
        return Err(Bad { message: "Missing required parameter: 'input'.".to_owned(), param: Some("input") });
    }
    let results: Vec<Value> = texts.iter().map(|text| judged(&words(text))).collect();
    Ok(Made::Whole(json!({ "id": id, "model": request["model"], "results": results })))
}

fn judged(words: &BTreeSet<String>) -> Value {
    let found = CATEGORIES.map(|(name, bad)| (name, bad.iter().any(|word| words.contains(*word))));
    let categories: serde_json::Map<String, Value> = found.iter().map(|(name, is)| ((*name).to_owned(), json!(is))).collect();
    let scores: serde_json::Map<String, Value> =
        found.iter().map(|(name, is)| ((*name).to_owned(), json!(if *is { 0.9 } else { 0.0001 }))).collect();
    let types: serde_json::Map<String, Value> = found.iter().map(|(name, _)| ((*name).to_owned(), json!(["text"]))).collect();
    json!({
        "flagged": found.iter().any(|(_, is)| *is),
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": types,
    })
}

/// Documents in the order of how many words they share with the question.
pub(super) fn rerank(request: &Value, id: &str) -> Result<Made, Bad> {
    let query = request["query"].as_str().filter(|query| !query.is_empty());
    let query = words(query.ok_or_else(|| Bad { message: "query is required".to_owned(), param: Some("query") })?);
    let documents = texts(&request["documents"]);
    if documents.is_empty() {
        return Err(Bad { message: "documents must not be empty".to_owned(), param: Some("documents") });
    }
    let score = |text: &String| {
        let words = words(text);
        let shared = query.intersection(&words).count();
        let all = query.union(&words).count().max(1);
        shared * 10_000 / all
    };
    let mut order: Vec<(usize, usize)> = documents.iter().enumerate().map(|(place, text)| (score(text), place)).collect();
    order.sort_by_key(|(score, place)| (std::cmp::Reverse(*score), *place));
    let top = request["top_n"].as_u64().and_then(|top| usize::try_from(top).ok()).unwrap_or(documents.len());
    let again = request["return_documents"].as_bool().unwrap_or(false);
    let results = order.into_iter().take(top).map(|(score, place)| {
        let mut result = json!({ "index": place, "relevance_score": f64::from(u32::try_from(score).unwrap_or(0)) / 10_000.0 });
        if again {
            result["document"] = json!({ "text": documents.get(place) });
        }
        result
    });
    let results: Vec<Value> = results.collect();
    let tokens = documents.iter().map(String::len).sum::<usize>().div_ceil(4);
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Ok(Made::Whole(json!({
        "id": id, "model": request["model"], "results": results, "usage": usage, "meta": { "billed_units": { "search_units": 1 } },
    })))
}
