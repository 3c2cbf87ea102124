//! The table of the language: what is written, the verdict on each object, and what a gateway serves of it.
//!
//! `tests/compile/<case>/in.yaml` (after `previous.yaml`, where there is one) gives `reports.yaml` and `snapshot.yaml`.
//! `UPDATE_GOLDEN=1` writes them anew; read the difference before it is committed.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crds::compile::{Compiled, compile};
use crds::report::{Problem, Verdict};
use crds::world::World;
use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::{Value, json};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).expect("cases").map(|case| case.expect("a case").path()).collect();
    cases.sort();
    cases
}

fn compiled(case: &Path) -> Compiled {
    let parse = |name: &str| fs::read_to_string(case.join(name)).ok().map(|text| World::parse([("in.yaml", text.as_str())]));
    let previous = parse("previous.yaml").map(|parsed| compile(&parsed, None));
    compile(&parse("in.yaml").expect("in.yaml"), previous.as_ref())
}

fn problem(problem: &Problem) -> Value {
    let complaints = if let Problem::Invalid(complaints) = problem { json!(complaints) } else { Value::Null };
    let mut told = json!({ "reason": problem.reason(), "message": problem.message() });
    if !complaints.is_null() {
        told["complaints"] = complaints;
    }
    told
}

fn reports(compiled: &Compiled) -> Value {
    let each = compiled.reports.iter().map(|(id, report)| {
        let (verdict, found) = match &report.verdict {
            Verdict::Accepted => ("Accepted", None),
            Verdict::Pending(problem) => ("Pending", Some(problem)),
            Verdict::Refused(problem) => ("Refused", Some(problem)),
        };
        let mut told = json!({ "object": format!("{} {}/{}", id.kind, id.namespace, id.name), "verdict": verdict });
        if let Some(found) = found {
            told["problem"] = problem(found);
        }
        if let Some(generation) = report.serving_generation {
            told["servingGeneration"] = json!(generation);
        }
        if !report.warnings.is_empty() {
            told["warnings"] = report.warnings.iter().map(problem).collect();
        }
        told
    });
    each.collect()
}

/// What gateways serve; of credentials only whose there are.
fn snapshots(compiled: &Compiled) -> Value {
    let each = compiled.gateways.values().map(|config| {
        let credentials: Vec<&str> = config.credentials.0.keys().map(snapshot::ProviderId::as_str).collect();
        json!({ "snapshot": config.snapshot, "credentials": credentials })
    });
    each.collect()
}

#[test]
fn every_case_of_the_table_gives_what_is_committed() {
    #[expect(clippy::disallowed_methods, reason = "a person asks for new files this way")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok();
    let cases = cases();
    assert!(cases.len() >= 80, "the table has {} cases", cases.len());
    let mut faults = Vec::new();
    for case in cases {
        let compiled = compiled(&case);
        for (name, value) in [("reports.yaml", reports(&compiled)), ("snapshot.yaml", snapshots(&compiled))] {
            let text = serde_yaml::to_string(&value).expect("YAML");
            let path = case.join(name);
            if update {
                fs::write(&path, &text).expect("a file");
            } else if fs::read_to_string(&path).unwrap_or_default() != text {
                faults.push(format!("{}:\n{text}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "these differ from what is committed:\n{}", faults.join("\n"));
}

#[test]
fn every_problem_and_every_rule_is_hit_by_a_case() {
    let mut problems = BTreeSet::new();
    let mut messages = String::new();
    for case in cases() {
        for report in compiled(&case).reports.values() {
            let found = match &report.verdict {
                Verdict::Accepted => None,
                Verdict::Pending(problem) | Verdict::Refused(problem) => Some(problem),
            };
            for problem in found.into_iter().chain(&report.warnings) {
                problems.insert(variant(problem));
                messages.push_str(&problem.message());
                messages.push('\n');
            }
        }
    }
    let missing: Vec<_> = VARIANTS.iter().filter(|name| !problems.contains(*name)).collect();
    assert!(missing.is_empty(), "no case gives {missing:?}");
    for definition in crds::api::definitions() {
        let definition = serde_json::to_value(definition).expect("JSON");
        let mut rules = Vec::new();
        collect(&definition, &mut rules);
        for rule in rules {
            assert!(messages.contains(&rule), "no case breaks the rule: {rule}");
        }
    }
}

/// Messages of all rules in a definition.
fn collect(value: &Value, rules: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for rule in object.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
                rules.push(rule["message"].as_str().expect("every rule has a message").to_owned());
            }
            object.values().for_each(|value| collect(value, rules));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, rules)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// All but those that only a cluster's world can have; `tests/cluster.rs` has these.
const VARIANTS: [&str; 23] = [
    "Invalid",
    "Unreadable",
    "NotYaml",
    "Twice",
    "UnsupportedFeature",
    "SecretNotFound",
    "SecretKeyMissing",
    "ConfigMapKeyMissing",
    "ProviderNotFound",
    "ProviderNotShared",
    "PolicyNotFound",
    "PolicyNotPermitted",
    "NoGateway",
    "GatewayNotPermitted",
    "AmbiguousGateway",
    "TeamNotPermitted",
    "IdentityNotPermitted",
    "DuplicateKey",
    "KeyTextUnusable",
    "Malformed",
    "PresetNotFound",
    "ModelAmbiguous",
    "ModelsUnpriced",
];

/// A new variant does not compile until it stands here, and then needs a case.
fn variant(problem: &Problem) -> &'static str {
    match problem {
        Problem::Invalid(_) => "Invalid",
        Problem::Unreadable(_) => "Unreadable",
        Problem::NotYaml { .. } => "NotYaml",
        Problem::Twice { .. } => "Twice",
        Problem::UnsupportedFeature(_) => "UnsupportedFeature",
        Problem::SecretNotFound { .. } => "SecretNotFound",
        Problem::SecretKeyMissing { .. } => "SecretKeyMissing",
        Problem::SecretForeign { .. } => "SecretForeign",
        Problem::SecretAccessDenied { .. } => "SecretAccessDenied",
        Problem::ConfigMapKeyMissing { .. } => "ConfigMapKeyMissing",
        Problem::ProviderNotFound { .. } => "ProviderNotFound",
        Problem::ProviderNotShared { .. } => "ProviderNotShared",
        Problem::PolicyNotFound { .. } => "PolicyNotFound",
        Problem::PolicyNotPermitted { .. } => "PolicyNotPermitted",
        Problem::NoGateway { .. } => "NoGateway",
        Problem::GatewayNotPermitted { .. } => "GatewayNotPermitted",
        Problem::AmbiguousGateway { .. } => "AmbiguousGateway",
        Problem::TeamNotPermitted { .. } => "TeamNotPermitted",
        Problem::IdentityNotPermitted => "IdentityNotPermitted",
        Problem::DuplicateKey { .. } => "DuplicateKey",
        Problem::KeyTextUnusable(_) => "KeyTextUnusable",
        Problem::Malformed { .. } => "Malformed",
        Problem::PresetNotFound { .. } => "PresetNotFound",
        Problem::ModelAmbiguous { .. } => "ModelAmbiguous",
        Problem::ModelsUnpriced { .. } => "ModelsUnpriced",
    }
}

/// Every document of the accepted cases, each in a namespace of its own so that none meets another.
fn documents() -> Vec<String> {
    let accepted = cases().into_iter().filter(|case| case.to_string_lossy().contains("/cross_"));
    let texts = accepted.map(|case| fs::read_to_string(case.join("in.yaml")).expect("in.yaml"));
    let mut documents: Vec<String> = texts.flat_map(|text| text.split("---\n").map(str::to_owned).collect::<Vec<_>>()).collect();
    documents.sort();
    documents.dedup();
    documents
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn any_order_in_any_files_gives_the_same_bytes(seed in any::<u64>(), files in 1_usize..5) {
        let documents = documents();
        let bytes = |documents: &[String], files: usize| {
            let mut texts = vec![String::new(); files];
            documents.iter().enumerate().for_each(|(place, document)| {
                texts[place % files].push_str("---\n");
                texts[place % files].push_str(document);
            });
            // File names stand in messages only; what is served must not depend on them.
            let compiled = compile(&World::parse(texts.iter().map(|text| ("f", text.as_str()))), None);
            compiled.gateways.values().map(|config| snapshot::bundle::digest(&config.snapshot, &config.credentials)).collect::<Vec<_>>()
        };
        let mut shuffled = documents.clone();
        let mut state = seed | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(place, usize::try_from(state >> 33).expect("small") % (place + 1));
        }
        assert_eq!(bytes(&documents, 1), bytes(&shuffled, files));
    }

    #[test]
    fn any_text_is_safe(text in "(apiVersion: portolan.dev/v1alpha1\n|kind: (VirtualKey|LLMProvider|List)\n|metadata: \\{name: a\\}\n|spec: |\\{|\\}|type: Simulated|- |---\n|&a|\\*a|: |\n|\\PC{0,4}){0,20}") {
        drop(compile(&World::parse([("f", text.as_str())]), None));
    }
}

/// Where definitions are committed: for people, and in the chart.
const DEFINITIONS: [&str; 2] = ["crds/manifests", "charts/portolan/files/crds"];

#[test]
fn the_committed_definitions_are_what_is_compiled_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in DEFINITIONS {
        let mut names = Vec::new();
        for definition in crds::api::definitions() {
            let name = format!("{}.yaml", definition.spec.names.plural);
            let text = serde_yaml::to_string(&definition).expect("YAML");
            assert_eq!(
                fs::read_to_string(root.join(folder).join(&name)).unwrap_or_default(),
                text,
                "run `cargo run -p crds --bin crdgen {}` and commit {folder}/{name}",
                DEFINITIONS.join(" ")
            );
            names.push(name);
        }
        names.sort();
        let mut found: Vec<_> = fs::read_dir(root.join(folder))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        found.sort();
        assert_eq!(found, names, "{folder}");
    }
}

#[test]
fn every_field_is_described_and_bounded() {
    for definition in crds::api::definitions() {
        let kind = definition.spec.names.kind.clone();
        let definition = serde_json::to_value(definition).expect("JSON");
        let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").expect("a spec");
        check(spec, &format!("{kind}.spec"));
    }
}

fn check(schema: &Value, path: &str) {
    assert!(schema["description"].is_string() || path.ends_with("[]"), "{path} has no description");
    let closed = schema.get("enum").is_some() || schema.get("format").is_some_and(|format| format == "date-time");
    match schema["type"].as_str() {
        Some("string") => assert!(closed || schema.get("maxLength").is_some(), "{path} has no maxLength"),
        Some("integer") => assert!(schema.get("minimum").is_some() && schema.get("maximum").is_some(), "{path} has no bounds"),
        Some("array") => {
            assert!(schema.get("maxItems").is_some(), "{path} has no maxItems");
            assert!(schema.get("x-kubernetes-list-type").is_some(), "{path} has no list type");
            check(&schema["items"], &format!("{path}[]"));
        }
        Some("object") => {
            schema["properties"].as_object().into_iter().flatten().for_each(|(name, inner)| check(inner, &format!("{path}.{name}")))
        }
        _ => {}
    }
}

#[test]
fn every_example_is_accepted_but_for_the_keys_that_it_lacks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for example in fs::read_dir(folder).expect("examples") {
        let files = fs::read_dir(example.expect("an example").path())
            .expect("files")
            .map(|file| fs::read_to_string(file.expect("a file").path()).expect("text"));
        let files: Vec<String> = files.collect();
        let compiled = compile(&World::parse(files.iter().map(|text| ("f", text.as_str()))), None);
        assert!(compiled.reports.len() > 1, "there is something in it");
        for (id, report) in &compiled.reports {
            // Secrets without a value, and those that an operator would make.
            let waits = matches!(&report.verdict, Verdict::Pending(Problem::SecretKeyMissing { .. } | Problem::SecretNotFound { .. }));
            assert!(report.verdict == Verdict::Accepted || waits, "{id:?} {report:?}");
        }
    }
}
