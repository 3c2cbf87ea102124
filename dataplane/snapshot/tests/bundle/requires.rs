//! An operator that is newer: entries that need what this reader lacks are refused and told, and nothing is widened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use snapshot::bundle::{Because, EntryKind, Refused};
use snapshot::{
    AuthStyle, AwsIdentity, AwsSource, Azure, AzureApi, Class, Endpoint, LongPrompt, MorePrices, NanoUsd, Operation, PathPattern, Price,
    ProviderKind, Proxy, Scheme, Service, Site, Surface, Unit, Verb,
};

use crate::sample::{Store, gateway_id, key_id, policy_id, provider_id, small};

fn require(store: &mut Store, kind: EntryKind, id: &str) {
    store.forge_part(kind.part_of(id), |body| {
        let entry =
            body["entries"].as_array_mut().expect("an array").iter_mut().find(|entry| entry["id"] == id && entry["kind"] == kind.word());
        let entry = entry.expect("there");
        entry["requires"] = json!(["a-new-thing"]);
        // What a newer operator writes there is not for this reader to understand.
        entry["value"] = json!([1, {"two": null}]);
    });
}

fn because_of_the_feature(kind: &str, id: &str) -> Refused {
    Refused { kind: kind.to_owned(), id: id.to_owned(), because: Because::Requires(vec!["a-new-thing".to_owned()]) }
}

fn because_of(kind: EntryKind, id: &str, other: EntryKind, other_id: &str) -> Refused {
    Refused { kind: kind.word().to_owned(), id: id.to_owned(), because: Because::Needs { kind: other, id: other_id.to_owned() } }
}

#[test]
fn a_key_that_needs_a_feature_is_refused_alone() {
    let mut store = Store::of(&small());
    require(&mut store, EntryKind::Key, "team-a/free");
    let joined = store.join().expect("the rest");
    assert_eq!(joined.refused, [because_of_the_feature("key", "team-a/free")]);
    let (mut expected, credentials) = small();
    expected.keys.remove(&key_id("free"));
    assert_eq!(joined.snapshot, expected);
    assert!(joined.credentials == credentials);
}

#[test]
fn a_key_whose_policy_is_refused_is_refused_too_and_not_served_without_it() {
    let mut store = Store::of(&small());
    require(&mut store, EntryKind::Policy, "team-a/fall-back");
    let joined = store.join().expect("the rest");
    let key = because_of(EntryKind::Key, "team-a/ruled", EntryKind::Policy, "team-a/fall-back");
    assert_eq!(joined.refused, [because_of_the_feature("policy", "team-a/fall-back"), key]);
    assert!(!joined.snapshot.policies.contains_key(&policy_id("fall-back")));
    assert_eq!(joined.snapshot.keys.keys().collect::<Vec<_>>(), [&key_id("free")]);
}

#[test]
fn a_provider_whose_credential_is_refused_is_not_called_without() {
    let mut store = Store::of(&small());
    require(&mut store, EntryKind::Credential, "ai/one");
    let joined = store.join().expect("the rest");
    let provider = because_of(EntryKind::Provider, "ai/one", EntryKind::Credential, "ai/one");
    assert_eq!(joined.refused, [because_of_the_feature("credential", "ai/one"), provider]);
    assert_eq!(joined.snapshot.providers.keys().collect::<Vec<_>>(), [&provider_id("two")]);
    assert!(joined.credentials.0.is_empty());
}

/// A reader of before would not see the condition, and route every call by the rule.
#[test]
fn a_policy_with_a_condition_requires_a_reader_that_knows_conditions() {
    let required = |when: Option<&str>| {
        let mut config = small();
        config.0.policies.values_mut().for_each(|policy| Arc::make_mut(policy).rules[0].when = when.map(str::to_owned));
        let mut store = Store::of(&config);
        assert_eq!(store.join().expect("this reader knows them").snapshot, config.0);
        let mut required = Vec::new();
        for number in 0..snapshot::bundle::PARTS {
            store.forge_part(number, |body| {
                let entries = body["entries"].as_array().expect("an array").iter();
                required.extend(entries.filter(|entry| !entry["requires"].is_null()).map(|entry| entry["requires"].to_string()));
            });
        }
        required
    };
    assert_eq!(required(None), [""; 0], "whoever has no condition writes what was always written");
    assert_eq!(required(Some("request.stream")), [r#"["rule-when"]"#]);
}

/// A reader of before would send what the provider does not take.
#[test]
fn a_provider_with_quirks_requires_a_reader_that_knows_them() {
    let mut config = small();
    config.0.providers.get_mut(&provider_id("one")).expect("there").quirks.insert(snapshot::Quirk::MaxTokens);
    let mut store = Store::of(&config);
    assert_eq!(store.join().expect("this reader knows them").snapshot, config.0);
    store.forge_part(EntryKind::Provider.part_of("ai/one"), |body| {
        let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == "ai/one").expect("there");
        assert_eq!(entry["requires"], json!(["provider-quirks"]));
    });
}

/// A reader of before would price it by the catalog.
#[test]
fn a_provider_with_prices_of_more_than_text_requires_a_reader_that_knows_them() {
    let mut config = small();
    let flex = Price { input: NanoUsd(1), output: NanoUsd(2), cached: None, cache_write: None };
    let prices = MorePrices {
        tokens: BTreeMap::from([(Class::AudioInput, NanoUsd(1)), (Class::CacheWriteHour, NanoUsd(2))]),
        services: BTreeMap::from([(Service::Flex, flex)]),
        long_prompts: vec![LongPrompt { above: 9, price: flex }],
        units: BTreeMap::from([(Unit::Image, NanoUsd(3))]),
        call: Some(NanoUsd(4)),
    };
    config.0.providers.get_mut(&provider_id("one")).expect("there").models[0].more_prices = Some(Box::new(prices));
    let mut store = Store::of(&config);
    assert_eq!(store.join().expect("this reader knows them").snapshot, config.0);
    store.forge_part(EntryKind::Provider.part_of("ai/one"), |body| {
        let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == "ai/one").expect("there");
        assert_eq!(entry["requires"], json!(["more-prices"]));
    });
}

/// A reader of before would not know the operation of the key, nor what of the provider is open; nothing is widened by
/// leaving them out.
#[test]
fn what_is_passed_through_requires_a_reader_that_knows_it() {
    let mut config = small();
    let proxy = Proxy { paths: vec![PathPattern::new("/files/*").expect("a pattern")], methods: BTreeSet::from([Verb::Get]) };
    config.0.providers.get_mut(&provider_id("one")).expect("there").proxy = Some(proxy);
    let key = Arc::make_mut(config.0.keys.get_mut(&key_id("free")).expect("there"));
    key.allow.operations = Some(BTreeSet::from([Operation::Chat, Operation::Proxy]));
    let mut store = Store::of(&config);
    assert_eq!(store.join().expect("this reader knows it").snapshot, config.0);
    for (kind, id) in [(EntryKind::Provider, "ai/one"), (EntryKind::Key, "team-a/free")] {
        store.forge_part(kind.part_of(id), |body| {
            let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == id).expect("there");
            assert_eq!(entry["requires"], json!(["pass-through"]));
        });
    }
}

#[test]
fn sessions_that_are_named_require_a_reader_that_knows_them() {
    let mut config = small();
    config.0.providers.get_mut(&provider_id("one")).expect("there").surfaces.insert(Surface::Realtime);
    let key = Arc::make_mut(config.0.keys.get_mut(&key_id("free")).expect("there"));
    key.allow.operations = Some(BTreeSet::from([Operation::Realtime]));
    let mut store = Store::of(&config);
    assert_eq!(store.join().expect("this reader knows them").snapshot, config.0);
    for (kind, id) in [(EntryKind::Provider, "ai/one"), (EntryKind::Key, "team-a/free")] {
        store.forge_part(kind.part_of(id), |body| {
            let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == id).expect("there");
            assert_eq!(entry["requires"], json!(["sessions"]));
        });
    }
}

/// A reader of before knows neither the proof nor the type; it would not even read the part.
#[test]
fn a_provider_of_a_cloud_requires_a_reader_that_knows_it() {
    let (config, _) = small();
    let endpoint = config.providers[&provider_id("one")].kind.endpoint().expect("an endpoint").clone();
    let sts = Site { scheme: Scheme::Https, host: "sts.example".to_owned(), port: 443, path: "/".to_owned() };
    let aws = AwsIdentity { region: "us-east-1".to_owned(), service: "bedrock".to_owned(), source: AwsSource::Keys, role: None, sts };
    let signed = Endpoint { auth: AuthStyle::Aws(Box::new(aws)), ..endpoint.clone() };
    let azure = Azure { endpoint: endpoint.clone(), api: AzureApi::V1 { version: None } };
    for (kind, required) in [
        (ProviderKind::Bedrock(endpoint.clone()), json!(["native-provider"])),
        (ProviderKind::Bedrock(signed), json!(["native-provider", "cloud-identity"])),
        (ProviderKind::VertexAi(endpoint), json!(["native-provider", "cloud-identity", "cloud-provider"])),
        (ProviderKind::AzureOpenAi(azure), json!(["native-provider", "cloud-identity", "cloud-provider"])),
    ] {
        let mut config = small();
        config.0.providers.get_mut(&provider_id("one")).expect("there").kind = kind;
        let mut store = Store::of(&config);
        assert_eq!(store.join().expect("this reader does").snapshot, config.0);
        store.forge_part(EntryKind::Provider.part_of("ai/one"), |body| {
            let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == "ai/one").expect("there");
            assert_eq!(entry["requires"], required);
        });
    }
}

/// A reader of before has no word for these surfaces and operations; it would not even read the part.
#[test]
fn what_names_a_later_door_requires_a_reader_that_has_it() {
    let (mut config, credentials) = small();
    let provider = config.providers.get_mut(&provider_id("one")).expect("there");
    provider.surfaces.insert(snapshot::Surface::Rerank);
    let key = Arc::make_mut(config.keys.get_mut(&key_id("free")).expect("there"));
    key.allow.operations = Some([snapshot::Operation::Chat, snapshot::Operation::Images].into());
    config.gateway.form_bytes_max = 1 << 20;
    let mut store = Store::of(&(config.clone(), credentials));
    assert_eq!(store.join().expect("this reader has them").snapshot, config);
    let mut required = Vec::new();
    for number in 0..snapshot::bundle::PARTS {
        store.forge_part(number, |body| {
            let entries = body["entries"].as_array().expect("an array").iter();
            required.extend(entries.filter(|entry| entry["requires"] == json!(["later-doors"])).map(|entry| entry["kind"].to_string()));
        });
    }
    required.sort();
    assert_eq!(required, ["\"gateway\"", "\"key\"", "\"provider\""]);
}

/// A reader with the doors of before has no word for files.
#[test]
fn what_names_files_requires_a_reader_that_keeps_them_apart() {
    let mut config = small();
    config.0.providers.get_mut(&provider_id("one")).expect("there").surfaces.insert(snapshot::Surface::Files);
    let key = Arc::make_mut(config.0.keys.get_mut(&key_id("free")).expect("there"));
    key.allow.operations = Some(BTreeSet::from([Operation::Chat, Operation::Files]));
    let mut store = Store::of(&config);
    assert_eq!(store.join().expect("this reader has the word").snapshot, config.0);
    for (kind, id) in [(EntryKind::Provider, "ai/one"), (EntryKind::Key, "team-a/free")] {
        store.forge_part(kind.part_of(id), |body| {
            let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == id).expect("there");
            assert_eq!(entry["requires"], json!(["files"]));
        });
    }
}

/// A reader of before has no word for it; it would not even read the part.
#[test]
fn a_quirk_that_was_named_later_requires_a_reader_that_knows_it() {
    for (quirk, required) in [
        (snapshot::Quirk::MaxTokens, json!(["provider-quirks"])),
        (snapshot::Quirk::LooseChunks, json!(["provider-quirks", "later-quirks"])),
        (snapshot::Quirk::CachedApart, json!(["provider-quirks", "later-quirks"])),
    ] {
        let mut config = small();
        config.0.providers.get_mut(&provider_id("one")).expect("there").quirks.insert(quirk);
        let mut store = Store::of(&config);
        assert_eq!(store.join().expect("this reader does").snapshot, config.0);
        store.forge_part(EntryKind::Provider.part_of("ai/one"), |body| {
            let entry = body["entries"].as_array().expect("an array").iter().find(|entry| entry["id"] == "ai/one").expect("there");
            assert_eq!(entry["requires"], required);
        });
    }
}

#[test]
fn a_kind_of_the_future_is_refused_and_told() {
    let mut store = Store::of(&small());
    store.forge_part(9, |body: &mut Value| {
        let entry = json!({"kind": "budget", "id": "team-a/month", "requires": ["a-new-thing"], "value": {"amount": "10"}});
        body["entries"].as_array_mut().expect("an array").push(entry);
    });
    let joined = store.join().expect("the rest");
    assert_eq!(joined.refused, [because_of_the_feature("budget", "team-a/month")]);
    assert_eq!(
        joined.refused[0].to_string(),
        r#"budget team-a/month needs ["a-new-thing"], which this data plane does not have: upgrade it"#
    );
    assert_eq!(joined.snapshot, small().0);
    assert_eq!(joined.index.gateway, gateway_id());
}
