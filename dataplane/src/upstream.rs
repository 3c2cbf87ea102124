//! Walks a plan until a provider answers: connect, send, read the first event, classify, go on to the next target.
//!
//! Invariants: nothing is tried again once a byte of an answer is the client's; a credential goes to its provider's
//! origin and nowhere else; dropping what this room returns cancels the call.

mod attempt;
mod classify;
mod connection;
pub mod dial;
mod dress;
pub mod egress;
mod identity;
mod pieces;
mod played;
mod pool;
mod raw;
mod scripted;
mod session;
mod stored;
mod through;
pub mod tls;
mod unread;
mod waits;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use providers::count;
use providers::fault::Fault;
use providers::passage::{CannotSay, Passage, Target};

use snapshot::Surface;

use self::dress::Dress;
use self::pieces::Sent;
use self::stored::OwnersNames;
use crate::clock::Clock;
use crate::exchange::{Answer, Attempt, Body, Call, Plan, Refusal, Room};
use crate::telemetry::metrics::Metrics;

pub use attempt::Headers;
pub use dial::Dial;
pub use pool::Pool;

/// One core's way out.
pub struct Upstream {
    dial: Arc<dyn Dial>,
    pool: Pool,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// What the attempts of a call came to, answered or not; read by the receipt.
#[derive(Debug, Default)]
pub struct Trace {
    /// The last attempt.
    pub attempt: Option<Attempt>,
    /// How many there were.
    pub attempts: u32,
    /// Whether the last one was translated.
    pub translated: bool,
    /// Fields that the last one left out because the target cannot be told them.
    pub dropped: String,
    /// Spent waiting for providers.
    pub wait: Duration,
    /// What went wrong, for our log.
    pub detail: Option<String>,
}

/// Why one attempt gave no answer.
#[derive(Debug)]
struct Failure {
    fault: Box<Fault>,
    status: Option<u16>,
    retry_after: Option<Duration>,
    verbatim: Option<bytes::Bytes>,
    detail: String,
    /// The fault is ours: the answer found no room here.
    full: Option<Box<Refusal>>,
}

impl Upstream {
    /// A way out with an empty pool.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { dial, pool: Pool::default(), clock, metrics }
    }

    /// Closes idle connections that are too old; called now and then by the core.
    pub fn sweep(&self) {
        self.pool.sweep(self.clock.now());
    }

    /// Tries the plan's targets in order until one answers.
    ///
    /// # Errors
    /// The last failure, or that no target can take what the call says.
    pub async fn run(
        &self,
        plan: &Plan,
        call: &Call,
        headers: &Headers,
        room: &mut dyn Room,
        trace: &mut Trace,
    ) -> Result<Answer, Refusal> {
        if let Some(through) = &call.through {
            return Box::pin(self.through(plan, call, through, headers, trace)).await;
        }
        if let Some(stored) = &call.stored {
            return Box::pin(self.stored(plan, call, stored, (headers, room), trace)).await;
        }
        let mut last = None;
        for (place, attempt) in plan.attempts.iter().enumerate() {
            if let (Surface::CountTokens, Body::Here(body), false) = (call.surface, &call.body, attempt.provider.counts_tokens()) {
                trace.attempt = Some(attempt.clone());
                return Ok(Answer::Whole(Box::new(count::estimate(body))));
            }
            let provider = &attempt.provider;
            let target = Target { speaks: provider.speaks(&attempt.model), ..Target::of(&provider.provider) };
            let passage = match passage(call, &target, &attempt.model) {
                Ok(mut passage) => {
                    // What the gateway plays itself is kept nowhere.
                    if let (Some(seals), Some(_)) = (&call.seals, &provider.origin) {
                        passage.seal(Arc::new(OwnersNames { seals: seals.clone(), place: provider.place }));
                    }
                    passage
                }
                Err(why) => {
                    last.get_or_insert_with(|| cannot_say(call, attempt, &why));
                    continue;
                }
            };
            let dress = match Dress::of(&attempt.provider.provider.kind, &attempt.model, &passage, headers) {
                Ok(dress) => dress,
                Err(why) => {
                    last.get_or_insert_with(|| cannot_say(call, attempt, &why));
                    continue;
                }
            };
            trace.attempt = Some(attempt.clone());
            trace.attempts += 1;
            trace.translated = matches!(passage, Passage::Translated(_)) || matches!(dress, Dress::Embeddings(_));
            trace.dropped = passage.dropped().join(", ");
            let began = self.clock.now();
            room.begin();
            let sent = sent(call, &passage, &dress);
            let tried = self.attempt(attempt, (&passage, &dress, sent), call.head.stream, headers, room).await;
            trace.wait += self.clock.now() - began;
            let meters = self.metrics.provider(&attempt.provider.provider.id);
            let failure = match tried {
                Ok(answer) => {
                    meters.attempt_answered();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            trace.detail = Some(failure.detail.clone());
            if let Some(full) = failure.full {
                return Err(*full);
            }
            meters.attempt_failed(failure.fault.class);
            let again = place + 1 < plan.attempts.len() && plan.fallback_on.contains(&failure.fault.class);
            last = Some(failure.into_refusal(attempt));
            if !again {
                break;
            }
        }
        Err(last.unwrap_or(Refusal::NotReady))
    }
}

impl Failure {
    fn into_refusal(self, attempt: &Attempt) -> Refusal {
        let provider = attempt.provider.provider.id.name().to_owned();
        let Self { fault, status, retry_after, verbatim, detail: _, full: _ } = self;
        Refusal::Upstream { provider, fault, status, retry_after, verbatim }
    }
}

fn passage(call: &Call, target: &Target<'_>, model: &str) -> Result<Passage, CannotSay> {
    match &call.body {
        Body::Here(body) => Passage::toward(call.surface, target, &call.head, body, model),
        Body::Form(form) => Passage::form(call.surface, target, &form.form, model),
    }
}

fn sent<'a>(call: &'a Call, passage: &'a Passage, dress: &'a Dress) -> Sent<'a> {
    match &call.body {
        Body::Here(_) => Sent::Pieces(dress.body(passage)),
        Body::Form(form) => Sent::Form(form, passage.splices()),
    }
}

fn cannot_say(call: &Call, attempt: &Attempt, why: &CannotSay) -> Refusal {
    let field = match why {
        CannotSay::Field { field, .. } => Some(field.clone()),
        CannotSay::Surface { .. } => None,
    };
    let provider = attempt.provider.provider.id.name();
    let why = format!("provider `{provider}` cannot take this call: {why}");
    Refusal::CannotSay { model: call.head.model.clone(), surface: call.surface, why, field }
}
