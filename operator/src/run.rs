//! Wiring: the cluster's client, the watches, the admin port, terms as leader, and an end in order.

use std::io;
use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Config;
use kube::api::Api;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::{self, Doors};
use crate::args::Run;
use crate::connect;
use crate::gather::Gather;
use crate::lease::Candidate;
use crate::metrics::Metrics;
use crate::render::Surroundings;
use crate::story::Story;

/// What a watch stumbles over is told by `gather`, not once more by the library each time that it is tried.
const QUIET: &str = "kube_runtime=error,kube_client=error";

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no cluster to be found.
    #[error("no cluster: {0}")]
    NoCluster(#[from] kube::config::InferConfigError),
    /// It cannot be spoken to.
    #[error("the cluster: {0}")]
    Client(#[from] kube::Error),
    /// Ports, threads, signals.
    #[error("{what}: {source}")]
    Io {
        /// Doing what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The level of the log is none.
    #[error("--log-level: {0}")]
    LogLevel(#[from] tracing_subscriber::filter::ParseError),
    /// A metric is malformed.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}

/// Looks after a cluster until a signal ends it.
///
/// # Errors
/// See [`RunError`].
pub fn run(settings: Run) -> Result<(), RunError> {
    let filter = tracing_subscriber::EnvFilter::try_new(format!("{QUIET},{}", settings.log_level))?;
    // Somebody else's log may be in place already, and TLS too: then those serve.
    drop(tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(io::stderr).try_init());
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_error("cannot start"))?;
    runtime.block_on(async {
        let config = Config::infer().await?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io_error("cannot wait for signals"))?;
        let leave = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        look_after(config, settings, leave).await
    })
}

/// Looks after the cluster of a configuration until it is asked to leave.
///
/// # Errors
/// See [`RunError`].
pub async fn look_after(config: Config, settings: Run, leave: impl Future<Output = ()>) -> Result<(), RunError> {
    let own_namespace = settings.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = connect::client(config)?;
    let metrics = Metrics::new()?;
    let gather = Gather::start(client.clone(), &settings.namespaces);
    let listener = tokio::net::TcpListener::bind(settings.admin).await.map_err(io_error("cannot bind --admin"))?;
    tracing::info!(admin = %listener.local_addr().map_err(io_error("the admin port"))?, "looking after the cluster");
    let doors = admin::routes(Doors { gather: Arc::clone(&gather), metrics: metrics.clone() });
    let admin = tokio::spawn(axum::serve(listener, doors).into_future());
    let around = Surroundings {
        image: settings.image,
        image_pull_policy: settings.image_pull_policy.word(),
        operator_namespace: own_namespace.clone(),
    };
    let leases: Api<Lease> = Api::namespaced(client.clone(), &own_namespace);
    let mut candidate = Candidate::new(leases, settings.lease_name, identity());
    let story = Story { client, gather, metrics, around };
    tokio::select! {
        () = lead(&story, &mut candidate) => {}
        () = leave => tracing::info!("leaving"),
    }
    candidate.release().await;
    admin.abort();
    Ok(())
}

/// Leads whenever it can.
async fn lead(story: &Story, candidate: &mut Candidate) {
    loop {
        let term = candidate.elected().await;
        tracing::info!("leading");
        story.metrics.leading.set(1);
        tokio::select! {
            () = candidate.renew(&term) => {}
            () = Box::pin(story.lead(&term)) => {}
        }
        term.end();
        story.metrics.leading.set(0);
        tracing::info!("no longer leading");
    }
}

/// A name that no other replica has.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut random = [0; 8];
    // Without randomness two processes of one host would have one name; the publisher's conflicts would still part them.
    if SystemRandom::new().fill(&mut random).is_err() {
        tracing::warn!("the platform gives no randomness");
    }
    let suffix: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{suffix}", host.trim())
}
