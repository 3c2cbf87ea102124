//! The life of a release, on a cluster of its own: installed with a gateway, tested, upgraded and rolled back under traffic,
//! and gone without a trace.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails the test")]

use std::path::{Path, PathBuf};

use e2e::cluster::{self, Cluster, programs};
use e2e::load::{Load, Plan};
use e2e::portolan::{SIMULATED, SYSTEM};
use e2e::{image, until};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

/// What the release is installed with; the words that follow are added on an upgrade.
const VALUES: &str = "--set gateway.create=true,gateway.spec.replicas=2,gateway.spec.drain.delaySeconds=3,gateway.spec.allowedNamespaces.from=All,gateway.spec.podTemplate.resources.requests.cpu=20m,resources.requests.cpu=10m,networkPolicy.monitoringNamespaces={monitoring}";

const KEY: &str = "---
apiVersion: portolan.dev/v1alpha1
kind: VirtualKey
metadata: {name: app}
spec: {source: {type: Generated}}
---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {name: slow}
spec:
  type: Simulated
  simulated: {answerTokens: 60, tokenIntervalMilliseconds: 200}
  models: [{name: long}]
";

/// A copy of the chart whose definition of VirtualKeys is an older one.
fn older(folder: &Path) -> PathBuf {
    let chart = folder.join("portolan");
    let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/portolan");
    assert!(std::process::Command::new("cp").arg("-r").arg(original).arg(&chart).status().expect("cp").success());
    let file = chart.join("files/crds/virtualkeys.yaml");
    let text = std::fs::read_to_string(&file).expect("the definition");
    let changed = text.replace("      name: Reason\n", "      name: Why\n");
    assert_ne!(text, changed);
    std::fs::write(file, changed).expect("the definition");
    chart
}

struct Release {
    cluster: &'static Cluster,
    helm: PathBuf,
}

impl Release {
    async fn shell(&self, lines: &str) -> String {
        let said = self.cluster.shell(lines, &[("helm", &self.helm)]).await;
        said.unwrap_or_else(|said| panic!("{lines}\nfails: {said}"))
    }

    async fn field(&self, object: &str, path: &str) -> String {
        self.shell(&format!("kubectl -n {SYSTEM} get {object} -o jsonpath='{{{path}}}'")).await
    }

    /// The title of a column of VirtualKeys.
    async fn column(&self) -> String {
        self.field("crd virtualkeys.portolan.dev", ".spec.versions[0].additionalPrinterColumns[*].name").await
    }
}

#[tokio::test]
async fn a_release_lives_under_traffic_and_leaves_only_the_objects_of_people() {
    let (gateway, operator, cluster) = tokio::join!(image::gateway(), image::operator(), cluster::shared());
    cluster.load_image(&gateway.archive).await;
    cluster.load_image(&operator.archive).await;
    let helm =
        tokio::task::spawn_blocking(programs::helm).await.expect("a thread").unwrap_or_else(|missing| panic!("helm lacks {missing}"));
    let release = Release { cluster, helm };
    let folder = tempfile::TempDir::new().expect("a folder");
    let old = older(folder.path()).display().to_string();
    release
        .shell(&format!(
            "kubectl create namespace {SYSTEM}\nkubectl label namespace {SYSTEM} pod-security.kubernetes.io/enforce=restricted"
        ))
        .await;

    // The first revision brings the definitions, the second the gateway; so Argo CD and Flux do it as well.
    let told = release.shell(&format!("helm install portolan {old} -n {SYSTEM} {VALUES} --wait --timeout 120s")).await;
    assert!(told.contains("run `helm upgrade` with the same values"), "{told}");
    release.shell(&format!("helm upgrade portolan {old} -n {SYSTEM} {VALUES} --wait --timeout 120s")).await;
    release.shell(&format!("kubectl -n {SYSTEM} wait --for=condition=Ready llmgateway/gateway --timeout=90s")).await;
    let tested = release.shell(&format!("helm test portolan -n {SYSTEM} --timeout 120s")).await;
    assert!(tested.contains("Succeeded"), "{tested}");
    assert!(release.column().await.contains("Why"));
    let uid = release.field("llmgateway gateway", ".metadata.uid").await;
    let objects = format!("{SIMULATED}{KEY}");
    cluster.kubectl_with(&objects, &["-n", SYSTEM, "apply", "-f", "-"]).await;
    release.shell(&format!("kubectl -n {SYSTEM} wait --for=condition=Ready llmproviders,virtualkeys --all --timeout=60s")).await;

    let secret = Api::<Secret>::namespaced(cluster.client(), SYSTEM).get("app-key").await.expect("the key's Secret");
    let key = String::from_utf8(secret.data.and_then(|mut data| data.remove("apiKey")).expect("a text").0).expect("text");
    let service = release.field("service gateway", ".spec.clusterIP").await;
    let door = std::net::SocketAddr::new(service.parse().expect("an address"), 80);
    until("the Service takes connections", async || tokio::net::TcpStream::connect(door).await.ok()).await;
    let load = Load::start(Plan {
        door,
        keys: vec![key],
        models: vec!["demo".to_owned()],
        rate: 100,
        streaming: "long".to_owned(),
        streams: 10,
        from_port: None,
    });

    // The definitions are the new ones, and the gateway the same.
    let changes = "--set logLevel=debug,gateway.spec.replicas=3";
    release.shell(&format!("helm upgrade portolan charts/portolan -n {SYSTEM} {VALUES} {changes} --wait --timeout 120s")).await;
    until("the gateway has three replicas", async || {
        (release.field("deployment gateway", ".status.readyReplicas").await == "3").then_some(())
    })
    .await;
    assert_eq!(release.field("llmgateway gateway", ".metadata.uid").await, uid, "it is the same one");
    assert!(release.column().await.contains("Reason"), "the definitions are upgraded with the release");
    release.shell(&format!("helm rollback portolan 1 -n {SYSTEM} --wait --timeout 120s")).await;
    assert_eq!(release.field("llmgateway gateway", ".metadata.uid").await, uid, "a rollback to a revision without it keeps it");
    assert!(release.column().await.contains("Why"), "and brings the definitions of then");
    load.end("under an upgrade and a rollback").await.assert_whole();

    release.shell(&format!("helm uninstall portolan -n {SYSTEM} --wait --timeout 120s")).await;
    let ours = "deployments,services,networkpolicies,poddisruptionbudgets,roles,rolebindings,serviceaccounts,llmgateways";
    until("all that ran is gone", async || {
        let left = release.shell(&format!("kubectl -n {SYSTEM} get {ours} -o name")).await;
        (left.trim() == "serviceaccount/default").then_some(())
    })
    .await;
    let people = release.shell(&format!("kubectl -n {SYSTEM} get llmproviders,virtualkeys -o name | wc -l")).await;
    assert_eq!(people.trim(), "3", "what people made stays");
    let wide = release.shell("kubectl get clusterroles,clusterrolebindings -l app.kubernetes.io/instance=portolan -o name").await;
    assert_eq!(wide.trim(), "");
    release.shell(&format!("kubectl delete namespace {SYSTEM} --timeout=60s")).await;
    release.shell("kubectl delete crds -l app.kubernetes.io/part-of=portolan --timeout=60s").await;
}
