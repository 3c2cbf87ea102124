//! What of a provider clients may reach by its path.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What clients may reach by its path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.paths.all(path, !(path + '/').contains('/./') && !(path + '/').contains('/../'))").message("no segment of a path is . or .."))]
pub struct Proxy {
    /// Paths below the endpoint's URL such as `/files/*`: a `*` stands for any run of characters within one segment, `**` as
    /// the last segment for one segment or more.
    #[schemars(length(min = 1, max = 64), inner(length(min = 2, max = 256), regex(pattern = r"^(/([*]|[*]?([A-Za-z0-9._~:@!$&'()+,=-]+[*]?)+))*(/[*][*])?$")), extend("x-kubernetes-list-type" = "set"))]
    pub paths: Vec<String>,
    /// Methods that are passed through; HEAD goes where GET may.
    #[serde(default = "get_and_post")]
    #[schemars(length(min = 1, max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub methods: Vec<MethodName>,
}

fn get_and_post() -> Vec<MethodName> {
    vec![MethodName::GET, MethodName::POST]
}

/// Methods of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum MethodName {
    /// Look.
    GET,
    /// Do.
    POST,
    /// Put in place.
    PUT,
    /// Change.
    PATCH,
    /// Remove.
    DELETE,
}
