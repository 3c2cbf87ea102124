//! Who leads: one holder of a Lease at a time. The Lease is politeness; safety is in the resource versions that
//! [`crate::publish`] writes with.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::clock::{self, Instant};

/// So long after the last renewal that it saw may another take over.
pub const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long takes its term for over. Less than [`DURATION`].
const DEADLINE: Duration = Duration::from_secs(10);
const RENEW_EVERY: Duration = Duration::from_secs(5);
const RETRY_EVERY: Duration = Duration::from_secs(2);
const REQUEST_MAX: Duration = Duration::from_secs(4);

/// A time of leading. Whoever writes asks it first.
#[derive(Debug, Clone)]
pub struct Term {
    until: Arc<Mutex<Instant>>,
    ended: watch::Sender<bool>,
}

/// A term is over; who held it must write no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the term as leader is over")]
pub struct TermOver;

impl Term {
    /// A term that begins now.
    #[must_use]
    pub fn begun(at: Instant) -> Self {
        Self { until: Arc::new(Mutex::new(at + DEADLINE)), ended: watch::Sender::new(false) }
    }

    /// Whether it goes on.
    ///
    /// # Errors
    /// It is over.
    pub fn check(&self) -> Result<(), TermOver> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.ended.borrow() || clock::now() >= until { Err(TermOver) } else { Ok(()) }
    }

    /// Ends it: another wrote where only the leader writes.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits for [`Self::end`].
    pub async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender lives in self: an error cannot come.
        drop(ended.wait_for(|ended| *ended).await);
    }

    fn renewed(&self, at: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = at + DEADLINE;
    }
}

/// What to do about a Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is none.
    Create,
    /// It is free, run out or our own.
    Take,
    /// Another holds it.
    Wait,
}

/// Decides by what was seen here, never by another machine's clock: `unchanged_for` is how long the Lease has stood as it
/// stands.
#[must_use]
pub fn decide(lease: Option<&LeaseSpec>, me: &str, unchanged_for: Duration) -> Step {
    let Some(lease) = lease else { return Step::Create };
    let holder = lease.holder_identity.as_deref().unwrap_or_default();
    let told = lease.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DURATION, Duration::from_secs);
    if holder.is_empty() || holder == me || unchanged_for >= told { Step::Take } else { Step::Wait }
}

/// One that would lead.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    me: String,
    /// The resource version last seen, and since when.
    seen: Option<(String, Instant)>,
}

impl Candidate {
    /// Would lead under the name `me`, which no other may have.
    #[must_use]
    pub fn new(api: Api<Lease>, name: String, me: String) -> Self {
        Self { api, name, me, seen: None }
    }

    /// Waits until it leads.
    pub async fn elected(&mut self) -> Term {
        loop {
            let asked = clock::now();
            match timeout(REQUEST_MAX, self.attempt()).await {
                Ok(Ok(true)) => return Term::begun(asked),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the Lease cannot be read or written"),
                Err(_) => tracing::warn!(lease = self.name, "the API server does not answer"),
            }
            sleep(RETRY_EVERY).await;
        }
    }

    /// Renews until the term is over.
    pub async fn renew(&mut self, term: &Term) {
        let mut next = RENEW_EVERY;
        while term.check().is_ok() {
            tokio::select! {
                () = term.ended() => return,
                () = sleep(next) => {}
            }
            let asked = clock::now();
            next = RETRY_EVERY;
            match timeout(REQUEST_MAX, self.attempt()).await {
                Ok(Ok(true)) => {
                    term.renewed(asked);
                    next = RENEW_EVERY;
                }
                Ok(Ok(false)) => return term.end(),
                Ok(Err(error)) => tracing::warn!(%error, lease = self.name, "the Lease was not renewed"),
                Err(_) => tracing::warn!(lease = self.name, "the Lease was not renewed: the API server does not answer"),
            }
        }
        term.end();
    }

    /// Lets another lead at once.
    pub async fn release(&mut self) {
        match timeout(REQUEST_MAX, self.give_back()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the Lease was not given back"),
            Err(_) => tracing::info!("the Lease was not given back: the API server does not answer"),
        }
    }

    /// Reads it first: a renewal may have been under way when this process was asked to leave.
    async fn give_back(&self) -> Result<(), kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        if let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.me)) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.api.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }

    /// True when the Lease is ours now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        let version = found.as_ref().and_then(|lease| lease.metadata.resource_version.clone()).unwrap_or_default();
        let now = clock::now();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.seen = Some((version, now));
        }
        let unchanged_for = self.seen.as_ref().map_or(Duration::ZERO, |(_, since)| now.duration_since(*since));
        let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let written = match decide(spec.as_ref(), &self.me, unchanged_for) {
            Step::Wait => return Ok(false),
            Step::Create => self.api.create(&PostParams::default(), &self.held(None)).await,
            Step::Take => self.api.replace(&self.name, &PostParams::default(), &self.held(found)).await,
        };
        match written {
            Ok(_) => Ok(true),
            // Another was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The Lease, held by us from now.
    fn held(&self, found: Option<Lease>) -> Lease {
        let now = MicroTime(clock::timestamp());
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut lease = found.unwrap_or_else(|| Lease { metadata, spec: None });
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if spec.holder_identity.as_deref() != Some(&self.me) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(self.me.clone());
        spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
        spec.renew_time = Some(now);
        lease
    }
}
