//! The gateway under test, with its doors and its way out on pipes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dataplane::args::Settings;
use dataplane::clock::Clock;
use dataplane::gateway::Gateway;
use dataplane::http::Door;
use dataplane::http::listener::{Bounds, Leaving, converse};
use dataplane::ledger::Books;
use dataplane::live::Revision;
use dataplane::seal::Keys;
use dataplane::source::manifests::Folder;
use dataplane::source::{ObjectReport, Wanted};
use dataplane::telemetry::log::{AccessLog, Target};
use dataplane::telemetry::metrics::Metrics;
use dataplane::upstream::Dial;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::DuplexStream;
use tokio::sync::watch;

use crate::client::{Call, Calling};
use crate::provider::{Manner, Pipes};

/// The time limits of the doors in every test.
pub const HEADER_TIME: Duration = Duration::from_secs(75);
/// See [`HEADER_TIME`].
pub const BODY_IDLE: Duration = Duration::from_secs(20);

/// The key of the seal in every test.
pub const SEAL: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// A name that the folder source passes over.
const LOG: &str = "access.log";

/// A gateway that serves, and everything around it.
pub struct House {
    pub gateway: Gateway,
    pub providers: Arc<Pipes>,
    pub clock: Clock,
    source: Folder,
    reports: Vec<ObjectReport>,
    door: Arc<Door>,
    leaving: watch::Sender<Leaving>,
    folder: TempDir,
}

impl House {
    /// Serves these manifests.
    pub fn of(manifests: &[String]) -> Self {
        Self::with(manifests, |_| {})
    }

    /// Serves these manifests with other settings of the process than the usual ones.
    pub fn with(manifests: &[String], change: impl FnOnce(&mut Settings)) -> Self {
        let pipes = Arc::new(Pipes::default());
        Self::dialling(manifests, change, pipes.clone(), pipes)
    }

    /// Serves these manifests, and dials otherwise than over pipes.
    pub fn dialling(manifests: &[String], change: impl FnOnce(&mut Settings), providers: Arc<Pipes>, dial: Arc<dyn Dial>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut settings = settings(&folder);
        change(&mut settings);
        let clock = Clock::default();
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let log = AccessLog::start(&settings.access_log, metrics.log_dropped.clone()).expect("a log");
        let books = Arc::new(Books { metrics: metrics.clone(), log });
        let gateway = Gateway::new(&settings, metrics, books, clock.clone());
        let door = gateway.door(dial, &settings);
        let leaving = watch::Sender::new(Leaving::No);
        let source = Folder::new(folder.path().to_owned(), BTreeMap::new(), None);
        let mut house = Self { gateway, providers, clock, source, reports: Vec::new(), door, leaving, folder };
        house.configure(manifests);
        house.gateway.seal.swap(Keys::parse(SEAL).expect("a key"));
        house
    }

    /// Takes other manifests into use.
    pub fn configure(&mut self, manifests: &[String]) -> Revision {
        std::fs::write(self.folder.path().join("manifests.yaml"), manifests.concat()).expect("a file");
        let loaded = self.source.load().expect("a configuration");
        self.reports.clone_from(&loaded.reports);
        self.gateway.take(&loaded)
    }

    /// Why the compiler did not accept an object; empty when it did.
    pub fn reason(&self, kind: &str, namespace: &str, name: &str) -> &str {
        let fits = |report: &&ObjectReport| report.kind == kind && report.namespace == namespace && report.name == name;
        self.reports.iter().find(fits).map_or("", |report| &report.reason)
    }

    /// What a core does now and then.
    pub fn sweep(&self) {
        dataplane::gateway::sweep(&self.door);
    }

    /// A byte stream to the gateway's door.
    pub fn line(&self) -> DuplexStream {
        self.line_to(1)
    }

    /// The same to a process that has so many cores.
    pub fn line_to(&self, cores: u16) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 << 10);
        let bounds = Bounds { header_time: HEADER_TIME, connections_max: 1000, cores };
        tokio::spawn(converse(far, self.door.clone(), bounds, self.leaving.subscribe()));
        near
    }

    /// Makes a call on a connection of its own.
    pub fn call(&self, call: Call) -> Calling {
        Calling::start(self.line(), call, self.clock.clone())
    }

    /// How connections to a host come about from now on.
    pub fn host(&self, host: &str, manner: Manner) {
        self.providers.behave(host, manner);
    }

    /// Every receipt so far; the log is closed by this.
    pub fn receipts(&self) -> Vec<Value> {
        self.gateway.books.log.close();
        let text = std::fs::read_to_string(self.folder.path().join(LOG)).expect("the log");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The process is on its way out.
    pub fn leave(&self, how: Leaving) {
        self.leaving.send_replace(how);
    }

    /// Lets everybody do what there is to do now; the clock moves by one millisecond.
    pub async fn settle(&self) {
        elapse(1).await;
    }
}

/// What must come within an hour of the paused clock; without a limit a fault would hang the test.
pub async fn within_the_hour<T>(coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), coming).await.expect("it comes within an hour")
}

/// Lets so many milliseconds pass.
pub async fn elapse(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

fn settings(folder: &TempDir) -> Settings {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Settings {
        source: Wanted::Manifests { folder: folder.path().to_owned(), env: BTreeMap::new(), gateway: None },
        listen: nowhere,
        admin: nowhere,
        cores: 1,
        tls: None,
        extra_ca_pem: None,
        access_log: Target::File(folder.path().join(LOG)),
        log_level: "off".to_owned(),
        print_ports: None,
        connections_max: 1000,
        calls_max: 1000,
        body_memory_bytes: 64 << 20,
        spool_dir: None,
        spool_bytes: 1 << 30,
        seal_file: None,
        header_timeout: HEADER_TIME,
        body_idle_timeout: BODY_IDLE,
    }
}
