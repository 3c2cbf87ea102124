//! Replicas that follow the load, with a real metrics-server.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use e2e::cluster::{self, Cluster, programs};
use e2e::load::{Load, Plan};
use e2e::portolan::{self, Seen, a_gateway};

/// Its port on this machine, where the API server finds it.
const PORT: u16 = 14_443;

/// metrics-server as a process of this machine. Ends with this, after what the API server knows of it: namespaces would hang
/// in their deletion otherwise.
struct Metrics<'c> {
    cluster: &'c Cluster,
    process: Child,
    folder: tempfile::TempDir,
}

fn objects() -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: metrics-server, namespace: kube-system}}
spec: {{ports: [{{name: https, port: 443, targetPort: {PORT}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: metrics-server-host, namespace: kube-system, labels: {{kubernetes.io/service-name: metrics-server, endpointslice.kubernetes.io/managed-by: hand}}}}
addressType: IPv4
endpoints: [{{addresses: [{host}], conditions: {{ready: true}}}}]
ports: [{{name: https, port: {PORT}, protocol: TCP}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{name: v1beta1.metrics.k8s.io}}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {{name: metrics-server, namespace: kube-system, port: 443}}
",
        host = cluster::HOST
    )
}

impl<'c> Metrics<'c> {
    async fn start(cluster: &'c Cluster) -> Self {
        let program = tokio::task::spawn_blocking(programs::metrics_server).await.expect("a thread");
        let program = program.unwrap_or_else(|missing| panic!("metrics-server lacks {missing}"));
        let folder = tempfile::TempDir::new().expect("a folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let config = cluster.kubeconfig().display();
        let mut command = std::process::Command::new(program);
        command.args([format!("--kubeconfig={config}"), format!("--authentication-kubeconfig={config}")]);
        command.args([format!("--authorization-kubeconfig={config}"), format!("--cert-dir={}", folder.path().display())]);
        command.args([format!("--bind-address={}", cluster::HOST), format!("--secure-port={PORT}")]);
        command.args(["--metric-resolution=10s", "--kubelet-request-timeout=5s", "--kubelet-insecure-tls"]);
        command.arg("--kubelet-preferred-address-types=InternalIP");
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        let mut metrics = Self { cluster, process, folder };
        cluster.kubectl_with(&objects(), &["apply", "-f", "-"]).await;
        e2e::until_within(Duration::from_secs(60), "nodes are measured", async || {
            if let Some(status) = metrics.process.try_wait().expect("a child") {
                panic!("metrics-server ended with {status}: {}", metrics.log());
            }
            let told = cluster.try_kubectl("", &["top", "nodes", "--no-headers"]).await.ok()?;
            (told.lines().count() == 2).then_some(())
        })
        .await;
        metrics
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Metrics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            eprintln!("metrics-server's last words:\n{}", log.get(log.len().saturating_sub(2000)..).unwrap_or(&log));
        }
        let api = self.cluster.kubectl_command(&["delete", "apiservice", "v1beta1.metrics.k8s.io"]).output();
        let parts = ["-n", "kube-system", "delete", "service/metrics-server", "endpointslice/metrics-server-host"];
        drop((api, self.cluster.kubectl_command(&parts).output()));
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn replicas_grow_with_the_load_and_status_follows_them() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED an autoscaler: a foreign cluster has a metrics-server of its own, or none");
        return;
    }
    // Alone: what the namespaces of others ask of the API server would wait for a metrics-server that leaves.
    let namespace = portolan.alone("replicas_grow").await;
    let _metrics = Metrics::start(portolan.cluster).await;
    let scaled = a_gateway(1).replace("  replicas: 1\n", "  autoscaling: {minReplicas: 1, maxReplicas: 3, targetCpuPercent: 60}\n");
    let seen = Seen::applied(portolan, &namespace, &scaled).await;
    let status = async || (seen.field("lgw", "main", ".status.replicas").await, seen.field("lgw", "main", ".status.programmed").await);
    assert_eq!(status().await, ("1".to_owned(), "1/1".to_owned()));
    let (door, key) = (namespace.door("main", 80).await, seen.text("app").await);
    let load = Load::start(Plan {
        door: door.address(),
        keys: vec![key],
        models: vec!["demo".to_owned()],
        rate: 300,
        streaming: "demo".to_owned(),
        streams: 0,
        from_port: None,
    });
    let began = Instant::now();
    e2e::until_within(Duration::from_secs(120), "there are more replicas", async || {
        status().await.0.parse::<u32>().is_ok_and(|count| count >= 2).then_some(())
    })
    .await;
    eprintln!("{:.1} s after the load began there are more replicas", began.elapsed().as_secs_f64());
    let all = e2e::until_within(Duration::from_secs(60), "every one of them is counted", async || {
        let (replicas, programmed) = status().await;
        (replicas != "1" && programmed == format!("{replicas}/{replicas}")).then_some(programmed)
    })
    .await;
    let scaler = namespace.kubectl(&["get", "hpa", "--no-headers"]).await;
    eprintln!("{:.1} s after the load began status says {all}; {scaler}", began.elapsed().as_secs_f64());
    let calls = load.calls();
    e2e::until("calls go on", async || (load.calls() > calls + 600).then_some(())).await;
    load.end("while replicas grow").await.assert_whole();
    seen.ready().await;
}
