//! What people do to a cluster on a working day: no call fails and no stream breaks.

use std::time::{Duration, Instant};

use e2e::load::{Load, Plan};
use e2e::portolan::{self, Seen, a_gateway};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;
use serde_json::json;

/// What people do in a while, and how long it takes.
struct Day {
    test: &'static str,
    /// Edits, ten a second.
    edits: u32,
    /// Seconds for which a stream goes on.
    stream_seconds: u32,
    /// Seconds for which a replica that leaves lets its streams go on.
    drain_seconds: u32,
}

impl Day {
    fn manifests(&self) -> String {
        let timeout = format!("timeoutSeconds: {}", self.drain_seconds);
        a_gateway(3).replace("timeoutSeconds: 60", &timeout)
            + &format!(
                "---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {{name: slow}}
spec:
  type: Simulated
  simulated: {{answerTokens: {}, tokenIntervalMilliseconds: 200}}
  models: [{{name: long}}]
",
                self.stream_seconds * 5
            )
    }

    /// What old pods may take to go, with all their streams.
    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.drain_seconds) + 120)
    }

    async fn rolled_out(&self, seen: &Seen<'_, '_>, pods: usize) {
        seen.namespace.kubectl(&["rollout", "status", "deployment/main", "--timeout=180s"]).await;
        e2e::until_within(self.patience(), "as many pods are ready as are wanted", async || {
            (seen.pods().await.len() == pods).then_some(())
        })
        .await;
    }

    async fn pass(self) {
        let portolan = portolan::shared().await;
        let namespace = portolan.alone(self.test).await;
        let seen = Seen::applied(portolan, &namespace, &self.manifests()).await;
        let (door, key) = (namespace.door("main", 80).await, seen.text("app").await);
        seen.models(&["demo", "changed"]).await;
        seen.ready().await;
        let load = Load::start(Plan {
            door: door.address(),
            keys: vec![key],
            models: vec!["demo".to_owned(), "changed".to_owned()],
            rate: 300,
            streaming: "long".to_owned(),
            streams: 50,
            from_port: None,
        });
        let began = Instant::now();
        let step =
            |what: &str| eprintln!("{:6.1} s {what}; {} calls, {} failed", began.elapsed().as_secs_f64(), load.calls(), load.failures());

        for number in 0..self.edits {
            tokio::time::sleep_until((began + Duration::from_millis(100) * number).into()).await;
            seen.models(&["demo", "changed", &format!("edit-{number}")]).await;
        }
        step(&format!("{} edits at ten a second", self.edits));
        namespace.kubectl(&["rollout", "restart", "deployment/main"]).await;
        self.rolled_out(&seen, 3).await;
        step("every pod was replaced");
        namespace.kubectl(&["scale", "lgw", "main", "--replicas=6"]).await;
        self.rolled_out(&seen, 6).await;
        step("scaled out to six");
        namespace.kubectl(&["scale", "lgw", "main", "--replicas=3"]).await;
        self.rolled_out(&seen, 3).await;
        step("scaled in to three");
        let node = portolan.cluster.nodes().await.pop().expect("a node");
        let (pods, timeout) = ("--pod-selector=portolan.dev/gateway=main", format!("--timeout={}s", self.patience().as_secs()));
        portolan.cluster.kubectl(&["drain", &node, pods, "--delete-emptydir-data", "--ignore-daemonsets", &timeout]).await;
        self.rolled_out(&seen, 3).await;
        portolan.cluster.kubectl(&["uncordon", &node]).await;
        step("a node was drained");
        load.end("under edits, restart, scaling and drain").await.assert_whole();
    }
}

#[tokio::test]
async fn edits_a_restart_scaling_and_a_drained_node_fail_no_call_and_break_no_stream() {
    Day { test: "edits_a_restart", edits: 150, stream_seconds: 12, drain_seconds: 60 }.pass().await;
}

/// About half an hour: the streams of the last moment end ten minutes after it.
#[tokio::test]
async fn a_thousand_edits_and_all_the_rest_break_no_stream_of_ten_minutes() {
    if e2e::has_time_to_soak("streams of ten minutes under a thousand edits") {
        Day { test: "a_thousand_edits", edits: 1000, stream_seconds: 600, drain_seconds: 700 }.pass().await;
    }
}

#[tokio::test]
async fn replicas_never_fall_while_autoscaling_goes_on_and_off() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("replicas_never_fall").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(4)).await;
    let deployments: Api<Deployment> = Api::namespaced(portolan.cluster.client(), namespace.name());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let watching = tokio::spawn(async move {
        let (mut least, mut looks) = ((i32::MAX, i32::MAX), 0);
        while !*stopped.borrow() {
            let now = deployments.get("main").await.expect("the Deployment");
            let wanted = now.spec.replicas.unwrap_or(1);
            let ready = now.status.and_then(|status| status.ready_replicas).unwrap_or(0);
            least = (least.0.min(wanted), least.1.min(ready));
            looks += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (least, looks)
    });
    let manager = async |field: &str| seen.field("deployment", "main", field).await;
    for _ in 0..3 {
        seen.patch("LLMGateway", "main", json!({"spec": {"replicas": 1, "autoscaling": {"minReplicas": 4, "maxReplicas": 6}}})).await;
        e2e::until("there is an autoscaler", async || namespace.try_kubectl("", &["get", "hpa", "main"]).await.ok()).await;
        seen.ready().await;
        assert_eq!(manager(".spec.replicas").await, "4", "the autoscaler finds what there was");
        seen.patch("LLMGateway", "main", json!({"spec": {"replicas": 4, "autoscaling": null}})).await;
        e2e::until("there is no autoscaler", async || namespace.try_kubectl("", &["get", "hpa", "main"]).await.err()).await;
        seen.ready().await;
    }
    stop.send(true).expect("it watches");
    let ((wanted, ready), looks) = watching.await.expect("a task");
    eprintln!("in {looks} looks never fewer than {wanted} wanted and {ready} ready of four");
    assert!(wanted >= 4 && ready >= 4);
    seen.patch("LLMGateway", "main", json!({"spec": {"replicas": 2}})).await;
    e2e::until("the gateway's own replicas count again", async || (manager(".spec.replicas").await == "2").then_some(())).await;
}
