//! What the process tells of itself: metrics, the access log, its own events.

pub mod log;
pub mod metrics;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts the process's own log: JSON lines on standard error. What libraries tell is heard from warnings up alone: below
/// that they tell of frames and headers.
pub fn start_diagnostics(level: &str) {
    let libraries = if level == "error" { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{libraries},dataplane={level}"));
    let started = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr)
        .try_init();
    // A second start, as tests do it, keeps the first.
    drop(started);
}
