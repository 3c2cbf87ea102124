//! Treats a document as the API server would, with the very definition that `crdgen` prints: defaults, then the
//! structural schema with unknown fields refused, then the CEL rules.

#![expect(clippy::wildcard_enum_match_arm, reason = "the kinds of JSON values are not ours")]

use std::collections::HashMap;
use std::sync::OnceLock;

use kube::core::cel::cel::Program;
use kube::core::cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::api;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Complaint {
    /// `spec.models[2].name`
    pub path: String,
    /// As the API server would say it; never holds a Secret's value.
    pub message: String,
}

/// The definitions of all kinds, compiled.
pub struct Schemas(HashMap<String, Definition>);

struct Definition {
    schema: Value,
    rules: CompiledSchema,
    /// Compiled when a value is first held against one: most are of fields that few people write.
    patterns: HashMap<String, OnceLock<Option<Regex>>>,
    validator: Validator,
}

impl Schemas {
    /// Compiles every definition.
    #[must_use]
    pub fn compile() -> Self {
        let made = api::definitions().into_iter().filter_map(|definition| {
            let kind = definition.spec.names.kind.clone();
            let version = definition.spec.versions.into_iter().next()?;
            let mut schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
            // What people write has no status; what they write of it is not looked at, as by the API server.
            schema.get_mut("properties")?.as_object_mut()?.remove("status");
            let mut patterns = HashMap::new();
            collect_patterns(&schema, &mut patterns);
            let rules = compile_schema(&schema);
            Some((kind, Definition { schema, rules, patterns, validator: Validator::new() }))
        });
        Self(made.collect())
    }

    /// Whether the kind is ours.
    #[must_use]
    pub fn knows(&self, kind: &str) -> bool {
        self.0.contains_key(kind)
    }

    /// Checks `spec` and gives it back with its defaults. `old` is what was accepted before, for rules of change.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self, kind: &str, spec: &Value, old: Option<&Value>) -> Result<Value, Vec<Complaint>> {
        let Some(definition) = self.0.get(kind) else {
            return Err(vec![Complaint { path: "kind".to_owned(), message: format!("unknown kind {kind}") }]);
        };
        let wrap = |spec: &Value| Value::Object(Map::from_iter([("spec".to_owned(), spec.clone())]));
        let object = apply_defaults(&definition.schema, &wrap(spec));
        let mut complaints = Vec::new();
        definition.walk(&definition.schema, &object, &mut String::new(), &mut complaints);
        if complaints.is_empty() {
            let old = old.map(|old| apply_defaults(&definition.schema, &wrap(old)));
            if let Err(errors) = definition.validator.validate_compiled(&definition.rules, &object, old.as_ref()) {
                complaints.extend(errors.into_vec().into_iter().map(|error| Complaint { path: error.field_path, message: error.message }));
            }
        }
        complaints.sort();
        complaints.dedup();
        match object {
            Value::Object(mut object) if complaints.is_empty() => Ok(object.remove("spec").unwrap_or_default()),
            _ => Err(complaints),
        }
    }
}

/// Has the parser of rules read those of every definition, and keeps nothing of it.
///
/// What that parser learns of a text it keeps for as long as the process lives, some hundred KiB in small pieces. Learnt
/// while manifests are parsed, they would lie scattered among what is let go again, and hold four times their size. So
/// they are learnt first, on a thread, whose heap holds nothing else.
pub fn learn_rules() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rules = Vec::new();
            for definition in api::definitions() {
                collect_rules(&serde_json::to_value(definition).unwrap_or_default(), &mut rules);
            }
            std::thread::scope(|scope| {
                scope.spawn(|| rules.iter().for_each(|rule| drop(Program::compile(rule))));
            });
        });
    });
}

fn collect_rules(schema: &Value, rules: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            rules.extend(object.get("rule").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| collect_rules(value, rules));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_rules(value, rules)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn collect_patterns(schema: &Value, patterns: &mut HashMap<String, OnceLock<Option<Regex>>>) {
    match schema {
        Value::Object(object) => {
            if let Some(pattern) = object.get("pattern").and_then(Value::as_str) {
                patterns.insert(pattern.to_owned(), OnceLock::new());
            }
            object.values().for_each(|value| collect_patterns(value, patterns));
        }
        Value::Array(list) => list.iter().for_each(|value| collect_patterns(value, patterns)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A pattern over bytes. One over characters takes hundreds of KiB to compile, which the heap would not give back; for
/// patterns such as ours both say the same, which the tests hold.
fn compile_pattern(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).build().ok()
}

impl Definition {
    fn walk(&self, schema: &Value, value: &Value, path: &mut String, complaints: &mut Vec<Complaint>) {
        let mut complain = |message: String| complaints.push(Complaint { path: path.clone(), message });
        if value.is_null() {
            if schema["nullable"] != Value::Bool(true) {
                complain("must not be null".to_owned());
            }
            return;
        }
        if schema["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true) {
            return;
        }
        let fits = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            _ => true,
        };
        if !fits {
            return complain(format!("must be of type {}: {}", schema["type"].as_str().unwrap_or("?"), kind_of(value)));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
            return complain(format!("unsupported value {value}: supported values: {}", names.join(", ")));
        }
        match value {
            Value::String(text) => self.text(schema, text, &mut complain),
            Value::Number(number) => bounds(schema, number, &mut complain),
            Value::Array(items) => self.array(schema, items, path, complaints),
            Value::Object(fields) => self.object(schema, fields, path, complaints),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&self, schema: &Value, text: &str, complain: &mut impl FnMut(String)) {
        let length = text.chars().count() as u64;
        if schema["minLength"].as_u64().is_some_and(|min| length < min) {
            complain(format!("should be at least {} chars long", schema["minLength"]));
        }
        if schema["maxLength"].as_u64().is_some_and(|max| length > max) {
            complain(format!("may not be more than {} chars long", schema["maxLength"]));
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && !self.matches(pattern, text)
        {
            complain(format!("should match '{pattern}'"));
        }
        if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
            complain("must be a date and time as in RFC 3339, such as 2027-01-31T00:00:00Z".to_owned());
        }
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        let regex = self.patterns.get(pattern).and_then(|regex| regex.get_or_init(|| compile_pattern(pattern)).as_ref());
        regex.is_some_and(|regex| regex.is_match(text.as_bytes()))
    }

    fn array(&self, schema: &Value, items: &[Value], path: &mut String, complaints: &mut Vec<Complaint>) {
        let mut complain = |message: String| complaints.push(Complaint { path: path.clone(), message });
        if schema["minItems"].as_u64().is_some_and(|min| (items.len() as u64) < min) {
            complain(format!("should have at least {} items", schema["minItems"]));
        }
        if schema["maxItems"].as_u64().is_some_and(|max| items.len() as u64 > max) {
            return complain(format!("must have at most {} items", schema["maxItems"]));
        }
        let mut seen = std::collections::HashSet::new();
        for (place, item) in items.iter().enumerate() {
            let identity = match schema["x-kubernetes-list-type"].as_str() {
                Some("set") => Some(item.to_string()),
                Some("map") => schema["x-kubernetes-list-map-keys"]
                    .as_array()
                    .map(|keys| keys.iter().filter_map(Value::as_str).map(|key| item[key].to_string()).collect()),
                _ => None,
            };
            let length = path.len();
            path.push_str(&format!("[{place}]"));
            if let Some(identity) = identity
                && !seen.insert(identity.clone())
            {
                complaints.push(Complaint { path: path.clone(), message: format!("duplicate value: {identity}") });
            }
            self.walk(&schema["items"], item, path, complaints);
            path.truncate(length);
        }
    }

    fn object(&self, schema: &Value, fields: &Map<String, Value>, path: &mut String, complaints: &mut Vec<Complaint>) {
        let length = path.len();
        let enter = |path: &mut String, name: &str| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
        };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                enter(path, name);
                complaints.push(Complaint { path: path.clone(), message: "required value".to_owned() });
                path.truncate(length);
            }
        }
        if schema["maxProperties"].as_u64().is_some_and(|max| fields.len() as u64 > max) {
            complaints.push(Complaint { path: path.clone(), message: format!("must have at most {} properties", schema["maxProperties"]) });
        }
        for (name, value) in fields {
            enter(path, name);
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(inner), _) | (None, Some(inner @ Value::Object(_))) => self.walk(inner, value, path, complaints),
                (None, _) => complaints.push(Complaint { path: path.clone(), message: "unknown field".to_owned() }),
            }
            path.truncate(length);
        }
    }
}

fn bounds(schema: &Value, number: &serde_json::Number, complain: &mut impl FnMut(String)) {
    let value = number.as_f64().unwrap_or(f64::NAN);
    if schema["minimum"].as_f64().is_some_and(|min| value < min) {
        complain(format!("should be greater than or equal to {}", schema["minimum"]));
    }
    if schema["maximum"].as_f64().is_some_and(|max| value > max) {
        complain(format!("should be less than or equal to {}", schema["maximum"]));
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "it is null",
        Value::Bool(_) => "it is a boolean",
        Value::Number(_) => "it is a number",
        Value::String(_) => "it is a string",
        Value::Array(_) => "it is a list",
        Value::Object(_) => "it is an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a pattern speaks of any character but some, a character of several bytes must count as often as it likes.
    fn says_the_same_of_bytes(pattern: &str) -> bool {
        let negated = pattern.split("[^").skip(1).map(|rest| rest.split_once(']').map_or("", |(_, after)| after));
        let mut outside = String::new();
        let mut rest = pattern;
        while let Some((before, class)) = rest.split_once('[') {
            outside.push_str(before);
            rest = class.split_once(']').map_or("", |(_, after)| after);
        }
        outside.push_str(rest);
        let any = outside.replace("\\.", "").contains('.');
        pattern.is_ascii() && !any && negated.into_iter().all(|after| after.starts_with(['+', '*']))
    }

    #[test]
    fn every_pattern_compiles_and_says_the_same_of_bytes_as_of_characters() {
        let mut patterns = HashMap::new();
        for definition in api::definitions() {
            collect_patterns(&serde_json::to_value(definition).expect("JSON"), &mut patterns);
        }
        assert!(patterns.len() > 20, "{}", patterns.len());
        for pattern in patterns.keys() {
            assert!(says_the_same_of_bytes(pattern), "{pattern}");
            let bytes = compile_pattern(pattern).expect(pattern);
            let characters = regex::Regex::new(pattern).expect(pattern);
            for text in
                ["", "a", "a-b", "ü", "/ü/é", "https://ü.example/ß", "https://a b", "1.5", "١", "/a:b", "/a\0", "x\n", "\n", "*", "🦀"]
            {
                assert_eq!(bytes.is_match(text.as_bytes()), characters.is_match(text), "{pattern} on {text:?}");
            }
        }
        for other in ["^[^/]{1,3}$", "^.$", "^[^a]$", "^ü+$"] {
            assert!(!says_the_same_of_bytes(other), "{other}");
        }
    }
}
