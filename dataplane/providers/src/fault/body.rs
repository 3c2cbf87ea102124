//! Error bodies of all shapes, as one object.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use serde::Deserialize;
use serde_json::Value;

use super::MESSAGE_BYTES_MAX;

/// What the error objects of providers have in common.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorObject {
    #[serde(alias = "err_msg")]
    pub(super) message: Option<Value>,
    pub(super) r#type: Option<Value>,
    #[serde(alias = "error_code", alias = "err_code")]
    pub(super) code: Option<Value>,
    pub(super) param: Option<Value>,
    /// Google's word for the kind.
    pub(super) status: Option<Value>,
    /// Google's reasons.
    pub(super) details: Option<Value>,
    /// Cohere's word for the kind.
    pub(super) error_type: Option<Value>,
    /// Azure's closer reason.
    pub(super) innererror: Option<Inner>,
}

/// What stands inside an error of Azure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Inner {
    pub(super) code: Option<String>,
}

/// `{error: {..}}`, `{error: ".."}`, `{error: [".."]}`, `[{error: {..}}]`, `{message: ".."}`, `{detail: ..}`, `{errors: [..]}`,
/// `{err_msg: ".."}`.
pub(super) fn found(json: &Value) -> Option<ErrorObject> {
    let object = match json {
        Value::Array(list) => return list.first().and_then(found),
        Value::Object(object) => object,
        _ => return None,
    };
    let said =
        |message: &Value| ErrorObject { message: Some(message.clone()), code: object.get("code").cloned(), ..ErrorObject::default() };
    match object.get("error") {
        Some(text @ Value::String(_)) => return Some(said(text)),
        Some(Value::Array(list)) if !list.is_empty() => return Some(said(&joined(list))),
        Some(error @ Value::Object(_)) => return serde_json::from_value(error.clone()).ok(),
        _ => {}
    }
    if object.contains_key("message") || object.contains_key("err_msg") {
        return serde_json::from_value(json.clone()).ok();
    }
    match object.get("detail").or_else(|| object.get("errors"))? {
        Value::Array(list) => Some(match list.first() {
            Some(Value::Object(first)) if first.contains_key("message") => serde_json::from_value(Value::Object(first.clone())).ok()?,
            _ => ErrorObject { message: Some(joined(list)), param: list.first().and_then(place), ..ErrorObject::default() },
        }),
        complaint @ Value::Object(_) => found(complaint).or_else(|| Some(said(complaint))),
        complaint => Some(said(complaint)),
    }
}

/// Complaints as one text; those of FastAPI name the place.
fn joined(list: &[Value]) -> Value {
    let said = |item: &Value| match (item, item.get("msg").and_then(Value::as_str)) {
        (Value::String(text), _) => text.clone(),
        (_, Some(message)) => {
            place(item).and_then(|place| Some(format!("{}: {message}", place.as_str()?))).unwrap_or_else(|| message.to_owned())
        }
        _ => item.to_string(),
    };
    Value::String(list.iter().map(said).collect::<Vec<_>>().join("; "))
}

/// Where FastAPI finds fault: `["body", "messages", 0]`.
fn place(item: &Value) -> Option<Value> {
    let steps = item.get("loc")?.as_array()?;
    let steps = steps.iter().filter(|step| *step != "body").map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned));
    Some(Value::String(steps.collect::<Vec<_>>().join("."))).filter(|place| *place != "")
}

/// A body that is no JSON: its text, unless it is a page.
pub(super) fn plain(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body.get(..MESSAGE_BYTES_MAX).unwrap_or(body));
    let text = text.trim();
    (!text.is_empty() && !text.starts_with('<')).then(|| Value::String(text.to_owned()))
}
