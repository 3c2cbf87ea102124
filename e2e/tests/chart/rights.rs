//! What the operator may, by the roles of the chart.

use std::collections::BTreeSet;
use std::path::Path;

use e2e::cluster::programs;
use serde_json::Value;

use crate::rendered::{SETS, had, template, text, title};

/// One role as it is bound.
#[derive(Debug)]
struct Grant {
    role: String,
    /// None: everywhere.
    namespace: Option<String>,
    rules: Vec<Value>,
}

fn words(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn is_role(object: &Value) -> bool {
    matches!(object["kind"].as_str(), Some("Role" | "ClusterRole"))
}

/// Every grant to the operator's account.
fn grants(objects: &[Value]) -> Vec<Grant> {
    let bindings = objects.iter().filter(|object| matches!(object["kind"].as_str(), Some("RoleBinding" | "ClusterRoleBinding")));
    bindings
        .map(|binding| {
            let subjects = serde_json::json!([{"kind": "ServiceAccount", "name": "portolan", "namespace": "portolan-system"}]);
            assert_eq!(binding["subjects"], subjects, "{}", title(binding));
            let namespace = binding["metadata"]["namespace"].as_str().map(str::to_owned);
            assert_eq!(namespace.is_none(), binding["kind"] == "ClusterRoleBinding");
            let (kind, name) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
            let there = |role: &&Value| {
                role["kind"] == *kind
                    && role["metadata"]["name"] == *name
                    && (kind == "ClusterRole" || role["metadata"]["namespace"].as_str() == namespace.as_deref())
            };
            let role = objects.iter().find(there).unwrap_or_else(|| panic!("{} binds nothing", title(binding)));
            Grant { role: name.as_str().expect("a name").to_owned(), namespace, rules: role["rules"].as_array().expect("rules").clone() }
        })
        .collect()
}

fn rendered(helm: &Path, values: &str) -> Vec<Value> {
    template(helm, values, &[]).unwrap_or_else(|said| panic!("{values}: {said}"))
}

/// Namespaces in which a resource may be used so; `*` is everywhere.
fn namespaces(grants: &[Grant], resource: &str, verb: &str) -> BTreeSet<String> {
    let gives = |grant: &&Grant| {
        grant
            .rules
            .iter()
            .any(|rule| words(&rule["resources"]).any(|word| word == resource) && words(&rule["verbs"]).any(|word| word == verb))
    };
    grants.iter().filter(gives).map(|grant| grant.namespace.clone().unwrap_or_else(|| "*".to_owned())).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn no_role_has_a_wildcard_or_a_verb_that_lifts_itself() {
    let Some(helm) = had(programs::helm()) else { return };
    for (name, values) in SETS {
        for role in rendered(&helm, values).iter().filter(|object| is_role(object)) {
            assert!(role["aggregationRule"].is_null());
            for rule in role["rules"].as_array().expect("rules") {
                let all: Vec<&str> = ["apiGroups", "resources", "verbs", "nonResourceURLs", "resourceNames"]
                    .iter()
                    .flat_map(|field| words(&rule[*field]))
                    .collect();
                let bad = |word: &&&str| word.contains('*') || ["escalate", "bind", "impersonate"].contains(*word);
                assert_eq!(all.iter().find(bad), None, "{name}: {} {rule}", title(role));
            }
        }
    }
}

#[test]
fn secrets_are_read_in_the_namespaces_that_were_named_and_nowhere_else() {
    let Some(helm) = had(programs::helm()) else { return };
    for (values, tenants, gateways) in [
        ("{}", &["portolan-system"][..], &["portolan-system"][..]),
        ("{tenantNamespaces: [team-a, team-b], gatewayNamespaces: [ai]}", &["ai", "team-a", "team-b"], &["ai"]),
        ("{tenantNamespaces: [team-a, team-a]}", &[], &[]),
        ("{gatewayNamespaces: [ai], gateway: {create: true}}", &["ai", "portolan-system"], &["ai", "portolan-system"]),
        ("{watchNamespaces: [ai, team-a]}", &["ai", "team-a"], &["ai", "team-a"]),
        ("{watchNamespaces: [ai, team-a], gatewayNamespaces: [ai]}", &["ai", "team-a"], &["ai"]),
        ("{clusterWide: true}", &["*"], &["*"]),
    ] {
        if tenants.is_empty() {
            assert!(template(&helm, values, &[]).is_err(), "{values}");
            continue;
        }
        let grants = grants(&rendered(&helm, values));
        for verb in ["get", "list", "watch", "create", "update"] {
            assert_eq!(namespaces(&grants, "secrets", verb), set(tenants), "{values}: {verb} of secrets");
        }
        assert_eq!(namespaces(&grants, "configmaps", "get"), set(tenants), "{values}");
        for resource in [
            "deployments",
            "services",
            "serviceaccounts",
            "roles",
            "rolebindings",
            "networkpolicies",
            "poddisruptionbudgets",
            "horizontalpodautoscalers",
        ] {
            assert_eq!(namespaces(&grants, resource, "create"), set(gateways), "{values}: {resource}");
        }
        assert_eq!(namespaces(&grants, "configmaps", "update"), set(gateways), "{values}");
        assert_eq!(namespaces(&grants, "leases", "update"), set(&["portolan-system"]), "{values}");
        for verb in ["delete", "deletecollection"] {
            assert_eq!(namespaces(&grants, "secrets", verb), set(&[]), "{values}");
            assert_eq!(namespaces(&grants, "deployments", verb), set(&[]), "{values}");
        }
    }
}

#[test]
fn with_namespaces_by_name_nothing_is_for_the_whole_cluster() {
    let Some(helm) = had(programs::helm()) else { return };
    let objects = rendered(&helm, "{watchNamespaces: [ai, team-a]}");
    let wide: Vec<String> =
        objects.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.starts_with("Cluster"))).map(title).collect();
    assert_eq!(wide, [""; 0]);
    assert_eq!(namespaces(&grants(&objects), "llmgateways", "watch"), set(&["ai", "team-a"]));
    assert_eq!(namespaces(&grants(&rendered(&helm, "{}")), "llmgateways", "watch"), set(&["*"]));
}

/// A role may only be given by somebody who holds what it gives: the API server asks for that when the operator writes the
/// role of a gateway's pods.
#[test]
fn the_operator_holds_what_it_gives_to_the_pods_of_gateways() {
    let Some(helm) = had(programs::helm()) else { return };
    for (name, values) in SETS.into_iter().filter(|(name, _)| *name != "little") {
        let grants = grants(&rendered(&helm, values));
        for (resource, verb) in [("configmaps", "get"), ("configmaps", "list"), ("configmaps", "watch"), ("secrets", "get")] {
            let (held, given) = (namespaces(&grants, resource, verb), namespaces(&grants, "roles", "create"));
            assert!(given.is_subset(&held), "{name}: {verb} of {resource} in {given:?}, held in {held:?}");
        }
    }
}

#[test]
fn security_md_says_why_for_each_right() {
    let Some(helm) = had(programs::helm()) else { return };
    let paper = text("SECURITY.md");
    let section = paper.split("\n## ").find(|section| section.starts_with("Rights of the operator")).expect("a section");
    let rows: BTreeSet<&str> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .collect();
    let mut given = BTreeSet::new();
    for grant in grants(&rendered(&helm, "{}")) {
        for rule in &grant.rules {
            given.extend(words(&rule["resources"]).map(str::to_owned));
        }
        assert!(section.contains(&format!("`{}`", grant.role.replace("portolan-", "…-"))), "{} is not named", grant.role);
    }
    assert_eq!(rows, given.iter().map(String::as_str).collect());
}
