//! What nobody may: strangers on the network, processes beyond their rights, secrets where they do not belong.

use e2e::cluster::Namespace;
use e2e::image;
use e2e::portolan::{self, SYSTEM, Seen, a_gateway, ask};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use snapshot::GatewayId;
use snapshot::bundle::{self, PartKind};

/// A pod that looks around.
fn probe(image: &str) -> String {
    format!(
        r#"---
apiVersion: v1
kind: Pod
metadata: {{name: probe}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: probe
      image: {image}
      imagePullPolicy: IfNotPresent
      args: [serve, "8080"]
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"#
    )
}

/// The first line of what a pod is answered.
async fn gets(namespace: &Namespace<'_>, url: &str) -> String {
    let asked = namespace.try_kubectl("", &["exec", "probe", "--", "/probe", "get", url, "1"]).await;
    asked.map_or_else(|_| "nothing".to_owned(), |said| said.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_network_policy_lets_clients_of_admitted_namespaces_in_and_nobody_to_the_admin_port() {
    let (probe_image, portolan) = tokio::join!(image::probe(), portolan::shared());
    portolan.cluster.load_image(&probe_image.archive).await;
    let home = portolan.namespace("the_network_policy").await;
    let (friend, stranger) = (home.another("friend").await, home.another("stranger").await);
    let names = format!("allowedNamespaces: {{from: Names, names: [{}]}}", friend.name());
    let seen = Seen::applied(portolan, &home, &a_gateway(1).replace("allowedNamespaces: {from: All}", &names)).await;
    for namespace in [&home, &friend, &stranger] {
        namespace.apply(&probe(&probe_image.name)).await;
        namespace.kubectl(&["wait", "--for=condition=Ready", "pod/probe", "--timeout=60s"]).await;
    }
    let door = format!("http://main.{}/v1/models", home.name());
    for namespace in [&home, &friend] {
        e2e::until("an admitted namespace is let in", async || (gets(namespace, &door).await == "401").then_some(())).await;
    }
    let pod = seen.pods().await[0].ip();
    for _ in 0..3 {
        assert_eq!(gets(&stranger, &door).await, "nothing", "a stranger is stopped");
        for namespace in [&home, &friend, &stranger] {
            assert_eq!(gets(namespace, &format!("http://{pod}:9090/metrics")).await, "nothing", "the admin port is for the operator");
        }
    }
}

#[tokio::test]
async fn every_pod_meets_the_restricted_pod_security_standard() {
    let portolan = portolan::shared().await;
    let home = portolan.namespace("every_pod_meets").await;
    let _seen = Seen::applied(portolan, &home, &a_gateway(1)).await;
    for namespace in [home.name(), SYSTEM] {
        let pods = portolan.cluster.kubectl(&["-n", namespace, "get", "pods", "-o", "name"]).await;
        assert!(!pods.is_empty(), "there are pods in {namespace}");
        // Asked anew of all that run, the API server would warn of each that does not.
        let label = ["label", "--dry-run=server", "--overwrite", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged"];
        portolan.cluster.kubectl(&label).await;
        let mut command = portolan.cluster.kubectl_command(&[
            "label",
            "--dry-run=server",
            "--overwrite",
            "namespace",
            namespace,
            "pod-security.kubernetes.io/enforce=restricted",
            "pod-security.kubernetes.io/enforce-version=latest",
        ]);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("kubectl");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("Warning"), "{namespace}: {said}");
    }
}

/// Rules of all roles that are bound to accounts of ours in the running cluster, with what binds them.
async fn bound(portolan: &portolan::Portolan, home: &Namespace<'_>) -> Vec<(String, Value)> {
    let kinds = "clusterrolebindings,rolebindings";
    let told: Value = serde_json::from_str(&portolan.cluster.kubectl(&["get", kinds, "-A", "-o", "json"]).await).expect("JSON");
    let ours = |subject: &Value| {
        let namespace = subject["namespace"].as_str().unwrap_or_default();
        subject["kind"] == "ServiceAccount" && (namespace == SYSTEM || namespace == home.name())
    };
    let mut all = Vec::new();
    for binding in told["items"].as_array().into_iter().flatten() {
        if !binding["subjects"].as_array().into_iter().flatten().any(ours) {
            continue;
        }
        let text = |path: &str| binding.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, name, namespace) = (text("/roleRef/kind"), text("/roleRef/name"), text("/metadata/namespace"));
        let place = if kind == "Role" { vec!["-n", namespace.as_str()] } else { Vec::new() };
        let role = portolan.cluster.kubectl(&[&place[..], &["get", kind.as_str(), name.as_str(), "-o", "json"]].concat()).await;
        let role: Value = serde_json::from_str(&role).expect("JSON");
        let title = format!("{kind} {name} in {namespace:?}");
        all.extend(role["rules"].as_array().into_iter().flatten().map(|rule| (title.clone(), rule.clone())));
    }
    all
}

#[tokio::test]
async fn no_right_has_a_wildcard_and_pods_read_nothing_but_their_own_bundle() {
    let portolan = portolan::shared().await;
    let home = portolan.namespace("no_right_has_a_wildcard").await;
    let _seen = Seen::applied(portolan, &home, &a_gateway(1)).await;
    let rules = bound(portolan, &home).await;
    assert!(rules.len() > 10, "{} rules", rules.len());
    for (title, rule) in &rules {
        assert!(!rule.to_string().contains('*'), "{title}: {rule}");
        let has = |field: &str, word: &str| rule[field].as_array().into_iter().flatten().any(|value| value == word);
        let everywhere = title.ends_with("in \"\"");
        assert!(!(everywhere && has("resources", "secrets")), "{title} reads Secrets everywhere: {rule}");
        if title.contains("main-gateway") {
            let names = rule["resourceNames"].as_array().map_or(0, Vec::len);
            assert!(names > 0 && !has("verbs", "create") && !has("verbs", "update") && !has("verbs", "patch"), "{title}: {rule}");
        }
    }
    eprintln!(
        "{} rules of {} roles looked at",
        rules.len(),
        rules.iter().map(|(title, _)| title).collect::<std::collections::BTreeSet<_>>().len()
    );
    let account = format!("system:serviceaccount:{}:main-gateway", home.name());
    let can = async |verb: &str, what: &str| {
        let said = home.try_kubectl("", &["auth", "can-i", verb, what, "--as", &account]).await;
        said.is_ok_and(|said| said.contains("yes"))
    };
    assert!(can("get", "configmaps/main-snapshot").await && can("watch", "configmaps/main-snapshot").await);
    for (verb, what) in [
        ("list", "secrets"),
        ("get", "secrets/app-key"),
        ("list", "configmaps"),
        ("update", "configmaps/main-snapshot"),
        ("get", "virtualkeys/app"),
        ("create", "pods"),
    ] {
        assert!(!can(verb, what).await, "a pod of a gateway may {verb} {what}");
    }
}

const CANARY: &str = "canary-of-the-provider-7f3a9c";

#[tokio::test]
async fn a_secrets_value_is_in_no_log_metric_event_config_map_or_status() {
    let portolan = portolan::shared().await;
    let home = portolan.namespace("a_secrets_value").await;
    let provider = format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: upstream}}\nstringData: {{apiKey: {CANARY}}}\n---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: up}}\nspec: {{type: OpenAICompatible, endpoint: {{url: \"http://127.0.0.1:1/v1\", allowInsecure: true}}, auth: {{secretRef: {{name: upstream, key: apiKey}}}}, models: [{{name: far}}]}}\n"
    );
    let own = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: own}\nstringData: {key: short}\n---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: own}\nspec: {gatewayRef: {name: main}, source: {type: SecretRef, secretRef: {name: own, key: key}}}\n";
    let seen = Seen::applied(portolan, &home, &(a_gateway(2) + &provider)).await;
    let (pods, key) = (seen.pods().await, seen.text("app").await);
    home.apply(&own.replace("key: short", "key: tooshrt")).await;
    e2e::until("a text that is too short is refused", async || {
        seen.condition("vk", "own", "Accepted").await.starts_with("False").then_some(())
    })
    .await;
    for pod in &pods {
        assert_eq!(ask(*pod, &key, "demo").await.status, 200);
        assert!(ask(*pod, &key, "far").await.status >= 500, "nobody listens there");
        assert_eq!(ask(*pod, &format!("{key}x"), "demo").await.status, 401);
        assert_eq!(ask(*pod, CANARY, "demo").await.status, 401, "a provider's key is none of ours");
    }
    home.kubectl(&["annotate", "vk", "app", "portolan.dev/rotate=1"]).await;
    let rotated = e2e::until("there is a new text", async || Some(seen.text("app").await).filter(|text| *text != key)).await;
    seen.namespace.kubectl(&["wait", "--for=condition=Ready", "vk/app", "--timeout=60s"]).await;

    let mut places = Vec::new();
    for pod in portolan.operators().await {
        places.push((format!("log of {pod}"), portolan.cluster.kubectl(&["-n", SYSTEM, "logs", &pod]).await));
        places.push((format!("metrics of {pod}"), portolan.metrics(&pod).await));
    }
    for pod in seen.pod_names().await {
        places.push((format!("log of {pod}"), home.kubectl(&["logs", &pod]).await));
        let door = home.forward(&format!("pod/{pod}"), 9090).await;
        for path in ["/metrics", "/internal/config", "/readyz"] {
            places.push((format!("{path} of {pod}"), e2e::client::get(door.address(), path).await.text()));
        }
    }
    let shown = "llmgateways,llmproviders,virtualkeys,configmaps,events,events.events.k8s.io,pods,deployments,services";
    places.push(("objects".to_owned(), home.kubectl(&["get", shown, "-o", "yaml", "--show-managed-fields"]).await));
    places.push(("the decoded bundle".to_owned(), decoded(portolan, &home).await));
    for (place, text) in &places {
        assert!(text.len() > 2, "{place} is empty");
        for (what, value) in [("provider's key", CANARY), ("key", &key), ("rotated key", &rotated), ("short key", "tooshrt")] {
            assert!(!text.contains(value), "the {what} is in {place}");
            assert!(!text.contains(&base64(value)), "the {what} is in {place}, in base64");
        }
    }
    let bytes: usize = places.iter().map(|(_, text)| text.len()).sum();
    eprintln!("{} places with {bytes} bytes hold none of four secrets", places.len());
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What ConfigMaps of the bundle hold, decompressed.
async fn decoded(portolan: &portolan::Portolan, home: &Namespace<'_>) -> String {
    let maps: Api<ConfigMap> = Api::namespaced(portolan.cluster.client(), home.name());
    let secrets: Api<Secret> = Api::namespaced(portolan.cluster.client(), home.name());
    let all = maps.list(&ListParams::default()).await.expect("ConfigMaps").items;
    let credentials = secrets.list(&ListParams::default()).await.expect("Secrets").items;
    let id = GatewayId::new(home.name(), "main").expect("an id");
    let named = |name: &str| all.iter().find(|map| map.metadata.name.as_deref() == Some(name));
    let index = named(&bundle::index_name(&id)).and_then(|map| map.data.as_ref()?.get("index").cloned()).expect("an index");
    let part = |name: &str, kind: PartKind| match kind {
        PartKind::Config => Some(named(name)?.binary_data.as_ref()?.get("part")?.0.clone()),
        PartKind::Credentials => {
            let secret = credentials.iter().find(|secret| secret.metadata.name.as_deref() == Some(name))?;
            Some(secret.data.as_ref()?.get("part")?.0.clone())
        }
    };
    let joined = bundle::join(&id, index.as_bytes(), part).expect("a whole bundle");
    assert!(!joined.credentials.0.is_empty(), "the credential is where it belongs");
    index + &json!(joined.snapshot).to_string()
}
