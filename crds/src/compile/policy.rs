//! RoutingPolicy: every target must be a provider that the policy's namespace may use.

use snapshot::{FailureClass, Glob, ModelName, PolicyId, ProviderId, RoutingPolicy, Rule, Target};

use super::Compiler;
use crate::api::routing_policy::{self as api, FailureName};
use crate::api::shared::ObjectRef;
use crate::report::{Kind, Problem, Verdict};
use crate::world::Name;

impl Compiler<'_> {
    pub(super) fn policies(&mut self) {
        let world = self.world;
        for (name, object) in &world.routing_policies {
            let verdict = self.targets(name, object);
            if verdict == Verdict::Accepted {
                self.now.policies.insert(name.clone(), object.clone());
            } else {
                self.refused.insert((Kind::RoutingPolicy, name.clone()));
            }
            self.report(Kind::RoutingPolicy, name, object.metadata.generation, verdict);
        }
        let refused: Vec<_> = self.refused.iter().filter(|(kind, _)| *kind == Kind::RoutingPolicy).map(|(_, name)| name.clone()).collect();
        for name in refused {
            let last = self.previous.and_then(|previous| previous.policies.get(&name));
            // The last accepted form serves only while its own targets are still permitted.
            if let Some(last) = last.filter(|last| self.targets(&name, last) == Verdict::Accepted) {
                self.serves(Kind::RoutingPolicy, &name, last.metadata.generation);
                self.now.policies.insert(name, last.clone());
            }
        }
    }

    fn targets(&self, name: &Name, policy: &api::RoutingPolicy) -> Verdict {
        for target in policy.spec.rules.iter().flat_map(|rule| &rule.targets) {
            if let Err(verdict) = self.usable(&name.0, &target.provider_ref) {
                return verdict;
            }
        }
        Verdict::Accepted
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

/// The policy as the machine needs it.
pub(super) fn lower((namespace, name): &Name, policy: &api::RoutingPolicy) -> Option<RoutingPolicy> {
    let target = |target: &api::Target| {
        let owner = target.provider_ref.namespace.as_deref().unwrap_or(namespace);
        let model = target.model.as_deref().map(ModelName::new).transpose().ok()?;
        Some(Target { provider: ProviderId::new(owner, &target.provider_ref.name).ok()?, model })
    };
    let rule = |rule: &api::RoutingRule| {
        Some(Rule {
            name: rule.name.clone(),
            models: rule.models.iter().map(|pattern| Glob::new(pattern)).collect(),
            targets: rule.targets.iter().map(target).collect::<Option<_>>()?,
            fallback_on: rule.fallback_on.iter().map(class).collect(),
        })
    };
    Some(RoutingPolicy { id: PolicyId::new(namespace, name).ok()?, rules: policy.spec.rules.iter().map(rule).collect::<Option<_>>()? })
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
