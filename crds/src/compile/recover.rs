//! What was published last, read back as the previous compilation: so that a restart forgets no last accepted form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use snapshot::{ProviderKind, RoutingPolicy, Snapshot, Visibility};

use super::memo::Memo;
use super::{Accepted, Compiled, Config, policy, provider};
use crate::api::llm_gateway::{Cors, Drain, Egress, LLMGateway, LLMGatewaySpec, Limits, Team};
use crate::api::llm_provider::ProviderType;
use crate::api::shared::{From, Namespaces};
use crate::world::Name;

impl Compiled {
    /// The compilation that gave these configurations, as far as a next one needs it. Of a gateway, what a snapshot does
    /// not hold is rebuilt from whom it served: those namespaces are admitted and those teams granted.
    #[must_use]
    pub fn recover(published: impl IntoIterator<Item = Arc<Config>>) -> Self {
        let mut accepted = Accepted::default();
        for config in published {
            let Config { snapshot, credentials } = &*config;
            let id = &snapshot.gateway.id;
            accepted.gateways.insert((id.namespace().to_owned(), id.name().to_owned()), gateway(snapshot));
            for (id, served) in &snapshot.providers {
                let built = provider::Built {
                    credential: credentials.0.get(id).cloned(),
                    shared_with: shared_with(&served.visibility),
                    kind: kind(&served.kind),
                    provider: served.clone(),
                    generation: None,
                };
                accepted.providers.insert((id.namespace().to_owned(), id.name().to_owned()), built);
            }
            for (id, served) in &snapshot.policies {
                let name: Name = (id.namespace().to_owned(), id.name().to_owned());
                accepted.policies.insert(name, policy::Built { policy: Arc::clone(served), generation: None });
            }
        }
        Self { accepted, ..Self::default() }
    }

    /// Lets go of the objects that were compiled, for whoever reads them all anew the next time.
    pub fn forget(&mut self) {
        self.memo = Memo::default();
    }

    /// What a next compilation must know of this one, in memory of its own: the last accepted forms.
    #[must_use]
    pub fn forms(&self) -> Self {
        let mut accepted = self.accepted.clone();
        accepted.policies.values_mut().for_each(|built| built.policy = Arc::new(RoutingPolicy::clone(&built.policy)));
        Self { accepted, ..Self::default() }
    }
}

fn gateway(snapshot: &Snapshot) -> LLMGateway {
    let served = &snapshot.gateway;
    let tenants = snapshot.keys.keys().map(|id| id.namespace()).chain(snapshot.providers.keys().map(|id| id.namespace()));
    let names: BTreeSet<&str> = tenants.filter(|namespace| *namespace != served.id.namespace()).collect();
    let mut teams: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for key in snapshot.keys.values().filter(|key| key.owner.team.as_str() != key.id.namespace()) {
        teams.entry(key.owner.team.as_str()).or_default().insert(key.id.namespace());
    }
    let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let allowed = if names.is_empty() { Namespaces::default() } else { Namespaces { from: From::Names, names: Some(owned(names)) } };
    let signed = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let spec = LLMGatewaySpec {
        teams: teams.into_iter().map(|(name, namespaces)| Team { name: name.to_owned(), namespaces: owned(namespaces) }).collect(),
        egress: Egress { allow_cidrs: served.egress.allow.iter().map(ToString::to_string).collect() },
        limits: Limits {
            max_body_bytes: i64::try_from(served.body_bytes_max).unwrap_or(i64::MAX),
            max_form_bytes: i64::try_from(served.form_bytes_max).unwrap_or(i64::MAX),
        },
        cors: Cors { allow_origins: served.cors.allow_origins.clone() },
        drain: Drain { delay_seconds: signed(served.drain.delay_seconds), timeout_seconds: signed(served.drain.timeout_seconds) },
        ..LLMGatewaySpec::admitting(allowed)
    };
    let mut gateway = LLMGateway::new(served.id.name(), spec);
    gateway.metadata.namespace = Some(served.id.namespace().to_owned());
    gateway
}

fn shared_with(visibility: &Visibility) -> Namespaces {
    match visibility {
        Visibility::All => Namespaces { from: From::All, names: None },
        Visibility::Namespaces(names) => Namespaces { from: From::Names, names: Some(names.iter().cloned().collect()) },
    }
}

fn kind(kind: &ProviderKind) -> ProviderType {
    match kind {
        ProviderKind::OpenAi(_) => ProviderType::OpenAI,
        ProviderKind::OpenAiCompatible(_) => ProviderType::OpenAICompatible,
        ProviderKind::Anthropic(_) => ProviderType::Anthropic,
        ProviderKind::Gemini(_) => ProviderType::Gemini,
        ProviderKind::Bedrock(_) => ProviderType::Bedrock,
        ProviderKind::Cohere(_) => ProviderType::Cohere,
        ProviderKind::VertexAi(_) => ProviderType::VertexAI,
        ProviderKind::AzureOpenAi(_) => ProviderType::AzureOpenAI,
        ProviderKind::Mistral(_) => ProviderType::Mistral,
        ProviderKind::Ollama(_) => ProviderType::Ollama,
        ProviderKind::Simulated(_) => ProviderType::Simulated,
    }
}
