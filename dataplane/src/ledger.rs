//! What a call came to: one receipt, written as one line of JSON and counted. Content is never part of it.

mod price;
mod receipt;

use std::sync::Arc;

use crate::exchange::{Ending, Outcome};
use crate::telemetry::log::AccessLog;
use crate::telemetry::metrics::Metrics;

pub use price::{Cost, cost};
pub use receipt::{FIELDS, Receipt};

/// Where receipts go.
#[derive(Debug)]
pub struct Books {
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// Lines.
    pub log: AccessLog,
}

/// Closes a call in the books.
pub fn close(books: &Books, outcome: &Outcome) {
    let receipt = Receipt::of(outcome);
    let metrics = &books.metrics;
    let first_byte = outcome.first_byte.map(|first| first.as_secs_f64());
    metrics.count_call(outcome.surface, receipt.outcome, outcome.total.as_secs_f64(), first_byte);
    if let Some(first) = outcome.first_byte {
        metrics.overhead_seconds.observe(first.saturating_sub(outcome.upstream_wait).as_secs_f64());
    }
    if let Ending::Refused(code) = outcome.ending {
        metrics.refusals.with_label_values(&[code]).inc();
    }
    if let Some(attempt) = &outcome.attempt
        && (outcome.usage.is_some() || outcome.measured.is_some())
    {
        let usage = outcome.usage.unwrap_or_default();
        metrics.provider(&attempt.provider.provider.id).used(
            &usage,
            outcome.measured,
            receipt.cost.map_or(0, |cost| cost.0),
            receipt.priced,
        );
    }
    if let (Some(unanswered), Some(policy)) = (&outcome.unanswered, outcome.key.as_ref().and_then(|key| key.key.policy.as_ref())) {
        metrics.rules_unanswered.with_label_values(&[policy.as_str(), unanswered.why]).inc();
    }
    books.log.line(|line| receipt.write(line));
}
