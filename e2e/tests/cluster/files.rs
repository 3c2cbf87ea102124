//! Pods without a token: the kubelet alone brings them what changed.

use std::time::{Duration, Instant};

use e2e::portolan::{self, Seen, a_gateway, ask};
use serde_json::json;

#[tokio::test]
async fn pods_without_a_token_are_brought_every_change_by_the_kubelet() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("pods_without_a_token").await;
    let manifest = a_gateway(2).replace("  replicas: 2\n", "  replicas: 2\n  delivery: Files\n");
    let seen = Seen::applied(portolan, &namespace, &manifest).await;
    let (pods, app) = (seen.pods().await, seen.text("app").await);
    let roles = namespace.kubectl(&["get", "roles,rolebindings", "-l", "portolan.dev/gateway=main", "-o", "name"]).await;
    assert_eq!(roles, "", "what has no token needs no right");
    let mounts = namespace.kubectl(&["get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].volumeMounts[*].mountPath}"]).await;
    assert!(!mounts.contains("serviceaccount"), "{mounts}");
    for pod in &pods {
        assert_eq!(ask(*pod, &app, "demo").await.status, 200, "a bundle that was there at the start is served");
    }

    seen.models(&["demo", "after"]).await;
    let began = Instant::now();
    let mut took = Vec::new();
    for pod in &pods {
        let every_replica = e2e::until_within(Duration::from_secs(150), "the kubelet brings the edit", async || {
            (ask(*pod, &app, "after").await.status == 200).then_some(began.elapsed())
        });
        took.push(every_replica.await);
    }
    eprintln!("an edit is served by pods without a token after {took:.1?}");
    e2e::until("status tells", async || seen.condition("lp", "sim", "Ready").await.starts_with("True").then_some(())).await;

    // And back: the pods are replaced by ones that watch.
    seen.patch("LLMGateway", "main", json!({"spec": {"delivery": "Watch"}})).await;
    seen.ready().await;
    let roles = namespace.kubectl(&["get", "roles", "-l", "portolan.dev/gateway=main", "-o", "name"]).await;
    assert!(roles.contains("main-gateway"), "{roles}");
}
