//! A namespace of a test: what is applied to it, what is found in it, and replicas that a test plays.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::cluster::{Cluster, Namespace};
use e2e::until;
use serde_json::{Value, json};
use snapshot::bundle::{Joined, join};
use snapshot::{GatewayId, KeyId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

/// The API server of this binary, with the committed definitions.
pub async fn cluster() -> &'static Cluster {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    SHARED.get_or_init(started).await
}

/// An API server with the committed definitions.
pub async fn started() -> Cluster {
    let cluster = Cluster::control_plane().await.expect("what a control plane needs");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/manifests");
    cluster.kubectl(&["create", "-f", folder.to_str().expect("a path")]).await;
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).await;
    for definition in crds::api::definitions() {
        let plural = definition.spec.names.plural;
        until("the kind is served", async || cluster.try_kubectl("", &["get", &plural, "-A"]).await.ok()).await;
    }
    cluster
}

/// A namespace of a test with one gateway, `main`.
pub struct Tenant {
    pub namespace: Namespace<'static>,
    pub client: kube::Client,
    pub gateway: GatewayId,
}

pub const GATEWAY: &str = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {name: main}\nspec: {}\n";
pub const PROVIDER: &str =
    "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: sim}\nspec: {type: Simulated, models: [{name: demo}]}\n";

/// A VirtualKey whose hash is this number.
pub fn key(name: &str, number: usize, more: &str) -> String {
    let head = "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata:";
    format!("{head} {{name: {name}}}\nspec:\n  source: {{type: Hash, sha256: \"{number:064x}\"}}\n{more}")
}

/// One that the operator makes.
pub fn generated(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\nspec:\n  source: {{type: Generated}}\n{more}"
    )
}

impl Tenant {
    pub async fn new(test: &str) -> Self {
        Self::on(cluster().await, test).await
    }

    pub async fn on(cluster: &'static Cluster, test: &str) -> Self {
        let namespace = cluster.namespace(test).await;
        let gateway = GatewayId::new(namespace.name(), "main").expect("a name");
        // No controller makes it here, and without it no pod is admitted.
        namespace.kubectl(&["create", "serviceaccount", "default"]).await;
        Self { client: cluster.client(), namespace, gateway }
    }

    pub async fn apply(&self, manifests: &str) {
        self.namespace.apply(manifests).await;
    }

    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.namespace.kubectl(arguments).await
    }

    /// An object, or nothing where there is none.
    pub async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.read(&format!("{}/{name}", self.path(&format!("{kind}s")))).await
    }

    /// All objects of some kinds, by their plurals.
    pub async fn list(&self, plurals: &str) -> Vec<Value> {
        let mut all = Vec::new();
        for plural in plurals.split(',') {
            let list = self.read(&self.path(plural)).await.unwrap_or_else(|| panic!("no {plural}"));
            let items = list["items"].as_array().cloned().unwrap_or_default();
            // A list leaves out what all its items have.
            all.extend(items.into_iter().map(|mut one| {
                one["kind"] = plural.into();
                one
            }));
        }
        all
    }

    fn path(&self, plural: &str) -> String {
        let group = match plural {
            "configmaps" | "secrets" | "services" | "serviceaccounts" | "pods" => "api/v1",
            "deployments" => "apis/apps/v1",
            "roles" | "rolebindings" => "apis/rbac.authorization.k8s.io/v1",
            "networkpolicys" | "networkpolicies" => "apis/networking.k8s.io/v1",
            "poddisruptionbudgets" => "apis/policy/v1",
            "horizontalpodautoscalers" => "apis/autoscaling/v2",
            "events.events.k8s.io" => "apis/events.k8s.io/v1",
            _ => "apis/portolan.dev/v1alpha1",
        };
        let plural = plural.trim_end_matches(".events.k8s.io").replace("policys", "policies");
        format!("/{group}/namespaces/{}/{plural}", self.namespace.name())
    }

    /// What makes objects here, also in tasks of their own.
    pub fn creator(&self) -> Creator {
        Creator { client: self.client.clone(), namespace: self.namespace.name().to_owned() }
    }

    async fn read(&self, path: &str) -> Option<Value> {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        match self.client.request::<Value>(request).await {
            Ok(found) => Some(found),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// What the index names, joined; nothing without an index.
    ///
    /// # Panics
    /// When what it names is not whole.
    pub async fn bundle(&self) -> Option<Joined> {
        loop {
            let index = self.index().await?;
            let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            for one in self.list("configmaps,secrets").await {
                let part = one.pointer("/binaryData/part").or_else(|| one.pointer("/data/part")).and_then(Value::as_str);
                if let (Some(name), Some(part)) = (one["metadata"]["name"].as_str(), part) {
                    parts.insert(name.to_owned(), STANDARD.decode(part).expect("base64"));
                }
            }
            // What was read belongs together by its digests; what does not may be newer than the index.
            match join(&self.gateway, index.as_bytes(), |name, _| parts.get(name)) {
                Ok(joined) => return Some(joined),
                Err(torn) => assert_ne!(self.index().await, Some(index), "what the index names is not whole: {torn}"),
            }
        }
    }

    async fn index(&self) -> Option<String> {
        let index = self.get("configmap", "main-snapshot").await?;
        index["data"]["index"].as_str().map(str::to_owned)
    }

    /// Waits until the bundle is as it should be.
    pub async fn published(&self, what: &str, as_it_should: impl Fn(&Joined) -> bool) -> Joined {
        until(what, async || self.bundle().await.filter(&as_it_should)).await
    }

    /// Whether a key is in a bundle, and good.
    pub fn serves(&self, bundle: &Joined, key: &str) -> bool {
        let id = KeyId::new(self.namespace.name(), key).expect("a name");
        bundle.snapshot.keys.get(&id).is_some_and(|key| !key.suspended)
    }

    /// The status and the reason of a condition.
    pub async fn condition(&self, kind: &str, name: &str, condition: &str) -> Option<(String, String, Value)> {
        let object = self.get(kind, name).await?;
        let found = object["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == condition)?.clone();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("reason"), found))
    }

    /// Waits for a condition of its present generation.
    pub async fn says(&self, kind: &str, name: &str, condition: &str, status: &str, reason: &str) -> Value {
        until(&format!("{kind} {name} says {condition}={status} {reason}"), async || {
            let generation = self.get(kind, name).await?["metadata"]["generation"].clone();
            let (word, why, found) = self.condition(kind, name, condition).await?;
            (word == status && why == reason && found["observedGeneration"] == generation).then_some(found)
        })
        .await
    }

    /// A ready replica of the gateway that a test plays.
    pub async fn replica(&self, name: &str) -> Replica {
        let replica = Replica::listen().await;
        let labels = json!({"app.kubernetes.io/name": "portolan-gateway", "portolan.dev/gateway": "main"});
        let container = json!({
            "name": "gateway", "image": "portolan:test",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
            },
        });
        self.apply(&pod.to_string()).await;
        let address = replica.address.to_string();
        let status = json!({"status": {
            "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }});
        self.kubectl(&["patch", "pod", name, "--subresource", "status", "--type", "merge", "-p", &status.to_string()]).await;
        replica
    }

    /// Plays the controller of Deployments: all is rolled out.
    pub async fn roll_out(&self) {
        let deployment = until("the Deployment is there", async || self.get("deployment", "main").await).await;
        let count = &deployment["spec"]["replicas"];
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"], "replicas": count, "updatedReplicas": count, "readyReplicas": count,
        }});
        self.kubectl(&["patch", "deployment", "main", "--subresource", "status", "--type", "merge", "-p", &status.to_string()]).await;
    }
}

/// Makes objects in a namespace.
pub struct Creator {
    client: kube::Client,
    namespace: String,
}

impl Creator {
    /// Makes an object of the group.
    pub async fn create(&self, plural: &str, object: &Value) {
        let path = format!("/apis/portolan.dev/v1alpha1/namespaces/{}/{plural}", self.namespace);
        let request = http::Request::post(path).header("content-type", "application/json");
        let request = request.body(object.to_string().into_bytes()).expect("a request");
        self.client.request::<Value>(request).await.expect("it is taken");
    }
}

/// A replica that a test plays: it tells what it is told to tell.
pub struct Replica {
    pub address: IpAddr,
    told: Arc<Mutex<Value>>,
    frozen: Arc<AtomicBool>,
    _listening: tokio::task::JoinHandle<()>,
}

impl Replica {
    async fn listen() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // An address of its own, since the port is everybody's.
        let own = (std::process::id() % 250 + 1) as u8;
        let address = IpAddr::V4(Ipv4Addr::new(127, 83, own, NEXT.fetch_add(1, Ordering::Relaxed)));
        let listener = TcpListener::bind((address, 9090)).await.expect("the admin port of a replica");
        let told = Arc::new(Mutex::new(json!({"sequence": 0, "schemas": [1, 1], "rejected": []})));
        let frozen = Arc::new(AtomicBool::new(false));
        let listening = tokio::spawn(answer(listener, Arc::clone(&told), Arc::clone(&frozen)));
        Self { address, told, frozen, _listening: listening }
    }

    /// Serves up to this sequence from now.
    pub fn serves(&self, sequence: u64) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)["sequence"] = json!(sequence);
    }

    /// Takes connections from now and answers none of them, as a process that is stopped, or goes on.
    pub fn freezes(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::Relaxed);
    }

    /// Refuses an object.
    pub fn rejects(&self, kind: &str, namespace: &str, name: &str) {
        let why = "it needs a newer replica";
        let rejected =
            json!([{"kind": kind, "namespace": namespace, "name": name, "reason": "RequiresUpgrade", "message": why, "served": false}]);
        self.told.lock().unwrap_or_else(PoisonError::into_inner)["rejected"] = rejected;
    }

    /// Reads these schemas of bundles.
    pub fn reads(&self, from: u32, to: u32) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)["schemas"] = json!([from, to]);
    }
}

async fn answer(listener: TcpListener, told: Arc<Mutex<Value>>, frozen: Arc<AtomicBool>) {
    let mut left = Vec::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        if frozen.load(Ordering::Relaxed) {
            left.push(stream);
            continue;
        }
        let body = told.lock().unwrap_or_else(PoisonError::into_inner).to_string();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|bytes| bytes > 0) {}
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        drop(stream.write_all(text.as_bytes()).await);
    }
}
