//! The second port: is it alive, has it seen the cluster, what does it count.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::gather::Gather;
use crate::metrics::Metrics;

/// What the port knows.
#[derive(Clone)]
pub struct Doors {
    /// Whether the cluster was seen.
    pub gather: Arc<Gather>,
    /// What is counted.
    pub metrics: Metrics,
}

/// The port's routes.
pub fn routes(doors: Doors) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).route("/metrics", get(metrics)).with_state(doors)
}

async fn healthz() -> &'static str {
    std::future::ready("ok\n").await
}

async fn readyz(State(doors): State<Doors>) -> Response {
    let synced = std::future::ready(doors.gather.synced()).await;
    if synced { "ready\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, "the cluster is not seen yet\n").into_response() }
}

async fn metrics(State(doors): State<Doors>) -> impl IntoResponse {
    let text = std::future::ready(doors.metrics.text()).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
