//! Wiring: builds every room, feeds what the source brings to the cores, starts and leaves in order.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::admin;
use crate::args::Settings;
use crate::clock::{Clock, Dice};
use crate::http::Door;
use crate::http::listener::{self, Bounds, Leaving};
use crate::http::tls::{Certificate, CertificateError};
use crate::ledger::Books;
use crate::limits::Process;
use crate::live::{Live, LiveHandle, Origins, Revision};
use crate::seal::SealHandle;
use crate::serve::Rooms;
use crate::source::{Certainty, Loaded, ObjectReport};
use crate::telemetry::metrics::Metrics;
use crate::upstream::tls::{Trust, TrustError};
use crate::upstream::{Dial, Upstream, dial};

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(10);

/// Of a metric without labels.
const NO_LABELS: [&str; 0] = [];

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread or runtime cannot be made.
    #[error("cannot start a core: {0}")]
    Core(io::Error),
    /// The gateway's own certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Whom to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// What all cores share.
pub struct Gateway {
    /// The configuration.
    pub live: Arc<LiveHandle>,
    /// Seals ids of what providers keep.
    pub seal: Arc<SealHandle>,
    /// Bounds of the process.
    pub process: Arc<Process>,
    /// Connections now.
    pub connections: Arc<AtomicUsize>,
    /// Metrics and the access log.
    pub books: Arc<Books>,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    origins: Origins,
    /// What is in use is the best that was to be had.
    pub certainty: Arc<Certainty>,
    clock: Clock,
    draining: Arc<AtomicBool>,
    leaving: watch::Sender<Leaving>,
    sequence: u64,
}

impl Gateway {
    /// A gateway without configuration and without cores.
    #[must_use]
    pub fn new(settings: &Settings, metrics: Arc<Metrics>, books: Arc<Books>, clock: Clock) -> Self {
        Self {
            live: Arc::default(),
            seal: Arc::default(),
            process: Arc::new(Process::new(settings.calls_max, settings.body_memory_bytes).spooling(settings.spool_bytes)),
            connections: Arc::default(),
            books,
            metrics,
            origins: Origins::default(),
            certainty: Arc::new(Certainty::new(clock.clone())),
            clock,
            draining: Arc::default(),
            leaving: watch::Sender::new(Leaving::No),
            sequence: 0,
        }
    }

    /// Takes a new configuration into use. Calls under way keep the one that they began with. Its sequence is the
    /// operator's; what has none is counted here.
    pub fn take(&mut self, loaded: &Loaded) -> Revision {
        self.sequence = loaded.sequence.unwrap_or(self.sequence + 1);
        let revision = Revision::new(self.sequence, &loaded.digest);
        let previous = self.live.current();
        let live = Live::build(revision.clone(), &loaded.snapshot, &loaded.credentials, &self.origins, previous.as_deref());
        self.live.swap(live);
        self.metrics.config_sequence.set(i64::try_from(self.sequence).unwrap_or(i64::MAX));
        self.metrics.config_loaded.set(i64::try_from(self.unix_seconds()).unwrap_or(i64::MAX));
        self.metrics.config_loads.with_label_values(&["taken"]).inc();
        revision
    }

    /// Counts what is not accepted, by kind.
    pub fn count_reports(&self, reports: &[ObjectReport]) {
        self.metrics.config_rejected.reset();
        reports.iter().for_each(|report| self.metrics.config_rejected.with_label_values(&[&report.kind]).inc());
    }

    /// Counts a load that brought nothing.
    pub fn count_failed_load(&self) {
        self.metrics.config_loads.with_label_values(&["failed"]).inc();
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.clock.unix_ms() / 1000
    }

    /// What the admin port knows.
    #[must_use]
    pub fn admin_state(&self) -> admin::State {
        let (metrics, process, connections) = (self.metrics.clone(), self.process.clone(), self.connections.clone());
        let certainty = self.certainty.clone();
        // Gauges are read when somebody asks.
        let metrics_text = move || {
            metrics.calls_in_flight.set(process.calls().into());
            metrics.body_bytes.set(i64::try_from(process.body_bytes()).unwrap_or(i64::MAX));
            metrics.spool_bytes.set(i64::try_from(process.spool_bytes()).unwrap_or(i64::MAX));
            metrics.connections.set(i64::try_from(connections.load(Relaxed)).unwrap_or(i64::MAX));
            if let Some(age) = certainty.confirmed_age_seconds() {
                metrics.config_confirmed_age.with_label_values(&NO_LABELS).set(i64::try_from(age).unwrap_or(i64::MAX));
            }
            metrics.text()
        };
        admin::State {
            metrics_text: Box::new(metrics_text),
            certainty: self.certainty.clone(),
            config: Mutex::default(),
            draining: self.draining.clone(),
        }
    }

    /// One core's door over a way out.
    #[must_use]
    pub fn door(&self, dial: Arc<dyn Dial>, settings: &Settings) -> Arc<Door> {
        let rooms = Rooms {
            live: self.live.clone(),
            seal: self.seal.clone(),
            process: self.process.clone(),
            upstream: Upstream::new(dial, self.clock.clone(), self.metrics.clone()),
            books: self.books.clone(),
            clock: self.clock.clone(),
            dice: Dice::new(),
        };
        let spool = settings.spool_dir.as_deref().map(Into::into);
        Arc::new(Door { rooms, draining: self.draining.clone(), body_idle: settings.body_idle_timeout, spool })
    }

    /// Binds the port once for each core and serves it, each core on a thread and a runtime of its own.
    ///
    /// # Errors
    /// When an address, a certificate or a thread is not to be had.
    pub fn start(&self, settings: &Settings) -> Result<Cores, StartError> {
        let trust = Trust::new(settings.extra_ca_pem.as_deref())?;
        let dial: Arc<dyn Dial> = Arc::new(dial::Network::new(trust));
        let certificate = settings.tls.clone().map(Certificate::load).transpose()?;
        let bounds = Bounds { header_time: settings.header_timeout, connections_max: settings.connections_max, cores: settings.cores };
        let mut address = settings.listen;
        let mut threads = Vec::new();
        for number in 0..settings.cores {
            let listener = listener::bind(address, number == 0).map_err(|source| StartError::Bind { address, source })?;
            address = listener.local_addr().map_err(StartError::Core)?;
            let door = self.door(dial.clone(), settings);
            let tls = certificate.as_ref().map(Certificate::server).transpose()?;
            let core = Core { listener, door, tls, bounds, connections: self.connections.clone(), leaving: self.leaving.subscribe() };
            let name = format!("core-{number}");
            threads.push(std::thread::Builder::new().name(name).spawn(move || core.run()).map_err(StartError::Core)?);
        }
        Ok(Cores { address, certificate, threads })
    }

    /// Leaves: announced for a while, then closed, then cut off; returns when no call is left. `hurry` cuts off at once.
    pub async fn leave(&self, cores: Cores, hurry: impl Future<Output = ()>) {
        let drain = self.live.current().map_or((Duration::ZERO, Duration::ZERO), |live| {
            let drain = live.gateway.drain;
            (Duration::from_secs(drain.delay_seconds.into()), Duration::from_secs(drain.timeout_seconds.into()))
        });
        self.draining.store(true, Relaxed);
        self.leaving.send_replace(Leaving::Announced);
        let mut ended = tokio::task::spawn_blocking(move || cores.threads.into_iter().for_each(|thread| drop(thread.join())));
        let patience = async {
            tokio::time::sleep(drain.0).await;
            self.leaving.send_replace(Leaving::Closing);
            tokio::time::sleep(drain.1).await;
        };
        tokio::select! {
            _ = &mut ended => return,
            () = patience => {}
            () = hurry => {}
        }
        self.leaving.send_replace(Leaving::Now);
        drop(ended.await);
    }
}

/// What a core does now and then: closes connections that are idle for too long, and renews identities that end soon.
pub fn sweep(door: &Door) {
    door.rooms.upstream.sweep();
    if let Some(live) = door.rooms.live.current() {
        door.rooms.upstream.renew(live.models.providers().iter().filter_map(|provider| provider.identity.as_ref()));
    }
}

/// Threads that serve.
pub struct Cores {
    /// Where they listen.
    pub address: SocketAddr,
    /// The gateway's own certificate, to be looked at now and then.
    pub certificate: Option<Arc<Certificate>>,
    threads: Vec<JoinHandle<()>>,
}

struct Core {
    listener: std::net::TcpListener,
    door: Arc<Door>,
    tls: Option<Arc<rustls::ServerConfig>>,
    bounds: Bounds,
    connections: Arc<AtomicUsize>,
    leaving: watch::Receiver<Leaving>,
}

impl Core {
    fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "a core has no runtime"),
        };
        runtime.block_on(async move {
            let Self { listener, door, tls, bounds, connections, leaving } = self;
            let listener = match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "a core has no listener"),
            };
            let sweeper = door.clone();
            let sweeping = tokio::spawn(async move {
                loop {
                    tokio::time::sleep(SWEEP).await;
                    sweep(&sweeper);
                }
            });
            listener::accept(listener, door, tls, bounds, connections, leaving).await;
            sweeping.abort();
        });
    }
}
