//! Every metric's name, labels and buckets. Labels are closed words or ids from the snapshot, never a client's text.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use snapshot::{FailureClass, Measured, More, ProviderId, Surface, Unit, Usage};

/// The gateway's own work: from 50 us.
const OVERHEAD_SECONDS: [f64; 12] = [50e-6, 100e-6, 200e-6, 350e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 25e-3, 100e-3, 1.0];

/// A model's work: from a tenth of a second to minutes.
const CALL_SECONDS: [f64; 14] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// All metrics of a process, in a registry of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Vec<(Option<Surface>, &'static str, IntCounter)>,
    /// Refusals of the gateway itself, by their stable code.
    pub refusals: IntCounterVec,
    /// Calls for which a rule's condition had no answer, by policy and why.
    pub rules_unanswered: IntCounterVec,
    /// Identities that clouds were asked for, by provider and result: ok or a failure class.
    pub identity_fetches: IntCounterVec,
    call_seconds: Vec<(Surface, Histogram)>,
    first_byte_seconds: Vec<(Surface, Histogram)>,
    /// From the head of a request to the first byte of its answer, less the time spent waiting for providers.
    pub overhead_seconds: Histogram,
    /// Calls in flight.
    pub calls_in_flight: IntGauge,
    /// Open connections of clients.
    pub connections: IntGauge,
    /// Bytes of request bodies that are kept.
    pub body_bytes: IntGauge,
    /// Bytes of forms in the spool.
    pub spool_bytes: IntGauge,
    /// Lines that found no room.
    pub log_dropped: IntCounter,
    /// The sequence of the configuration in use.
    pub config_sequence: IntGauge,
    /// When it was taken into use, in seconds since 1970.
    pub config_loaded: IntGauge,
    /// Loads by result.
    pub config_loads: IntCounterVec,
    /// Seconds since an API server last said that the configuration in use is the current one; without labels, and absent
    /// when none is asked.
    pub config_confirmed_age: IntGaugeVec,
    /// Objects that are not accepted, by kind.
    pub config_rejected: IntGaugeVec,
    resident: IntGauge,
    by_provider: ProviderVecs,
    providers: RwLock<HashMap<ProviderId, Arc<ProviderMeters>>>,
}

#[derive(Debug)]
struct ProviderVecs {
    attempts: IntCounterVec,
    tokens: IntCounterVec,
    units: IntCounterVec,
    cost: IntCounterVec,
    unpriced: IntCounterVec,
}

/// One provider's counters, looked up once.
#[derive(Debug)]
pub struct ProviderMeters {
    answered: IntCounter,
    failed: Vec<(FailureClass, IntCounter)>,
    tokens: [IntCounter; 10],
    /// In thousandths, so that fractions of seconds are not lost.
    units: [(Unit, IntCounter); 4],
    cost: IntCounter,
    unpriced: IntCounter,
}

/// The ways a call can end, as `outcome` labels.
pub const OUTCOMES: [&str; 4] = ["answered", "refused", "failed", "client_gone"];

struct Making(Registry);

impl Making {
    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn by_surface(&self, name: &str, help: &str) -> prometheus::Result<Vec<(Surface, Histogram)>> {
        let made = HistogramVec::new(HistogramOpts::new(name, help).buckets(CALL_SECONDS.to_vec()), &["surface"])?;
        self.0.register(Box::new(made.clone()))?;
        Ok(doors().map(|surface| (surface, made.with_label_values(&[surface.word()]))).collect())
    }
}

/// Kinds of tokens that are counted, in the order of [`ProviderMeters::used`].
const TOKENS: [&str; 10] = [
    "prompt",
    "completion",
    "cached",
    "cache_write",
    "reasoning",
    "cache_write_1h",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name is malformed or stands twice, which a test would have told.
    pub fn new() -> prometheus::Result<Self> {
        let make = Making(Registry::new());
        let calls = make.counters("portolan_calls_total", "Calls by door and how they ended.", &["surface", "outcome"])?;
        let surfaces = doors().map(Some).chain([None]);
        let calls = surfaces.flat_map(|surface| OUTCOMES.map(|outcome| (surface, outcome))).map(|(surface, outcome)| {
            let counter = calls.with_label_values(&[surface.map_or("other", Surface::word), outcome]);
            (surface, outcome, counter)
        });
        let overhead = HistogramOpts::new("portolan_gateway_overhead_seconds", "First byte of an answer, less the wait for providers.")
            .buckets(OVERHEAD_SECONDS.to_vec());
        let overhead_seconds = Histogram::with_opts(overhead)?;
        make.0.register(Box::new(overhead_seconds.clone()))?;
        let build = make.gauges("portolan_build_info", "Always 1; the labels tell the build.", &["version", "catalog"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), catalog::version()]).set(1);
        Ok(Self {
            calls: calls.collect(),
            refusals: make.counters("portolan_refusals_total", "Refusals of the gateway itself, by stable code.", &["code"])?,
            rules_unanswered: make.counters(
                "portolan_rules_unanswered_total",
                "Calls for which the `when` of a rule had no answer, so that it did not fit.",
                &["policy", "why"],
            )?,
            identity_fetches: make.counters(
                "portolan_identity_fetches_total",
                "Tokens and temporary keys that clouds were asked for, by result: ok or a failure class.",
                &["provider", "result"],
            )?,
            call_seconds: make.by_surface("portolan_call_seconds", "Head of a request to the last byte of its answer.")?,
            first_byte_seconds: make.by_surface("portolan_first_byte_seconds", "Head of a request to the first byte of its answer.")?,
            overhead_seconds,
            calls_in_flight: make.gauge("portolan_calls_in_flight", "Calls that run now.")?,
            connections: make.gauge("portolan_connections", "Open connections of clients.")?,
            body_bytes: make.gauge("portolan_body_bytes", "Bytes of request bodies that are kept now.")?,
            spool_bytes: make.gauge("portolan_spool_bytes", "Bytes of forms that are in the spool folder now.")?,
            log_dropped: make.counter("portolan_access_log_dropped_total", "Access log lines that found no room.")?,
            config_sequence: make.gauge("portolan_config_sequence", "Sequence of the configuration in use.")?,
            config_loaded: make.gauge("portolan_config_loaded_timestamp_seconds", "When the configuration in use was taken.")?,
            config_loads: make.counters("portolan_config_loads_total", "Loads of configuration by result.", &["result"])?,
            config_confirmed_age: make.gauges(
                "portolan_config_confirmed_age_seconds",
                "Seconds since the API server last said that the configuration in use is the current one.",
                &[],
            )?,
            config_rejected: make.gauges("portolan_config_rejected_objects", "Objects that are not accepted now, by kind.", &["kind"])?,
            resident: make.gauge("portolan_process_resident_bytes", "Resident memory of the process.")?,
            by_provider: ProviderVecs {
                attempts: make.counters(
                    "portolan_attempts_total",
                    "Attempts at providers by result: ok or a failure class.",
                    &["provider", "result"],
                )?,
                tokens: make.counters(
                    "portolan_tokens_total",
                    "Tokens as providers count them; of prompt and completion the others are parts.",
                    &["provider", "kind"],
                )?,
                units: make.counters(
                    "portolan_units_thousandths_total",
                    "What is not counted in tokens, in thousandths: pictures, seconds of sound, letters spoken, searches.",
                    &["provider", "unit"],
                )?,
                cost: make.counters("portolan_cost_nano_usd_total", "Cost in nano-dollars of all that has a price.", &["provider"])?,
                unpriced: make.counters(
                    "portolan_unpriced_calls_total",
                    "Calls with usage of which something has no sure price.",
                    &["provider"],
                )?,
            },
            providers: RwLock::default(),
            registry: make.0,
        })
    }

    /// The counters of a provider, made when it is first seen and kept over reloads.
    #[must_use]
    pub fn provider(&self, id: &ProviderId) -> Arc<ProviderMeters> {
        if let Some(meters) = self.providers.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return meters.clone();
        }
        let vecs = &self.by_provider;
        let name = id.as_str();
        let meters = Arc::new(ProviderMeters {
            answered: vecs.attempts.with_label_values(&[name, "ok"]),
            failed: FailureClass::ALL.map(|class| (class, vecs.attempts.with_label_values(&[name, class.word()]))).into(),
            tokens: TOKENS.map(|kind| vecs.tokens.with_label_values(&[name, kind])),
            units: Unit::ALL.map(|unit| (unit, vecs.units.with_label_values(&[name, unit.word()]))),
            cost: vecs.cost.with_label_values(&[name]),
            unpriced: vecs.unpriced.with_label_values(&[name]),
        });
        self.providers.write().unwrap_or_else(PoisonError::into_inner).entry(id.clone()).or_insert(meters).clone()
    }

    /// Counts the end of a call.
    pub fn count_call(&self, surface: Option<Surface>, outcome: &'static str, seconds: f64, first_byte: Option<f64>) {
        if let Some((_, _, counter)) = self.calls.iter().find(|(door, end, _)| (*door, *end) == (surface, outcome)) {
            counter.inc();
        }
        let Some(surface) = surface else { return };
        observe(&self.call_seconds, surface, seconds);
        if let Some(first_byte) = first_byte {
            observe(&self.first_byte_seconds, surface, first_byte);
        }
    }

    /// Everything, in Prometheus's text format.
    #[must_use]
    pub fn text(&self) -> String {
        self.resident.set(resident_bytes().and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(0));
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Every door, in the order of the documentation.
fn doors() -> impl Iterator<Item = Surface> {
    Surface::DOORS.into_iter().chain(Surface::SIDE_DOORS)
}

fn observe(histograms: &[(Surface, Histogram)], surface: Surface, seconds: f64) {
    if let Some((_, histogram)) = histograms.iter().find(|(known, _)| *known == surface) {
        histogram.observe(seconds);
    }
}

/// Resident memory as the kernel tells it; `None` where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl ProviderMeters {
    /// An attempt that was answered.
    pub fn attempt_answered(&self) {
        self.answered.inc();
    }

    /// An attempt that failed.
    pub fn attempt_failed(&self, class: FailureClass) {
        if let Some((_, counter)) = self.failed.iter().find(|(known, _)| *known == class) {
            counter.inc();
        }
    }

    /// What a call used and cost, and whether prices are known of all of it.
    pub fn used(&self, usage: &Usage, measured: Option<Measured>, cost_nano_usd: u64, priced: bool) {
        let searches = Measured::whole(Unit::Search, usage.more.searches);
        for Measured { unit, thousandths } in measured.into_iter().chain(searches) {
            if let Some((_, counter)) = self.units.iter().find(|(known, _)| *known == unit) {
                counter.inc_by(thousandths);
            }
        }
        let Usage { prompt, completion, cached, cache_write, reasoning, more } = usage;
        let More { cache_hour, audio_in, audio_out, image_in, image_out, .. } = more;
        let counts = [prompt, completion, cached, cache_write, reasoning, cache_hour, audio_in, audio_out, image_in, image_out];
        self.tokens.iter().zip(counts).filter(|(_, count)| **count > 0).for_each(|(counter, count)| counter.inc_by(*count));
        self.cost.inc_by(cost_nano_usd);
        if !priced {
            self.unpriced.inc();
        }
    }
}
