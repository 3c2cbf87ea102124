//! The contract between the compiler and the machine: flat, joined, valid configuration of one gateway.
//!
//! A [`Snapshot`] holds no secret (provider credentials travel beside it as [`Credentials`]), no spend, no counter and
//! no catalog price. Every map is ordered, so that equal snapshots have equal bytes.
//!
//! Invariant: knows nothing of Kubernetes, of sockets or of time. It is data, and how data is cut, hashed and joined.

pub mod bundle;
mod changes;
mod class;
mod dialect;
mod failure;
mod gateway;
mod glob;
mod hex;
mod identity;
mod ids;
mod key;
pub mod keytext;
mod money;
mod policy;
mod provider;
mod proxy;
mod quirk;
mod rates;
mod secret;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use class::Class;
pub use dialect::{Dialect, Operation, Surface};
pub use failure::FailureClass;
pub use gateway::{Cors, Drain, Egress, Gateway};
pub use glob::Glob;
pub use identity::{AwsIdentity, AwsRole, AwsSource, EntraIdentity, EntraSource, Federation, GoogleIdentity, Site};
pub use ids::{GatewayId, IdError, KeyId, ModelName, PolicyId, ProviderId, TeamName};
pub use key::{Allow, Key, KeyHash, Owner};
pub use money::NanoUsd;
pub use policy::{RoutingPolicy, Rule, Target};
pub use provider::{
    AuthStyle, Azure, AzureApi, Endpoint, Model, Price, Provider, ProviderKind, Reach, Scheme, Simulated, SimulatedFault, Timeouts,
    Visibility,
};
pub use proxy::{NoPattern, PathPattern, Proxy, Verb};
pub use quirk::Quirk;
pub use rates::{LongPrompt, MorePrices, Rates};
pub use secret::{Credentials, Secret};
pub use usage::{Measured, More, Service, Unit, Usage};

/// The number of the shape of these types. A reader takes its own number and the one before.
pub const SCHEMA: u32 = 1;

/// Everything that one gateway serves, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The gateway itself.
    pub gateway: Gateway,
    /// Providers that at least one admitted namespace may use.
    pub providers: BTreeMap<ProviderId, Provider>,
    /// Virtual keys that belong to this gateway. Shared: there are many, and one revision has nearly all those of the last.
    #[serde(with = "shared")]
    pub keys: BTreeMap<KeyId, Arc<Key>>,
    /// Routing policies that keys of this gateway name.
    #[serde(with = "shared")]
    pub policies: BTreeMap<PolicyId, Arc<RoutingPolicy>>,
}

/// Maps whose values are shared, written as if they were not.
mod shared {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, Arc<V>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(id, value)| (id, &**value)))
    }

    pub(super) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, Arc<V>>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(BTreeMap::<K, V>::deserialize(deserializer)?.into_iter().map(|(id, value)| (id, Arc::new(value))).collect())
    }
}
