//! Generated keys: made once, kept in one Secret, revoked with it, rotated with an overlap.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::until;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use snapshot::KeyId;
use snapshot::bundle::Joined;

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, generated};

fn entry(secret: &Value, name: &str) -> Option<String> {
    let text = STANDARD.decode(secret["data"][name].as_str()?).expect("base64");
    Some(String::from_utf8(text).expect("text"))
}

async fn secret(tenant: &Tenant, name: &str) -> Value {
    until("the Secret is made", async || tenant.get("secret", name).await).await
}

fn accepts(tenant: &Tenant, bundle: &Joined, key: &str, text: &str) -> bool {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let id = KeyId::new(tenant.namespace.name(), key).expect("a name");
    bundle.snapshot.keys.get(&id).is_some_and(|key| key.hashes.contains(&snapshot::KeyHash(hash)))
}

#[tokio::test]
async fn a_key_is_made_once_and_its_secret_is_its_life() {
    let tenant = Tenant::new("a_key_is_made_once").await;
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", generated("app", ""))).await;
    let made = secret(&tenant, "app-key").await;
    let text = entry(&made, "apiKey").expect("a text");
    tenant.published("it is good", |bundle| accepts(&tenant, bundle, "app", &text)).await;
    tenant.says("virtualkey", "app", "Accepted", "True", "Accepted").await;
    let key = tenant.get("virtualkey", "app").await.expect("it is there");
    let id = key["status"]["key"]["id"].as_str().expect("an id");
    assert!(text.starts_with(&format!("sk-ptl-{id}-")), "the id is the text's own");
    assert_eq!(key["status"]["key"]["secretName"], "app-key");
    assert_eq!(made["metadata"]["ownerReferences"][0]["kind"], "VirtualKey", "it goes with its key");

    // Another leader makes no other.
    carrier.kill();
    drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    until("it has passed over the world", async || (carrier.metric("portolan_operator_passes_total").await > 0.0).then_some(())).await;
    assert_eq!(entry(&secret(&tenant, "app-key").await, "apiKey").as_deref(), Some(text.as_str()));

    tenant.kubectl(&["delete", "secret", "app-key"]).await;
    tenant.says("virtualkey", "app", "Ready", "False", "SecretMissing").await;
    tenant.published("it is revoked", |bundle| !accepts(&tenant, bundle, "app", &text)).await;
    tenant.kubectl(&["annotate", "virtualkey", "app", "unrelated=1"]).await;
    tenant.kubectl(&["label", "virtualkey", "app", "touched=1"]).await;
    tenant.says("virtualkey", "app", "Ready", "False", "SecretMissing").await;
    assert!(tenant.get("secret", "app-key").await.is_none(), "nobody asked for another");
    tenant.kubectl(&["annotate", "virtualkey", "app", "portolan.dev/rotate=again"]).await;
    let next = entry(&secret(&tenant, "app-key").await, "apiKey").expect("a text");
    assert_ne!(next, text);
    tenant.published("the new one is good", |bundle| accepts(&tenant, bundle, "app", &next)).await;
}

#[tokio::test]
async fn a_secret_of_somebody_else_is_left_alone() {
    let tenant = Tenant::new("a_secret_of_somebody_else").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.kubectl(&["create", "secret", "generic", "app-key", "--from-literal=apiKey=a text of somebody else"]).await;
    let before = secret(&tenant, "app-key").await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", generated("app", "  rotation: {intervalSeconds: 60}\n"))).await;
    tenant.says("virtualkey", "app", "Ready", "False", "SecretForeign").await;
    assert_eq!(secret(&tenant, "app-key").await, before);
    let bundle = tenant.published("the gateway is published", |_| true).await;
    assert!(bundle.snapshot.keys.is_empty());
}

#[tokio::test]
async fn a_rotated_key_is_good_beside_the_one_before_for_the_overlap_alone() {
    let tenant = Tenant::new("a_rotated_key").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", generated("app", "  rotation: {overlapSeconds: 3}\n"))).await;
    let first = entry(&secret(&tenant, "app-key").await, "apiKey").expect("a text");
    tenant.published("it is good", |bundle| accepts(&tenant, bundle, "app", &first)).await;
    tenant.kubectl(&["annotate", "virtualkey", "app", "portolan.dev/rotate=one"]).await;
    let second = until("there is another", async || {
        let text = entry(&tenant.get("secret", "app-key").await?, "apiKey")?;
        (text != first).then_some(text)
    })
    .await;
    tenant.published("both are good", |bundle| accepts(&tenant, bundle, "app", &first) && accepts(&tenant, bundle, "app", &second)).await;
    tenant.published("the first is good no longer", |bundle| !accepts(&tenant, bundle, "app", &first)).await;
    let after = secret(&tenant, "app-key").await;
    assert_eq!((entry(&after, "apiKey"), entry(&after, "apiKey.previous")), (Some(second), None));
}

#[tokio::test]
async fn a_retained_secret_goes_on_with_a_key_of_the_same_name() {
    let tenant = Tenant::new("a_retained_secret").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let key = generated("app", "").replace("{type: Generated}", "{type: Generated, generated: {deletionPolicy: Retain}}");
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{key}")).await;
    let made = secret(&tenant, "app-key").await;
    assert!(made["metadata"].get("ownerReferences").is_none(), "it outlives its key");
    let text = entry(&made, "apiKey").expect("a text");
    tenant.published("it is good", |bundle| accepts(&tenant, bundle, "app", &text)).await;
    tenant.kubectl(&["delete", "virtualkey", "app"]).await;
    tenant.published("it is good no longer", |bundle| !accepts(&tenant, bundle, "app", &text)).await;
    tenant.apply(&key).await;
    tenant.published("it is good again", |bundle| accepts(&tenant, bundle, "app", &text)).await;
}

#[tokio::test]
async fn the_text_of_a_key_is_in_its_secret_alone() {
    let tenant = Tenant::new("the_text_of_a_key").await;
    let carrier = Carrier::start_with(
        cluster().await,
        &["--namespace", tenant.namespace.name(), "--lease-namespace", tenant.namespace.name(), "--log-level", "debug"],
    )
    .await;
    let canary = "canary-of-a-credential";
    let provider = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: real}\nspec: {type: OpenAI, auth: {secretRef: {name: credential, key: apiKey}}}\n";
    tenant.kubectl(&["create", "secret", "generic", "credential", &format!("--from-literal=apiKey={canary}")]).await;
    tenant.apply(&format!("{GATEWAY}{provider}{}", generated("app", ""))).await;
    let text = entry(&secret(&tenant, "app-key").await, "apiKey").expect("a text");
    tenant.published("all is published", |bundle| accepts(&tenant, bundle, "app", &text) && bundle.snapshot.providers.len() == 1).await;
    tenant.says("virtualkey", "app", "Accepted", "True", "Accepted").await;
    let kinds = "configmaps,events.events.k8s.io,llmgateways,llmproviders,virtualkeys,deployments,leases";
    let mut seen = tenant.kubectl(&["get", kinds, "-o", "yaml", "--show-managed-fields"]).await + &carrier.log();
    seen += &e2e::client::get(carrier.admin, "/metrics").await.text();
    // The index and the parts that hold no credential are compressed: what they say is read.
    let bundle = tenant.bundle().await.expect("whole");
    seen += &format!("{:?}", bundle.snapshot);
    for told in [canary, text.as_str(), &STANDARD.encode(canary), &STANDARD.encode(&text)] {
        assert!(!seen.contains(told), "a plain text was told");
    }
}
