//! Budget: not served by this version.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::shared::Status;

/// Not served by this version: every object is refused with the reason UnsupportedFeature and has no effect. Fields come
/// together with the code that honours them.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Deserialize, Serialize, KubeSchema)]
#[kube(
    group = "portolan.dev",
    version = "v1alpha1",
    kind = "Budget",
    plural = "budgets",
    shortname = "bud",
    category = "portolan",
    namespaced,
    status = "Status",
    derive = "PartialEq"
)]
#[kube(
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSpec {}
