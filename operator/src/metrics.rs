//! Every metric of the operator: names, labels, meaning.

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// What the operator counts, in a registry of its own. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// 1 while this replica leads.
    pub leading: IntGauge,
    /// Passes, by result.
    pub passes: IntCounterVec,
    /// How long a pass takes.
    pub pass_seconds: Histogram,
    /// From publishing to the last replica's acknowledgement.
    pub converge_seconds: Histogram,
    /// Objects by kind and verdict.
    pub objects: IntGaugeVec,
    /// Sequence published, by gateway.
    pub sequence: IntGaugeVec,
    /// Ready replicas that serve it, by gateway.
    pub programmed: IntGaugeVec,
    /// Ready replicas, by gateway.
    pub ready: IntGaugeVec,
    /// Parts and indexes written.
    pub writes: IntCounterVec,
    /// Bytes of parts and indexes written.
    pub write_bytes: IntCounter,
    /// Statuses written.
    pub statuses: IntCounter,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name is taken or malformed: a fault in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, labels: &[&str]| register(&registry, IntGaugeVec::new(Opts::new(name, help), labels)?);
        let counters = |name: &str, help: &str, labels: &[&str]| register(&registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let seconds = |name: &str, help: &str| {
            let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
            register(&registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?)
        };
        Ok(Self {
            leading: register(&registry, IntGauge::new("portolan_operator_leading", "1 while this replica leads.")?)?,
            passes: counters("portolan_operator_passes_total", "Passes over the world, by result: done or failed.", &["result"])?,
            pass_seconds: seconds("portolan_operator_pass_seconds", "Duration of a pass.")?,
            converge_seconds: seconds(
                "portolan_operator_converge_seconds",
                "From publishing to the last ready replica's acknowledgement.",
            )?,
            objects: gauges("portolan_operator_objects", "Objects, by kind and verdict.", &["kind", "verdict"])?,
            sequence: gauges("portolan_operator_published_sequence", "Sequence that is published, by gateway.", &["gateway"])?,
            programmed: gauges("portolan_operator_programmed_replicas", "Ready replicas that serve it, by gateway.", &["gateway"])?,
            ready: gauges("portolan_operator_ready_replicas", "Ready replicas, by gateway.", &["gateway"])?,
            writes: counters("portolan_operator_bundle_writes_total", "Objects of bundles written: part or index.", &["object"])?,
            write_bytes: register(
                &registry,
                IntCounter::new("portolan_operator_bundle_written_bytes_total", "Bytes of parts and indexes written.")?,
            )?,
            statuses: register(&registry, IntCounter::new("portolan_operator_status_writes_total", "Statuses written.")?)?,
            registry,
        })
    }

    /// In Prometheus's text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing into memory does not fail; an encoding error leaves what was written so far.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics cannot be encoded");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
