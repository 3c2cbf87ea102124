//! Manifests as texts, each with what a test has to say of it.

use sha2::{Digest, Sha256};

/// `metadata` of `name` or `namespace/name`.
fn metadata(id: &str) -> String {
    match id.split_once('/') {
        Some((namespace, name)) => format!("{{ namespace: {namespace}, name: {name} }}"),
        None => format!("{{ name: {id} }}"),
    }
}

fn host(id: &str) -> String {
    id.split('/').rev().collect::<Vec<_>>().join(".")
}

fn object(kind: &str, id: &str, spec: &str) -> String {
    format!("---\napiVersion: portolan.dev/v1alpha1\nkind: {kind}\nmetadata: {}\nspec: {{ {spec} }}\n", metadata(id))
}

/// A provider at `http://<name>.example/v1` (`<name>.<namespace>.example` with a namespace) whose credential is
/// `credential-of-<id>`.
pub fn provider(id: &str, more: &str) -> String {
    let url = format!("http://{}.example/v1", host(id));
    with_credential(id, &format!("credential-of-{id}"), &format!("endpoint: {{ url: '{url}', allowInsecure: true }}, {more}"))
}

/// A provider at `https://<name>.example/v1`.
pub fn secure_provider(id: &str, more: &str) -> String {
    let url = format!("https://{}.example/v1", host(id));
    with_credential(id, &format!("credential-of-{id}"), &format!("endpoint: {{ url: '{url}' }}, {more}"))
}

/// A provider of a type of its own at `http://<name>.example/v1`.
pub fn provider_of(kind: &str, id: &str, more: &str) -> String {
    let url = format!("http://{}.example/v1", host(id));
    of_type(kind, id, &format!("credential-of-{id}"), &format!("endpoint: {{ url: '{url}', allowInsecure: true }}, {more}"))
}

/// A provider with this credential; `more` names its endpoint.
pub fn with_credential(id: &str, credential: &str, more: &str) -> String {
    of_type("OpenAICompatible", id, credential, more)
}

fn of_type(kind: &str, id: &str, credential: &str, more: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id);
    let spec = format!("type: {kind}, auth: {{ secretRef: {{ name: {name}, key: apiKey }} }}, {more}");
    let secret = format!("---\napiVersion: v1\nkind: Secret\nmetadata: {}\nstringData: {{ apiKey: '{credential}' }}\n", metadata(id));
    object("LLMProvider", id, &spec) + &secret
}

/// A provider of a cloud: all that its `spec` says, and a Secret of its name with these entries.
pub fn cloud_provider(id: &str, spec: &str, entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> = entries.iter().map(|(name, value)| format!("{name}: '{value}'")).collect();
    let secret = format!("---\napiVersion: v1\nkind: Secret\nmetadata: {}\nstringData: {{ {} }}\n", metadata(id), entries.join(", "));
    object("LLMProvider", id, spec) + &secret
}

/// The text of the key that [`key`] makes.
pub fn text_of(id: &str) -> String {
    format!("the-text-of-key-{id}")
}

/// A virtual key whose text is [`text_of`] its id.
pub fn key(id: &str, more: &str) -> String {
    let hash: String = Sha256::digest(text_of(id)).iter().map(|byte| format!("{byte:02x}")).collect();
    object("VirtualKey", id, &format!("source: {{ type: Hash, sha256: {hash} }}, {more}"))
}

/// A routing policy of one rule; each target is `provider` or `namespace/provider`.
pub fn policy(id: &str, targets: &[&str], more: &str) -> String {
    let reference = |target: &&str| format!("{{ providerRef: {} }}", metadata(target));
    let targets: Vec<String> = targets.iter().map(reference).collect();
    object("RoutingPolicy", id, &format!("rules: [{{ name: only, targets: [{}], {more} }}]", targets.join(", ")))
}

/// A gateway in the namespace `house` that admits every namespace.
pub fn open_gateway() -> String {
    object("LLMGateway", "house/portolan", "allowedNamespaces: { from: All }")
}
