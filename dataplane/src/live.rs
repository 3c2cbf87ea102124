//! A snapshot made quick to ask: look-ups by hash and by name, headers made once, prices resolved once.
//!
//! Built off the hot path and swapped whole. A call takes one [`Arc<Live>`] at its start and sees nothing else.
//! Invariant: no look-up of a call costs more when there are more keys, policies or tenants.

mod identity;
mod index;
mod known;
mod paths;
mod policy;
mod prices;
mod provider;
mod speaks;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use arc_swap::ArcSwapOption;
use snapshot::{Credentials, Gateway, Key, KeyHash, PolicyId, Snapshot};
use tokio::sync::watch;

pub use identity::{Failed, LiveIdentity, Proof, Shown};
pub use index::{Candidate, Models};
pub use known::Known;
pub use policy::{LivePolicy, LiveRule, When};
pub use provider::{LiveProvider, Origin, Origins};

/// Which configuration: a sequence that grows with each change in this process or cluster, and the digest's first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Grows by one.
    pub sequence: u64,
    /// `<sequence>-<8 hex digits>`, as logs and statuses show it.
    pub text: Arc<str>,
}

impl Revision {
    /// From a sequence and the hex digest.
    #[must_use]
    pub fn new(sequence: u64, digest: &str) -> Self {
        let short: String = digest.chars().take(8).collect();
        Self { sequence, text: format!("{sequence}-{short}").into() }
    }
}

/// What a key holds of this process right now. Shared with the same key of other revisions.
#[derive(Debug, Default)]
pub struct KeyGauges {
    /// Calls that run.
    pub calls: AtomicU32,
    /// Bytes of request bodies that are kept.
    pub body_bytes: AtomicU64,
    /// Bytes of them in the spool.
    pub spool_bytes: AtomicU64,
}

/// One key with what must outlive a reload: its gauges.
#[derive(Debug)]
pub struct LiveKey {
    /// As compiled.
    pub key: Key,
    /// The policy that it names, joined.
    pub policy: Option<Arc<LivePolicy>>,
    /// What it holds right now.
    pub gauges: Arc<KeyGauges>,
}

/// Everything a call asks of the configuration.
#[derive(Debug)]
pub struct Live {
    /// Which configuration.
    pub revision: Revision,
    /// The gateway itself.
    pub gateway: Gateway,
    /// Which models can be named by whom.
    pub models: Models,
    keys: HashMap<KeyHash, Arc<LiveKey>>,
    policies: HashMap<PolicyId, Arc<LivePolicy>>,
}

impl Live {
    /// Joins a snapshot with its credentials. What must survive a reload (origins of connections, counts of calls in
    /// flight) is taken over from `previous`, and so is what was made of a policy that stays the same.
    #[must_use]
    pub fn build(revision: Revision, snapshot: &Snapshot, credentials: &Credentials, origins: &Origins, previous: Option<&Self>) -> Self {
        let providers = snapshot
            .providers
            .values()
            .map(|provider| Arc::new(LiveProvider::build(provider, credentials, origins, &snapshot.gateway.egress)))
            .collect();
        let policies: HashMap<PolicyId, Arc<LivePolicy>> = snapshot
            .policies
            .iter()
            .map(|(id, policy)| {
                let before = previous.and_then(|live| live.policies.get(id)).filter(|before| before.policy == **policy);
                (id.clone(), before.cloned().unwrap_or_else(|| Arc::new(LivePolicy::build(policy))))
            })
            .collect();
        let mut keys = HashMap::with_capacity(snapshot.keys.len());
        for key in snapshot.keys.values() {
            let before = previous.and_then(|live| key.hashes.iter().find_map(|hash| live.keys.get(hash)));
            let gauges = before.filter(|before| before.key.id == key.id).map(|before| before.gauges.clone());
            let live = Arc::new(LiveKey {
                // Found by its hashes and never asked for them: they would be the larger half of it.
                key: Key { hashes: BTreeSet::new(), ..Key::clone(key) },
                policy: key.policy.as_ref().and_then(|id| policies.get(id).cloned()),
                gauges: gauges.unwrap_or_default(),
            });
            for hash in &key.hashes {
                keys.insert(*hash, live.clone());
            }
        }
        Self { revision, gateway: snapshot.gateway.clone(), models: Models::build(providers), keys, policies }
    }

    /// The key whose text has this hash.
    #[must_use]
    pub fn key(&self, hash: &KeyHash) -> Option<&Arc<LiveKey>> {
        self.keys.get(hash)
    }

    /// Ids of the keys, in no order. Off the hot path.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.values().map(|key| key.key.id.as_str())
    }
}

/// Where the current [`Live`] hangs; swapped whole.
#[derive(Debug, Default)]
pub struct LiveHandle {
    live: ArcSwapOption<Live>,
    changed: watch::Sender<()>,
}

impl LiveHandle {
    /// The current configuration; `None` before the first has come.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// Puts a new configuration in the place of the current one. Calls under way keep theirs.
    pub fn swap(&self, live: Live) {
        self.live.store(Some(Arc::new(live)));
        self.changed.send_replace(());
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
