//! What people write: one file for each kind. A field stands here only together with the code that honours it.

pub mod budget;
pub mod cache_policy;
pub mod llm_gateway;
pub mod llm_provider;
pub mod routing_policy;
pub mod shared;
pub mod virtual_key;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The API group of every kind.
pub const GROUP: &str = "portolan.dev";

/// The version of every kind.
pub const VERSION: &str = "v1alpha1";

/// Every kind's definition, as the API server gets it.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        llm_gateway::LLMGateway::crd(),
        llm_provider::LLMProvider::crd(),
        virtual_key::VirtualKey::crd(),
        routing_policy::RoutingPolicy::crd(),
        cache_policy::CachePolicy::crd(),
        budget::Budget::crd(),
    ]
}
