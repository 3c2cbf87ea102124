//! What statuses say of replicas, references and time.

use e2e::until;
use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, key};

async fn status(tenant: &Tenant, kind: &str, name: &str) -> Value {
    tenant.get(kind, name).await.expect("it is there")["status"].clone()
}

#[tokio::test]
async fn an_object_is_ready_when_every_ready_replica_serves_it_and_a_lagging_one_is_named() {
    let tenant = Tenant::new("an_object_is_ready").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    tenant.says("virtualkey", "app", "Ready", "Unknown", "NoReplicas").await;
    let bundle = tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await;
    let (one, two) = (tenant.replica("main-a").await, tenant.replica("main-b").await);
    one.serves(bundle.index.sequence);
    tenant.roll_out().await;
    let told = tenant.says("virtualkey", "app", "Programmed", "Unknown", "Propagating").await;
    assert!(told["message"].as_str().is_some_and(|text| text.contains("main-b") && !text.contains("main-a")), "{told}");
    until("the gateway names it", async || {
        let status = status(&tenant, "llmgateway", "main").await;
        (status["programmed"] == "1/2" && status["lagging"] == serde_json::json!(["main-b"])).then_some(())
    })
    .await;
    two.serves(bundle.index.sequence);
    for (kind, name) in [("llmgateway", "main"), ("llmprovider", "sim"), ("virtualkey", "app")] {
        tenant.says(kind, name, "Ready", "True", "Ready").await;
    }
    let first = status(&tenant, "virtualkey", "app").await;
    let revision = first["dataPlane"]["revision"].as_str().expect("a revision").to_owned();
    assert!(revision.starts_with(&format!("{}-", bundle.index.sequence)), "{revision}");
    until("the gateway says all", async || {
        let status = status(&tenant, "llmgateway", "main").await;
        (status["programmed"] == "2/2" && status.get("lagging").is_none()).then_some(())
    })
    .await;

    // What is served is left alone, whatever happens to others and to replicas.
    tenant.apply(&key("other", 2, "")).await;
    let bundle = tenant.published("another is published", |bundle| tenant.serves(bundle, "other")).await;
    one.serves(bundle.index.sequence);
    two.serves(bundle.index.sequence);
    tenant.says("virtualkey", "other", "Ready", "True", "Ready").await;
    tenant.kubectl(&["delete", "pod", "main-b", "--wait=false"]).await;
    until("one is left", async || (status(&tenant, "llmgateway", "main").await["programmed"] == "1/1").then_some(())).await;
    assert_eq!(status(&tenant, "virtualkey", "app").await, first);
    let shown = tenant.kubectl(&["get", "portolan", "--no-headers"]).await;
    assert!(shown.contains("1/1") && shown.lines().all(|line| line.contains("True")), "{shown}");
}

#[tokio::test]
async fn a_reference_that_is_late_is_unknown_and_then_accepted() {
    let tenant = Tenant::new("a_reference_that_is_late").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let provider = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: real}\nspec: {type: OpenAI, auth: {secretRef: {name: late, key: apiKey}}}\n";
    tenant.apply(&format!("{GATEWAY}{provider}")).await;
    tenant.says("llmprovider", "real", "ResolvedRefs", "Unknown", "SecretNotFound").await;
    tenant.says("llmprovider", "real", "Ready", "Unknown", "SecretNotFound").await;
    tenant.kubectl(&["create", "secret", "generic", "late", "--from-literal=apiKey=one"]).await;
    tenant.says("llmprovider", "real", "Accepted", "True", "Accepted").await;
    let first = tenant.published("it is served", |bundle| bundle.snapshot.providers.len() == 1).await;
    // A credential that changes in place is published, and nothing of the object's status changes but what it waits for.
    tenant.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: late}\nstringData: {apiKey: two}\n").await;
    let second = tenant.published("the new one is served", |bundle| bundle.index.sequence > first.index.sequence).await;
    let changed = second.credentials.0.values().next().expect("a credential");
    assert_eq!(changed.expose(), "two");
}

#[tokio::test]
async fn a_replica_that_refuses_an_object_or_does_not_read_bundles_is_named() {
    let tenant = Tenant::new("a_replica_that_refuses").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let replica = tenant.replica("main-old").await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    replica.rejects("VirtualKey", tenant.namespace.name(), "app");
    let bundle = tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await;
    replica.serves(bundle.index.sequence);
    tenant.says("virtualkey", "app", "Ready", "False", "RejectedByDataPlane").await;
    tenant.says("llmprovider", "sim", "Ready", "True", "Ready").await;

    // One that reads no bundle that this operator writes: nothing is written over it.
    replica.reads(7, 8);
    replica.serves(0);
    tenant.apply(&key("app", 2, "")).await;
    until("that is told once it is known", async || {
        tenant.apply(&key("app", 3, "")).await;
        let why = status(&tenant, "llmgateway", "main").await["heldBack"].as_str()?.to_owned();
        why.contains("main-old").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_key_whose_time_is_over_says_so() {
    let tenant = Tenant::new("a_key_whose_time").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, "  expiresAt: 2020-01-01T00:00:00Z\n"))).await;
    tenant.says("virtualkey", "app", "Expired", "True", "Expired").await;
    tenant.apply(&key("app", 1, "  expiresAt: 2999-01-01T00:00:00Z\n")).await;
    tenant.says("virtualkey", "app", "Expired", "False", "NotExpired").await;
}

#[tokio::test]
async fn a_malformed_object_that_is_stored_stops_no_other() {
    // Its own API server: the definition is loosened for a while.
    let cluster: &'static _ = Box::leak(Box::new(crate::tenant::started().await));
    let tenant = Tenant::on(cluster, "a_malformed_object").await;
    let loosened = r#"[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec","value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]"#;
    cluster.kubectl(&["patch", "crd", "virtualkeys.portolan.dev", "--type", "json", "-p", loosened]).await;
    let head = |name: &str| format!("---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\n");
    let malformed = &format!("{}spec: {{source: {{type: Nonsense}}}}\n{}spec: {{source: [1, 2]}}\n", head("bad"), head("worse"));
    until("it is stored", async || tenant.namespace.try_kubectl(malformed, &["apply", "-f", "-"]).await.ok()).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/manifests/virtualkeys.yaml");
    cluster.kubectl(&["replace", "-f", folder.to_str().expect("a path")]).await;
    let _carrier = Carrier::start(cluster, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    tenant.published("the other is published", |bundle| tenant.serves(bundle, "app")).await;
    tenant.says("virtualkey", "bad", "Accepted", "False", "Invalid").await;
    // Of this one the API server takes no status any more.
    until("an Event tells of it", async || {
        let events = tenant.list("events.events.k8s.io").await;
        events.iter().any(|event| event["regarding"]["name"] == "worse" && event["reason"] == "Invalid").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_gateway_is_not_ready_before_every_replica_that_it_asks_for_is() {
    let tenant = Tenant::new("a_gateway_is_not_ready").await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}")).await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.says("llmprovider", "sim", "Ready", "True", "Ready").await;
    let deployment = until("the Deployment is there", async || tenant.get("deployment", "main").await).await;
    // One of two is ready, and serves all that there is.
    let status = json!({"status": {
        "observedGeneration": deployment["metadata"]["generation"], "replicas": 2, "updatedReplicas": 2, "readyReplicas": 1,
    }});
    tenant.kubectl(&["patch", "deployment", "main", "--subresource", "status", "--type", "merge", "-p", &status.to_string()]).await;
    tenant.says("llmgateway", "main", "Programmed", "Unknown", "Propagating").await;
    tenant.roll_out().await;
    tenant.says("llmgateway", "main", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn a_gateway_that_nobody_runs_holds_up_nothing_that_others_serve() {
    let tenant = Tenant::new("a_gateway_that_nobody").await;
    let neighbour = Tenant::new("its_neighbour").await;
    // It admits all namespaces, so that it would serve the tenant's providers too, and has no replica.
    let open = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {name: main}\nspec: {allowedNamespaces: {from: All}}\n";
    neighbour.apply(open).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}")).await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let (own, other) = (tenant.namespace.name(), neighbour.namespace.name());
    let _carrier = Carrier::start_with(cluster().await, &["--namespace", own, "--namespace", other, "--lease-namespace", own]).await;
    tenant.says("llmprovider", "sim", "Ready", "True", "Ready").await;
    neighbour.says("llmgateway", "main", "Programmed", "Unknown", "NoReplicas").await;
}
