//! The control runtime: follows the configuration, serves the admin port, leaves on a signal.

use std::collections::BTreeSet;
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
use crate::seal::{Keys, NoSeal, SealFile, SealHandle};
use crate::source::manifests::LoadError;
use crate::source::supply::{News, Supply};
use crate::source::{Loaded, Wanted, let_go};
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
    /// The keys of the seal, where a person says where they are.
    #[error("--seal-file: {0}")]
    Seal(#[from] NoSeal),
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
    let mut seal_file = open_seal(&settings, &gateway.seal)?;
    let admin_port =
        tokio::net::TcpListener::bind(settings.admin).await.map_err(|source| StartError::Bind { address: settings.admin, source })?;
    let admin_address = admin_port.local_addr().map_err(io_error("the admin port"))?;
    let state = Arc::new(gateway.admin_state());
    let admin = tokio::spawn(axum::serve(admin_port, admin::routes(state.clone())).into_future());

    let (mut supply, found) = Supply::open(&settings.source, gateway.certainty.clone())?;
    found.into_iter().for_each(|news| hear(&mut gateway, &state, news));
    let mut cores = None;
    let mut certificate_look = tokio::time::interval(CERTIFICATE_POLL);
    loop {
        // A bundle may come after the pod. The port opens with the first configuration.
        if cores.is_none() && gateway.live.current().is_some() {
            let started = gateway.start(&settings)?;
            announce(&settings, &gateway, &started, admin_address).map_err(io_error("cannot write --print-ports"))?;
            cores = Some(started);
        }
        tokio::select! {
            news = supply.next() => hear(&mut gateway, &state, news),
            _ = certificate_look.tick() => {
                look_at_certificate(cores.as_ref().and_then(|cores| cores.certificate.as_deref()));
                look_at_seal(seal_file.as_mut(), &gateway.seal);
            }
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("leaving: no longer ready, calls in flight go on; Ctrl-C cuts them off");
    if let Some(cores) = cores {
        gateway.leave(cores, async { drop(tokio::signal::ctrl_c().await) }).await;
    }
    books.log.close();
    admin.abort();
    Ok(())
}

fn hear(gateway: &mut Gateway, state: &admin::State, news: News) {
    let last_error = |error| state.config.lock().unwrap_or_else(PoisonError::into_inner).last_error = error;
    match news {
        News::Take(loaded) => {
            take(gateway, state, &loaded);
            let_go(loaded);
        }
        News::Failed(error) => {
            tracing::error!(%error, "no new configuration; what is in use stays");
            gateway.count_failed_load();
            last_error(Some(error));
        }
        News::Trouble(error) => last_error(error),
    }
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
    // The same under a new sequence is told as that: whoever gave it waits to hear it.
    if config.digest == loaded.digest && loaded.sequence.is_none_or(|sequence| sequence == config.sequence) {
        return;
    }
    let revision = gateway.take(loaded);
    tracing::info!(
        revision = &*revision.text,
        providers = loaded.snapshot.providers.len(),
        keys = loaded.snapshot.keys.len(),
        source = loaded.place.word(),
        "serving a new configuration"
    );
    *config = Config {
        sequence: revision.sequence,
        revision: revision.text.to_string(),
        digest: loaded.digest.clone(),
        loaded_unix_seconds: gateway.unix_seconds(),
        source: Some(loaded.place),
        rejected: loaded.reports.clone(),
        ..Config::default()
    };
}

/// The seal of the process. A folder is a person's: who names a file has it made, who names none has a seal that ends with
/// the process. A bundle's file may come after the pod.
fn open_seal(settings: &Settings, handle: &SealHandle) -> Result<Option<SealFile>, NoSeal> {
    let of_a_folder = matches!(settings.source, Wanted::Manifests { .. });
    let Some(path) = settings.seal_file.clone() else {
        if of_a_folder {
            handle.swap(Keys::parse(&Keys::fresh()?)?);
            tracing::warn!("ids of files that are kept at providers do not outlive this process; --seal-file makes them last");
        }
        return Ok(None);
    };
    let mut file = SealFile::new(path);
    if of_a_folder {
        file.make()?;
        file.look(handle).unwrap_or(Ok(()))?;
    } else {
        look_at_seal(Some(&mut file), handle);
    }
    Ok(Some(file))
}

fn look_at_seal(file: Option<&mut SealFile>, handle: &SealHandle) {
    match file.and_then(|file| file.look(handle)) {
        Some(Ok(())) => tracing::info!("ids of what providers keep are sealed with the keys of a file"),
        Some(Err(error)) if handle.current().is_some() => tracing::error!(%error, "the keys of the seal cannot be had; those in use stay"),
        Some(Err(error)) => tracing::warn!(%error, "there is no seal: doors for files refuse until there is one"),
        None => {}
    }
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
    // Every address of this machine is none that a client could name.
    let host = if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() };
    let Some(live) = gateway.live.current() else { return Ok(()) };
    // Each once, in order: a key that is being rotated is found under two hashes.
    let keys: BTreeSet<&str> = live.key_ids().collect();
    let keys: Vec<&str> = keys.into_iter().take(10).collect();
    let models: Vec<&str> = routing::declared(&live).into_iter().take(20).collect();
    let first = models.first().copied().unwrap_or("MODEL");
    tracing::info!(listen = %address, admin = %admin, cores = settings.cores, ?keys, ?models, "listening");
    tracing::info!(
        "try: curl {scheme}://{host}/v1/chat/completions -H \"Authorization: Bearer $KEY\" -H content-type:application/json -d '{{\"model\":\"{first}\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}'"
    );
    if let Some(path) = &settings.print_ports {
        let partial = path.with_extension("partial");
        std::fs::write(&partial, format!("{{\"listen\":\"{address}\",\"admin\":\"{admin}\"}}\n"))?;
        std::fs::rename(partial, path)?;
    }
    Ok(())
}
