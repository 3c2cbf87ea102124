//! `/v1/embeddings`: unit vectors that depend on the text alone.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::words::Dice;
use super::{Bad, Made};

const DIMENSIONS: u64 = 1536;

/// Vectors hang on the text alone, so that equal texts are equal wherever they stand.
pub(super) fn answer(request: &Value) -> Result<Made, Bad> {
    let bad = |message: &str, param| Err(Bad { message: message.to_owned(), param: Some(param) });
    let Some(model) = request["model"].as_str() else { return bad("you must provide a model parameter", "model") };
    let inputs: Vec<String> = match &request["input"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_number) => vec![request["input"].to_string()],
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        _ => return bad("'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.", "input"),
    };
    let dimensions = match &request["dimensions"] {
        Value::Null => DIMENSIONS,
        wanted => match wanted.as_u64().filter(|wanted| (1..=3072).contains(wanted)) {
            Some(wanted) => wanted,
            None => return bad("Invalid value for 'dimensions'.", "dimensions"),
        },
    };
    let base64 = request["encoding_format"] == "base64";
    let data = inputs.iter().enumerate().map(|(index, text)| {
        let vector = vector(text, dimensions);
        let embedding = if base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(STANDARD.encode(bytes))
        } else {
            json!(vector)
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let tokens: usize = inputs.iter().map(|text| text.len().div_ceil(4).max(1)).sum();
    Ok(Made::Whole(json!({
        "object": "list", "data": data.collect::<Value>(), "model": model, "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })))
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a vector of dice needs no precision")]
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let mut dice = Dice::new(0, text.as_bytes());
    let raw: Vec<f64> = (0..dimensions).map(|_| dice.below(2_000_001) as f64 / 1e6 - 1.0).collect();
    let length = raw.iter().map(|number| number * number).sum::<f64>().sqrt().max(1e-9);
    raw.into_iter().map(|number| (number / length) as f32).collect()
}
