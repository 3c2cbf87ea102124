//! The objects of a bundle as they were found somewhere, and what they say.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use snapshot::GatewayId;
use snapshot::bundle::{self, Because, EntryKind, Index, Joined, Refused, Torn};

use super::{Loaded, ObjectReport, Place};

/// An index and the parts that lay beside it. Nothing of it is verified yet.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Objects {
    /// The index's bytes.
    pub index: Bytes,
    /// The bytes of parts, by the names of their objects.
    pub parts: BTreeMap<String, Bytes>,
}

impl fmt::Debug for Objects {
    /// Never the bytes: some are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("index", &self.index.len()).field("parts", &self.parts.keys()).finish()
    }
}

impl Objects {
    /// The index, verified.
    pub(super) fn index(&self, gateway: &GatewayId) -> Result<Index, Torn> {
        Index::parse(gateway, &self.index)
    }

    /// All of it, verified.
    pub(super) fn join(&self, gateway: &GatewayId) -> Result<Joined, Torn> {
        bundle::join(gateway, &self.index, |name, _| self.parts.get(name))
    }

    /// Leaves out what the index does not name.
    pub(super) fn keep_named(&mut self, index: &Index) {
        let named: Vec<String> = index.part_names().map(|(_, name)| name).collect();
        self.parts.retain(|name, _| named.contains(name));
    }
}

/// A bundle that is whole, as a configuration.
pub(super) fn loaded(joined: Joined, place: Place) -> Loaded {
    let Joined { index, snapshot, credentials, refused } = joined;
    let reports = refused.iter().map(report).collect();
    Loaded { snapshot, credentials, digest: index.digest, sequence: Some(index.sequence), place, reports }
}

fn report(refused: &Refused) -> ObjectReport {
    let (namespace, name) = refused.id.split_once('/').unwrap_or(("", &refused.id));
    let reason = match &refused.because {
        Because::Requires(_) => "RequiresUpgrade",
        Because::Needs { .. } => "NeedsRefused",
    };
    ObjectReport {
        kind: kind_word(EntryKind::from_word(&refused.kind)).to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
        message: refused.to_string(),
        served: false,
    }
}

/// The kind as people write it; a newer operator's own kinds share one word, for it labels a metric.
fn kind_word(kind: Option<EntryKind>) -> &'static str {
    match kind {
        Some(EntryKind::Gateway) => "LLMGateway",
        Some(EntryKind::Provider | EntryKind::Credential) => "LLMProvider",
        Some(EntryKind::Key) => "VirtualKey",
        Some(EntryKind::Policy) => "RoutingPolicy",
        None => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use crds::compile::compile;
    use crds::world::World;

    use super::*;

    #[test]
    fn each_entry_that_is_refused_is_told_with_its_kind_and_the_way_out() {
        let mut compiled = compile(&World::parse([("a.yaml", "")]), None);
        let (gateway, config) = compiled.gateways.pop_first().expect("the implied gateway");
        let index = bundle::publish(None, &config.snapshot, &config.credentials).expect("it fits").index;
        let refused = |kind: &str, id: &str, because| Refused { kind: kind.to_owned(), id: id.to_owned(), because };
        let needs = Because::Needs { kind: EntryKind::Policy, id: "team/rules".to_owned() };
        let refused = vec![
            refused("policy", "team/rules", Because::Requires(vec!["hedging".to_owned()])),
            refused("key", "team/one", needs),
            refused("budget", "team/much", Because::Requires(vec!["budgets".to_owned()])),
        ];
        let joined = Joined { index, snapshot: config.snapshot.clone(), credentials: config.credentials.clone(), refused };
        assert_eq!(joined.index.gateway, gateway);
        let loaded = loaded(joined, Place::Volume);
        let told: Vec<_> = loaded.reports.iter().map(|report| (&*report.kind, &*report.name, &*report.reason, report.served)).collect();
        let expected = [
            ("RoutingPolicy", "rules", "RequiresUpgrade", false),
            ("VirtualKey", "one", "NeedsRefused", false),
            ("Unknown", "much", "RequiresUpgrade", false),
        ];
        assert_eq!(told, expected);
        assert!(loaded.reports[0].message.contains("hedging") && loaded.reports[0].message.contains("upgrade"));
        assert!(loaded.reports.iter().all(|report| report.namespace == "team"));
    }
}
