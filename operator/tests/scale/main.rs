//! What twelve thousand objects cost: a start, a restart, and one change, by the operator's whole story against an API
//! server in memory. `cargo test --release -p operator --test scale -- --nocapture` prints CPU for each.
#![expect(clippy::expect_used, reason = "what fails in a helper fails the test")]

mod server;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use operator::gather::Gather;
use operator::lease::Candidate;
use operator::metrics::Metrics;
use operator::render::Surroundings;
use operator::story::Story;
use serde_json::{Value, json};
use server::Server;

/// As many as are promised where the build is one to be measured; else enough to see that what is written is right.
const KEYS: usize = if cfg!(debug_assertions) { 400 } else { 10_000 };
const POLICIES: usize = KEYS / 5;
const CHANGES: usize = 10;

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "ai"}, "spec": spec})
}

fn path(plural: &str, name: &str) -> String {
    format!("/apis/portolan.dev/v1alpha1/namespaces/ai/{plural}/{name}")
}

/// A gateway without replicas: then nobody is waited for.
fn fill(server: &Server) {
    server.put(&path("llmgateways", "main"), object("LLMGateway", "main", json!({"replicas": 0})));
    server.put(&path("llmproviders", "sim"), object("LLMProvider", "sim", json!({"type": "Simulated"})));
    for number in 0..POLICIES {
        let rules = json!([{"name": "all", "targets": [{"providerRef": {"name": "sim"}}]}]);
        let name = format!("p{number}");
        server.put(&path("routingpolicies", &name), object("RoutingPolicy", &name, json!({"rules": rules})));
    }
    for number in 0..KEYS {
        let generated = json!({"type": "Generated"});
        let source = if number.is_multiple_of(2) { json!({"type": "Hash", "sha256": format!("{number:064x}")}) } else { generated };
        let name = format!("k{number}");
        let spec = json!({"source": source, "routingPolicyRef": {"name": format!("p{}", number % POLICIES)}});
        server.put(&path("virtualkeys", &name), object("VirtualKey", &name, spec));
    }
}

/// CPU that this thread, on which everything runs, has used.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

fn memory(field: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    text.lines().find(|line| line.starts_with(field)).unwrap_or_default().to_owned()
}

/// An operator that leads until `body` has seen enough.
async fn led<T>(server: &Server, body: impl AsyncFnOnce(&Metrics) -> T) -> T {
    let (client, metrics) = (server.client(), Metrics::new().expect("metrics"));
    let gather = Gather::start(client.clone(), &["ai".to_owned()]);
    let leases: Api<Lease> = Api::namespaced(client.clone(), "ai");
    let mut candidate = Candidate::new(leases, "operator".to_owned(), "me".to_owned());
    let term = candidate.elected().await;
    let around = Surroundings { image: "portolan:1".to_owned(), image_pull_policy: "IfNotPresent", operator_namespace: "ai".to_owned() };
    let story = Story { client, gather: Arc::clone(&gather), metrics: metrics.clone(), around };
    let seen = tokio::select! {
        seen = body(&metrics) => seen,
        () = candidate.renew(&term) => unreachable!("nobody else leads"),
        () = Box::pin(story.lead(&term)) => unreachable!("nobody else leads"),
    };
    candidate.release().await;
    seen
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = operator::clock::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(300), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn ready(server: &Server, plural: &str, name: &str) -> bool {
    let object = server.get(&path(plural, name)).expect("it is there");
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let same = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    same && conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[tokio::test]
async fn a_start_a_restart_and_one_change_cost_what_they_must() {
    let server = Server::default();
    fill(&server);
    println!("{KEYS} keys, {POLICIES} policies; {}", memory("VmRSS"));
    let began = cpu();
    led(&server, async |metrics| {
        let all = u64::try_from(KEYS + POLICIES).expect("small");
        until("all is told", || metrics.statuses.get() > all).await;
        for number in 0..KEYS {
            until("all is told", || ready(&server, "virtualkeys", &format!("k{number}"))).await;
        }
        println!("first start: {} ms of CPU; {}", (cpu() - began).as_millis(), memory("VmHWM"));
    })
    .await;
    server.written();
    let began = cpu();
    led(&server, async |metrics| {
        until("it passed over the world", || metrics.passes.with_label_values(&["done"]).get() > 0).await;
        println!("restart: {} ms of CPU; {}", (cpu() - began).as_millis(), memory("VmRSS"));
        assert_eq!(server.written().iter().filter(|path| path.contains("-snapshot")).count(), 0, "a restart writes nothing");
        for number in 0..CHANGES {
            let (name, began) = (format!("k{}", number * 2), cpu());
            server.change(&path("virtualkeys", &name), |key| key["spec"]["suspend"] = json!(true));
            until("it is told", || ready(&server, "virtualkeys", &name)).await;
            let written = server.written();
            let parts = written.iter().filter(|path| path.contains("-snapshot-")).count();
            println!("one change: {:.1} ms of CPU, {} writes", (cpu() - began).as_secs_f64() * 1000.0, written.len());
            assert_eq!(parts, 1, "one part is rewritten: {written:?}");
        }
    })
    .await;
}
