//! A routing policy made quick to ask: names and failures ready to share, conditions compiled.

use std::collections::BTreeSet;
use std::sync::Arc;

use expr::Program;
use snapshot::{FailureClass, RoutingPolicy, Rule};

/// A policy with what is made of it once.
#[derive(Debug)]
pub struct LivePolicy {
    /// As compiled.
    pub policy: RoutingPolicy,
    /// For each rule, in the same order.
    pub rules: Vec<LiveRule>,
}

/// What is made of a rule once.
#[derive(Debug)]
pub struct LiveRule {
    /// Its name, ready to share.
    pub name: Arc<str>,
    /// Its failures, ready to share.
    pub fallback_on: Arc<BTreeSet<FailureClass>>,
    /// Its condition.
    pub when: When,
}

/// Whether a rule has a condition.
#[derive(Debug)]
pub enum When {
    /// None: models alone decide.
    Always,
    /// It is asked of each call.
    Asked(Box<Program>),
    /// It cannot be read here, though a compiler took it: the rule fits no call.
    Unreadable,
}

impl LivePolicy {
    pub(super) fn build(policy: &RoutingPolicy) -> Self {
        let rules = policy.rules.iter().map(|rule| LiveRule {
            name: rule.name.as_str().into(),
            fallback_on: Arc::new(rule.fallback_on.clone()),
            when: when(policy, rule),
        });
        Self { rules: rules.collect(), policy: policy.clone() }
    }
}

fn when(policy: &RoutingPolicy, rule: &Rule) -> When {
    let Some(source) = &rule.when else { return When::Always };
    match Program::compile(source) {
        Ok(program) => When::Asked(Box::new(program)),
        Err(fault) => {
            tracing::error!(policy = policy.id.as_str(), rule = rule.name, %fault, "a condition cannot be read; its rule fits no call");
            When::Unreadable
        }
    }
}
