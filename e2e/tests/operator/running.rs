//! What runs a gateway: applied, kept, scaled with one owner at a time.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use e2e::until;
use serde_json::Value;

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster};

fn gateway(spec: &str) -> String {
    GATEWAY.replace("spec: {}", &format!("spec: {spec}"))
}

async fn replicas(tenant: &Tenant) -> Option<i64> {
    tenant.get("deployment", "main").await?["spec"]["replicas"].as_i64()
}

/// Every number of replicas that the Deployment ever wanted, from now.
struct Watch {
    process: Child,
    seen: Arc<Mutex<Vec<i64>>>,
}

impl Watch {
    async fn start(namespace: &str) -> Self {
        let query = "jsonpath={.spec.replicas}{\"\\n\"}";
        let mut command = cluster().await.kubectl_command(&["-n", namespace, "get", "deployment", "main", "--watch", "-o", query]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl");
        let (lines, seen) = (BufReader::new(process.stdout.take().expect("a pipe")).lines(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&seen);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(line.parse().unwrap_or(-1));
            }
        });
        Self { process, seen }
    }

    fn seen(&self) -> Vec<i64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn a_gateway_becomes_all_that_runs_it_and_what_another_hand_changes_comes_back() {
    let tenant = Tenant::new("a_gateway_becomes").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}")).await;
    let kinds = [
        "serviceaccount/main-gateway",
        "role/main-gateway",
        "rolebinding/main-gateway",
        "service/main",
        "networkpolicy/main",
        "deployment/main",
        "poddisruptionbudget/main",
    ];
    for one in kinds {
        let (kind, name) = one.split_once('/').expect("kind and name");
        let found = until(one, async || tenant.get(kind, name).await).await;
        assert_eq!(found["metadata"]["ownerReferences"][0]["kind"], "LLMGateway", "{one} goes with its gateway");
    }
    tenant.kubectl(&["delete", "service", "main"]).await;
    until("the Service is back", async || tenant.get("service", "main").await).await;
    tenant.kubectl(&["set", "image", "deployment/main", "gateway=somebody-elses:1"]).await;
    let image = |found: &Value| found["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    until("the image is back", async || tenant.get("deployment", "main").await.filter(|found| image(found) == "portolan:test")).await;
    tenant.kubectl(&["label", "role", "main-gateway", "app.kubernetes.io/managed-by-"]).await;
    until("the label is back", async || {
        let role = tenant.get("role", "main-gateway").await?;
        (role["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "portolan-operator").then_some(())
    })
    .await;
    // What others add is theirs.
    tenant.kubectl(&["annotate", "service", "main", "somebody/else=1"]).await;
    tenant.apply(&gateway("{service: {port: 8000}}")).await;
    let service = until("the port is changed", async || {
        tenant.get("service", "main").await.filter(|found| found["spec"]["ports"][0]["port"] == 8000)
    })
    .await;
    assert_eq!(service["metadata"]["annotations"]["somebody/else"], "1");
}

#[tokio::test]
async fn an_object_of_somebody_else_is_told_and_left_alone() {
    let tenant = Tenant::new("an_object_of_somebody_else").await;
    tenant.kubectl(&["create", "service", "clusterip", "main", "--tcp=1234"]).await;
    let before = tenant.get("service", "main").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}")).await;
    let told = tenant.says("llmgateway", "main", "Ready", "False", "ApplyFailed").await;
    assert!(told["message"].as_str().is_some_and(|text| text.contains("Service main")), "{told}");
    assert_eq!(tenant.get("service", "main").await, before);
    until("the rest runs", async || tenant.get("deployment", "main").await).await;
}

#[tokio::test]
async fn replicas_never_drop_when_an_autoscaler_comes_or_goes() {
    let tenant = Tenant::new("replicas_never_drop").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{}{PROVIDER}", gateway("{replicas: 6}"))).await;
    until("there are six", async || replicas(&tenant).await.filter(|count| *count == 6)).await;
    let watch = Watch::start(tenant.namespace.name()).await;
    until("the watch sees six", async || (watch.seen() == [6]).then_some(())).await;
    for _ in 0..3 {
        tenant.apply(&gateway("{replicas: 6, autoscaling: {minReplicas: 2, maxReplicas: 9}}")).await;
        until("the autoscaler is there", async || tenant.get("horizontalpodautoscaler", "main").await).await;
        until("the operator let go", async || {
            let fields = tenant.kubectl(&["get", "deployment", "main", "--show-managed-fields", "-o", "json"]).await;
            let found: Value = serde_json::from_str(&fields).expect("JSON");
            let entries = found["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
            let ours = entries.iter().find(|entry| entry["manager"] == "portolan-operator" && entry["operation"] == "Apply")?;
            ours.pointer("/fieldsV1/f:spec/f:replicas").is_none().then_some(())
        })
        .await;
        // The autoscaler goes up, and comes back: what it says stays.
        tenant.kubectl(&["scale", "deployment", "main", "--replicas=8"]).await;
        tenant.kubectl(&["annotate", "deployment", "main", "touched=1", "--overwrite"]).await;
        assert_eq!(replicas(&tenant).await, Some(8));
        tenant.apply(&gateway("{replicas: 6}")).await;
        until("the autoscaler is gone", async || tenant.get("horizontalpodautoscaler", "main").await.is_none().then_some(())).await;
        until("the operator says six", async || replicas(&tenant).await.filter(|count| *count == 6)).await;
    }
    tenant.kubectl(&["scale", "llmgateway", "main", "--replicas=7"]).await;
    until("seven are wanted", async || replicas(&tenant).await.filter(|count| *count == 7)).await;
    let seen =
        until("the watch saw the last one", async || watch.seen().last().is_some_and(|count| *count == 7).then(|| watch.seen())).await;
    assert!(seen.len() >= 6 && seen.iter().all(|count| *count >= 6), "{seen:?}");
}

#[tokio::test]
async fn an_autoscaled_gateway_begins_with_its_least() {
    let tenant = Tenant::new("an_autoscaled_gateway").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{}{PROVIDER}", gateway("{autoscaling: {minReplicas: 3, maxReplicas: 9}}"))).await;
    until("the autoscaler is there", async || tenant.get("horizontalpodautoscaler", "main").await).await;
    assert_eq!(replicas(&tenant).await, Some(3));
}
