//! The image runs where images of others run: restricted, on every node, behind a Service.

use std::path::Path;
use std::time::Instant;

use e2e::client::{chat, post};
use e2e::{cluster, image};

const KEY: &str = "sk-ptl-qckstrt2-QuickstartQuickstartQuickstart000umcFQ";

/// Two gateways, one on each node, with the quickstart's folder.
fn manifests(image: &str) -> String {
    format!(
        r#"apiVersion: v1
kind: Service
metadata: {{name: gateway}}
spec:
  selector: {{app: gateway}}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: gateway}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: gateway}}}}
  template:
    metadata: {{labels: {{app: gateway}}}}
    spec:
      automountServiceAccountToken: false
      securityContext: {{runAsNonRoot: true, runAsUser: 1000730000, seccompProfile: {{type: RuntimeDefault}}}}
      topologySpreadConstraints:
        - {{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{app: gateway}}}}}}
      containers:
        - name: gateway
          image: {image}
          imagePullPolicy: IfNotPresent
          ports: [{{name: http, containerPort: 8080}}, {{name: admin, containerPort: 9090}}]
          readinessProbe: {{httpGet: {{path: /readyz, port: admin}}, periodSeconds: 1}}
          resources: {{requests: {{cpu: 10m, memory: 32Mi}}, limits: {{memory: 256Mi}}}}
          securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
          volumeMounts: [{{name: manifests, mountPath: /etc/portolan}}]
      volumes: [{{name: manifests, configMap: {{name: quickstart}}}}]
"#
    )
}

#[tokio::test]
async fn a_restricted_pod_on_each_node_answers_a_chat_through_its_service() {
    let began = Instant::now();
    let step = |what: &str| eprintln!("{:6.1} s {what}", began.elapsed().as_secs_f64());
    let (image, cluster) = tokio::join!(image::gateway(), cluster::shared());
    step("the image is built and the cluster is up");
    cluster.load_image(&image.archive).await;
    step("both nodes have the image");
    let namespace = cluster.namespace("a_restricted_pod_on_each_node").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/examples/quickstart");
    namespace.kubectl(&["create", "configmap", "quickstart", &format!("--from-file={}", folder.display())]).await;
    namespace.apply(&manifests(&image.name)).await;
    namespace.kubectl(&["rollout", "status", "deployment/gateway", "--timeout=90s"]).await;
    step("two pods are Ready");

    let nodes = namespace.kubectl(&["get", "pods", "-l", "app=gateway", "-o", "jsonpath={.items[*].spec.nodeName}"]).await;
    let mut nodes: Vec<&str> = nodes.split(' ').collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), 2, "the pods are on {nodes:?}");

    let door = namespace.door("gateway", 80).await;
    for _ in 0..8 {
        let answer = post(door.address(), "/v1/chat/completions", KEY, &chat("demo", false)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    step("the Service answers chats");

    let pods = namespace.kubectl(&["get", "pods", "-l", "app=gateway", "-o", "jsonpath={.items[*].metadata.name}"]).await;
    let mut answered = 0;
    for pod in pods.split(' ') {
        let log = namespace.kubectl(&["logs", pod]).await;
        answered += log.lines().filter(|line| line.contains("\"call\":") && line.contains("\"outcome\":\"answered\"")).count();
    }
    assert_eq!(answered, 8, "each call has one receipt in the log of one pod");
    for shell in ["/bin/sh", "/usr/bin/sh", "/bin/bash", "/bin/busybox"] {
        let run = namespace.try_kubectl("", &["exec", "deployment/gateway", "--", shell, "-c", "true"]).await;
        assert!(run.is_err_and(|said| said.contains("no such file")), "{shell} is in the image");
    }
    step("logs are read and there is no shell");
}

#[tokio::test]
async fn the_image_of_the_gateway_has_at_most_30_mib_compressed() {
    let image = image::gateway().await;
    let packed = std::process::Command::new("gzip").arg("-c").arg(&image.archive).output().expect("gzip");
    let mib = packed.stdout.len() as f64 / f64::from(1 << 20);
    eprintln!("{} has {mib:.1} MiB compressed", image.name);
    assert!(packed.status.success() && mib <= 30.0, "{mib:.1} MiB");
}
