//! What unchanged objects compiled to the last time. It is taken over when the object is the very one, and all else that
//! its compilation looked at is the same.
//!
//! A memo holds the objects that it is about, so no other can come to stand in their place in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use snapshot::{Key, RoutingPolicy};

use super::{Accepted, Compiled};
use crate::api::routing_policy as api;
use crate::api::virtual_key::VirtualKey;
use crate::report::{ObjectId, Report};
use crate::world::{Entries, Name, World};

/// An object and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Kept<O, T> {
    pub(super) id: Arc<ObjectId>,
    pub(super) object: Arc<O>,
    /// The Secret that was looked at, and whether it was there.
    pub(super) secret: Option<(Name, Option<Arc<Entries>>)>,
    /// What it gave, when it was accepted.
    pub(super) made: Option<T>,
    pub(super) report: Arc<Report>,
}

/// A key, and the gateway that it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) gateway: Arc<Name>,
    pub(super) key: Arc<Key>,
}

pub(super) type KeptKey = Kept<VirtualKey, Made>;
pub(super) type KeptPolicy = Kept<api::RoutingPolicy, Arc<RoutingPolicy>>;

/// All objects of a compilation that are remembered, by name, and what of its world is not remembered elsewhere.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    pub(super) policies: Vec<Arc<KeptPolicy>>,
    pub(super) keys: Vec<Arc<KeptKey>>,
    pub(super) cluster: bool,
    pub(super) denied: BTreeSet<String>,
}

/// The last compilation, as far as this one may take things over.
#[derive(Clone, Copy)]
pub(super) struct Recall<'a>(Option<&'a Compiled>);

/// What all keys look at.
pub(super) struct Ground<'a> {
    /// Which gateways admit and grant what, and how the world is read.
    same: bool,
    providers: bool,
    /// Policies that are there now and were not, or the reverse.
    policies: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Recall<'a> {
    pub(super) fn of(previous: Option<&'a Compiled>) -> Self {
        Self(previous)
    }

    pub(super) fn policies(self) -> Along<'a, api::RoutingPolicy, Arc<RoutingPolicy>> {
        Along(self.0.map(|previous| previous.memo.policies.as_slice()).unwrap_or_default())
    }

    pub(super) fn keys(self) -> Along<'a, VirtualKey, Made> {
        Along(self.0.map(|previous| previous.memo.keys.as_slice()).unwrap_or_default())
    }

    /// Whether there are the same providers, shared with the same namespaces: all that others look at of them.
    pub(super) fn same_providers(self, now: &Accepted) -> bool {
        self.0.is_some_and(|previous| {
            let (before, now) = (previous.accepted.providers.iter(), now.providers.iter());
            before.map(|(name, built)| (name, &built.shared_with)).eq(now.map(|(name, built)| (name, &built.shared_with)))
        })
    }

    /// What changed of the ground on which all keys stand.
    pub(super) fn ground<'n>(self, world: &World, now: &'n Accepted) -> Ground<'n>
    where
        'a: 'n,
    {
        let Some(previous) = self.0 else { return Ground { same: false, providers: false, policies: BTreeSet::new() } };
        let (before, memo) = (&previous.accepted, &previous.memo);
        let gateways = |accepted: &'n Accepted| {
            accepted.gateways.iter().map(|(name, gateway)| (name, &gateway.spec.allowed_namespaces, &gateway.spec.teams))
        };
        let mut policies = BTreeSet::new();
        if !before.policies.keys().eq(now.policies.keys()) {
            let came = now.policies.keys().filter(|name| !before.policies.contains_key(*name));
            let went = before.policies.keys().filter(|name| !now.policies.contains_key(*name));
            policies.extend(came.chain(went).map(|(namespace, name)| (namespace.as_str(), name.as_str())));
        }
        Ground {
            same: gateways(before).eq(gateways(now)) && memo.cluster == world.cluster && memo.denied == world.denied,
            providers: self.same_providers(now),
            policies,
        }
    }
}

impl Ground<'_> {
    /// Whether a key compiles to the same, as far as others than itself and its Secret are concerned.
    fn bears(&self, key: &KeptKey) -> bool {
        let spec = &key.object.spec;
        let policy = spec.routing_policy_ref.as_ref().map(|wanted| {
            let namespace = wanted.namespace.as_deref().unwrap_or(&key.id.namespace);
            (namespace, wanted.name.as_str())
        });
        self.same
            && (self.providers || spec.allow.providers.is_none())
            && (self.policies.is_empty() || policy.is_none_or(|policy| !self.policies.contains(&policy)))
    }

    /// Whether what a key compiled to is what it would compile to.
    pub(super) fn keeps(&self, key: &KeptKey, world: &World) -> bool {
        let same_secret = key.secret.as_ref().is_none_or(|(name, before)| match (before, world.secrets.get(name)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        });
        same_secret && self.bears(key)
    }
}

/// Goes through the objects of the last compilation beside those of this one; both are in the order of their names.
pub(super) struct Along<'a, O, T>(&'a [Arc<Kept<O, T>>]);

impl<'a, O, T> Along<'a, O, T> {
    /// What is remembered of this very object. To be asked in the order of names.
    pub(super) fn find(&mut self, name: &Name, object: &Arc<O>) -> Option<&'a Arc<Kept<O, T>>> {
        while let Some((first, rest)) = self.0.split_first() {
            let order = (&first.id.namespace, &first.id.name).cmp(&(&name.0, &name.1));
            if order.is_gt() {
                return None;
            }
            self.0 = rest;
            if order.is_eq() {
                return Some(first).filter(|kept| Arc::ptr_eq(&kept.object, object));
            }
        }
        None
    }
}
