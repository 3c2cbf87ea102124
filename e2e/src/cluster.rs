//! A real Kubernetes for tests: control plane, two nodes and nothing mocked, started in seconds on a machine without Docker.
//!
//! [`shared`] is the one cluster of a test binary; [`Cluster::control_plane`] is etcd and an API server alone, for tests
//! that need no pods. Both end with the process that started them, however that ends. `PORTOLAN_E2E_KUBECONFIG` names an
//! existing cluster to use instead of the shared one; `PORTOLAN_E2E_LOAD` is then the command that brings an image's
//! archive into it (`kind load image-archive`). `PORTOLAN_E2E_KEEP=1` keeps logs and data after the end.

mod held;
mod namespace;
mod nodes;
pub mod programs;
mod reach;
pub(crate) mod tools;
mod turn;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

pub use namespace::Namespace;
pub use reach::{Door, takes_connections};
pub use tools::Missing;

use held::Held;
use turn::Turns;

/// How many nodes a cluster has.
const NODES: usize = 2;

/// This machine, as pods of a cluster of our own see it.
pub const HOST: &str = "198.18.0.1";

/// A running Kubernetes. Torn down when dropped, and when the process ends.
pub struct Cluster {
    /// None when somebody else runs it.
    held: Option<Held>,
    kubeconfig: PathBuf,
    /// The command line of kubectl.
    kubectl: Vec<PathBuf>,
    config: kube::Config,
    /// Whether pods run.
    has_nodes: bool,
    turns: Turns,
}

/// The cluster of this test binary, started by the first test that asks. Test processes take turns.
///
/// Where none can be had, a line `SKIPPED` says what is missing and the process ends well: a binary that asks for it holds
/// tests of the cluster only.
///
/// # Panics
/// When all that is needed is there and it does not start.
pub async fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    blocking(|| SHARED.get_or_init(|| or_skip(Cluster::start()))).await
}

fn or_skip(started: Result<Cluster, Missing>) -> Cluster {
    started.unwrap_or_else(|missing| {
        say(&format!("SKIPPED tests of the cluster: {missing}"));
        // No test of this binary can say anything, and all of them may be waiting here.
        std::process::exit(0)
    })
}

/// Tells whoever runs the tests, past the capture of their output.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Cluster {
    /// A whole cluster, for tests that cannot share one. It waits until no other runs on this machine, so a binary with
    /// tests on the shared one must not ask for it.
    ///
    /// # Errors
    /// What this machine lacks.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Result<Self, Missing> {
        if let Some(existing) = std::env::var_os("PORTOLAN_E2E_KUBECONFIG") {
            return Ok(Self::existing(PathBuf::from(existing)));
        }
        tools::privileges()?;
        tools::packages()?;
        let tools = tools::build()?;
        let directory = std::env::temp_dir().join("portolan-e2e");
        let mut command = Command::new(&tools.up);
        command.arg("cluster").arg(&directory).args([&tools.kube, &tools.pause]).arg(NODES.to_string());
        Ok(Self::of(Held::start(command, directory), &tools.kube, true))
    }

    /// etcd and an API server on ports of their own: objects, validation, watches, admission; no controllers and no pods.
    /// Runs as any user, and any number of them at once.
    ///
    /// # Errors
    /// What this machine lacks.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn control_plane() -> Result<Self, Missing> {
        blocking(Self::start_control_plane).await
    }

    /// The same without a runtime.
    ///
    /// # Errors
    /// What this machine lacks.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_control_plane() -> Result<Self, Missing> {
        let tools = tools::build()?;
        let directory = tempfile::Builder::new().prefix("portolan-api-").tempdir().expect("a folder").keep();
        let mut command = Command::new(&tools.up);
        command.arg("control-plane").arg(&directory).arg(&tools.kube);
        Ok(Self::of(Held::start(command, directory), &tools.kube, false))
    }

    fn of(held: Held, kube: &Path, has_nodes: bool) -> Self {
        let kubeconfig = held.directory().join("pki/admin.conf");
        let config = config(&kubeconfig);
        Self { held: Some(held), kubeconfig, kubectl: vec![kube.to_owned(), "kubectl".into()], config, has_nodes, turns: Turns::default() }
    }

    fn existing(kubeconfig: PathBuf) -> Self {
        say(&format!("cluster: the one of {}", kubeconfig.display()));
        let config = config(&kubeconfig);
        Self { held: None, kubeconfig, kubectl: vec!["kubectl".into()], config, has_nodes: true, turns: Turns::default() }
    }

    /// The kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client of an administrator, for the runtime that asks.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::try_from(self.config.clone()).expect("a client")
    }

    /// How clients reach the API server, to be changed: another user, another timeout.
    #[must_use]
    pub fn config(&self) -> kube::Config {
        self.config.clone()
    }

    /// A namespace of its own for a test, with the restricted Pod Security Standard, deleted with the guard.
    pub async fn namespace(&self, test: &str) -> Namespace<'_> {
        Namespace::create(self, test, Some(self.turns.take(false).await)).await
    }

    /// The same for a test that kills or freezes what others use: it waits until they are done, and they wait for it.
    pub async fn alone(&self, test: &str) -> Namespace<'_> {
        Namespace::create(self, test, Some(self.turns.take(true).await)).await
    }

    /// Runs kubectl as an administrator; gives its output.
    ///
    /// # Panics
    /// When it fails, with what it says.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with("", arguments).await
    }

    /// The same with a text to read, for `apply -f -`.
    pub async fn kubectl_with(&self, input: &str, arguments: &[&str]) -> String {
        let line = arguments.join(" ");
        self.try_kubectl(input, arguments).await.unwrap_or_else(|said| panic!("`kubectl {line}` failed: {said}\n{input}"))
    }

    /// The same for what may fail.
    ///
    /// # Errors
    /// What it says on standard error.
    pub async fn try_kubectl(&self, input: &str, arguments: &[&str]) -> Result<String, String> {
        let (command, input) = (self.kubectl_command(arguments), input.to_owned());
        blocking(move || run(command, &input)).await
    }

    /// kubectl, to be run in another way: in the background, with its output read as it comes.
    #[must_use]
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl[0]);
        command.args(&self.kubectl[1..]).env("KUBECONFIG", &self.kubeconfig).args(arguments);
        command
    }

    /// Runs lines of a shell as an administrator types them in the checkout, with kubectl and more programs on the path.
    ///
    /// # Errors
    /// What they say, when one of them fails.
    pub async fn shell(&self, lines: &str, programs: &[(&str, &Path)]) -> Result<String, String> {
        let folder = tempfile::TempDir::new().expect("a folder");
        let kubectl = self.kubectl.iter().map(|word| format!("'{}'", word.display())).collect::<Vec<_>>().join(" ");
        let mut all = vec![("kubectl", kubectl)];
        all.extend(programs.iter().map(|(name, path)| (*name, format!("'{}'", path.display()))));
        // A cluster of somebody else has its kubectl on the path already.
        for (name, line) in all.into_iter().filter(|(name, line)| line != &format!("'{name}'")) {
            let file = folder.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\nexec {line} \"$@\"\n")).expect("a file");
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is ours");
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(folder.path().to_owned()).chain(std::env::split_paths(&path))).expect("a path");
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", lines]).env("PATH", path).env("KUBECONFIG", &self.kubeconfig);
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let said = blocking(move || run(command, "")).await;
        drop(folder);
        said
    }

    /// Brings the archive of an image to every node. To be asked before a test is [`alone`](Self::alone), whose end it awaits.
    ///
    /// # Panics
    /// When a node does not take it.
    pub async fn load_image(&self, archive: &Path) {
        let _turn = self.turns.take(false).await;
        let began = Instant::now();
        let commands: Vec<Command> = match &self.held {
            Some(held) => (1..=NODES).map(|number| held.import(&format!("node{number}"), archive)).collect(),
            None => std::env::var("PORTOLAN_E2E_LOAD").ok().map(|load| loading(&load, archive)).into_iter().collect(),
        };
        let running: Vec<_> = commands.into_iter().map(|command| tokio::task::spawn_blocking(move || run(command, ""))).collect();
        for each in running {
            each.await.expect("a thread").unwrap_or_else(|said| panic!("{} cannot be loaded: {said}", archive.display()));
        }
        say(&format!("cluster: {} loaded in {:.1} s", archive.display(), began.elapsed().as_secs_f64()));
    }
}

fn loading(load: &str, archive: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{load} \"$0\"")).arg(archive);
    command
}

fn config(kubeconfig: &Path) -> kube::Config {
    let read = kube::config::Kubeconfig::read_from(kubeconfig).unwrap_or_else(|error| panic!("{}: {error}", kubeconfig.display()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let options = kube::config::KubeConfigOptions::default();
    runtime.block_on(kube::Config::from_custom_kubeconfig(read, &options)).expect("a kubeconfig that can be used")
}

/// Runs a program to its end; what it printed, or what it complained of.
fn run(mut command: Command, input: &str) -> Result<String, String> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // Apart, so that neither side waits for the other; a program that does not read says why itself.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("a child that ends");
    drop(writer.join());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}
