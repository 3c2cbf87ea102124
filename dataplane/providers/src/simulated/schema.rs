//! A value that satisfies a JSON schema: required properties by their type, enums by their first value.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use serde_json::{Map, Value, json};

/// Deeper schemas get an empty value; recursive ones must end.
const DEPTH_MAX: u32 = 12;

/// A value for the schema. `hint` is used where any text will do.
pub(super) fn satisfy(schema: &Value, hint: &str) -> Value {
    value(schema, schema, hint, 0)
}

fn value(root: &Value, schema: &Value, hint: &str, depth: u32) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let inner = |schema| value(root, schema, hint, depth + 1);
    if let Some(target) = schema["$ref"].as_str().and_then(|path| root.pointer(path.strip_prefix('#')?)) {
        return inner(target);
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|list| list.first()) {
        return first.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| schema[*key].as_array()?.first()) {
        return inner(first);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null"),
        Value::String(kind) => kind.as_str(),
        _ if schema.get("properties").is_some() => "object",
        _ => "object",
    };
    match kind {
        "object" => {
            let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            let fields = required.iter().filter_map(Value::as_str).map(|name| (name.to_owned(), inner(&schema["properties"][name])));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        "array" => {
            let count = schema["minItems"].as_u64().unwrap_or(1).min(16);
            Value::Array((0..count).map(|_| inner(&schema["items"])).collect())
        }
        "string" => Value::String(text(schema, hint)),
        "integer" => json!(schema["minimum"].as_i64().unwrap_or(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
        "boolean" => json!(true),
        _ => Value::Null,
    }
}

fn text(schema: &Value, hint: &str) -> String {
    let text = match schema["format"].as_str() {
        Some("date-time") => "2026-01-02T03:04:05Z",
        Some("date") => "2026-01-02",
        Some("time") => "03:04:05Z",
        Some("email") => "pilot@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "01935b3c-1a2b-7000-8000-000000000000",
        _ => hint,
    };
    let min = schema["minLength"].as_u64().map_or(0, |min| usize::try_from(min.min(4096)).unwrap_or(0));
    let max = schema["maxLength"].as_u64().map_or(64, |max| usize::try_from(max).unwrap_or(64));
    let padded: String = text.chars().chain(std::iter::repeat('x')).take(text.chars().count().max(min)).collect();
    padded.chars().take(max.max(min)).collect()
}
