//! What an operator must read for a provider: every entry of a Secret that its `auth` names, wherever it stands.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crds::world::World;
use serde_json::Value;

/// Objects with a name and a key, and nothing else.
fn entries(value: &Value, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(object) => {
            if let (2, Some(name), Some(key)) = (object.len(), object.get("name"), object.get("key")) {
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                found.insert((text(name), text(key)));
            }
            object.values().for_each(|inner| entries(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| entries(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_secret_of_an_identity_is_told_to_whoever_reads_secrets() {
    let mut places = BTreeSet::new();
    for case in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile")).expect("cases") {
        let text = fs::read_to_string(case.expect("a case").path().join("in.yaml")).expect("in.yaml");
        for provider in World::parse([("in.yaml", text.as_str())]).world.providers.values() {
            let Some(auth) = &provider.spec.auth else { continue };
            let mut named = BTreeSet::new();
            let json = serde_json::to_value(auth).expect("JSON");
            entries(&json, &mut named);
            let told: BTreeSet<_> = auth.secrets().map(|entry| (entry.name.clone(), entry.key.clone())).collect();
            assert_eq!(told, named, "{json}");
            places.extend(json.as_object().into_iter().flatten().filter(|(_, value)| value.is_object()).map(|(name, _)| name.clone()));
        }
    }
    let clouds: Vec<&str> = places.iter().map(String::as_str).collect();
    assert_eq!(clouds, ["aws", "entra", "google", "secretRef"], "each kind has a case");
}
