//! A compilation that remembers the last one gives what one without a memory gives, whatever was changed in between.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crds::compile::{Compiled, compile};
use crds::report::Kind;
use crds::world::{Entries, Parsed, Parser, World};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use snapshot::Secret;

/// Costly to make.
static PARSER: LazyLock<Parser> = LazyLock::new(Parser::default);

const NAMESPACES: [&str; 3] = ["a", "b", "house"];

/// One thing that changes. The numbers choose among few names and few forms, so that changes meet.
#[derive(Debug, Clone)]
enum Edit {
    Put(Kind, usize, usize),
    Remove(Kind, usize),
    /// Which, what it holds, for whom it was made.
    Secret(usize, usize, usize),
    RemoveSecret(usize),
    Deny(usize),
    Admit(usize),
    Cluster(bool),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let kind = || {
        prop_oneof![
            1 => Just(Kind::LLMGateway), 2 => Just(Kind::LLMProvider), 3 => Just(Kind::RoutingPolicy), 5 => Just(Kind::VirtualKey),
        ]
    };
    prop_oneof![
        6 => (kind(), any::<usize>(), any::<usize>()).prop_map(|(kind, which, form)| Edit::Put(kind, which, form)),
        2 => (kind(), any::<usize>()).prop_map(|(kind, which)| Edit::Remove(kind, which)),
        3 => (any::<usize>(), any::<usize>(), any::<usize>()).prop_map(|(which, text, owner)| Edit::Secret(which, text, owner)),
        2 => any::<usize>().prop_map(Edit::RemoveSecret),
        1 => any::<usize>().prop_map(Edit::Deny),
        1 => any::<usize>().prop_map(Edit::Admit),
        1 => any::<bool>().prop_map(Edit::Cluster),
    ]
}

fn one<T: Clone>(list: &[T], number: usize) -> T {
    list[number % list.len()].clone()
}

/// Namespace and name of the object that a number chooses.
fn place(kind: Kind, which: usize) -> (&'static str, String) {
    let count = match kind {
        Kind::LLMGateway => return (one(&["house", "a"], which), "main".to_owned()),
        Kind::LLMProvider | Kind::RoutingPolicy => 2,
        Kind::VirtualKey | Kind::CachePolicy | Kind::Budget | Kind::Document => 4,
    };
    (one(&NAMESPACES, which), format!("n{}", which / NAMESPACES.len() % count))
}

fn reference(number: usize) -> Value {
    one(
        &[
            json!({"name": "n0"}),
            json!({"name": "n1"}),
            json!({"name": "n0", "namespace": "house"}),
            json!({"name": "n1", "namespace": "b"}),
        ],
        number,
    )
}

/// A form of an object; some are refused.
fn spec(kind: Kind, form: usize) -> Value {
    let shared = [
        json!({"from": "All"}),
        json!({"from": "Same"}),
        json!({"from": "Names", "names": ["a"]}),
        json!({"from": "Names", "names": ["b", "house"]}),
    ];
    let more = form / 4;
    match kind {
        Kind::LLMGateway => {
            let teams = [json!([]), json!([{"name": "core", "namespaces": ["a"]}]), json!([{"name": "core", "namespaces": ["a", "b"]}])];
            let egress = [json!([]), json!(["10.0.0.0/8"]), json!(["1.1.1.1/99"])];
            json!({"allowedNamespaces": one(&shared, form), "teams": one(&teams, more), "egress": {"allowCIDRs": one(&egress, more / 3)}})
        }
        Kind::LLMProvider => {
            let simulated =
                json!({"type": "Simulated", "allowedNamespaces": one(&shared, form), "models": [{"name": one(&["m", "n"], more)}]});
            let auth = json!({"secretRef": {"name": one(&["n0-key", "text"], more / 4), "key": "apiKey"}});
            let real = json!({"type": "OpenAI", "allowedNamespaces": one(&shared, form), "auth": auth});
            one(&[simulated.clone(), real, simulated, json!({"type": "Simulated", "models": 1})], more)
        }
        Kind::RoutingPolicy => {
            let mut rule = json!({"name": one(&["x", "y"], form), "targets": [{"providerRef": reference(form / 2)}]});
            let when = [None, Some("request.stream"), Some("no such thing"), Some("key.name == 'x'")];
            if let Some(when) = one(&when, form / 8) {
                rule["when"] = json!(when);
            }
            json!({"rules": if form.is_multiple_of(13) { json!([]) } else { json!([rule]) }})
        }
        Kind::VirtualKey => {
            let hash = |digit: &str| json!({"type": "Hash", "sha256": digit.repeat(64)});
            let secret = json!({"type": "SecretRef", "secretRef": {"name": "text", "key": "apiKey"}});
            let generated = json!({"type": "Generated"});
            let elsewhere = json!({"type": "Generated", "generated": {"secretName": "text"}});
            let mut spec = json!({"source": one(&[hash("1"), hash("2"), hash("3"), secret, generated.clone(), elsewhere, generated], form), "suspend": form.is_multiple_of(2)});
            let some = |field: &str, value: Value, wanted: bool, spec: &mut Value| {
                if wanted {
                    spec[field] = value;
                }
            };
            some("routingPolicyRef", reference(form / 7), !(form / 28).is_multiple_of(3), &mut spec);
            some("allow", json!({"providers": [reference(form / 11)]}), (form / 44).is_multiple_of(3), &mut spec);
            some("owner", json!({"team": "core"}), (form / 5).is_multiple_of(4), &mut spec);
            some(
                "gatewayRef",
                json!({"name": "main", "namespace": one(&["house", "a"], form / 17)}),
                (form / 34).is_multiple_of(2),
                &mut spec,
            );
            spec
        }
        Kind::CachePolicy | Kind::Budget | Kind::Document => json!({}),
    }
}

fn secret_name(which: usize) -> (String, String) {
    (one(&NAMESPACES, which).to_owned(), one(&["n0-key", "n1-key", "text"], which / NAMESPACES.len()).to_owned())
}

fn make(parsed: &mut Parsed, edit: &Edit, step: usize) {
    let text = |number: usize| format!("a text of at least sixteen characters {}", number % 3);
    match *edit {
        Edit::Put(kind, which, form) => {
            let (namespace, name) = place(kind, which);
            let metadata = json!({"name": name, "namespace": namespace, "uid": format!("uid-{}", which % 5), "generation": step,
                "creationTimestamp": one(&["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"], form)});
            let object =
                json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind.to_string(), "metadata": metadata, "spec": spec(kind, form)});
            PARSER.put(parsed, object);
        }
        Edit::Remove(kind, which) => {
            let (namespace, name) = place(kind, which);
            parsed.remove(kind, &(namespace.to_owned(), name));
        }
        Edit::Secret(which, value, owner) => {
            let mut values = BTreeMap::from([("apiKey".to_owned(), Secret::new(text(value).into_bytes()))]);
            if value.is_multiple_of(5) {
                values.insert("apiKey.previous".to_owned(), Secret::new(text(value / 5).into_bytes()));
            }
            let made_for = Some(format!("uid-{}", owner % 5)).filter(|_| !owner.is_multiple_of(7));
            parsed.world.secrets.insert(secret_name(which), Arc::new(Entries { values, made_for }));
        }
        Edit::RemoveSecret(which) => drop(parsed.world.secrets.remove(&secret_name(which))),
        Edit::Deny(which) => drop(parsed.world.denied.insert(one(&NAMESPACES, which).to_owned())),
        Edit::Admit(which) => drop(parsed.world.denied.remove(one(&NAMESPACES, which))),
        Edit::Cluster(cluster) => parsed.world.cluster = cluster,
    }
}

/// The same world in which no object is the very one that was compiled before.
fn fresh(parsed: &Parsed) -> Parsed {
    let World { gateways, providers, keys, routing_policies, cache_policies, budgets, secrets, denied, config_maps, cluster } =
        &parsed.world;
    let world = World {
        gateways: gateways.clone(),
        providers: providers.clone(),
        keys: copied(keys),
        routing_policies: copied(routing_policies),
        cache_policies: cache_policies.clone(),
        budgets: budgets.clone(),
        secrets: copied(secrets),
        denied: denied.clone(),
        config_maps: config_maps.clone(),
        cluster: *cluster,
    };
    Parsed { world, rejected: parsed.rejected.clone() }
}

fn copied<K: Clone + Ord, V: Clone>(map: &BTreeMap<K, Arc<V>>) -> BTreeMap<K, Arc<V>> {
    map.iter().map(|(name, value)| (name.clone(), Arc::new(V::clone(value)))).collect()
}

/// A world in which nearly everything is accepted, so that edits have something to spoil.
fn begin() -> Parsed {
    let mut parsed = Parsed::default();
    parsed.world.cluster = true;
    make(&mut parsed, &Edit::Put(Kind::LLMGateway, 0, 4), 1);
    for which in 0..6 {
        make(&mut parsed, &Edit::Put(Kind::LLMProvider, which, 0), 1);
        make(&mut parsed, &Edit::Put(Kind::RoutingPolicy, which, which + 1), 1);
        make(&mut parsed, &Edit::Secret(which, which, which), 1);
    }
    for which in 0..12 {
        make(&mut parsed, &Edit::Put(Kind::VirtualKey, which, which * 5 + 2), 1);
    }
    parsed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_remembered_changes_nothing(edits in vec(vec(any_edit(), 1..3), 1..12)) {
        let mut parsed = begin();
        let mut remembering = compile(&parsed, None);
        let mut forgetful = compile(&fresh(&parsed), None);
        for (step, edits) in edits.iter().enumerate() {
            edits.iter().for_each(|edit| make(&mut parsed, edit, step + 2));
            remembering = compile(&parsed, Some(&remembering));
            forgetful = compile(&fresh(&parsed), Some(&forgetful.forms()));
            prop_assert_eq!(&remembering.reports, &forgetful.reports, "after {:?}", edits);
            prop_assert_eq!(&remembering.gateways, &forgetful.gateways, "after {:?}", edits);
            if remembering.reports.values().all(|report| report.serving_generation.is_none()) {
                let from_nothing = compile(&parsed, None);
                prop_assert_eq!(&remembering.reports, &from_nothing.reports, "no older form serves");
                prop_assert_eq!(&remembering.gateways, &from_nothing.gateways, "no older form serves");
            }
        }
        let again = compile(&parsed, Some(&remembering));
        prop_assert!(again.gateways.iter().zip(&remembering.gateways).all(|((_, new), (_, old))| Arc::ptr_eq(new, old)), "the very same");
    }
}

/// The values of the only gateway's keys.
fn keys(compiled: &Compiled) -> BTreeMap<String, Arc<snapshot::Key>> {
    let config = compiled.gateways.values().next().expect("a gateway");
    config.snapshot.keys.iter().map(|(id, key)| (id.to_string(), Arc::clone(key))).collect()
}

#[test]
fn what_did_not_change_is_taken_over_as_it_is() {
    let mut parsed = begin();
    let first = compile(&parsed, None);
    assert!(keys(&first).len() >= 3, "the case shows something: {:?}", first.reports);
    let (name, _) = keys(&first).pop_first().expect("a key");
    let (namespace, name) = name.split_once('/').expect("a namespace");
    let place = (namespace.to_owned(), name.to_owned());
    let mut changed = crds::api::virtual_key::VirtualKey::clone(&parsed.world.keys[&place]);
    changed.spec.suspend ^= true;
    parsed.world.keys.insert(place, Arc::new(changed));
    let second = compile(&parsed, Some(&first));
    let (before, after) = (keys(&first), keys(&second));
    let same = before.iter().filter(|(id, key)| after.get(*id).is_some_and(|now| Arc::ptr_eq(now, key))).count();
    assert_eq!((after.len(), same), (before.len(), before.len() - 1));
    let reports = first.reports.iter().filter(|(id, report)| second.reports.get(*id).is_some_and(|now| Arc::ptr_eq(now, report)));
    assert!(reports.count() >= before.len() - 1, "and so is what is said of it");
}
