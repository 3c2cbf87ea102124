//! An operator process, and what it says of itself.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::cluster::Cluster;
use e2e::{client, gateway, metrics, until};
use serde_json::Value;
use tempfile::TempDir;

/// A running operator. Killed when dropped.
pub struct Carrier {
    process: Child,
    directory: TempDir,
    pub admin: SocketAddr,
}

impl Carrier {
    /// One for a namespace alone, so that many tests share an API server.
    pub async fn start(cluster: &Cluster, namespace: &str) -> Self {
        Self::start_with(cluster, &["--namespace", namespace, "--lease-namespace", namespace]).await
    }

    /// The same, built as it is shipped: for what is measured.
    pub async fn shipped(cluster: &Cluster, namespace: &str) -> Self {
        Self::start_of("release", cluster.kubeconfig(), &["--namespace", namespace, "--lease-namespace", namespace]).await
    }

    /// One with these flags.
    pub async fn start_with(cluster: &Cluster, flags: &[&str]) -> Self {
        Self::start_of("dev", cluster.kubeconfig(), flags).await
    }

    /// One for a namespace that finds the API server where a kubeconfig says.
    pub async fn start_at(kubeconfig: &Path, namespace: &str) -> Self {
        Self::start_of("dev", kubeconfig, &["--namespace", namespace, "--lease-namespace", namespace]).await
    }

    async fn start_of(profile: &'static str, kubeconfig: &Path, flags: &[&str]) -> Self {
        let directory = TempDir::new().expect("a folder");
        let log = File::create(directory.path().join("log")).expect("a file");
        let build =
            move || if profile == "dev" { gateway::binary("portolan-operator") } else { gateway::binary_of(profile, "portolan-operator") };
        let program = tokio::task::spawn_blocking(build).await.expect("a binary");
        let mut command = Command::new(program);
        command.args(["run", "--admin", "127.0.0.1:0", "--image", "portolan:test"]).args(flags);
        command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("the operator starts");
        let mut carrier = Self { process, directory, admin: SocketAddr::from(([0; 4], 0)) };
        carrier.admin = until("the operator listens", async || {
            if let Some(status) = carrier.process.try_wait().expect("a child") {
                panic!("the operator ended with {status}:\n{}", carrier.log());
            }
            let told = carrier.lines().into_iter().find_map(|line| line["fields"]["admin"].as_str().map(str::to_owned))?;
            told.parse().ok()
        })
        .await;
        carrier
    }

    /// What it told of itself so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until it leads.
    pub async fn leads(&self) {
        until("the operator leads", async || (self.metric("portolan_operator_leading").await > 0.0).then_some(())).await;
    }

    /// A metric of its own; 0 when it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        metrics::sum(&client::get(self.admin, "/metrics").await.text(), name, &[])
    }

    /// A line of `/proc/<pid>/status` in KiB, such as `VmHWM`.
    pub fn memory_kib(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the process runs");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.expect("a line").trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// The time of the CPU that it has used, in hundredths of a second.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the process runs");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        Duration::from_millis(fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number") * 10).sum())
    }

    /// Sends it a signal such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.process.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "the process is there to be told");
    }

    /// Kills it, and waits for its end.
    pub fn kill(mut self) {
        self.process.kill().expect("a child");
        self.process.wait().expect("a child");
    }

    /// Waits for its end; its exit code.
    pub async fn ended(&mut self) -> i32 {
        until("the operator ends", async || self.process.try_wait().expect("a child")).await.code().unwrap_or(-1)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let shown = self.log().lines().rev().take(20).collect::<Vec<_>>().join("\n");
            drop(writeln!(std::io::stderr(), "the operator's last words, latest first:\n{shown}"));
        }
    }
}
