//! Routing policies: which targets a model's calls go to, and when to the next.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{FailureClass, Glob, ModelName, PolicyId, ProviderId};

/// Rules in order; the first that fits decides. None fits: the model is resolved as without a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutingPolicy {
    /// Which RoutingPolicy this is.
    pub id: PolicyId,
    /// At least one.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, for receipts.
    pub name: String,
    /// Models that it is for; empty: all.
    pub models: Vec<Glob>,
    /// A condition that must hold besides, as package `expr` takes it. An entry with one requires a reader that knows this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// At least one; tried in this order.
    pub targets: Vec<Target>,
    /// Failures after which the next target is tried, before the first byte of an answer.
    pub fallback_on: BTreeSet<FailureClass>,
}

/// A provider with the model to ask it for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Where to.
    pub provider: ProviderId,
    /// The provider's declared name, alias or own id of a model; absent: as the client wrote it.
    pub model: Option<ModelName>,
}
