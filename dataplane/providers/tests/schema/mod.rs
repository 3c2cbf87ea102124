//! A strict check of JSON against the schemas of an OpenAPI document. It knows the keywords that those documents use and
//! nothing more, and a keyword that it does not know is a complaint, never a pass.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that say nothing about whether a value is right.
const REMARKS: [&str; 17] = [
    "description",
    "title",
    "default",
    "example",
    "examples",
    "deprecated",
    "format",
    "readOnly",
    "writeOnly",
    "externalDocs",
    "discriminator",
    "nullable",
    "properties",
    "required",
    "additionalProperties",
    "maximum",
    "minimum",
];

/// The schemas of a document.
pub struct Schemas {
    document: Value,
    /// Whether a field that the schema does not name is a complaint.
    pub closed: bool,
    /// Fields that are ours to add.
    pub ours: BTreeSet<&'static str>,
}

/// What the schemas that apply to one object know of its fields.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    open: bool,
}

impl Schemas {
    pub fn new(document: Value) -> Self {
        Self { document, closed: true, ours: BTreeSet::new() }
    }

    /// What is wrong with a value that should be of the schema of that name.
    pub fn complaints(&self, name: &str, value: &Value) -> Vec<String> {
        let Some(schema) = self.document["components"]["schemas"].get(name) else { return vec![format!("there is no schema {name}")] };
        self.instance(schema, value, "$")
    }

    fn instance(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut known = Known::default();
        let mut wrong = self.check(schema, value, at, &mut known);
        if let Value::Object(fields) = value
            && self.closed
            && !known.open
        {
            let strange = fields.keys().filter(|name| !known.names.contains(*name) && !self.ours.contains(name.as_str()));
            wrong.extend(strange.map(|name| format!("{at}: the schema knows no field {name}")));
        }
        wrong
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, known: &mut Known) -> Vec<String> {
        let Value::Object(schema) = schema else {
            known.open = true;
            return if *schema == Value::Bool(false) { vec![format!("{at}: nothing may be here")] } else { Vec::new() };
        };
        if schema.get("nullable") == Some(&Value::Bool(true)) && value.is_null() {
            return Vec::new();
        }
        // `{}` takes anything.
        known.open |= schema.is_empty();
        let mut wrong = Vec::new();
        for (keyword, wanted) in schema {
            match keyword.as_str() {
                "$ref" => {
                    let path = wanted.as_str().and_then(|path| path.strip_prefix('#')).unwrap_or("?");
                    match self.document.pointer(path) {
                        Some(target) => wrong.extend(self.check(target, value, at, known)),
                        None => wrong.push(format!("{at}: {wanted} leads nowhere")),
                    }
                }
                "type" => {
                    let kinds = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                    if !kinds.iter().any(|kind| is_of(kind.as_str().unwrap_or_default(), value)) {
                        wrong.push(format!("{at}: {value} is not of type {wanted}"));
                    }
                }
                "enum" if !wanted.as_array().is_some_and(|list| list.contains(value)) => {
                    wrong.push(format!("{at}: {value} is none of {wanted}"));
                }
                "const" if wanted != value => wrong.push(format!("{at}: {value} is not {wanted}")),
                "enum" | "const" => {}
                "allOf" => {
                    for inner in wanted.as_array().into_iter().flatten() {
                        wrong.extend(self.check(inner, value, at, known));
                    }
                }
                "anyOf" | "oneOf" => wrong.extend(self.one_of(wanted, value, at, known)),
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        wrong.extend(self.instance(wanted, item, &format!("{at}[{place}]")));
                    }
                }
                "minItems" if value.as_array().is_some_and(|list| (list.len() as u64) < wanted.as_u64().unwrap_or(0)) => {
                    wrong.push(format!("{at}: fewer than {wanted}"));
                }
                "maxItems" if value.as_array().is_some_and(|list| (list.len() as u64) > wanted.as_u64().unwrap_or(u64::MAX)) => {
                    wrong.push(format!("{at}: more than {wanted}"));
                }
                "minItems" | "maxItems" => {}
                _ if REMARKS.contains(&keyword.as_str()) || keyword.starts_with("x-") => {}
                _ => wrong.push(format!("{at}: this check does not know the keyword {keyword}")),
            }
        }
        if let Value::Object(fields) = value {
            wrong.extend(self.fields(schema, fields, at, known));
        }
        wrong.extend(bounds(schema, value, at));
        wrong
    }

    fn fields(&self, schema: &Map<String, Value>, fields: &Map<String, Value>, at: &str, known: &mut Known) -> Vec<String> {
        let mut wrong = Vec::new();
        let declared = schema.get("properties").and_then(Value::as_object);
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                wrong.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, inner) in declared.into_iter().flatten() {
            known.names.insert(name.clone());
            if let Some(value) = fields.get(name) {
                wrong.extend(self.instance(inner, value, &format!("{at}.{name}")));
            }
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => {
                let strange = fields.keys().filter(|name| declared.is_none_or(|declared| !declared.contains_key(*name)));
                wrong.extend(strange.map(|name| format!("{at}: {name} may not be here")));
            }
            Some(other) => {
                known.open = true;
                for (name, value) in fields.iter().filter(|(name, _)| declared.is_none_or(|declared| !declared.contains_key(*name))) {
                    wrong.extend(self.instance(other, value, &format!("{at}.{name}")));
                }
            }
            None => known.open |= declared.is_none() && schema.get("type").is_some_and(|kind| kind == "object"),
        }
        wrong
    }

    /// The branch that fits best; complaints of the closest when none fits.
    fn one_of(&self, branches: &Value, value: &Value, at: &str, known: &mut Known) -> Vec<String> {
        let mut closest: Option<(usize, Vec<String>)> = None;
        let mut fits = false;
        for branch in branches.as_array().into_iter().flatten() {
            let mut inner = Known::default();
            let wrong = self.check(branch, value, at, &mut inner);
            if wrong.is_empty() {
                fits = true;
                known.open |= inner.open;
                known.names.append(&mut inner.names);
            } else if closest.as_ref().is_none_or(|(count, _)| wrong.len() < *count) {
                closest = Some((wrong.len(), wrong));
            }
        }
        if fits { Vec::new() } else { closest.map(|(_, wrong)| wrong).unwrap_or_else(|| vec![format!("{at}: no branch")]) }
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn bounds(schema: &Map<String, Value>, value: &Value, at: &str) -> Vec<String> {
    let Some(number) = value.as_f64() else { return Vec::new() };
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let low = bound("minimum").is_some_and(|least| number < least);
    let high = bound("maximum").is_some_and(|most| number > most);
    if low || high { vec![format!("{at}: {number} is out of bounds")] } else { Vec::new() }
}
