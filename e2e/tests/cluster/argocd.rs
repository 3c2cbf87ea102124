//! A real Argo CD syncs the chart and plain objects from Git, and its health is that of the replicas.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::client::get;
use e2e::cluster::{Cluster, Namespace, programs};
use e2e::portolan::{self, Seen, ask};
use e2e::{until, until_within};
use serde_json::{Value, json};

/// Waves and retries add up to more than one wait.
const PATIENCE: Duration = Duration::from_secs(90);

const BASE: &str = "apiVersion: v1
kind: Secret
metadata: {name: argocd-secret, labels: {app.kubernetes.io/name: argocd-secret, app.kubernetes.io/part-of: argocd}}
stringData: {server.secretkey: of-a-test}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default}
spec:
  sourceRepos: ['*']
  destinations: [{server: '*', namespace: '*'}]
  clusterResourceWhitelist: [{group: '*', kind: '*'}]
";

/// The parts of Argo CD that reconcile, as processes beside the cluster, and a repository. They end with this.
struct Argo<'c> {
    home: Namespace<'c>,
    cluster: &'c Cluster,
    parts: Vec<Child>,
    folder: tempfile::TempDir,
}

fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a free port").port()
}

async fn built<T: Send + 'static>(build: impl FnOnce() -> Result<T, e2e::cluster::Missing> + Send + 'static) -> T {
    tokio::task::spawn_blocking(build).await.expect("a thread").unwrap_or_else(|missing| panic!("Argo CD lacks {missing}"))
}

impl<'c> Argo<'c> {
    async fn start(cluster: &'c Cluster, home: Namespace<'c>) -> Self {
        let binary = built(programs::argocd).await;
        let source = built(|| programs::sources_of("argocd", "github.com/argoproj/argo-cd/v3")).await;
        let folder = tempfile::TempDir::new().expect("a folder");
        let within = |name: &str| folder.path().join(name);
        for name in ["bin", "tmp", "home", "gpg", "tls", "ssh", "plugin", "logs"] {
            std::fs::create_dir(within(name)).expect("a folder");
        }
        for name in ["argocd-application-controller", "argocd-repo-server", "argocd-git-ask-pass", "argocd", "helm", "kustomize"] {
            std::os::unix::fs::symlink(&binary, within("bin").join(name)).expect("a link");
        }
        let wrapper = within("bin").join("git-verify-wrapper.sh");
        std::fs::copy(source.join("hack/git-verify-wrapper.sh"), &wrapper).expect("its script");
        std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
        let crds = |name: &str| source.join(format!("manifests/crds/{name}-crd.yaml")).display().to_string();
        cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &crds("application"), "-f", &crds("appproject")]).await;
        until("Argo CD's own kinds are served", async || {
            home.try_kubectl("", &["get", "applications.argoproj.io,appprojects.argoproj.io"]).await.ok()
        })
        .await;
        home.apply(BASE).await;
        home.apply(&std::fs::read_to_string(root().join("charts/argocd/argocd-cm.yaml")).expect("the map")).await;
        let mut argo = Self { home, cluster, parts: Vec::new(), folder };
        argo.run().await;
        argo
    }

    async fn run(&mut self) {
        let ports = [(); 4].map(|()| port());
        let [redis, repository, repository_metrics, controller_metrics] = ports;
        let at = |port: u16| format!("127.0.0.1:{port}");
        self.part("argocd", &["redis", &at(redis)]);
        let (repository_at, redis_at) = (repository.to_string(), at(redis));
        let metrics_at = repository_metrics.to_string();
        self.part(
            "argocd-repo-server",
            &[
                &["--address", "127.0.0.1", "--port", &repository_at, "--metrics-address", "127.0.0.1", "--metrics-port", &metrics_at][..],
                &["--redis", &redis_at, "--disable-tls", "--client-ca-path=", "--revision-cache-expiration", "5s", "--logformat", "text"],
            ]
            .concat(),
        );
        let healthy = async |port: u16, path: &str| {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
            tokio::net::TcpStream::connect(address).await.ok()?;
            (get(address, path).await.status == 200).then_some(())
        };
        until("the repository server is well", async || healthy(repository_metrics, "/healthz?full=true").await).await;
        let (home, metrics_at, repository_at) = (self.home.name().to_owned(), controller_metrics.to_string(), at(repository));
        self.part(
            "argocd-application-controller",
            &[
                &[
                    "-n",
                    &home,
                    "--redis",
                    &redis_at,
                    "--repo-server",
                    &repository_at,
                    "--repo-server-plaintext",
                    "--metrics-port",
                    &metrics_at,
                ][..],
                &[
                    "--app-resync",
                    "10",
                    "--app-resync-jitter",
                    "0",
                    "--self-heal-timeout-seconds",
                    "1",
                    "--self-heal-backoff-timeout-seconds",
                    "0",
                ],
                &["--enable-k8s-event", "none", "--persist-resource-health", "--logformat", "text"],
            ]
            .concat(),
        );
        until("the controller is well", async || healthy(controller_metrics, "/healthz").await).await;
    }

    fn part(&mut self, name: &str, arguments: &[&str]) {
        let within = |name: &str| self.folder.path().join(name);
        let mut path = vec![within("bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let log = std::fs::File::create(within("logs").join(format!("{name}-{}.log", self.parts.len()))).expect("a file");
        let mut command = Command::new(within("bin").join(name));
        command.args(arguments).env("PATH", std::env::join_paths(path).expect("a path")).env("KUBECONFIG", self.cluster.kubeconfig());
        command.envs(
            [("HOME", "home"), ("TMPDIR", "tmp"), ("ARGOCD_TLS_DATA_PATH", "tls"), ("ARGOCD_SSH_DATA_PATH", "ssh")]
                .map(|(key, name)| (key, within(name))),
        );
        command.envs(
            [("ARGOCD_GNUPGHOME", "gpg"), ("ARGOCD_PLUGINSOCKFILEPATH", "plugin"), ("ARGOCD_APP_CONF_PATH", "conf")]
                .map(|(key, name)| (key, within(name))),
        );
        command.env("ARGOCD_ASK_PASS_SOCK", within("ask.sock")).env("ARGOCD_FAKE_IN_CLUSTER", "true").env("ARGOCD_GPG_ENABLED", "false");
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log).spawn();
        self.parts.push(child.expect("a part that starts"));
    }

    /// Puts files into the repository; a file without content goes.
    fn commit(&self, files: &[(&str, &str)]) {
        let work = self.folder.path().join("work");
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(&work).args(["-c", "user.name=e2e", "-c", "user.email=e2e@example.com"]).args(arguments);
            let told = command.output().expect("git");
            assert!(told.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&told.stderr));
        };
        if !work.exists() {
            std::fs::create_dir(&work).expect("a folder");
            git(&["init", "-q", "-b", "main"]);
            git(&["init", "-q", "--bare", "-b", "main", "../repository.git"]);
            git(&["remote", "add", "origin", "../repository.git"]);
            let chart = Command::new("cp").arg("-r").arg(root().join("charts/portolan")).arg(work.join("chart")).status();
            assert!(chart.expect("cp").success());
        }
        for (name, content) in files {
            let file = work.join(name);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            let done = if content.is_empty() { std::fs::remove_file(file) } else { std::fs::write(file, content) };
            done.expect("a file");
        }
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "A change"]);
        git(&["push", "-q", "origin", "HEAD:main"]);
    }

    /// An Application of a folder of the repository.
    async fn application(&self, name: &str, path: &str, namespace: &str, helm: Value, options: &[&str]) {
        let mut source = json!({
            "repoURL": format!("file://{}", self.folder.path().join("repository.git").display()), "path": path, "targetRevision": "main",
        });
        if !helm.is_null() {
            source["helm"] = json!({"valuesObject": helm});
        }
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": name, "finalizers": ["resources-finalizer.argocd.argoproj.io/foreground"]},
            "spec": {
                "project": "default", "source": source,
                "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
                "syncPolicy": {
                    "automated": {"prune": true, "selfHeal": true}, "syncOptions": options,
                    "retry": {"limit": 5, "backoff": {"duration": "2s", "factor": 1}},
                },
            },
        });
        self.home.apply(&application.to_string()).await;
    }

    /// Sync and health of an Application: `Synced Healthy`.
    async fn state(&self, name: &str) -> String {
        let query = "jsonpath={.status.sync.status} {.status.health.status}";
        self.home.try_kubectl("", &["get", "applications.argoproj.io", name, "-o", query]).await.unwrap_or_default()
    }

    /// Waits for a state; gives those on the way.
    async fn becomes(&self, name: &str, wanted: &str) -> Vec<String> {
        let mut way: Vec<String> = Vec::new();
        until_within(PATIENCE, &format!("{name} is {wanted}"), async || {
            let state = self.state(name).await;
            if way.last() != Some(&state) {
                say(&format!("argo cd: {name} is {state}"));
                way.push(state);
            }
            (way.last().is_some_and(|last| last == wanted)).then_some(())
        })
        .await;
        way
    }

    async fn refresh(&self, name: &str) {
        self.home.kubectl(&["annotate", "applications.argoproj.io", name, "argocd.argoproj.io/refresh=normal", "--overwrite"]).await;
    }

    /// Has everything compared anew, and waits for that.
    async fn look_again(&self, name: &str) {
        self.home.kubectl(&["annotate", "applications.argoproj.io", name, "argocd.argoproj.io/refresh=hard", "--overwrite"]).await;
        until("it was looked at again", async || {
            let query = "jsonpath={.metadata.annotations.argocd\\.argoproj\\.io/refresh}";
            let told = self.home.kubectl(&["get", "applications.argoproj.io", name, "-o", query]).await;
            told.is_empty().then_some(())
        })
        .await;
    }

    /// What an Application tells of an object of ours.
    async fn told(&self, name: &str, object: &str) -> String {
        let query = format!(
            "jsonpath={{.status.resources[?(@.name=='{object}')].health.status}} {{.status.resources[?(@.name=='{object}')].health.message}}"
        );
        self.home.kubectl(&["get", "applications.argoproj.io", name, "-o", &query]).await
    }
}

impl Drop for Argo<'_> {
    fn drop(&mut self) {
        for part in self.parts.iter_mut().rev() {
            drop(part.kill());
            drop(part.wait());
        }
        if std::thread::panicking() {
            let logs = Command::new("sh").arg("-c").arg("tail -n 15 \"$0\"/logs/*").arg(self.folder.path()).output();
            say(&logs.map(|logs| String::from_utf8_lossy(&logs.stdout).into_owned()).unwrap_or_default());
            // Nobody else would take them off any more.
            let names = self.cluster.kubectl_command(&["-n", self.home.name(), "get", "applications.argoproj.io", "-o", "name"]).output();
            for name in String::from_utf8_lossy(&names.map(|names| names.stdout).unwrap_or_default()).lines() {
                let patch = ["-n", self.home.name(), "patch", name, "--type=merge", "-p", "{\"metadata\":{\"finalizers\":null}}"];
                drop(self.cluster.kubectl_command(&patch).output());
            }
        }
    }
}

fn gateway(models: &str) -> String {
    format!(
        "apiVersion: portolan.dev/v1alpha1
kind: LLMGateway
metadata: {{name: main, annotations: {{argocd.argoproj.io/sync-wave: '0'}}}}
spec:
  replicas: 2
  allowedNamespaces: {{from: All}}
  drain: {{delaySeconds: 1, timeoutSeconds: 10}}
  podTemplate: {{resources: {{requests: {{cpu: 20m, memory: 32Mi}}}}}}
---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {{name: sim, annotations: {{argocd.argoproj.io/sync-wave: '0'}}}}
spec: {{type: Simulated, models: [{models}]}}
---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {{name: late, annotations: {{argocd.argoproj.io/sync-wave: '0'}}}}
spec: {{type: OpenAI, auth: {{secretRef: {{name: late, key: apiKey}}}}, models: [{{name: gpt-4o-mini}}]}}
"
    )
}

const KEY: &str = "apiVersion: portolan.dev/v1alpha1
kind: VirtualKey
metadata: {name: app, annotations: {argocd.argoproj.io/sync-wave: '1'}}
spec: {gatewayRef: {name: main}, source: {type: Generated}}
";

/// A team that nobody granted to this namespace.
const WRONG: &str = "apiVersion: portolan.dev/v1alpha1
kind: VirtualKey
metadata: {name: wrong, annotations: {argocd.argoproj.io/sync-wave: '1'}}
spec: {gatewayRef: {name: main}, source: {type: Generated}, owner: {team: treasury}}
";

#[tokio::test]
async fn argo_cd_waits_for_every_replica_shows_what_a_human_must_mend_and_heals_drift() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("argo_cd_waits").await;
    let argo = Argo::start(portolan.cluster, namespace.another("argo").await).await;
    let seen = Seen::of(portolan, &namespace);
    argo.commit(&[("ai/gateway.yaml", &gateway("{name: demo}")), ("ai/key.yaml", KEY)]);
    argo.application("ai", "ai", namespace.name(), Value::Null, &[]).await;
    a_late_secret_holds_its_wave_up(&argo, &seen).await;
    if portolan.cluster.is_own() {
        a_replica_that_hears_nothing_holds_health_up(&argo, &namespace).await;
    }
    an_error_is_degraded_until_it_is_mended(&argo, &namespace).await;
    drift_is_healed(&argo, &seen).await;

    // Gone with its Application: no finalizer of ours holds it up.
    argo.home.kubectl(&["delete", "applications.argoproj.io", "ai", "--timeout=90s"]).await;
    let left = namespace.kubectl(&["get", "llmgateways,llmproviders,virtualkeys", "-o", "name"]).await;
    assert_eq!(left, "");
    namespace.kubectl(&["wait", "--for=delete", "deployment/main", "--timeout=60s"]).await;
}

/// It is nobody's mistake; and Healthy means that every replica serves.
async fn a_late_secret_holds_its_wave_up(argo: &Argo<'_>, seen: &Seen<'_, '_>) {
    let namespace = seen.namespace;
    until("the gateway is there", async || namespace.try_kubectl("", &["get", "llmprovider", "late"]).await.ok()).await;
    argo.becomes("ai", "OutOfSync Progressing").await;
    until("the other provider is Healthy", async || argo.told("ai", "sim").await.starts_with("Healthy").then_some(())).await;
    assert!(argo.told("ai", "late").await.starts_with("Progressing"), "{}", argo.told("ai", "late").await);
    assert!(namespace.try_kubectl("", &["get", "virtualkey", "app"]).await.is_err(), "the next wave waits");
    namespace.kubectl(&["create", "secret", "generic", "late", "--from-literal=apiKey=sk-of-a-test"]).await;
    let way = argo.becomes("ai", "Synced Healthy").await;
    assert!(!way.iter().any(|state| state.contains("Degraded")), "{way:?}");
    let (pods, key) = (seen.pods().await, seen.text("app").await);
    assert_eq!(pods.len(), 2);
    for pod in &pods {
        assert_eq!(ask(*pod, &key, "demo").await.status, 200, "Healthy before {pod} serves it");
    }
}

/// A frozen one would not be ready any more before Argo CD had synced, and then it would hold nobody up.
async fn a_replica_that_hears_nothing_holds_health_up(argo: &Argo<'_>, namespace: &Namespace<'_>) {
    let replicas = processes(&format!("{}/main", namespace.name()));
    assert_eq!(replicas.len(), 2, "{replicas:?}");
    hears(replicas[0], false);
    argo.commit(&[("ai/gateway.yaml", &gateway("{name: demo}, {name: second}"))]);
    argo.refresh("ai").await;
    argo.becomes("ai", "Synced Progressing").await;
    hears(replicas[0], true);
    argo.becomes("ai", "Synced Healthy").await;
}

async fn an_error_is_degraded_until_it_is_mended(argo: &Argo<'_>, namespace: &Namespace<'_>) {
    argo.commit(&[("ai/wrong.yaml", WRONG)]);
    argo.refresh("ai").await;
    until_within(PATIENCE, "the error shows", async || argo.state("ai").await.ends_with("Degraded").then_some(())).await;
    let told = argo.told("ai", "wrong").await;
    assert!(told.starts_with("Degraded NotPermitted: ") && told.contains("treasury"), "{told}");
    assert!(argo.told("ai", "app").await.starts_with("Healthy"), "another's key is not hurt");
    argo.commit(&[("ai/wrong.yaml", "")]);
    argo.refresh("ai").await;
    argo.becomes("ai", "Synced Healthy").await;
    assert!(namespace.try_kubectl("", &["get", "virtualkey", "wrong"]).await.is_err(), "it was pruned");
}

/// What the operator makes and what the API server fills in is none, however Argo CD applies.
async fn drift_is_healed(argo: &Argo<'_>, seen: &Seen<'_, '_>) {
    let models = async || seen.field("llmprovider", "sim", ".spec.models[*].name").await;
    let before = models().await;
    seen.patch("LLMProvider", "sim", json!({"spec": {"models": [{"name": "drifted"}]}})).await;
    until("Git's models are back", async || (models().await == before).then_some(())).await;
    argo.becomes("ai", "Synced Healthy").await;
    seen.namespace.kubectl(&["get", "deployment/main", "service/main", "secret/app-key"]).await;
    for options in [&[][..], &["ServerSideApply=true"]] {
        argo.application("ai", "ai", seen.namespace.name(), Value::Null, options).await;
        argo.look_again("ai").await;
        // Health follows the replicas a moment later; sync must not waver.
        let way = argo.becomes("ai", "Synced Healthy").await;
        assert!(way.iter().all(|state| state.starts_with("Synced ")), "{options:?}: {way:?}");
    }
}

#[tokio::test]
async fn argo_cd_syncs_the_chart_without_drift_and_without_rights_for_the_whole_cluster() {
    let portolan = portolan::shared().await;
    let namespace = portolan.cluster.namespace("argo_cd_syncs").await;
    let argo = Argo::start(portolan.cluster, namespace.another("argo-chart").await).await;
    argo.commit(&[]);
    // An operator for a namespace without objects: the one of the other tests looks there as well.
    let values = json!({"watchNamespaces": [namespace.name()], "crds": {"install": false}, "replicas": 2, "resources": {"requests": {"cpu": "10m"}}});
    argo.application("navigator", "chart", namespace.name(), values, &["ServerSideApply=true"]).await;
    argo.becomes("navigator", "Synced Healthy").await;
    namespace.kubectl(&["rollout", "status", "deployment/navigator-portolan", "--timeout=60s"]).await;
    until("it leads in its namespace", async || {
        let holder = namespace.try_kubectl("", &["get", "lease", "navigator-portolan", "-o", "jsonpath={.spec.holderIdentity}"]).await;
        holder.ok().filter(|holder| holder.starts_with("navigator-portolan-"))
    })
    .await;
    let log = namespace.kubectl(&["logs", "deployment/navigator-portolan"]).await;
    assert!(!log.to_lowercase().contains("forbidden"), "{log}");
    argo.look_again("navigator").await;
    let way = argo.becomes("navigator", "Synced Healthy").await;
    assert!(way.iter().all(|state| state.starts_with("Synced ")), "no drift: {way:?}");
    let wide = ["get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=navigator", "-o", "name"];
    assert_eq!(portolan.cluster.kubectl(&wide).await, "");
    argo.home.kubectl(&["delete", "applications.argoproj.io", "navigator", "--timeout=90s"]).await;
}

/// Processes of this machine that are a gateway, in order.
fn processes(gateway: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == gateway.as_bytes())
    };
    let mut found: Vec<u32> = all.filter(is).collect();
    found.sort_unstable();
    found
}

/// Whether a pod's packets to and from the API server pass.
fn hears(pid: u32, hears: bool) {
    let action = if hears { "-D" } else { "-A" };
    for (chain, port) in [("OUTPUT", "--dport"), ("INPUT", "--sport")] {
        let mut within = Command::new("nsenter");
        within.args(["-t", &pid.to_string(), "-n", "iptables", "-w", action, chain, "-p", "tcp", port, "443", "-j", "DROP"]);
        assert!(within.status().expect("nsenter").success());
    }
}
