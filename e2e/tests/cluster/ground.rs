//! What the tests stand on: names, policies, nodes that die and come back.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use e2e::cluster::{self, Namespace};
use e2e::image;

/// A pod of the probe that answers on a port 8080, on a node.
fn pod(image: &str, name: &str, node: &str) -> String {
    format!(
        r#"---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}, is: probe}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: probe
      image: {image}
      imagePullPolicy: IfNotPresent
      args: [serve, "8080"]
      ports: [{{name: http, containerPort: 8080}}]
      readinessProbe: {{httpGet: {{path: /, port: http}}, periodSeconds: 1}}
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"#
    )
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: served}\nspec: {selector: {app: served}, ports: [{name: http, port: 80, targetPort: http}]}\n";

/// Only the friend reaches the served pod.
const POLICY: &str = r"---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends}
spec:
  podSelector: {matchLabels: {app: served}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: http}]}]
";

/// What a pod is told that asks for the Service by its name, or why it is told nothing.
async fn asks(namespace: &Namespace<'_>, pod: &str) -> Result<String, String> {
    namespace.try_kubectl("", &["exec", pod, "--", "/probe", "get", "http://served", "2"]).await
}

async fn until_it_reaches(namespace: &Namespace<'_>, pod: &str) {
    let reaches = async || asks(namespace, pod).await.is_ok_and(|said| said.starts_with("200\nserved\n")).then_some(());
    e2e::until(&format!("{pod} reaches the Service"), reaches).await;
}

/// Its packets are dropped: a pod that could not ask, or that was answered with an error, does not count.
async fn until_it_is_stopped(namespace: &Namespace<'_>, pod: &str) {
    let stopped = async || asks(namespace, pod).await.is_err_and(|said| said.contains("deadline exceeded")).then_some(());
    e2e::until(&format!("{pod} is stopped"), stopped).await;
}

#[tokio::test]
async fn pods_find_services_by_name_and_a_network_policy_stops_strangers_on_either_node() {
    let (probe, cluster) = tokio::join!(image::probe(), cluster::shared());
    cluster.load_image(&probe.archive).await;
    let namespace = cluster.namespace("pods_find_services").await;
    let nodes = cluster.nodes().await;
    let (one, other) = (nodes.first().expect("a node"), nodes.last().expect("a node"));
    let pods = [("served", one), ("friend", other), ("near", one), ("far", other)];
    let pods: String = pods.iter().map(|(name, node)| pod(&probe.name, name, node)).collect();
    namespace.apply(&(pods + SERVICE)).await;
    namespace.kubectl(&["wait", "--for=condition=Ready", "pod", "-l", "is=probe", "--timeout=60s"]).await;
    for name in ["friend", "near", "far"] {
        until_it_reaches(&namespace, name).await;
    }
    namespace.apply(POLICY).await;
    for name in ["near", "far"] {
        until_it_is_stopped(&namespace, name).await;
    }
    until_it_reaches(&namespace, "friend").await;
}

#[tokio::test]
async fn a_node_that_was_killed_is_noticed_and_comes_back_with_new_pods() {
    let (probe, cluster) = tokio::join!(image::probe(), cluster::shared());
    if !cluster.is_own() {
        eprintln!("SKIPPED killing a node: not in a foreign cluster");
        return;
    }
    cluster.load_image(&probe.archive).await;
    let namespace = cluster.alone("a_node_that_was_killed").await;
    let began = Instant::now();
    let step = |what: &str| eprintln!("{:6.1} s {what}", began.elapsed().as_secs_f64());
    namespace.apply(&pod(&probe.name, "before", "node2")).await;
    namespace.kubectl(&["wait", "--for=condition=Ready", "pod/before", "--timeout=60s"]).await;
    assert!(cluster.node_pids("node2").len() > 5, "containerd, kubelet, proxy, shim, pod: {:?}", cluster.node_pids("node2"));

    cluster.kill_node("node2");
    assert!(cluster.node_pids("node2").is_empty(), "all its processes are gone");
    cluster.kubectl(&["wait", "--for=condition=Ready=Unknown", "node/node2", "--timeout=60s"]).await;
    step("the killed node is noticed");
    cluster.start_node("node2");
    cluster.kubectl(&["wait", "--for=condition=Ready", "node/node2", "--timeout=60s"]).await;
    step("it is back");
    namespace.apply(&pod(&probe.name, "after", "node2")).await;
    namespace.kubectl(&["wait", "--for=condition=Ready", "pod/after", "--timeout=60s"]).await;
    step("a new pod runs on it");

    cluster.freeze_node("node2");
    cluster.kubectl(&["wait", "--for=condition=Ready=Unknown", "node/node2", "--timeout=60s"]).await;
    step("the frozen node is noticed");
    cluster.thaw_node("node2");
    cluster.kubectl(&["wait", "--for=condition=Ready", "node/node2", "--timeout=60s"]).await;
    step("it goes on");
}

#[tokio::test]
async fn a_control_plane_alone_takes_objects_seconds_after_it_was_asked_for() {
    let began = Instant::now();
    let cluster = cluster::Cluster::control_plane().await.expect("what a control plane needs");
    eprintln!("{:6.1} s a control plane is up", began.elapsed().as_secs_f64());
    let namespace = cluster.namespace("a_control_plane").await;
    namespace.kubectl(&["create", "configmap", "one", "--from-literal=a=b"]).await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = kube::Api::namespaced(cluster.client(), namespace.name());
    let read = maps.get("one").await.expect("what was just written");
    assert_eq!(read.data.and_then(|mut data| data.remove("a")).as_deref(), Some("b"));
}

/// The control plane of another test run, as a process.
struct OtherRun {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl OtherRun {
    async fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
        let mut process = command.arg("api").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the run");
        let output = process.stdout.take().expect("a pipe");
        let mut run = Self { process, folder: PathBuf::new(), address: SocketAddr::from(([0; 4], 0)) };
        let line = tokio::task::spawn_blocking(move || BufReader::new(output).lines().next()).await.expect("a thread");
        let told = line.and_then(Result::ok).expect("a line");
        let kubeconfig = Path::new(told.strip_prefix("export KUBECONFIG=").expect("a control plane that was started"));
        let text = std::fs::read_to_string(kubeconfig).expect("the kubeconfig");
        let (_, rest) = text.split_once("https://").expect("a server");
        run.address = rest.split('"').next().expect("its end").parse().expect("an address");
        run.folder = kubeconfig.ancestors().nth(2).expect("the folder of the run").to_owned();
        assert!(TcpStream::connect(run.address).is_ok(), "its API server answers");
        run
    }

    fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ended");
    }
}

impl Drop for OtherRun {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test]
async fn a_killed_test_run_leaves_neither_processes_nor_files() {
    let mut run = OtherRun::start().await;
    run.kill();
    e2e::until("the API server is gone", async || TcpStream::connect(run.address).is_err().then_some(())).await;
    e2e::until("its files are gone", async || (!run.folder.exists()).then_some(())).await;
}

#[tokio::test]
async fn processes_go_when_what_holds_them_is_killed() {
    let run = OtherRun::start().await;
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.process.id())).expect("what holds them");
    let killed = Command::new("kill").arg("-KILL").args(children.split_whitespace()).status().expect("kill");
    assert!(killed.success(), "{children}");
    e2e::until("the API server is gone", async || TcpStream::connect(run.address).is_err().then_some(())).await;
    std::fs::remove_dir_all(&run.folder).expect("what nobody is left to remove");
}
