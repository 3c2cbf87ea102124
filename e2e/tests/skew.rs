//! Two versions at once: gateways and operators from before the contract last changed, beside today's, on one API server.
//! An upgrade and its rollback, step by step: no step leaves a gateway behind, of whichever version it is.
#![expect(clippy::expect_used, clippy::print_stderr, reason = "what fails in a helper fails the test; what was seen is for people")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::cluster::{Cluster, Namespace};
use e2e::gateway::{Gateway, binary};
use e2e::{client, past, until, until_within};
use serde_json::json;
use sha2::Digest as _;
use tempfile::TempDir;

const KEY: &str = "text-of-the-key-of-a-skewed-day";

/// An operator of some version. Killed when dropped.
struct Operator {
    process: Child,
    name: &'static str,
    log: PathBuf,
    _directory: TempDir,
}

impl Operator {
    fn start(name: &'static str, program: &Path, namespace: &Namespace<'_>, kubeconfig: &Path) -> Self {
        let directory = TempDir::new().expect("a folder");
        let log = directory.path().join("log");
        let mut command = Command::new(program);
        command.args(["run", "--admin", "127.0.0.1:0", "--image", "portolan:test"]);
        command.args(["--namespace", namespace.name(), "--lease-namespace", namespace.name()]);
        command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).expect("a file"));
        Self { process: command.spawn().expect("it starts"), name, log, _directory: directory }
    }

    /// Leaves in order.
    async fn leave(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill");
        assert!(sent.success());
        until("the operator leaves", async || self.process.try_wait().expect("a child")).await;
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let last = log.lines().rev().take(15).collect::<Vec<_>>().join("\n");
            eprintln!("the operator of {}, latest first:\n{last}", self.name);
        }
    }
}

/// The account of a gateway's pods, as the kubelet would mount it.
struct Account {
    folder: TempDir,
    host: String,
    port: String,
}

impl Account {
    async fn of(cluster: &Cluster, namespace: &Namespace<'_>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let token = until("the gateway's account is there", async || {
            namespace.try_kubectl("", &["create", "token", "main-gateway", "--duration=1h"]).await.ok()
        })
        .await;
        std::fs::write(folder.path().join("token"), token.trim()).expect("a file");
        let of_cluster = async |field: &str| {
            let query = format!("jsonpath={{.clusters[0].cluster.{field}}}");
            cluster.kubectl(&["config", "view", "--raw", "--flatten", "-o", &query]).await
        };
        let authority = STANDARD.decode(of_cluster("certificate-authority-data").await).expect("base64");
        std::fs::write(folder.path().join("ca.crt"), authority).expect("a file");
        let server = of_cluster("server").await;
        let (host, port) = server.trim_start_matches("https://").rsplit_once(':').expect("a host and a port");
        Self { host: host.to_owned(), port: port.to_owned(), folder }
    }

    async fn gateway(&self, program: &Path, namespace: &Namespace<'_>) -> Gateway {
        let gateway = format!("{}/main", namespace.name());
        let account = self.folder.path().to_str().expect("a path in UTF-8");
        let flags = ["--watch-api", "--gateway", &gateway, "--service-account-dir", account];
        let env = [("KUBERNETES_SERVICE_HOST", self.host.as_str()), ("KUBERNETES_SERVICE_PORT", self.port.as_str())];
        Gateway::start_program(program, &flags, &env).await
    }
}

struct Stage<'s> {
    namespace: &'s Namespace<'s>,
    gateways: [(&'static str, &'s Gateway); 2],
}

impl Stage<'_> {
    /// An edit reaches both.
    async fn edit_is_served(&self, when: &str, model: &str) {
        let edit = json!({"spec": {"models": [{"name": "demo"}, {"name": model}]}}).to_string();
        self.namespace.kubectl(&["patch", "lp", "sim", "--type=merge", "-p", &edit]).await;
        self.all(&format!("{when}: the edit is served"), model, 200).await;
    }

    async fn all(&self, what: &str, model: &str, status: u16) {
        for (of, gateway) in self.gateways {
            // Of a leader that was killed the Lease runs out first.
            until_within(Duration::from_secs(60), &format!("{what} by the gateway of {of}"), async || {
                let answer = client::post(gateway.listen, "/v1/chat/completions", KEY, &client::chat(model, false)).await;
                (answer.status == status).then_some(())
            })
            .await;
        }
        eprintln!("{what} by both");
    }
}

async fn define(cluster: &Cluster, verb: &str, folder: &Path) {
    cluster.kubectl(&[verb, "-f", folder.to_str().expect("a path in UTF-8")]).await;
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
}

#[tokio::test]
async fn an_upgrade_and_its_rollback_leave_no_gateway_of_either_version_behind() {
    let old = match tokio::task::spawn_blocking(past::before_the_contract_changed).await.expect("a thread") {
        Ok(old) => old,
        Err(why) => {
            eprintln!("SKIPPED two versions at once: there is no history to build the older one from: {why}");
            return;
        }
    };
    eprintln!("the older version is {}", old.commit);
    let (gateway, operator) =
        tokio::task::spawn_blocking(|| (binary("portolan-gateway"), binary("portolan-operator"))).await.expect("a thread");
    let cluster: &'static Cluster = Box::leak(Box::new(Cluster::control_plane().await.expect("what a control plane needs")));
    define(cluster, "create", &old.manifests).await;
    let namespace = cluster.namespace("an_upgrade_and_its_rollback").await;
    let hash: String = sha2::Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
    let objects = [
        json!({"kind": "LLMGateway", "metadata": {"name": "main"}, "spec": {}}),
        json!({"kind": "LLMProvider", "metadata": {"name": "sim"}, "spec": {"type": "Simulated", "models": [{"name": "demo"}]}}),
        json!({"kind": "VirtualKey", "metadata": {"name": "app"}, "spec": {"source": {"type": "Hash", "sha256": hash}}}),
    ];
    for mut object in objects {
        object["apiVersion"] = json!("portolan.dev/v1alpha1");
        until("the kind is served", async || namespace.try_kubectl(&object.to_string(), &["apply", "-f", "-"]).await.ok()).await;
    }
    let start = |name, program: &Path| Operator::start(name, program, &namespace, cluster.kubeconfig());

    let leader = start("before", &old.operator);
    let account = Account::of(cluster, &namespace).await;
    let (before, today) = (account.gateway(&old.gateway, &namespace).await, account.gateway(&gateway, &namespace).await);
    let stage = Stage { namespace: &namespace, gateways: [("before", &before), ("today", &today)] };
    stage.all("what the older operator published is served", "demo", 200).await;
    stage.edit_is_served("the older operator", "first").await;

    define(cluster, "replace", &Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/manifests")).await;
    stage.edit_is_served("new definitions, the older operator", "second").await;
    leader.leave().await;
    let leader = start("today", &operator);
    stage.edit_is_served("today's operator", "third").await;
    leader.leave().await;
    let leader = start("before", &old.operator);
    stage.edit_is_served("rolled back to the older operator", "fourth").await;
    define(cluster, "replace", &old.manifests).await;
    stage.edit_is_served("rolled back to the older definitions", "fifth").await;
    leader.leave().await;

    let leader = start("today", &operator);
    stage.edit_is_served("today's operator before its definitions", "sixth").await;
    namespace.kubectl(&["patch", "vk", "app", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]).await;
    stage.all("a suspended key is refused", "demo", 401).await;
    leader.leave().await;
}
