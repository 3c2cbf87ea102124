//! The control runtime: loads and watches the folder, serves the admin port, leaves on a signal.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::admin::{self, Config};
use crate::args::Settings;
use crate::clock::Clock;
use crate::gateway::{Cores, Gateway, StartError};
use crate::http::tls::Certificate;
use crate::ledger::Books;
use crate::routing;
use crate::source::Loaded;
use crate::source::manifests::{Folder, LoadError};
use crate::telemetry::log::AccessLog;
use crate::telemetry::metrics::Metrics;

/// How often the gateway's own certificate is looked at.
const CERTIFICATE_POLL: Duration = Duration::from_secs(1);

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something that it needs is not to be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The first configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Files, threads, signals.
    #[error("{what}: {source}")]
    Io {
        /// Doing what.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A metric is malformed.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}

/// Runs the gateway until a signal ends it.
///
/// # Errors
/// See [`RunError`].
pub fn run(settings: Settings) -> Result<(), RunError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io_error("cannot start the control runtime"))?;
    runtime.block_on(control(settings))
}

async fn control(settings: Settings) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(io_error("cannot wait for signals"))?;
    let clock = Clock::default();
    let metrics = Arc::new(Metrics::new()?);
    let log = AccessLog::start(&settings.access_log, metrics.log_dropped.clone()).map_err(io_error("cannot open the access log"))?;
    let books = Arc::new(Books { metrics: metrics.clone(), log });
    let mut gateway = Gateway::new(&settings, metrics, books.clone(), clock);
    let admin_port =
        tokio::net::TcpListener::bind(settings.admin).await.map_err(|source| StartError::Bind { address: settings.admin, source })?;
    let admin_address = admin_port.local_addr().map_err(io_error("the admin port"))?;
    let state = Arc::new(gateway.admin_state());
    let admin = tokio::spawn(axum::serve(admin_port, admin::routes(state.clone())).into_future());

    let mut folder = Folder::new(settings.manifests.clone(), settings.env.clone(), settings.gateway.clone());
    let mut seen = Some(folder.seen());
    let loaded = folder.load()?;
    take(&mut gateway, &state, &loaded);
    let cores = gateway.start(&settings)?;
    announce(&settings, &gateway, &cores, admin_address).map_err(io_error("cannot write --print-ports"))?;
    drop(loaded);

    let mut certificate_look = tokio::time::interval(CERTIFICATE_POLL);
    loop {
        tokio::select! {
            () = folder.changed(&mut seen) => match folder.load() {
                Ok(loaded) => take(&mut gateway, &state, &loaded),
                Err(error) => keep(&gateway, &state, &error),
            },
            _ = certificate_look.tick() => look_at_certificate(cores.certificate.as_deref()),
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("leaving: no longer ready, calls in flight go on");
    gateway.leave(cores).await;
    books.log.close();
    admin.abort();
    Ok(())
}

fn take(gateway: &mut Gateway, state: &admin::State, loaded: &Loaded) {
    let mut config = state.config.lock().unwrap_or_else(PoisonError::into_inner);
    for report in loaded.reports.iter().filter(|report| !config.rejected.contains(report)) {
        tracing::warn!(
            kind = report.kind,
            namespace = report.namespace,
            name = report.name,
            reason = report.reason,
            served = report.served,
            "{}",
            report.message
        );
    }
    config.rejected.clone_from(&loaded.reports);
    config.last_error = None;
    gateway.count_reports(&loaded.reports);
    if config.digest == loaded.digest {
        return;
    }
    let revision = gateway.take(loaded);
    tracing::info!(
        revision = &*revision.text,
        providers = loaded.snapshot.providers.len(),
        keys = loaded.snapshot.keys.len(),
        "serving a new configuration"
    );
    *config = Config {
        sequence: revision.sequence,
        revision: revision.text.to_string(),
        digest: loaded.digest.clone(),
        loaded_unix_seconds: gateway.unix_seconds(),
        schemas: [snapshot::SCHEMA, snapshot::SCHEMA],
        rejected: loaded.reports.clone(),
        last_error: None,
    };
}

fn keep(gateway: &Gateway, state: &admin::State, error: &LoadError) {
    tracing::error!(%error, "the folder gave no configuration; what is in use stays");
    gateway.count_failed_load();
    state.config.lock().unwrap_or_else(PoisonError::into_inner).last_error = Some(error.to_string());
}

fn look_at_certificate(certificate: Option<&Certificate>) {
    match certificate.map(Certificate::reload) {
        Some(Ok(true)) => tracing::info!("serving a new certificate"),
        Some(Err(error)) => tracing::error!(%error, "the new certificate cannot be served; the old one stays"),
        Some(Ok(false)) | None => {}
    }
}

/// Tells a person what there is and what to try next. Key ids, never a key's text.
fn announce(settings: &Settings, gateway: &Gateway, cores: &Cores, admin: std::net::SocketAddr) -> io::Result<()> {
    let scheme = if cores.certificate.is_some() { "https" } else { "http" };
    let address = cores.address;
    let Some(live) = gateway.live.current() else { return Ok(()) };
    let keys: Vec<&str> = live.key_ids().take(10).collect();
    let models: Vec<&str> = routing::declared(&live).into_iter().take(20).collect();
    let first = models.first().copied().unwrap_or("MODEL");
    tracing::info!(listen = %address, admin = %admin, cores = settings.cores, ?keys, ?models, "listening");
    tracing::info!(
        "try: curl {scheme}://{address}/v1/chat/completions -H \"Authorization: Bearer $KEY\" -H content-type:application/json -d '{{\"model\":\"{first}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'"
    );
    if let Some(path) = &settings.print_ports {
        let partial = path.with_extension("partial");
        std::fs::write(&partial, format!("{{\"listen\":\"{address}\",\"admin\":\"{admin}\"}}\n"))?;
        std::fs::rename(partial, path)?;
    }
    Ok(())
}
