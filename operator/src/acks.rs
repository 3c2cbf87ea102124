//! What the pods serve, by their own word: asked only while some ready pod is not known to serve what is published.

mod ask;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crds::report::ObjectId;
use crds::world::Name;
use futures::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::gather::{Gather, Pod};

pub use ask::Answer;

/// The admin port of a gateway's pods.
pub const ADMIN_PORT: u16 = 9090;
/// Pods that a status names at most.
const LAGGING_MAX: usize = 10;
/// The first and the longest pause between two rounds.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
const AT_ONCE: usize = 32;

/// What was published for a gateway, and what its pods answered.
#[derive(Default)]
pub struct Acks {
    heard: Mutex<Heard>,
    /// For the story: something was heard.
    bell: Notify,
    /// For the asker: something new is published.
    aimed: Notify,
}

#[derive(Default)]
struct Heard {
    targets: BTreeMap<Name, u64>,
    /// By the pods' UIDs.
    answers: BTreeMap<String, Answer>,
}

/// How far the pods of a gateway are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Ready pods.
    pub ready: usize,
    /// Of those, the ones that serve what is published.
    pub serving: usize,
    /// What every ready pod serves at least; None without one.
    pub floor: Option<u64>,
    /// Ready pods that serve something older.
    pub lagging: Vec<String>,
    /// Objects that ready pods refuse, and what the first of them says.
    pub rejected: BTreeMap<ObjectId, String>,
}

impl Acks {
    /// Notes what is published for a gateway.
    pub fn aim(&self, gateway: &Name, sequence: u64) {
        let before = self.look(|heard| heard.targets.insert(gateway.clone(), sequence));
        if before != Some(sequence) {
            self.aimed.notify_one();
        }
    }

    /// Forgets gateways that are no more.
    pub fn forget(&self, keep: impl Fn(&Name) -> bool) {
        self.look(|heard| heard.targets.retain(|gateway, _| keep(gateway)));
    }

    /// Waits until something was heard since the last time.
    pub async fn changed(&self) {
        self.bell.notified().await;
    }

    /// How far the pods of a gateway are.
    #[must_use]
    pub fn standing<'a>(&self, gateway: &Name, pods: impl Iterator<Item = (&'a Name, &'a Pod)>) -> Standing {
        self.look(|heard| {
            let target = heard.targets.get(gateway).copied().unwrap_or(0);
            let mut standing = Standing::default();
            for (name, pod) in pods.filter(|(_, pod)| pod.gateway == *gateway && pod.ready) {
                let answer = heard.answers.get(&pod.uid);
                let sequence = answer.map_or(0, |answer| answer.sequence);
                standing.ready += 1;
                standing.floor = Some(standing.floor.map_or(sequence, |floor| floor.min(sequence)));
                if sequence >= target && target > 0 {
                    standing.serving += 1;
                } else if standing.lagging.len() < LAGGING_MAX {
                    standing.lagging.push(name.1.clone());
                }
                for (id, why) in answer.into_iter().flat_map(|answer| &answer.rejected) {
                    standing.rejected.entry(id.clone()).or_insert_with(|| why.clone());
                }
            }
            standing
        })
    }

    /// A pod of a gateway that does not read bundles of this schema, if one said so.
    #[must_use]
    pub fn unread_by<'a>(&self, gateway: &Name, pods: impl Iterator<Item = (&'a Name, &'a Pod)>, schema: u32) -> Option<String> {
        self.look(|heard| {
            let mut pods = pods.filter(|(_, pod)| pod.gateway == *gateway);
            let unread = |pod: &Pod| heard.answers.get(&pod.uid).is_some_and(|answer| !answer.reads(schema));
            pods.find(|(_, pod)| unread(pod)).map(|(name, _)| name.1.clone())
        })
    }

    /// Asks until nobody listens any more.
    pub async fn follow(&self, gather: &Gather) {
        let mut rounds = 0;
        loop {
            let lagging = self.lagging(gather);
            let idle = lagging.is_empty();
            if self.round(lagging).await {
                rounds = 0;
            }
            let pause = PAUSE.0.saturating_mul(1 << rounds.min(10)).min(PAUSE.1);
            rounds += 1;
            tokio::select! {
                () = sleep(pause), if !idle => {}
                () = self.aimed.notified() => rounds = 0,
                () = gather.pods_changed() => {
                    rounds = 0;
                    self.bell.notify_one();
                }
            }
        }
    }

    /// Asks every pod once: what it reads must be known before anything is written.
    pub async fn greet(&self, gather: &Gather) {
        let all = gather.look(|seen| seen.pods.values().filter_map(address).collect());
        self.round(all).await;
    }

    /// Pods to be asked: ready ones that are not known to serve what is published. Forgets those that are gone.
    fn lagging(&self, gather: &Gather) -> Vec<(String, SocketAddr)> {
        gather.look(|seen| {
            self.look(|heard| {
                let alive: BTreeSet<&String> = seen.pods.values().map(|pod| &pod.uid).collect();
                heard.answers.retain(|uid, _| alive.contains(uid));
                let lags = |pod: &&Pod| {
                    let target = heard.targets.get(&pod.gateway);
                    pod.ready && target.is_some_and(|target| heard.answers.get(&pod.uid).is_none_or(|answer| answer.sequence < *target))
                };
                seen.pods.values().filter(lags).filter_map(address).collect()
            })
        })
    }

    /// Asks these pods; true when one of them has a new answer.
    async fn round(&self, pods: Vec<(String, SocketAddr)>) -> bool {
        let mut answers =
            stream::iter(pods).map(|(uid, address)| async move { (uid, ask::config(address).await) }).buffer_unordered(AT_ONCE);
        let mut changed = false;
        while let Some((uid, answer)) = answers.next().await {
            match answer {
                Ok(answer) => {
                    let new = self.look(|heard| heard.answers.insert(uid, answer.clone()).as_ref() != Some(&answer));
                    if new {
                        changed = true;
                        self.bell.notify_one();
                    }
                }
                Err(error) => tracing::debug!(%error, uid, "a pod does not tell what it serves"),
            }
        }
        changed
    }

    fn look<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn address(pod: &Pod) -> Option<(String, SocketAddr)> {
    let address = pod.address.as_ref()?.parse().ok()?;
    Some((pod.uid.clone(), SocketAddr::new(address, ADMIN_PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(uid: &str, ready: bool) -> (Name, Pod) {
        let text = str::to_owned;
        let gateway = (text("team"), text("main"));
        let pod = Pod { gateway, uid: text(uid), address: Some(text("10.0.0.1")), ready };
        ((text("team"), format!("main-{uid}")), pod)
    }

    fn acks(answers: &[(&str, u64)]) -> (Acks, Name) {
        let (acks, gateway) = (Acks::default(), ("team".to_owned(), "main".to_owned()));
        acks.aim(&gateway, 7);
        acks.look(|heard| {
            for (uid, sequence) in answers {
                heard.answers.insert((*uid).to_owned(), Answer { sequence: *sequence, schemas: [1, 1], rejected: BTreeMap::new() });
            }
        });
        (acks, gateway)
    }

    #[test]
    fn all_ready_pods_count_and_those_that_lag_are_named() {
        let pods = BTreeMap::from([pod("a", true), pod("b", true), pod("c", true), pod("leaving", false)]);
        let (acks, gateway) = acks(&[("a", 7), ("b", 6), ("leaving", 1)]);
        let standing = acks.standing(&gateway, pods.iter());
        assert_eq!((standing.ready, standing.serving, standing.floor), (3, 1, Some(0)), "one that never answered serves nothing");
        assert_eq!(standing.lagging, ["main-b", "main-c"]);
        let stranger = ("team".to_owned(), "other".to_owned());
        assert_eq!(acks.standing(&stranger, pods.iter()), Standing::default());
    }

    #[test]
    fn a_schema_is_written_only_when_every_pod_that_said_so_reads_it() {
        let pods = BTreeMap::from([pod("a", true), pod("b", false)]);
        let (acks, gateway) = acks(&[("a", 7), ("b", 7)]);
        assert_eq!(acks.unread_by(&gateway, pods.iter(), 1), None);
        assert_eq!(acks.unread_by(&gateway, pods.iter(), 2), Some("main-a".to_owned()));
        acks.look(|heard| heard.answers.clear());
        assert_eq!(acks.unread_by(&gateway, pods.iter(), 2), None, "nobody said anything");
    }
}
