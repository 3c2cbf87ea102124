//! Configurations to publish, a store to publish them into, and a forger's tools.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use snapshot::bundle::{self, Index, Joined, PartKind, Torn, Write};
use snapshot::{
    Allow, AuthStyle, Cors, Credentials, Drain, Egress, Endpoint, FailureClass, Gateway, GatewayId, Glob, Key, KeyHash, KeyId, Model,
    ModelName, NanoUsd, Operation, Owner, PolicyId, Price, Provider, ProviderId, ProviderKind, Reach, RoutingPolicy, Rule, Scheme, Secret,
    Simulated, SimulatedFault, Snapshot, Surface, Target, TeamName, Timeouts, Visibility,
};

/// A snapshot with its credentials.
pub type Config = (Snapshot, Credentials);

pub fn gateway_id() -> GatewayId {
    GatewayId::new("ai", "portolan").expect("a name")
}

pub fn provider_id(name: &str) -> ProviderId {
    ProviderId::new("ai", name).expect("a name")
}

pub fn key_id(name: &str) -> KeyId {
    KeyId::new("team-a", name).expect("a name")
}

pub fn policy_id(name: &str) -> PolicyId {
    PolicyId::new("team-a", name).expect("a name")
}

fn model_name(name: &str) -> ModelName {
    ModelName::new(name).expect("a name")
}

pub fn gateway() -> Gateway {
    Gateway {
        id: gateway_id(),
        body_bytes_max: 10 << 20,
        form_bytes_max: Gateway::FORM_BYTES_MAX,
        egress: Egress { allow: vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")] },
        cors: Cors { allow_origins: vec!["https://app.example.com".to_owned()] },
        drain: Drain { delay_seconds: 10, timeout_seconds: 600 },
    }
}

pub fn provider(name: &str) -> Provider {
    let endpoint = Endpoint {
        scheme: Scheme::Https,
        host: "api.example.com".to_owned(),
        port: 443,
        base_path: "/v1".to_owned(),
        auth: AuthStyle::Bearer,
        reach: Reach::Public,
        extra_ca_pem: None,
        timeouts: Timeouts { connect_ms: 5_000, first_byte_ms: 60_000, idle_ms: 60_000, total_ms: 600_000 },
    };
    let price = Price { input: NanoUsd(150), output: NanoUsd(600), cached: Some(NanoUsd(75)), cache_write: None };
    Provider {
        id: provider_id(name),
        kind: ProviderKind::OpenAiCompatible(endpoint),
        surfaces: BTreeSet::from([Surface::ChatCompletions, Surface::Embeddings]),
        models: vec![Model {
            name: model_name("small"),
            aliases: BTreeSet::from([model_name("tiny"), model_name("schön \"quoted\"")]),
            upstream_name: model_name("small-2026-01-01"),
            price: Some(price),
            more_prices: None,
        }],
        visibility: Visibility::Namespaces(BTreeSet::from(["team-a".to_owned(), "team-b".to_owned()])),
        quirks: BTreeSet::new(),
        drops: false,
        catalog: None,
        proxy: None,
    }
}

pub fn simulated(name: &str) -> Provider {
    let faults = vec![
        SimulatedFault::Status { status: 429, percent: 5, retry_after_seconds: Some(1) },
        SimulatedFault::Drop { percent: 1, after_tokens: 3 },
        SimulatedFault::Hang { percent: 1 },
    ];
    let kind = ProviderKind::Simulated(Simulated { seed: u64::MAX, latency_ms: 5, token_interval_ms: 1, answer_tokens: 32, faults });
    Provider { kind, visibility: Visibility::All, ..provider(name) }
}

pub fn key(name: &str, policy: Option<&str>) -> Key {
    Key {
        id: key_id(name),
        owner: Owner {
            team: TeamName::new("team-a").expect("a name"),
            user: Some("ada".to_owned()),
            application: None,
            environment: Some("prod".to_owned()),
            cost_center: None,
        },
        hashes: BTreeSet::from([KeyHash(Sha256::digest(name).into())]),
        allow: Allow {
            models: Some(vec![Glob::new("small*")]),
            providers: Some(BTreeSet::from([provider_id("one")])),
            operations: Some(BTreeSet::from([Operation::Chat])),
        },
        expires_at: Some(1_900_000_000),
        suspended: false,
        calls_in_flight_max: Some(8),
        policy: policy.map(policy_id),
    }
}

pub fn policy(name: &str) -> RoutingPolicy {
    let rule = Rule {
        name: "first".to_owned(),
        models: vec![Glob::new("*")],
        when: None,
        targets: vec![Target { provider: provider_id("one"), model: Some(model_name("small")) }],
        fallback_on: BTreeSet::from([FailureClass::Timeout, FailureClass::RateLimited]),
    };
    RoutingPolicy { id: policy_id(name), rules: vec![rule] }
}

/// A key of a configuration, to be changed; what shares it with this configuration stays as it is.
pub fn key_mut<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut Key {
    Arc::make_mut(snapshot.keys.get_mut(&key_id(name)).expect("there"))
}

/// One of each: what the golden bytes hold, so it changes only with a new schema.
pub fn small() -> Config {
    let snapshot = Snapshot {
        gateway: gateway(),
        providers: [provider("one"), simulated("two")].map(|provider| (provider.id.clone(), provider)).into(),
        keys: [key("free", None), key("ruled", Some("fall-back"))].map(|key| (key.id.clone(), Arc::new(key))).into(),
        policies: [policy("fall-back")].map(|policy| (policy.id.clone(), Arc::new(policy))).into(),
    };
    let credentials = Credentials([(provider_id("one"), Secret::new("not-a-real-credential".to_owned()))].into());
    (snapshot, credentials)
}

/// Any consistent configuration of one gateway; ids come from small sets, so that two of them overlap.
pub fn any_config() -> impl Strategy<Value = Config> {
    let names = |count: usize| (0..count).prop_map(|number| format!("n{number}"));
    let gateways = (any::<u64>(), any::<u32>(), vec("[ -~]{0,20}", 0..3));
    let providers = btree_map(names(12), (any::<bool>(), "\\PC{0,20}", any::<u16>(), any::<Option<u64>>()), 0..8);
    let keys = btree_map(names(60), (any::<bool>(), any::<Option<i64>>(), proptest::option::of(".{0,12}"), any::<[u8; 32]>()), 0..30);
    let policies = btree_map(names(12), (btree_set("[a-z*]{0,6}", 0..4), proptest::option::of(".{0,12}")), 0..6);
    let credentials = btree_map(names(12), ".{0,40}", 0..8);
    (gateways, providers, keys, policies, credentials).prop_map(|(gateways, providers, keys, policies, credentials)| {
        let (body_bytes_max, delay_seconds, allow_origins) = gateways;
        let drain = Drain { delay_seconds, timeout_seconds: 600 };
        let gateway = Gateway { body_bytes_max, cors: Cors { allow_origins }, drain, ..gateway() };
        let providers = providers.into_iter().map(|(name, (real, host, port, cached))| {
            let mut provider = if real { provider(&name) } else { simulated(&name) };
            if let ProviderKind::OpenAiCompatible(endpoint) = &mut provider.kind {
                (endpoint.host, endpoint.port) = (host, port);
            }
            provider.models[0].price = cached.map(|cached| Price {
                input: NanoUsd(1),
                output: NanoUsd(u64::MAX),
                cached: Some(NanoUsd(cached)),
                cache_write: None,
            });
            (provider.id.clone(), provider)
        });
        let keys = keys.into_iter().map(|(name, (suspended, expires_at, user, hash))| {
            let mut key = Key { suspended, expires_at, hashes: BTreeSet::from([KeyHash(hash)]), ..key(&name, None) };
            key.owner.user = user;
            (key.id.clone(), Arc::new(key))
        });
        let policies = policies.into_iter().map(|(name, (globs, when))| {
            let mut policy = policy(&name);
            policy.rules[0].when = when;
            policy.rules[0].models = globs.iter().map(|glob| Glob::new(glob)).collect();
            (policy.id.clone(), Arc::new(policy))
        });
        let credentials = credentials.into_iter().map(|(name, text)| (provider_id(&name), Secret::new(text)));
        let snapshot = Snapshot { gateway, providers: providers.collect(), keys: keys.collect(), policies: policies.collect() };
        (snapshot, Credentials(credentials.collect()))
    })
}

/// The objects of a namespace. A Secret and a ConfigMap with one name are two.
#[derive(Clone, Default)]
pub struct Store(pub BTreeMap<(String, bool), Vec<u8>>);

impl Store {
    /// With one configuration published into it.
    pub fn of((snapshot, credentials): &Config) -> Self {
        let mut store = Self::default();
        let published = bundle::publish(None, snapshot, credentials).expect("fits");
        published.writes.iter().for_each(|write| store.apply(write));
        store
    }

    pub fn apply(&mut self, write: &Write) {
        self.0.insert((write.name.clone(), write.secret), write.bytes.clone());
    }

    pub fn index_bytes(&self) -> Option<&[u8]> {
        self.0.get(&("portolan-snapshot".to_owned(), false)).map(Vec::as_slice)
    }

    pub fn index(&self) -> Option<Index> {
        self.index_bytes().map(|bytes| Index::parse(&gateway_id(), bytes).expect("whole"))
    }

    /// Joined by the index that it holds.
    pub fn join(&self) -> Result<Joined, Torn> {
        self.join_by(self.index_bytes().expect("an index"))
    }

    /// Joined by another index, as by a reader that read it earlier.
    pub fn join_by(&self, index: &[u8]) -> Result<Joined, Torn> {
        bundle::join(&gateway_id(), index, |name, kind| self.0.get(&(name.to_owned(), kind == PartKind::Credentials)))
    }

    /// Changes the index as someone would who can seal it.
    pub fn forge_index(&mut self, change: impl FnOnce(&mut Value)) {
        let sealed: Value = serde_json::from_slice(self.index_bytes().expect("an index")).expect("JSON");
        let mut index = sealed["index"].clone();
        change(&mut index);
        let index = index.to_string();
        let bytes = format!(r#"{{"index":{index},"seal":"{}"}}"#, hex(index.as_bytes())).into_bytes();
        self.0.insert(("portolan-snapshot".to_owned(), false), bytes);
    }

    /// The object that holds a part now.
    pub fn part(&mut self, number: u8) -> &mut Vec<u8> {
        let index = self.index().expect("an index");
        let (part, name) = index.part_names().find(|(part, _)| part.number == number).expect("every part");
        self.0.get_mut(&(name, part.kind == PartKind::Credentials)).expect("every part")
    }

    /// Changes a part as someone would who can also seal the index.
    pub fn forge_part(&mut self, number: u8, change: impl FnOnce(&mut Value)) {
        let body = zstd::decode_all(self.part(number).as_slice()).expect("zstd");
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        change(&mut body);
        self.forge_part_bytes(number, body.to_string().as_bytes());
    }

    /// Puts other canonical bytes into a part, with an index that names them.
    pub fn forge_part_bytes(&mut self, number: u8, body: &[u8]) {
        *self.part(number) = zstd::bulk::compress(body, 1).expect("zstd");
        self.forge_index(|index| {
            index["parts"][usize::from(number)]["digest"] = hex(body).into();
            index["parts"][usize::from(number)]["bytes"] = body.len().into();
        });
    }
}

pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
