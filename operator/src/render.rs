//! From an LLMGateway to the objects that run it. Pure: the same gateway gives the same objects.

mod access;
pub mod labels;
mod pods;
mod reach;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ApiResource;
use serde_json::{Value, json};

use crds::api::llm_gateway::LLMGatewaySpec;
use crds::api::{GROUP, VERSION};

/// What the operator knows beside the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The image of the data plane.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub image_pull_policy: &'static str,
    /// Where the operator itself runs: it may ask the pods what they serve.
    pub operator_namespace: String,
}

/// A gateway to be rendered.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID: what is rendered goes with it.
    pub uid: &'a str,
    /// What it says.
    pub spec: &'a LLMGatewaySpec,
    /// What is known beside it.
    pub around: &'a Surroundings,
}

/// One object to apply.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Where the API server has it.
    pub resource: ApiResource,
    /// The object; None: it must not be there.
    pub body: Option<Value>,
}

/// Everything that runs a gateway, in the order in which it is applied.
#[must_use]
pub fn objects(subject: Subject<'_>) -> Vec<Rendered> {
    let (name, account) = (subject.name.to_owned(), access::account_name(subject.name));
    let maybe = |kind, name: &String, resource, body| Rendered { kind, name: name.clone(), resource, body };
    let some = |kind, name: &String, resource, body| maybe(kind, name, resource, Some(body));
    let scaler = ApiResource::erase::<HorizontalPodAutoscaler>(&());
    vec![
        some("ServiceAccount", &account, ApiResource::erase::<ServiceAccount>(&()), access::service_account(subject)),
        maybe("Role", &account, ApiResource::erase::<Role>(&()), access::role(subject)),
        maybe("RoleBinding", &account, ApiResource::erase::<RoleBinding>(&()), access::role_binding(subject)),
        some("Service", &name, ApiResource::erase::<Service>(&()), reach::service(subject)),
        some("NetworkPolicy", &name, ApiResource::erase::<NetworkPolicy>(&()), reach::network_policy(subject)),
        some("Deployment", &name, ApiResource::erase::<Deployment>(&()), pods::deployment(subject)),
        some("PodDisruptionBudget", &name, ApiResource::erase::<PodDisruptionBudget>(&()), pods::disruption_budget(subject)),
        maybe("HorizontalPodAutoscaler", &name, scaler, pods::autoscaler(subject)),
    ]
}

/// The name of the Secret with the keys of a gateway's seal.
#[must_use]
pub fn seal_name(gateway: &str) -> String {
    format!("{gateway}-seal")
}

/// The reference by which an object goes with its gateway.
#[must_use]
pub fn owner(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{VERSION}"),
        kind: "LLMGateway".to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    }
}

fn metadata(subject: Subject<'_>, name: &str) -> Value {
    json!({
        "name": name,
        "namespace": subject.namespace,
        "labels": labels::of(subject.name),
        "ownerReferences": [owner(subject.name, subject.uid)],
    })
}
