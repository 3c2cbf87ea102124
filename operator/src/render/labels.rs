//! Labels: by which pods are found, and by which the operator knows its own.

use std::collections::BTreeMap;

/// The label that names the gateway of a pod or object.
pub const GATEWAY: &str = "portolan.dev/gateway";
/// Selects what the operator made.
pub const MANAGED: &str = "app.kubernetes.io/managed-by=portolan-operator";

/// Labels of every object of a gateway. `app.kubernetes.io/instance` is not among them: tools of GitOps would take the
/// object for one of their own.
#[must_use]
pub fn of(gateway: &str) -> BTreeMap<String, String> {
    let text = str::to_owned;
    BTreeMap::from([
        (text("app.kubernetes.io/name"), text("portolan-gateway")),
        (text("app.kubernetes.io/managed-by"), text("portolan-operator")),
        (text(GATEWAY), text(gateway)),
    ])
}

/// Labels by which the pods of a gateway are found; fixed for ever, as the selector of a Deployment is.
#[must_use]
pub fn selector(gateway: &str) -> BTreeMap<String, String> {
    let text = str::to_owned;
    BTreeMap::from([
        (text("app.kubernetes.io/name"), text("portolan-gateway")),
        (text("app.kubernetes.io/instance"), text(gateway)),
        (text(GATEWAY), text(gateway)),
    ])
}

/// The same as the text of a selector.
#[must_use]
pub fn selector_text(gateway: &str) -> String {
    selector(gateway).into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
