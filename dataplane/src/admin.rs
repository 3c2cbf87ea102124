//! The second port: is it alive, is it ready, what does it count, what does it serve. Nothing secret is ever here.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::source::{Certainty, ObjectReport, Place};

/// What `/internal/config` tells.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    /// Grows with each change, and never goes back; 0 before the first configuration. An operator's bundle brings its own.
    pub sequence: u64,
    /// `<sequence>-<8 hex digits>`.
    pub revision: String,
    /// Digest of the configuration, in hex.
    pub digest: String,
    /// Seconds since 1970 at which it was taken into use.
    pub loaded_unix_seconds: u64,
    /// Where it was found; nothing before the first configuration.
    pub source: Option<Place>,
    /// Seconds since the API server last said that this is the current one; nothing when none is asked.
    pub confirmed_age_seconds: Option<u64>,
    /// Schemas of bundles that this build reads: from, to.
    pub schemas: [u32; 2],
    /// Objects that are not accepted, or served in an older form.
    pub rejected: Vec<ObjectReport>,
    /// Why the last load brought nothing new, if it failed.
    pub last_error: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sequence: 0,
            revision: String::new(),
            digest: String::new(),
            loaded_unix_seconds: 0,
            source: None,
            confirmed_age_seconds: None,
            schemas: [snapshot::bundle::SCHEMA_OLDEST, snapshot::SCHEMA],
            rejected: Vec::new(),
            last_error: None,
        }
    }
}

/// What the admin port knows.
pub struct State {
    /// Gathers every metric, in Prometheus's text format.
    pub metrics_text: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether what is in use is the best that was to be had, and how sure that is.
    pub certainty: Arc<Certainty>,
    /// The configuration in use.
    pub config: Mutex<Config>,
    /// The process is leaving.
    pub draining: Arc<AtomicBool>,
}

/// The admin port's routes.
pub fn routes(state: Arc<State>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/internal/config", get(config))
        .with_state(state)
}

async fn healthz() -> &'static str {
    std::future::ready("ok\n").await
}

async fn readyz(Extract(state): Extract<Arc<State>>) -> Response {
    let sequence = state.config.lock().unwrap_or_else(PoisonError::into_inner).sequence;
    let word = if state.draining.load(Relaxed) {
        "draining\n"
    } else if sequence == 0 {
        "no configuration yet\n"
    } else if !state.certainty.settled() {
        "not yet as new as the API server's\n"
    } else {
        return std::future::ready("ready\n").await.into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, word).into_response()
}

async fn metrics(Extract(state): Extract<Arc<State>>) -> impl IntoResponse {
    let text = std::future::ready((state.metrics_text)()).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

async fn config(Extract(state): Extract<Arc<State>>) -> Json<Config> {
    let mut config = state.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
    config.confirmed_age_seconds = state.certainty.confirmed_age_seconds();
    std::future::ready(Json(config)).await
}
