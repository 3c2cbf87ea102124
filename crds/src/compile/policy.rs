//! RoutingPolicy: every target must be a provider that the policy's namespace may use.

use std::sync::Arc;

use snapshot::{FailureClass, Glob, ModelName, PolicyId, ProviderId, RoutingPolicy, Rule, Target};

use super::memo::{Kept, KeptPolicy};
use super::{Compiler, id};
use crate::api::routing_policy::{self as api, FailureName};
use crate::api::shared::ObjectRef;
use crate::report::{Kind, Problem, Report, Verdict};
use crate::world::Name;

/// A policy that can be served.
#[derive(Debug, Clone)]
pub(super) struct Built {
    /// As the machine needs it.
    pub(super) policy: Arc<RoutingPolicy>,
    pub(super) generation: Option<i64>,
}

impl Compiler<'_> {
    /// Takes the policies in.
    pub(super) fn policies(&mut self) -> Vec<Arc<KeptPolicy>> {
        let world = self.world;
        let same = self.memo.same_providers(&self.now);
        let mut along = self.memo.policies();
        let all = world.routing_policies.iter().map(|(name, object)| match along.find(name, object).filter(|_| same) {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(self.keep_policy(name, object)),
        });
        let all: Vec<_> = all.collect();
        for (name, kept) in world.routing_policies.keys().zip(&all) {
            match &kept.made {
                Some(policy) => {
                    let built = Built { policy: Arc::clone(policy), generation: kept.object.metadata.generation };
                    self.now.policies.insert(name.clone(), built);
                }
                None => drop(self.refused.insert((Kind::RoutingPolicy, name.clone()))),
            }
        }
        self.reports.append(&mut all.iter().map(|kept| (Arc::clone(&kept.id), Arc::clone(&kept.report))).collect());
        let refused: Vec<_> = self.refused.iter().filter(|(kind, _)| *kind == Kind::RoutingPolicy).map(|(_, name)| name.clone()).collect();
        for name in refused {
            let last = self.previous.and_then(|previous| previous.policies.get(&name));
            // The last accepted form serves only while its own targets are still permitted.
            if let Some(last) = last.filter(|last| self.permitted(&name.0, &last.policy)) {
                self.serves(Kind::RoutingPolicy, &name, last.generation);
                self.now.policies.insert(name, last.clone());
            }
        }
        all
    }

    fn keep_policy(&self, name: &Name, object: &Arc<api::RoutingPolicy>) -> KeptPolicy {
        let (made, verdict) = match self.lower(name, object) {
            Ok(policy) => (Some(Arc::new(policy)), Verdict::Accepted),
            Err(verdict) => (None, verdict),
        };
        let report = Report { generation: object.metadata.generation, verdict, serving_generation: None, warnings: Vec::new() };
        let id = Arc::new(id(Kind::RoutingPolicy, name));
        Kept { id, object: Arc::clone(object), secret: None, made, report: Arc::new(report) }
    }

    fn permitted(&self, namespace: &str, policy: &RoutingPolicy) -> bool {
        policy.rules.iter().flat_map(|rule| &rule.targets).all(|target| {
            let (owner, name) = (target.provider.namespace().to_owned(), target.provider.name().to_owned());
            self.usable(namespace, &ObjectRef { name, namespace: Some(owner) }).is_ok()
        })
    }

    /// The policy as the machine needs it.
    fn lower(&self, (namespace, name): &Name, policy: &api::RoutingPolicy) -> Result<RoutingPolicy, Verdict> {
        let malformed = |path: &str, why: String| Verdict::Refused(Problem::Malformed { path: path.to_owned(), why });
        let target = |target: &api::Target| {
            let provider = self.usable(namespace, &target.provider_ref)?;
            let model = target.model.as_deref().map(ModelName::new).transpose();
            Ok(Target { provider, model: model.map_err(|error| malformed("spec.rules[].targets[].model", error.to_string()))? })
        };
        // What was accepted before is not judged again: a world may hold many conditions.
        let accepted = self.previous.and_then(|previous| previous.policies.get(&(namespace.clone(), name.clone())));
        let accepted = |when: &str| accepted.is_some_and(|last| last.policy.rules.iter().any(|rule| rule.when.as_deref() == Some(when)));
        let rule = |(place, rule): (usize, &api::RoutingRule)| {
            if let Some(when) = rule.when.as_deref().filter(|when| !accepted(when)) {
                expr::Program::compile(when).map_err(|fault| malformed(&format!("spec.rules[{place}].when"), fault.to_string()))?;
            }
            Ok(Rule {
                name: rule.name.clone(),
                models: rule.models.iter().map(|pattern| Glob::new(pattern)).collect(),
                when: rule.when.clone(),
                targets: rule.targets.iter().map(target).collect::<Result<_, _>>()?,
                fallback_on: rule.fallback_on.iter().map(class).collect(),
            })
        };
        let id = PolicyId::new(namespace, name).map_err(|error| malformed("metadata", error.to_string()))?;
        Ok(RoutingPolicy { id, rules: policy.spec.rules.iter().enumerate().map(rule).collect::<Result<_, _>>()? })
    }

    /// The provider that a namespace refers to, if it may.
    pub(super) fn usable(&self, namespace: &str, wanted: &ObjectRef) -> Result<ProviderId, Verdict> {
        let owner = wanted.namespace.as_deref().unwrap_or(namespace);
        let provider = format!("{owner}/{}", wanted.name);
        let built = self.now.providers.get(&(owner.to_owned(), wanted.name.clone()));
        match built {
            // Whether a foreign provider exists is not for strangers to learn.
            Some(built) if built.shared_with.admit(owner, namespace) => Ok(built.provider.id.clone()),
            None if owner == namespace => Err(Verdict::Pending(Problem::ProviderNotFound { provider })),
            Some(_) | None => Err(Verdict::Refused(Problem::ProviderNotShared { provider, namespace: namespace.to_owned() })),
        }
    }
}

fn class(name: &FailureName) -> FailureClass {
    match name {
        FailureName::RateLimited => FailureClass::RateLimited,
        FailureName::Overloaded => FailureClass::Overloaded,
        FailureName::QuotaExceeded => FailureClass::QuotaExceeded,
        FailureName::AuthFailed => FailureClass::AuthFailed,
        FailureName::BadRequest => FailureClass::BadRequest,
        FailureName::ContextLengthExceeded => FailureClass::ContextLengthExceeded,
        FailureName::ContentFiltered => FailureClass::ContentFiltered,
        FailureName::NotFound => FailureClass::NotFound,
        FailureName::ConnectError => FailureClass::ConnectError,
        FailureName::Timeout => FailureClass::Timeout,
        FailureName::ServerError => FailureClass::ServerError,
        FailureName::InvalidResponse => FailureClass::InvalidResponse,
        FailureName::StreamBroken => FailureClass::StreamBroken,
    }
}
