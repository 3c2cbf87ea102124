//! A gateway process on free ports, with its receipts and what it tells of itself.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use crate::{client, until};

/// A running gateway. Killed when dropped.
pub struct Gateway {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    process: Child,
    directory: TempDir,
}

impl Gateway {
    /// Starts one on a folder and waits until it is ready. More flags as on a command line.
    pub async fn start(manifests: &Path, flags: &[&str]) -> Self {
        Self::start_with(manifests, flags, &[]).await
    }

    /// The same, with variables in its environment.
    pub async fn start_with(manifests: &Path, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let manifests = manifests.to_str().expect("a path in UTF-8");
        Self::start_bare(&[&["--manifests", manifests], flags].concat(), env).await
    }

    /// The same without a folder of manifests: the flags say where the configuration comes from.
    pub async fn start_bare(flags: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_program(&binary("portolan-gateway"), flags, env).await
    }

    /// The same with another program than today's.
    pub async fn start_program(program: &Path, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a folder");
        let (process, ports) = spawn(program, &directory, flags, env);
        let mut gateway = Self { listen: SocketAddr::from(([0; 4], 0)), admin: SocketAddr::from(([0; 4], 0)), process, directory };
        let told = until("the gateway listens", async || {
            if let Some(status) = gateway.process.try_wait().expect("a child") {
                panic!("the gateway ended with {status}:\n{}", gateway.log());
            }
            std::fs::read_to_string(&ports).ok()
        })
        .await;
        let told: Value = serde_json::from_str(&told).expect("ports as JSON");
        let address = |name: &str| told[name].as_str().expect("an address").parse().expect("an address");
        gateway.listen = address("listen");
        gateway.admin = address("admin");
        gateway
    }

    /// Its receipts so far: whole lines only.
    #[must_use]
    pub fn receipts(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("receipts")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in receipt {line}"))).collect()
    }

    /// Waits for the receipt of a call.
    pub async fn receipt_of(&self, call: &str) -> Value {
        until("the receipt is written", async || self.receipts().into_iter().find(|receipt| receipt["call"] == call)).await
    }

    /// What it told of itself so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// What `/internal/config` says.
    pub async fn config(&self) -> Value {
        serde_json::from_slice(&client::get(self.admin, "/internal/config").await.body).expect("JSON")
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        client::get(self.admin, "/metrics").await.text()
    }

    /// Waits for a configuration newer than this one; gives its sequence.
    pub async fn newer_than(&self, sequence: u64) -> u64 {
        until("a newer configuration is served", async || {
            let now = self.config().await["sequence"].as_u64().expect("a number");
            (now > sequence).then_some(now)
        })
        .await
    }

    /// The configuration's number now.
    pub async fn sequence(&self) -> u64 {
        self.config().await["sequence"].as_u64().expect("a number")
    }

    /// The process's number, for signals and for `/proc`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A line of `/proc/<pid>/status` in KiB, such as `VmRSS` or `VmHWM`.
    #[must_use]
    pub fn memory_kib(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.expect("a line").trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Asks it to leave, as Kubernetes does.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.pid().to_string()]).status().expect("kill");
        assert!(sent.success(), "the process is there to be told");
    }

    /// Whether it has ended, and with which code.
    pub fn ended(&mut self) -> Option<i32> {
        self.process.try_wait().expect("a child").map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let shown = self.log().lines().rev().take(20).collect::<Vec<_>>().join("\n");
            drop(writeln!(std::io::stderr(), "the gateway's last words, latest first:\n{shown}"));
        }
    }
}

fn spawn(program: &Path, directory: &TempDir, flags: &[&str], env: &[(&str, &str)]) -> (Child, PathBuf) {
    let inside = |name: &str| directory.path().join(name);
    let ports = inside("ports");
    let log = std::fs::File::create(inside("log")).expect("a file");
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.arg("--access-log").arg(inside("receipts")).arg("--print-ports").arg(&ports).args(flags);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH".into(), path)).into_iter().collect::<Vec<(std::ffi::OsString, _)>>());
    command.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    (command.spawn().expect("the gateway starts"), ports)
}

/// The path of a binary of this workspace in the profile of the running test, built if it is not there or not fresh.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    binary_of(profile, name)
}

/// The same in a profile of its own.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn binary_of(profile: &str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let folder = profile_folder();
    let target = folder.parent().expect("the target folder");
    let path = target.join(if profile == "dev" { "debug" } else { profile }).join(name);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(&path) {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).args(["build", "--quiet", "--bin", name, "--profile", profile]);
        assert!(cargo.arg("--target-dir").arg(target).status().expect("cargo").success(), "{name} cannot be built");
        built.insert(path.clone());
    }
    path
}

/// The folder of the running test's profile, in cargo's target folder.
fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().expect("a running test");
    let folder = own.ancestors().find(|path| path.parent().is_some_and(|parent| parent.join("CACHEDIR.TAG").exists()));
    folder.expect("tests run from cargo's target folder").to_owned()
}
