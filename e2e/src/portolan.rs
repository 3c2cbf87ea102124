//! Portolan on the cluster of a test binary: installed once by the chart, with the very lines of the README, in the namespace
//! `portolan-system`; each test has gateways of its own in namespaces of its own, where it binds the operator's roles as the
//! documents tell people to.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::client::{self, Answer, chat};
use crate::cluster::{self, Cluster, Namespace, programs};
use crate::image::{self, Image};

/// Where the operator runs.
pub const SYSTEM: &str = "portolan-system";

/// An installed Portolan.
pub struct Portolan {
    /// The cluster that it is on.
    pub cluster: &'static Cluster,
    /// The gateways' image.
    pub gateway: Image,
    /// The operator's.
    pub operator: Image,
}

/// The one of this test binary, installed by the first test that asks.
pub async fn shared() -> &'static Portolan {
    static SHARED: OnceCell<Portolan> = OnceCell::const_new();
    SHARED.get_or_init(Portolan::install).await
}

impl Portolan {
    async fn install() -> Self {
        let (gateway, operator, cluster) = tokio::join!(image::gateway(), image::operator(), cluster::shared());
        cluster.load_image(&gateway.archive).await;
        cluster.load_image(&operator.archive).await;
        let began = Instant::now();
        let namespace = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}\n"
        );
        cluster.kubectl_with(&namespace, &["apply", "-f", "-"]).await;
        let portolan = Self { cluster, gateway, operator };
        portolan.shell(&quickstart()[1]).await;
        crate::cluster::say(&format!("portolan: installed in {:.1} s", began.elapsed().as_secs_f64()));
        portolan
    }

    /// Runs lines of a shell, with kubectl and helm; what they print.
    ///
    /// # Panics
    /// When one of them fails.
    pub async fn shell(&self, lines: &str) -> String {
        let helm =
            tokio::task::spawn_blocking(programs::helm).await.expect("a thread").unwrap_or_else(|missing| panic!("helm lacks {missing}"));
        let said = self.cluster.shell(lines, &[("helm", &helm)]).await;
        said.unwrap_or_else(|said| panic!("{lines}\nfails: {said}"))
    }

    /// A namespace for gateways and keys of a test.
    pub async fn namespace(&self, test: &str) -> Namespace<'static> {
        let namespace = self.cluster.namespace(test).await;
        self.admit(&namespace).await;
        namespace
    }

    /// The same for a test that must be alone.
    pub async fn alone(&self, test: &str) -> Namespace<'static> {
        let namespace = self.cluster.alone(test).await;
        self.admit(&namespace).await;
        namespace
    }

    /// Lets the operator run gateways in a namespace and read what its objects refer to.
    pub async fn admit(&self, namespace: &Namespace<'_>) {
        for role in ["portolan-tenant", "portolan-gateway"] {
            let (role, account) = (format!("--clusterrole={role}"), format!("--serviceaccount={SYSTEM}:portolan"));
            namespace.kubectl(&["create", "rolebinding", role.trim_start_matches("--clusterrole="), &role, &account]).await;
        }
    }

    /// Names of the operator's pods that run; the one that leads first, as the Lease says.
    pub async fn operators(&self) -> Vec<String> {
        let selector = "app.kubernetes.io/name=portolan-operator";
        let query = "jsonpath={.items[?(@.status.phase=='Running')].metadata.name}";
        let told = self.cluster.kubectl(&["-n", SYSTEM, "get", "pods", "-l", selector, "-o", query]).await;
        let leader = self.leader().await;
        let mut pods: Vec<String> = told.split_whitespace().map(str::to_owned).collect();
        pods.sort_by_key(|pod| !leader.starts_with(pod.as_str()));
        pods
    }

    /// What an operator's pod counts.
    pub async fn metrics(&self, pod: &str) -> String {
        self.try_metrics(pod).await.expect("an operator that answers")
    }

    /// The same of one that may not run just now.
    ///
    /// # Errors
    /// What kubectl says.
    pub async fn try_metrics(&self, pod: &str) -> Result<String, String> {
        self.cluster.try_kubectl("", &["get", "--raw", &format!("/api/v1/namespaces/{SYSTEM}/pods/{pod}:9090/proxy/metrics")]).await
    }

    /// Waits until all operators are ready and one leads; its pod.
    ///
    /// The kubelet lets a container that died often wait for minutes before it starts it again. Such a pod is replaced: no
    /// test waits for what others did before it.
    pub async fn well(&self) -> String {
        crate::until_within(Duration::from_secs(90), "all operators are ready", async || {
            let ready = ["-n", SYSTEM, "rollout", "status", "deployment/portolan", "--timeout=2s"];
            let ready = self.cluster.try_kubectl("", &ready).await.ok();
            if ready.is_none() {
                self.replace_waiting().await;
            }
            ready
        })
        .await;
        crate::until("one of the operators leads", async || {
            let (leader, operators) = (self.leader().await, self.operators().await);
            operators.first().filter(|first| leader.starts_with(first.as_str())).cloned()
        })
        .await
    }

    async fn replace_waiting(&self) {
        let query = r#"jsonpath={range .items[*]}{.metadata.name}={.status.containerStatuses[*].state.waiting.reason}{"\n"}{end}"#;
        let told = self.cluster.try_kubectl("", &["-n", SYSTEM, "get", "pods", "-o", query]).await.unwrap_or_default();
        for pod in told.lines().filter_map(|line| line.strip_suffix("=CrashLoopBackOff")) {
            let delete = ["-n", SYSTEM, "delete", "pod", pod, "--wait=false", "--grace-period=1"];
            // Gone by itself, or asked again.
            drop(self.cluster.try_kubectl("", &delete).await);
        }
    }

    /// Who holds the Lease.
    pub async fn leader(&self) -> String {
        let query = "jsonpath={.spec.holderIdentity}";
        self.cluster.try_kubectl("", &["-n", SYSTEM, "get", "lease", "portolan", "-o", query]).await.unwrap_or_default()
    }
}

/// What the README's section about Kubernetes has people type: images, installation, objects, a way to the Service, a call.
///
/// # Panics
/// When the README has no such section.
#[must_use]
pub fn quickstart() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).expect("the README");
    let (_, section) = readme.split_once("\n### On Kubernetes\n").expect("a section about Kubernetes");
    let section = section.split("\n### ").next().unwrap_or_default();
    let blocks: Vec<String> = section.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect();
    assert_eq!(blocks.len(), 5, "the section has five blocks");
    blocks
}

/// A gateway `main`, a provider `sim` that answers to `demo` by itself, and a generated key `app`. The Service is open to
/// this machine, which is no pod; keys of other namespaces name their gateway.
#[must_use]
pub fn a_gateway(replicas: u32) -> String {
    format!(
        r"---
apiVersion: portolan.dev/v1alpha1
kind: LLMGateway
metadata: {{name: main}}
spec:
  replicas: {replicas}
  allowedNamespaces: {{from: All}}
  drain: {{delaySeconds: 3, timeoutSeconds: 60}}
  podTemplate: {{resources: {{requests: {{cpu: 20m, memory: 32Mi}}}}}}
{SIMULATED}{}",
        generated_key("app")
    )
}

/// A provider that answers by itself.
pub const SIMULATED: &str = "---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {name: sim}
spec: {type: Simulated, models: [{name: demo}]}
";

/// A provider `up` at an address, with a credential in a Secret `upstream` and these lines of its spec besides.
#[must_use]
pub fn provider_at(address: SocketAddr, credential: &str, lines: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Secret
metadata: {{name: upstream}}
stringData: {{apiKey: {credential}}}
---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {{name: up}}
spec:
  type: OpenAICompatible
  endpoint: {{url: \"http://{address}/v1\", allowInsecure: true}}
  auth: {{secretRef: {{name: upstream, key: apiKey}}}}
{lines}"
    )
}

/// A key whose text the operator makes.
#[must_use]
pub fn generated_key(name: &str) -> String {
    format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\nspec: {{gatewayRef: {{name: main}}, source: {{type: Generated}}}}\n"
    )
}

/// A gateway as a test sees it, with connections to each of its pods.
pub struct Seen<'n, 'c> {
    /// Where it is.
    pub namespace: &'n Namespace<'c>,
    client: kube::Client,
}

impl<'n, 'c> Seen<'n, 'c> {
    /// Applies a gateway `main` with more beside it, and waits until all of it is Ready and has every pod that it wants: a
    /// gateway is Ready when every replica that is ready serves it.
    pub async fn applied(portolan: &Portolan, namespace: &'n Namespace<'c>, manifests: &str) -> Self {
        namespace.apply(manifests).await;
        let seen = Self::of(portolan, namespace);
        seen.ready().await;
        namespace.kubectl(&["rollout", "status", "deployment/main", "--timeout=90s"]).await;
        seen.ready().await;
        seen
    }

    /// What is in a namespace.
    #[must_use]
    pub fn of(portolan: &Portolan, namespace: &'n Namespace<'c>) -> Self {
        Self { namespace, client: portolan.cluster.client() }
    }

    /// Waits until every object of ours is Ready, as people do.
    pub async fn ready(&self) {
        let all = "llmgateways,llmproviders,virtualkeys,routingpolicies";
        self.namespace.kubectl(&["wait", "--for=condition=Ready", all, "--all", "--timeout=90s"]).await;
    }

    /// Objects of one of our kinds.
    #[must_use]
    pub fn api(&self, kind: &str, plural: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("portolan.dev", "v1alpha1", kind), plural);
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &kind)
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) {
        let api = self.api(kind, &plural(kind));
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }

    /// Models that the provider `sim` answers to.
    pub async fn models(&self, names: &[&str]) {
        let models: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        self.patch("LLMProvider", "sim", json!({ "spec": { "models": models } })).await;
    }

    /// The text of a generated key.
    pub async fn text(&self, key: &str) -> String {
        let secret: k8s_openapi::api::core::v1::Secret =
            Api::namespaced(self.client.clone(), self.namespace.name()).get(&format!("{key}-key")).await.expect("its Secret");
        String::from_utf8(secret.data.and_then(|mut data| data.remove("apiKey")).expect("a text").0).expect("text")
    }

    /// Addresses of its pods that are ready, in order.
    pub async fn pods(&self) -> Vec<SocketAddr> {
        let query = "jsonpath={range .items[*]}{.status.podIP} {.status.conditions[?(@.type=='Ready')].status} {.metadata.deletionTimestamp}{\"\\n\"}{end}";
        let told = self.namespace.kubectl(&["get", "pods", "-l", "portolan.dev/gateway=main", "-o", query]).await;
        let ready = told.lines().filter_map(|line| line.trim().strip_suffix(" True"));
        let mut all: Vec<SocketAddr> = ready.filter_map(|ip| Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, 8080))).collect();
        all.sort();
        all
    }

    /// Names of its pods, in order.
    pub async fn pod_names(&self) -> Vec<String> {
        let query = "jsonpath={.items[*].metadata.name}";
        let told = self.namespace.kubectl(&["get", "pods", "-l", "portolan.dev/gateway=main", "-o", query]).await;
        let mut names: Vec<String> = told.split_whitespace().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// A field of an object, as JSONPath says; empty without one.
    pub async fn field(&self, kind: &str, name: &str, path: &str) -> String {
        self.namespace.kubectl(&["get", kind, name, "-o", &format!("jsonpath={{{path}}}")]).await
    }

    /// Status and reason of a condition: `True Ready`.
    pub async fn condition(&self, kind: &str, name: &str, condition: &str) -> String {
        let at = |field: &str| format!("{{.status.conditions[?(@.type=='{condition}')].{field}}}");
        self.namespace.kubectl(&["get", kind, name, "-o", &format!("jsonpath={} {}", at("status"), at("reason"))]).await
    }
}

fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    lower.strip_suffix("policy").map_or_else(|| format!("{lower}s"), |stem| format!("{stem}policies"))
}

/// Asks one pod for a chat, on a connection of its own.
pub async fn ask(pod: SocketAddr, key: &str, model: &str) -> Answer {
    client::post(pod, "/v1/chat/completions", key, &chat(model, false)).await
}

/// Asks every pod, over and over, until each has given an answer that will do once; how long that took, for each of them.
///
/// # Panics
/// When one does not within 30 s.
pub async fn until_every(pods: &[SocketAddr], key: &str, model: &str, began: Instant, will_do: fn(&Answer) -> bool) -> Vec<Duration> {
    let asked = pods.iter().map(|pod| tokio::spawn(until_one(*pod, key.to_owned(), model.to_owned(), began, will_do)));
    let mut took = Vec::new();
    for each in asked.collect::<Vec<_>>() {
        took.push(each.await.expect("a task"));
    }
    took
}

async fn until_one(pod: SocketAddr, key: String, model: String, began: Instant, will_do: fn(&Answer) -> bool) -> Duration {
    let asked = Instant::now();
    loop {
        let answer = ask(pod, &key, &model).await;
        if will_do(&answer) {
            return began.elapsed();
        }
        assert!(asked.elapsed() < crate::PATIENCE, "{pod} goes on answering {} {} to {model}", answer.status, answer.text());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Prints how times are spread; gives the 99th percentile.
///
/// # Panics
/// Without any.
pub fn spread(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent).div_ceil(100).clamp(1, times.len()) - 1];
    let ms = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
    crate::cluster::say(&format!(
        "{what}: {} times; p50 {} p90 {} p99 {} max {} ms",
        times.len(),
        ms(at(50)),
        ms(at(90)),
        ms(at(99)),
        ms(at(100))
    ));
    at(99)
}
