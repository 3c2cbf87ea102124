//! VirtualKey: to which gateway it belongs, whose it is, what it may. Fails closed: what is in doubt is not served.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use snapshot::keytext::{KeyText, KeyTextError};
use snapshot::{Allow, Credentials, GatewayId, Glob, Key, KeyHash, KeyId, Operation, Owner, PolicyId, Reach, SCHEMA, Snapshot, TeamName};

use super::memo::{Kept, KeptKey, Made};
use super::{Compiled, Compiler, Config, gateway, id, shown};
use crate::api::llm_gateway::LLMGateway;
use crate::api::virtual_key::{OperationName, SourceType, VirtualKey};
use crate::report::{Kind, ObjectId, Problem, Report, Verdict};
use crate::world::{Entries, Name};

/// The shortest text of a key that is not of our making.
const CUSTOM_KEY_BYTES_MIN: usize = 16;

impl Compiler<'_> {
    /// Takes the keys in.
    pub(super) fn keys(&mut self) -> Vec<Arc<KeptKey>> {
        let world = self.world;
        let ground = self.memo.ground(world, &self.now);
        let gateways: BTreeMap<&Name, Arc<Name>> = self.now.gateways.keys().map(|name| (name, Arc::new(name.clone()))).collect();
        let mut along = self.memo.keys();
        let all = world.keys.iter().map(|(name, object)| match along.find(name, object).filter(|kept| ground.keeps(kept, world)) {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(self.keep(name, object, &gateways)),
        });
        let all: Vec<_> = all.collect();
        self.reports.append(&mut all.iter().map(|kept| (Arc::clone(&kept.id), Arc::clone(&kept.report))).collect());
        all
    }

    fn keep(&self, name: &Name, object: &Arc<VirtualKey>, gateways: &BTreeMap<&Name, Arc<Name>>) -> KeptKey {
        let (made, verdict) = match self.key(name, object) {
            Ok((gateway, key)) => {
                let gateway = gateways.get(&gateway).map_or_else(|| Arc::new(gateway.clone()), Arc::clone);
                (Some(Made { gateway, key: Arc::new(key) }), Verdict::Accepted)
            }
            Err(verdict) => (None, verdict),
        };
        let secret = secret_of(name, object).map(|secret| {
            let found = self.world.secrets.get(&secret).cloned();
            (secret, found)
        });
        let report = Report { generation: object.metadata.generation, verdict, serving_generation: None, warnings: Vec::new() };
        Kept { id: Arc::new(id(Kind::VirtualKey, name)), object: Arc::clone(object), secret, made, report: Arc::new(report) }
    }

    /// Joins everything that each gateway serves.
    pub(super) fn join(&mut self, keys: &[Arc<KeptKey>], previous: Option<&Compiled>) -> BTreeMap<GatewayId, Arc<Config>> {
        let mut by_gateway: BTreeMap<&Name, Vec<&Arc<Key>>> = BTreeMap::new();
        let mut namespaces = BTreeSet::new();
        for (_, made) in self.unrivalled(keys) {
            by_gateway.entry(&made.gateway).or_default().push(&made.key);
            namespaces.insert(made.key.id.namespace());
        }
        self.warn_of_ambiguity(&namespaces);
        let gateways = self.now.gateways.iter().filter_map(|(name, gateway)| {
            let config = self.config(name, gateway, by_gateway.get(name).map(Vec::as_slice).unwrap_or_default())?;
            let id = config.snapshot.gateway.id.clone();
            let same = previous.and_then(|previous| previous.gateways.get(&id)).filter(|last| ***last == config);
            Some((id, same.map_or_else(|| Arc::new(config), Arc::clone)))
        });
        gateways.collect()
    }

    /// The keys that are accepted, but for those whose text an older one has.
    fn unrivalled<'k>(&mut self, keys: &'k [Arc<KeptKey>]) -> Vec<(&'k KeptKey, &'k Made)> {
        let mut accepted: Vec<_> = keys.iter().filter_map(|kept| Some((&**kept, kept.made.as_ref()?))).collect();
        let mut texts = HashSet::with_capacity(accepted.len());
        if accepted.iter().flat_map(|(_, made)| &made.key.hashes).all(|hash| texts.insert(hash)) {
            return accepted;
        }
        // Without a time it counts as younger than any with one.
        let age = |kept: &KeptKey| kept.object.metadata.creation_timestamp.as_ref().map_or(i64::MAX, |time| time.0.as_second());
        accepted.sort_by(|(a, _), (b, _)| (age(a), &a.id).cmp(&(age(b), &b.id)));
        let mut owners: BTreeMap<&KeyHash, &ObjectId> = BTreeMap::new();
        accepted.retain(|(kept, made)| {
            let taken = made.key.hashes.iter().find_map(|hash| owners.get(hash));
            if let Some(ObjectId { namespace, name, .. }) = taken {
                let verdict = Verdict::Refused(Problem::DuplicateKey { winner: format!("{namespace}/{name}") });
                self.reports.insert(Arc::clone(&kept.id), Arc::new(Report { verdict, ..Report::clone(&kept.report) }));
                return false;
            }
            owners.extend(made.key.hashes.iter().map(|hash| (hash, &*kept.id)));
            true
        });
        accepted
    }

    fn config(&self, name: &Name, gateway: &LLMGateway, keys: &[&Arc<Key>]) -> Option<Config> {
        let admitted = |namespace: &str| gateway.spec.allowed_namespaces.admit(&name.0, namespace);
        let mut credentials = Credentials::default();
        let mut providers = BTreeMap::new();
        for ((namespace, _), built) in self.now.providers.iter().filter(|((namespace, _), _)| admitted(namespace)) {
            let mut provider = built.provider.clone();
            if let Some(endpoint) = provider.kind.endpoint_mut() {
                let house = *namespace == name.0;
                // An identity of the gateway's pods is not for what others wrote, though another gateway may take it.
                if endpoint.auth.is_ambient() && !house {
                    continue;
                }
                endpoint.reach = if house { Reach::Any } else { Reach::Public };
            }
            if let Some(credential) = &built.credential {
                credentials.0.insert(provider.id.clone(), credential.clone());
            }
            providers.insert(provider.id.clone(), provider);
        }
        let wanted: HashSet<&PolicyId> = keys.iter().filter_map(|key| key.policy.as_ref()).collect();
        let policies = self.now.policies.values().map(|built| &built.policy).filter(|policy| wanted.contains(&policy.id));
        let policies = policies.map(|policy| (policy.id.clone(), Arc::clone(policy))).collect();
        let gateway = gateway::lower(gateway)?;
        debug_assert_eq!(SCHEMA, 1, "a new schema needs a look at what is joined here");
        let keys = keys.iter().map(|key| (key.id.clone(), Arc::clone(key))).collect();
        Some(Config { snapshot: Snapshot { gateway, providers, keys, policies }, credentials })
    }

    fn key(&self, name: &Name, object: &VirtualKey) -> Result<(Name, Key), Verdict> {
        let spec = &object.spec;
        let gateway = self.gateway_of(name, object).map_err(Verdict::Refused)?;
        let malformed = |why: String| Verdict::Refused(Problem::Malformed { path: "metadata".to_owned(), why });
        let id = KeyId::new(&name.0, &name.1).map_err(|error| malformed(error.to_string()))?;
        let team = self.team(name, &gateway, spec.owner.team.as_deref()).map_err(Verdict::Refused)?;
        let owner = Owner {
            team: TeamName::new(&team).map_err(|error| malformed(error.to_string()))?,
            user: spec.owner.user.clone(),
            application: spec.owner.application.clone(),
            environment: spec.owner.environment.clone(),
            cost_center: spec.owner.cost_center.clone(),
        };
        let providers = match &spec.allow.providers {
            Some(list) => Some(list.iter().map(|wanted| self.usable(&name.0, wanted)).collect::<Result<_, _>>()?),
            None => None,
        };
        let allow = Allow {
            models: spec.allow.models.as_ref().map(|list| list.iter().map(|pattern| Glob::new(pattern)).collect()),
            providers,
            operations: spec.allow.operations.as_ref().map(|list| list.iter().map(operation).collect()),
        };
        let policy = spec.routing_policy_ref.as_ref().map(|wanted| self.policy_of(name, &gateway, wanted)).transpose()?;
        let key = Key {
            id,
            owner,
            hashes: self.hashes(name, object)?,
            allow,
            expires_at: spec.expires_at.as_ref().map(|time| time.0.as_second()),
            suspended: spec.suspend,
            calls_in_flight_max: spec.max_in_flight.and_then(|max| u32::try_from(max).ok()),
            policy,
        };
        Ok((gateway, key))
    }

    /// The gateway that is named, if it admits the namespace; else the only one that does.
    fn gateway_of(&self, (namespace, _): &Name, object: &VirtualKey) -> Result<Name, Problem> {
        let admits = |(own, gateway): &(&Name, &LLMGateway)| gateway.spec.allowed_namespaces.admit(&own.0, namespace);
        let mut admitting = self.now.gateways.iter().filter(admits).map(|(name, _)| name.clone());
        if let Some(wanted) = &object.spec.gateway_ref {
            let wanted = (wanted.namespace.clone().unwrap_or_else(|| namespace.clone()), wanted.name.clone());
            return admitting.find(|name| *name == wanted).ok_or_else(|| Problem::GatewayNotPermitted { gateway: shown(&wanted) });
        }
        match (admitting.next(), admitting.next()) {
            (None, _) => Err(Problem::NoGateway { namespace: namespace.clone() }),
            (Some(only), None) => Ok(only),
            (Some(first), Some(second)) => {
                Err(Problem::AmbiguousGateway { gateways: [first, second].into_iter().chain(admitting).map(|name| shown(&name)).collect() })
            }
        }
    }

    fn team(&self, (namespace, _): &Name, gateway: &Name, written: Option<&str>) -> Result<String, Problem> {
        let Some(team) = written.filter(|team| team != namespace) else { return Ok(namespace.clone()) };
        let grants = self.now.gateways.get(gateway).map(|gateway| gateway.spec.teams.as_slice()).unwrap_or_default();
        let granted = grants.iter().any(|grant| grant.name == team && grant.namespaces.contains(namespace));
        if granted { Ok(team.to_owned()) } else { Err(Problem::TeamNotPermitted { team: team.to_owned() }) }
    }

    fn policy_of(&self, (namespace, _): &Name, gateway: &Name, wanted: &crate::api::shared::ObjectRef) -> Result<PolicyId, Verdict> {
        let owner = wanted.namespace.as_deref().unwrap_or(namespace);
        let policy = (owner.to_owned(), wanted.name.clone());
        if owner != namespace && owner != gateway.0 {
            return Err(Verdict::Refused(Problem::PolicyNotPermitted { policy: shown(&policy) }));
        }
        if !self.now.policies.contains_key(&policy) {
            return Err(Verdict::Pending(Problem::PolicyNotFound { policy: shown(&policy) }));
        }
        PolicyId::new(owner, &wanted.name)
            .map_err(|error| Verdict::Refused(Problem::Malformed { path: "spec.routingPolicyRef".to_owned(), why: error.to_string() }))
    }

    fn hashes(&self, (namespace, name): &Name, object: &VirtualKey) -> Result<BTreeSet<KeyHash>, Verdict> {
        let source = &object.spec.source;
        let malformed = |why: &str| Verdict::Refused(Problem::Malformed { path: "spec.source".to_owned(), why: why.to_owned() });
        match (source.kind, &source.sha256, &source.secret_ref) {
            (SourceType::Hash, Some(hash), _) => Ok(BTreeSet::from([KeyHash::try_from(hash.clone()).map_err(malformed)?])),
            (SourceType::SecretRef, _, Some(secret)) => Ok(BTreeSet::from([self.text(namespace, &secret.name, &secret.key)?])),
            (SourceType::Generated, _, _) => self.generated(namespace, name, object),
            (SourceType::Hash, None, _) | (SourceType::SecretRef, _, None) => Err(malformed("it lacks what its type needs")),
        }
    }

    /// The text that was made for this very object, and the one before it while it is still there.
    fn generated(&self, namespace: &str, name: &str, object: &VirtualKey) -> Result<BTreeSet<KeyHash>, Verdict> {
        let place = object.spec.source.generated.clone().unwrap_or_default();
        let secret = place.secret_of(name);
        let found = (namespace.to_owned(), secret.clone());
        let entries = self.world.secrets.get(&found);
        let ours = |entries: &Entries| !self.world.cluster || entries.made_for == object.metadata.uid;
        if entries.is_some_and(|entries| !ours(entries)) {
            return Err(Verdict::Refused(Problem::SecretForeign { secret }));
        }
        let mut hashes = BTreeSet::from([self.text(namespace, &secret, &place.secret_key)?]);
        let previous = place.previous_key();
        if entries.is_some_and(|entries| entries.values.contains_key(&previous)) {
            hashes.insert(self.text(namespace, &secret, &previous)?);
        }
        Ok(hashes)
    }

    /// The hash of a key's text in a Secret.
    fn text(&self, namespace: &str, secret: &str, key: &str) -> Result<KeyHash, Verdict> {
        let text = self.secret(namespace, secret, key).map_err(Verdict::Pending)?;
        let unusable = |why: &str| Verdict::Refused(Problem::KeyTextUnusable(format!("Secret {secret}, key {key}: {why}")));
        match KeyText::parse(text.expose()) {
            Ok(_) => {}
            Err(KeyTextError::NotOurs) if text.expose().len() >= CUSTOM_KEY_BYTES_MIN => {}
            Err(KeyTextError::NotOurs) => return Err(unusable("a key of one's own must have at least 16 characters")),
            Err(error @ KeyTextError::BadChecksum) => return Err(unusable(&error.to_string())),
        }
        Ok(KeyHash(Sha256::digest(text.expose().as_bytes()).into()))
    }
}

/// The Secret that a key's text stands in.
fn secret_of((namespace, name): &Name, object: &VirtualKey) -> Option<Name> {
    let source = &object.spec.source;
    let secret = match source.kind {
        SourceType::Generated => source.generated.clone().unwrap_or_default().secret_of(name),
        SourceType::SecretRef => source.secret_ref.as_ref()?.name.clone(),
        SourceType::Hash => return None,
    };
    Some((namespace.clone(), secret))
}

fn operation(name: &OperationName) -> Operation {
    match name {
        OperationName::Chat => Operation::Chat,
        OperationName::Completions => Operation::Completions,
        OperationName::Embeddings => Operation::Embeddings,
        OperationName::Responses => Operation::Responses,
        OperationName::Images => Operation::Images,
        OperationName::Audio => Operation::Audio,
        OperationName::Moderations => Operation::Moderations,
        OperationName::Rerank => Operation::Rerank,
        OperationName::Files => Operation::Files,
        OperationName::Proxy => Operation::Proxy,
        OperationName::Realtime => Operation::Realtime,
    }
}
