//! What people write: one file for each kind. A field stands here only together with the code that honours it.

pub mod budget;
pub mod cache_policy;
pub mod identity;
pub mod llm_gateway;
pub mod llm_provider;
pub mod price;
pub mod proxy;
pub mod quirk;
pub mod routing_policy;
pub mod shared;
pub mod virtual_key;
pub mod workload;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSON};
use kube::CustomResourceExt;
use serde_json::json;

/// The API group of every kind.
pub const GROUP: &str = "portolan.dev";

/// The version of every kind.
pub const VERSION: &str = "v1alpha1";

/// Every kind's definition, as the API server gets it.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let definitions = vec![
        llm_gateway::LLMGateway::crd(),
        llm_provider::LLMProvider::crd(),
        virtual_key::VirtualKey::crd(),
        routing_policy::RoutingPolicy::crd(),
        cache_policy::CachePolicy::crd(),
        budget::Budget::crd(),
    ];
    definitions.into_iter().map(unready_by_default).collect()
}

/// Lets a new object say Ready=Unknown before any operator has seen it: tools that wait take silence for success.
fn unready_by_default(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let waiting = json!({ "conditions": [{
        "type": "Ready",
        "status": "Unknown",
        "reason": "Pending",
        "message": "waiting for the operator",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }] });
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(status) = schema.and_then(|schema| schema.properties.as_mut()).and_then(|fields| fields.get_mut("status")) {
            status.default = Some(JSON(waiting.clone()));
        }
    }
    definition
}
