//! A real Prometheus finds operator and gateways by what the chart's monitors say, and reads what the documents name.

use std::path::Path;

use e2e::client::{chat, get, post};
use e2e::cluster::Namespace;
use e2e::portolan::{self, Portolan, SYSTEM, Seen, a_gateway};
use e2e::{image, until};
use serde_json::{Value, json};

/// What the discovery of Prometheus asks for, in one namespace.
const DISCOVERY: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-discovery}
rules:
- {apiGroups: [''], resources: [pods, services], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
";

/// A file of the chart.
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/portolan/files").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The name of a label in what Prometheus finds.
fn meta(kind: &str, label: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("__meta_kubernetes_{kind}_label_{}", label.chars().map(plain).collect::<String>())
}

/// What the Prometheus Operator makes of a monitor: which targets are kept, and what they are labelled with.
fn job(monitor: &Value, namespaces: &[&str]) -> Value {
    let pods = monitor["kind"] == "PodMonitor";
    let (role, labelled, port, endpoints) = if pods {
        ("pod", "pod", "__meta_kubernetes_pod_container_port_name", "podMetricsEndpoints")
    } else {
        ("endpointslice", "service", "__meta_kubernetes_endpointslice_port_name", "endpoints")
    };
    let endpoint = &monitor["spec"][endpoints][0];
    let keep = |source: &str, value: &Value| json!({"action": "keep", "source_labels": [source], "regex": value});
    let wanted = monitor["spec"]["selector"]["matchLabels"].as_object().expect("labels");
    let mut relabelings: Vec<Value> = wanted.iter().map(|(label, value)| keep(&meta(labelled, label), value)).collect();
    relabelings.push(keep(port, &endpoint["port"]));
    for (source, target) in [("__meta_kubernetes_namespace", "namespace"), ("__meta_kubernetes_pod_name", "pod")] {
        relabelings.push(json!({"source_labels": [source], "target_label": target}));
    }
    for own in endpoint["relabelings"].as_array().into_iter().flatten() {
        relabelings.push(json!({"source_labels": own["sourceLabels"], "target_label": own["targetLabel"]}));
    }
    let own = monitor["metadata"]["namespace"].as_str().expect("a namespace");
    let namespaces = if monitor["spec"]["namespaceSelector"]["any"] == true { namespaces.to_vec() } else { vec![own] };
    json!({
        "job_name": format!("{role}/{}", monitor["metadata"]["name"].as_str().expect("a name")),
        "metrics_path": endpoint["path"],
        "kubernetes_sd_configs": [{"role": role, "namespaces": {"names": namespaces}}],
        "relabel_configs": relabelings,
    })
}

/// A Prometheus in a namespace of its own, which looks at the operator's and at that of gateways.
async fn started(portolan: &Portolan, home: &Namespace<'_>, gateways: &str) {
    let (image, cluster) = (image::prometheus().await, portolan.cluster);
    cluster.load_image(&image.archive).await;
    cluster.kubectl_with(DISCOVERY, &["apply", "-f", "-"]).await;
    let account = format!("--serviceaccount={}:default", home.name());
    for namespace in [SYSTEM, gateways] {
        cluster.kubectl(&["-n", namespace, "create", "rolebinding", home.name(), "--clusterrole=e2e-discovery", &account]).await;
    }
    let monitors = portolan
        .shell(&format!(
            "helm template portolan charts/portolan -n {SYSTEM} --set monitors.create=true --show-only templates/monitors.yaml"
        ))
        .await;
    let monitors = monitors.split("\n---").map(|one| serde_yaml::from_str(one.trim_start_matches("---")).expect("YAML"));
    let jobs: Vec<Value> = monitors.filter(|one: &Value| !one.is_null()).map(|one| job(&one, &[gateways])).collect();
    assert_eq!(jobs.len(), 2, "a monitor for the operator and one for gateways");
    let settings = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["/etc/prometheus/rules.yaml"],
        "scrape_configs": jobs,
    });
    let files = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prometheus"}, "data": {
        "prometheus.yml": settings.to_string(),
        "rules.yaml": file("rules.yaml"),
    }});
    home.apply(&files.to_string()).await;
    home.apply(&format!(
        "apiVersion: v1
kind: Service
metadata: {{name: prometheus}}
spec: {{selector: {{app: prometheus}}, ports: [{{port: 9090}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: prometheus, labels: {{app: prometheus}}}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: prometheus
    image: {}
    imagePullPolicy: IfNotPresent
    args: [--config.file=/etc/prometheus/prometheus.yml, --storage.tsdb.path=/data]
    readinessProbe: {{httpGet: {{path: /-/ready, port: 9090}}, periodSeconds: 1}}
    securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
    volumeMounts: [{{name: files, mountPath: /etc/prometheus}}, {{name: data, mountPath: /data}}]
  volumes: [{{name: files, configMap: {{name: prometheus}}}}, {{name: data, emptyDir: {{}}}}]
",
        image.name
    ))
    .await;
    home.kubectl(&["wait", "--for=condition=Ready", "pod/prometheus", "--timeout=60s"]).await;
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Names of metrics in docs/metrics.md.
fn documented() -> Vec<String> {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md")).expect("the document");
    let rows =
        document.lines().filter_map(|line| line.strip_prefix("| `portolan_")?.split('`').next().map(|rest| format!("portolan_{rest}")));
    rows.collect()
}

/// Metrics whose labels appear with what they count, and that nothing here makes happen: a rule that has no answer, an object
/// that a data plane refuses though its own operator wrote it, a cloud that gives tokens.
const NEVER_HERE: [&str; 3] = ["portolan_rules_unanswered_total", "portolan_config_rejected_objects", "portolan_identity_fetches_total"];

#[tokio::test]
async fn prometheus_finds_every_pod_by_the_charts_monitors_and_reads_what_the_documents_name() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("prometheus_finds").await;
    let home = namespace.another("monitoring").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(2)).await;
    started(portolan, &home, namespace.name()).await;
    let door = home.door("prometheus", 9090).await;
    let ask = async |path: &str| get(door.address(), path).await.json();
    let value = async |query: &str| {
        let told = ask(&format!("/api/v1/query?query={}", encoded(query))).await;
        told["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse::<f64>().ok())
    };

    // The operator's pods come through its Service. Those of gateways stay out until their gateway lets monitoring in.
    until("both operators are read", async || (value("sum(up{job=~\"endpointslice/.*\"})").await == Some(2.0)).then_some(())).await;
    until("both gateways are found", async || (value("count(up{job=~\"pod/.*\"})").await == Some(2.0)).then_some(())).await;
    assert_eq!(value("sum(up{job=~\"pod/.*\"})").await, Some(0.0), "nobody let monitoring in");
    seen.patch("LLMGateway", "main", json!({"spec": {"networkAccess": {"monitoringNamespaces": [home.name()]}}})).await;
    until("both gateways are read", async || (value("sum(up{job=~\"pod/.*\"})").await == Some(2.0)).then_some(())).await;
    let labels = format!("count(portolan_build_info{{namespace=\"{}\",gateway=\"main\",pod=~\"main-.*\"}})", namespace.name());
    until("the gateway's name is a label", async || (value(&labels).await == Some(2.0)).then_some(())).await;

    let (key, service) = (seen.text("app").await, namespace.door("main", 80).await);
    for _ in 0..4 {
        assert_eq!(post(service.address(), "/v1/chat/completions", &key, &chat("demo", false)).await.status, 200);
    }
    assert_eq!(post(service.address(), "/v1/chat/completions", "sk-ptl-nobody", &chat("demo", false)).await.status, 401);
    until("the calls are counted", async || {
        let calls = "sum(portolan_calls_total{surface=\"chat_completions\",outcome=\"answered\"})";
        (value(calls).await == Some(4.0)).then_some(())
    })
    .await;
    until("one of the operators leads", async || (value("sum(portolan_operator_leading)").await == Some(1.0)).then_some(())).await;

    let mut unseen = Vec::new();
    for name in documented().iter().filter(|name| !NEVER_HERE.contains(&name.as_str())) {
        let told = ask(&format!("/api/v1/targets/metadata?metric={name}")).await;
        if told["data"].as_array().is_none_or(Vec::is_empty) {
            unseen.push(name.clone());
        }
    }
    assert_eq!(unseen, [""; 0], "documented and not there");

    let told = ask("/api/v1/rules").await;
    let rules: Vec<&Value> =
        told["data"]["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    assert!(rules.len() >= 12, "{told}");
    for rule in &rules {
        assert!(rule["health"] != "err", "{rule}");
        assert!(rule["state"] != "firing" || rule["labels"]["severity"] == "info", "{rule}");
    }
    let board: Value = serde_json::from_str(&file("dashboards/portolan.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    for target in panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
        let query = target["expr"]
            .as_str()
            .expect("a query")
            .replace("$__rate_interval", "1m")
            .replace("$namespace", ".*")
            .replace("$gateway", ".*");
        let told = ask(&format!("/api/v1/query?query={}", encoded(&query))).await;
        assert_eq!(told["status"], "success", "{query}: {told}");
    }
    for binding in [SYSTEM, namespace.name()] {
        portolan.cluster.kubectl(&["-n", binding, "delete", "rolebinding", home.name()]).await;
    }
}
