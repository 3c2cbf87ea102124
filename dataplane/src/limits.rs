//! May they now? Bounds of the process (calls, bytes of bodies and of large answers) and of a key (calls in flight), taken
//! before anything is spent and given back by dropping what was taken.
//!
//! Invariant: every bound is an atomic that only its guard gives back, so that a cancelled call gives back too.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;

use crate::exchange::{Answer, Grant, Refusal, Room};
use crate::live::KeyGauges;

/// After how long a client that met a full process may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An answer of so many bytes needs no room of its own.
const ANSWER_BYTES_FREE: u64 = 64 << 10;

/// What one process holds at most.
#[derive(Debug)]
pub struct Process {
    calls: AtomicU32,
    calls_max: u32,
    body_bytes: AtomicU64,
    body_bytes_max: u64,
    spool_bytes: AtomicU64,
    spool_bytes_max: u64,
}

/// A place among the process's calls, and among the key's. Given back on drop.
#[derive(Debug)]
#[must_use = "a hold that is dropped at once bounds nothing"]
pub struct Hold {
    process: Arc<Process>,
    gauges: Arc<KeyGauges>,
}

/// Bytes that a kept body may take. Given back on drop.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once bounds nothing"]
pub struct BodyPermit {
    process: Arc<Process>,
    gauges: Arc<KeyGauges>,
    bytes: u64,
    /// In the spool, not in memory.
    spooled: u64,
}

impl Process {
    /// Bounds of this process.
    #[must_use]
    pub fn new(calls_max: u32, body_bytes_max: u64) -> Self {
        let (body_bytes, spool_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { calls: AtomicU32::new(0), calls_max, body_bytes, body_bytes_max, spool_bytes, spool_bytes_max: 0 }
    }

    /// With a spool of so many bytes.
    #[must_use]
    pub fn spooling(self, spool_bytes_max: u64) -> Self {
        Self { spool_bytes_max, ..self }
    }

    /// Calls in flight now.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// Bytes of bodies that are kept now.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Relaxed)
    }

    /// Bytes in the spool now.
    #[must_use]
    pub fn spool_bytes(&self) -> u64 {
        self.spool_bytes.load(Relaxed)
    }
}

/// Takes a place for a call.
///
/// # Errors
/// The process or the key is full.
pub fn reserve(process: &Arc<Process>, grant: &Grant) -> Result<Hold, Refusal> {
    let hold = Hold { process: process.clone(), gauges: grant.key.gauges.clone() };
    let calls = process.calls.fetch_add(1, Relaxed);
    let own = hold.gauges.calls.fetch_add(1, Relaxed);
    if calls >= process.calls_max {
        return Err(Refusal::Overloaded { what: "calls", retry_after: RETRY_AFTER });
    }
    match grant.key.key.calls_in_flight_max {
        Some(limit) if own >= limit => Err(Refusal::TooManyInFlight { limit }),
        _ => Ok(hold),
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.process.calls.fetch_sub(1, Relaxed);
        self.gauges.calls.fetch_sub(1, Relaxed);
    }
}

impl Hold {
    /// Takes room for a body before it is read; `bytes` is what its head announces, or 0 when it announces nothing.
    ///
    /// # Errors
    /// The process has no room, or the key has more than half of it.
    pub fn body(&self, bytes: u64) -> Result<BodyPermit, Refusal> {
        let mut permit = BodyPermit { process: self.process.clone(), gauges: self.gauges.clone(), bytes: 0, spooled: 0 };
        permit.grow(bytes)?;
        Ok(permit)
    }
}

impl BodyPermit {
    /// Takes more room, for a body that did not announce its length.
    ///
    /// # Errors
    /// As [`Hold::body`].
    pub fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.bytes += bytes;
        let all = self.process.body_bytes.fetch_add(bytes, Relaxed) + bytes;
        let own = self.gauges.body_bytes.fetch_add(bytes, Relaxed) + bytes;
        let max = self.process.body_bytes_max;
        if all > max || own > max / 2 {
            return Err(Refusal::Overloaded { what: "body_bytes", retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    /// Takes room in the spool.
    ///
    /// # Errors
    /// The spool has no room, or the key has more than half of it.
    pub fn spool(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.spooled += bytes;
        let all = self.process.spool_bytes.fetch_add(bytes, Relaxed) + bytes;
        let own = self.gauges.spool_bytes.fetch_add(bytes, Relaxed) + bytes;
        let max = self.process.spool_bytes_max;
        if all > max || own > max / 2 {
            return Err(Refusal::Overloaded { what: "spool_bytes", retry_after: RETRY_AFTER });
        }
        Ok(())
    }

    /// What it covers of the spool now.
    #[must_use]
    pub fn spooled(&self) -> u64 {
        self.spooled
    }

    /// What it covers now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Room for a large answer, of the same memory as bodies.
#[derive(Debug)]
pub struct AnswerRoom<P> {
    of: P,
    bytes: u64,
    /// For an answer that is no longer small.
    taken: Option<BodyPermit>,
}

impl BodyPermit {
    /// Room for the answer to the call whose body this is.
    #[must_use]
    pub fn answer(&self) -> AnswerRoom<&Self> {
        AnswerRoom { of: self, bytes: 0, taken: None }
    }

    /// Room for the messages of a session, in one direction each.
    #[must_use]
    pub fn messages(self) -> [AnswerRoom<Self>; 2] {
        let other = self.empty();
        [self, other].map(|of| AnswerRoom { of, bytes: 0, taken: None })
    }

    fn empty(&self) -> Self {
        Self { process: self.process.clone(), gauges: self.gauges.clone(), bytes: 0, spooled: 0 }
    }
}

impl<P: Borrow<BodyPermit> + Send> Room for AnswerRoom<P> {
    fn begin(&mut self) {
        self.bytes = 0;
        self.taken = None;
    }

    fn more(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.bytes += bytes;
        if self.bytes <= ANSWER_BYTES_FREE {
            return Ok(());
        }
        let taken = self.taken.get_or_insert_with(|| self.of.borrow().empty());
        taken.grow(self.bytes - taken.bytes)
    }
}

impl<P> AnswerRoom<P> {
    /// Ties what was taken to the answer's bytes: it is given back when the client has them.
    #[must_use]
    pub fn keep(self, answer: Answer) -> Answer {
        match (self.taken, answer) {
            (Some(permit), Answer::Whole(mut whole)) => {
                let body = std::mem::take(&mut whole.body);
                whole.body = Bytes::from_owner(Kept { body, _permit: permit });
                Answer::Whole(whole)
            }
            (_, answer) => answer,
        }
    }
}

struct Kept {
    body: Bytes,
    _permit: BodyPermit,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for BodyPermit {
    fn drop(&mut self) {
        self.process.body_bytes.fetch_sub(self.bytes, Relaxed);
        self.gauges.body_bytes.fetch_sub(self.bytes, Relaxed);
        self.process.spool_bytes.fetch_sub(self.spooled, Relaxed);
        self.gauges.spool_bytes.fetch_sub(self.spooled, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{Just, Strategy, prop_oneof};
    use proptest::{collection, prop_assert, prop_assert_eq, proptest};
    use snapshot::{Allow, Key, KeyId, Owner, TeamName};

    use super::*;
    use crate::live::LiveKey;

    const CALLS_MAX: u32 = 4;
    const KEY_CALLS_MAX: u32 = 2;
    const BYTES_MAX: u64 = 100;

    fn grant(name: &str) -> Grant {
        let key = Key {
            id: KeyId::new("default", name).expect("an id"),
            owner: Owner {
                team: TeamName::new("default").expect("a team"),
                user: None,
                application: None,
                environment: None,
                cost_center: None,
            },
            hashes: BTreeSet::new(),
            allow: Allow::default(),
            expires_at: None,
            suspended: false,
            calls_in_flight_max: Some(KEY_CALLS_MAX),
            policy: None,
        };
        Grant { hash: snapshot::KeyHash([0; 32]), key: Arc::new(LiveKey { key, policy: None, gauges: Arc::default() }) }
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// A call of one of three keys, with a body of so many bytes.
        Begin(usize, u64),
        /// A body that grows.
        Grow(usize, u64),
        /// A call ends, whichever way.
        End(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3_usize, prop_oneof![Just(0), 0..80_u64]).prop_map(|(key, bytes)| Step::Begin(key, bytes)),
            (0..6_usize, 0..40_u64).prop_map(|(call, bytes)| Step::Grow(call, bytes)),
            (0..6_usize).prop_map(Step::End),
        ]
    }

    /// What runs: whose it is and what it holds.
    type Running = Vec<(usize, Hold, BodyPermit)>;

    /// Takes one step; what is refused holds nothing afterwards.
    fn take(step: &Step, process: &Arc<Process>, grants: &[Grant; 3], running: &mut Running) {
        match *step {
            Step::Begin(key, bytes) => {
                if let Ok(hold) = reserve(process, &grants[key])
                    && let Ok(permit) = hold.body(bytes)
                {
                    running.push((key, hold, permit));
                }
            }
            Step::Grow(call, bytes) if call < running.len() => {
                if running[call].2.grow(bytes).is_err() {
                    drop(running.remove(call));
                }
            }
            Step::End(call) if call < running.len() => drop(running.remove(call)),
            Step::Grow(..) | Step::End(_) => {}
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_and_nothing_is_lost_whatever_calls_come_grow_and_end(steps in collection::vec(step(), 0..60)) {
            let process = Arc::new(Process::new(CALLS_MAX, BYTES_MAX));
            let grants = ["a", "b", "c"].map(grant);
            let mut running = Running::new();
            for step in &steps {
                take(step, &process, &grants, &mut running);
                let bytes = |key: Option<usize>| -> u64 {
                    running.iter().filter(|(owner, ..)| key.is_none_or(|key| *owner == key)).map(|(.., permit)| permit.bytes()).sum()
                };
                prop_assert_eq!((process.calls() as usize, process.body_bytes()), (running.len(), bytes(None)));
                prop_assert!(process.calls() <= CALLS_MAX && process.body_bytes() <= BYTES_MAX);
                for (place, grant) in grants.iter().enumerate() {
                    let own = running.iter().filter(|(owner, ..)| *owner == place).count();
                    prop_assert_eq!(grant.key.gauges.calls.load(Relaxed) as usize, own);
                    prop_assert_eq!(grant.key.gauges.body_bytes.load(Relaxed), bytes(Some(place)));
                    prop_assert!(own <= KEY_CALLS_MAX as usize && bytes(Some(place)) <= BYTES_MAX / 2);
                }
            }
            drop(running);
            prop_assert_eq!((process.calls(), process.body_bytes()), (0, 0));
        }
    }
}
