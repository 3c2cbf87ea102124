//! What only a cluster's world has: objects one at a time, UIDs, Secrets that may not be read, a restart.

#![expect(clippy::panic, reason = "helpers of tests panic as tests do")]

use crds::compile::{Compiled, compile};
use crds::report::{Kind, ObjectId, Problem, Verdict};
use crds::world::{Parsed, Parser, World};
use serde_json::{Value, json};

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "portolan.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "team-a", "uid": format!("uid-{name}"), "generation": 1},
        "spec": spec, "status": {"conditions": []},
    })
}

fn secret(parsed: &mut Parsed, name: &str, made_for: Option<&str>) {
    let mut document = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "team-a"},
        "stringData": {"apiKey": "a text of at least sixteen characters"}});
    if let Some(uid) = made_for {
        document["metadata"]["annotations"] = json!({"portolan.dev/virtual-key-uid": uid});
    }
    let read = World::parse([("secret.yaml", document.to_string().as_str())]);
    parsed.world.secrets.extend(read.world.secrets);
}

fn cluster() -> Parsed {
    let mut parsed = Parsed::default();
    parsed.world.cluster = true;
    parsed
}

fn verdict(compiled: &Compiled, kind: Kind, name: &str) -> Verdict {
    let id = ObjectId { kind, namespace: "team-a".to_owned(), name: name.to_owned() };
    compiled.reports.get(&id).unwrap_or_else(|| panic!("no report of {id:?}")).verdict.clone()
}

#[test]
fn a_cluster_implies_no_gateway() {
    let mut parsed = cluster();
    Parser::default().put(&mut parsed, object("VirtualKey", "app", json!({"source": {"type": "Hash", "sha256": "ab".repeat(32)}})));
    let compiled = compile(&parsed, None);
    assert!(compiled.gateways.is_empty());
    let refused = Verdict::Refused(Problem::NoGateway { namespace: "team-a".to_owned() });
    assert_eq!(verdict(&compiled, Kind::VirtualKey, "app"), refused);
}

#[test]
fn an_object_takes_the_place_of_its_older_form_whatever_either_was() {
    let (parser, mut parsed) = (Parser::default(), cluster());
    parser.put(&mut parsed, object("LLMGateway", "main", json!({"replicas": 4})));
    assert_eq!((parsed.world.gateways.len(), parsed.rejected.len()), (1, 0));
    parser.put(&mut parsed, object("LLMGateway", "main", json!({"replicas": "four"})));
    parser.put(&mut parsed, object("LLMGateway", "main", json!({"replicas": "five"})));
    assert_eq!((parsed.world.gateways.len(), parsed.rejected.len()), (0, 1));
    parser.put(&mut parsed, object("LLMGateway", "main", json!({})));
    assert_eq!((parsed.world.gateways.len(), parsed.rejected.len()), (1, 0));
    parsed.remove(Kind::LLMGateway, &("team-a".to_owned(), "main".to_owned()));
    assert!(parsed.world.gateways.is_empty());
}

#[test]
fn a_generated_key_is_served_only_from_the_secret_that_was_made_for_its_uid() {
    let (parser, mut parsed) = (Parser::default(), cluster());
    parser.put(&mut parsed, object("LLMGateway", "main", json!({})));
    parser.put(&mut parsed, object("VirtualKey", "app", json!({"source": {"type": "Generated"}})));
    let foreign = Verdict::Refused(Problem::SecretForeign { secret: "app-key".to_owned() });
    for (made_for, expected) in [(None, &foreign), (Some("uid-of-an-older-one"), &foreign), (Some("uid-app"), &Verdict::Accepted)] {
        secret(&mut parsed, "app-key", made_for);
        assert_eq!(verdict(&compile(&parsed, None), Kind::VirtualKey, "app"), *expected, "{made_for:?}");
    }
}

#[test]
fn a_namespace_whose_secrets_may_not_be_read_is_told_as_that() {
    let (parser, mut parsed) = (Parser::default(), cluster());
    parser.put(&mut parsed, object("LLMGateway", "main", json!({})));
    let source = json!({"source": {"type": "SecretRef", "secretRef": {"name": "text", "key": "key"}}});
    parser.put(&mut parsed, object("VirtualKey", "app", source));
    parsed.world.denied.insert("team-a".to_owned());
    let denied = Problem::SecretAccessDenied { namespace: "team-a".to_owned() };
    assert_eq!(verdict(&compile(&parsed, None), Kind::VirtualKey, "app"), Verdict::Pending(denied));
}

#[test]
fn a_restart_keeps_what_was_last_accepted() {
    let (parser, mut parsed) = (Parser::default(), cluster());
    secret(&mut parsed, "text", None);
    parser.put(&mut parsed, object("LLMGateway", "main", json!({"egress": {"allowCIDRs": ["10.0.0.0/8"]}})));
    let provider = json!({"type": "OpenAI", "auth": {"secretRef": {"name": "text", "key": "apiKey"}}});
    parser.put(&mut parsed, object("LLMProvider", "openai", provider));
    let policy = json!({"rules": [{"name": "all", "targets": [{"providerRef": {"name": "openai"}}]}]});
    parser.put(&mut parsed, object("RoutingPolicy", "all", policy));
    let key = json!({"source": {"type": "Hash", "sha256": "ab".repeat(32)}, "routingPolicyRef": {"name": "all"}});
    parser.put(&mut parsed, object("VirtualKey", "app", key));
    let before = compile(&parsed, None);
    let published: Vec<_> = before.gateways.values().cloned().collect();
    assert_eq!(published.first().map(|config| config.snapshot.policies.len()), Some(1), "the case shows something");

    // All are spoilt while no operator runs.
    parser.put(&mut parsed, object("LLMGateway", "main", json!({"egress": {"allowCIDRs": ["10.0.0.0/8", "1.1.1.1/99"]}})));
    parser.put(&mut parsed, object("LLMProvider", "openai", json!({"type": "Simulated", "auth": {"type": "None"}})));
    parser.put(&mut parsed, object("RoutingPolicy", "all", json!({"rules": []})));
    let forgetful = compile(&parsed, None);
    assert!(forgetful.gateways.is_empty(), "without its past it serves nothing: {:?}", forgetful.gateways);
    let after = compile(&parsed, Some(&Compiled::recover(published.clone())));
    assert_eq!(after.gateways.values().cloned().collect::<Vec<_>>(), published);
    assert!(matches!(verdict(&after, Kind::LLMProvider, "openai"), Verdict::Refused(_)));
}
