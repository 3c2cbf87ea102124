//! From `kubectl apply` to every replica: what is applied is served, what is revoked is refused, and status tells the truth.

use std::time::{Duration, Instant};

use e2e::client::{chat, post};
use e2e::portolan::{self, Seen, a_gateway, ask, generated_key, spread, until_every};
use serde_json::json;

#[tokio::test]
async fn an_applied_gateway_is_ready_with_every_replica_and_answers_through_its_service() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("an_applied_gateway").await;
    let began = Instant::now();
    let seen = Seen::applied(portolan, &namespace, &a_gateway(3)).await;
    eprintln!("applied, three pods, all of it Ready after {:.1} s", began.elapsed().as_secs_f64());

    // Ready counts the pods that were ready; each that comes later is counted when it is.
    e2e::until("all three replicas are counted", async || (seen.field("lgw", "main", ".status.programmed").await == "3/3").then_some(()))
        .await;
    for (kind, name) in [("lgw", "main"), ("lp", "sim"), ("vk", "app")] {
        for condition in ["Accepted", "ResolvedRefs", "Programmed", "Ready"] {
            let told = seen.condition(kind, name, condition).await;
            assert!(told.starts_with("True "), "{kind} {name} {condition}: {told}");
        }
        let (generation, observed) =
            (seen.field(kind, name, ".metadata.generation").await, seen.field(kind, name, ".status.observedGeneration").await);
        assert_eq!(generation, observed, "{kind} {name}");
    }
    let shown = namespace.kubectl(&["get", "portolan"]).await;
    assert!(shown.contains("3/3") && shown.matches("True").count() >= 3, "{shown}");

    let (door, key) = (namespace.door("main", 80).await, seen.text("app").await);
    for _ in 0..12 {
        let answer = post(door.address(), "/v1/chat/completions", &key, &chat("demo", false)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let restarts = namespace.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"]).await;
    assert_eq!(restarts, "0 0 0", "no pod had to start twice");
    let nodes = namespace.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"]).await;
    // The spread is a wish: another test may have a node cordoned.
    eprintln!("the pods run on {nodes}");
}

#[tokio::test]
async fn an_edit_is_served_by_every_replica_within_a_second_and_a_revoked_key_by_none_within_two() {
    let portolan = portolan::shared().await;
    // Alone: it is about time, which others would take.
    let namespace = portolan.alone("an_edit_is_served").await;
    let keys: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    let manifests = a_gateway(3) + &keys.iter().map(|key| generated_key(key)).collect::<String>();
    let seen = Seen::applied(portolan, &namespace, &manifests).await;
    let (pods, app) = (seen.pods().await, seen.text("app").await);
    assert_eq!(pods.len(), 3);

    let mut edits = Vec::new();
    for number in 0..60 {
        let model = format!("model-{number}");
        let began = Instant::now();
        seen.models(&["demo", &model]).await;
        edits.extend(until_every(&pods, &app, &model, began, |answer| answer.status == 200).await);
    }
    let p99 = spread("an edit, until each replica serves it", edits);
    assert!(p99 <= Duration::from_secs(1), "{p99:?}");

    let mut refused = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let text = seen.text(key).await;
        assert_eq!(ask(pods[0], &text, "demo").await.status, 200, "{key} is good");
        let began = Instant::now();
        if number % 2 == 0 {
            seen.patch("VirtualKey", key, json!({"spec": {"suspend": true}})).await;
        } else {
            seen.api("VirtualKey", "virtualkeys").delete(key, &kube::api::DeleteParams::default()).await.expect("it is there");
        }
        refused.extend(until_every(&pods, &text, "demo", began, |answer| matches!(answer.status, 401 | 403)).await);
    }
    let worst = refused.iter().max().copied().unwrap_or_default();
    spread("a key suspended or deleted, until each replica refuses it", refused);
    assert!(worst <= Duration::from_secs(2), "{worst:?}");
}

#[tokio::test]
async fn a_refused_edit_changes_nothing_and_says_so_while_the_last_accepted_form_is_served() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("a_refused_edit").await;
    let policy = "---\napiVersion: portolan.dev/v1alpha1\nkind: RoutingPolicy\nmetadata: {name: all}\nspec: {rules: [{name: all, targets: [{providerRef: {name: sim}}]}]}\n";
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(2) + policy)).await;
    seen.patch("VirtualKey", "app", json!({"spec": {"routingPolicyRef": {"name": "all"}}})).await;
    seen.ready().await;
    let (pods, app) = (seen.pods().await, seen.text("app").await);
    // Named, it cannot be told from a late one for a minute; until then it is pending.
    seen.patch("RoutingPolicy", "all", json!({"spec": {"rules": [{"name": "all", "targets": [{"providerRef": {"name": "gone"}}]}]}})).await;
    let pending = e2e::until("status tells of the missing provider", async || {
        let told = seen.condition("rp", "all", "ResolvedRefs").await;
        told.ends_with("ProviderNotFound").then_some(told)
    })
    .await;
    assert!(!pending.starts_with("True"), "{pending}");
    assert!(seen.condition("rp", "all", "Ready").await.starts_with("Unknown"), "a reference may be late");
    for pod in &pods {
        assert_eq!(ask(*pod, &app, "demo").await.status, 200, "what was accepted before is served");
    }
    let refused = namespace.try_kubectl("", &["patch", "lp", "sim", "--type=merge", "-p", r#"{"spec":{"type":"OpenAI"}}"#]).await;
    assert!(refused.is_err_and(|said| said.contains("type cannot be changed")), "the API server itself refuses what the schema can see");
}
