//! Each reason to refuse a bundle, brought about on purpose.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use snapshot::SCHEMA;
use snapshot::bundle::{self, CONFIG_PARTS, EntryKind, INDEX_BYTES_MAX, PART_BYTES_MAX, PART_CANONICAL_BYTES_MAX, Torn};

use crate::sample::{Store, gateway_id, key, small};

type Spoil = fn(&mut Store);

/// The word of a reason. A new variant does not compile until it has one, and then it wants a case below.
fn word(torn: &Torn) -> &'static str {
    match torn {
        Torn::IndexTooLarge { .. } => "IndexTooLarge",
        Torn::IndexUnreadable { .. } => "IndexUnreadable",
        Torn::IndexSealBroken => "IndexSealBroken",
        Torn::ForeignIndex { .. } => "ForeignIndex",
        Torn::SchemaTooNew { .. } => "SchemaTooNew",
        Torn::SchemaTooOld { .. } => "SchemaTooOld",
        Torn::FeatureMissing { .. } => "FeatureMissing",
        Torn::PartUnknown { .. } => "PartUnknown",
        Torn::PartOfWrongKind { .. } => "PartOfWrongKind",
        Torn::PartTwice { .. } => "PartTwice",
        Torn::PartNotNamed { .. } => "PartNotNamed",
        Torn::PartMissing { .. } => "PartMissing",
        Torn::PartTooLarge { .. } => "PartTooLarge",
        Torn::PartTooLargeInflated { .. } => "PartTooLargeInflated",
        Torn::PartBroken { .. } => "PartBroken",
        Torn::PartTrailing { .. } => "PartTrailing",
        Torn::PartWrongLength { .. } => "PartWrongLength",
        Torn::PartWrongDigest { .. } => "PartWrongDigest",
        Torn::PartUnreadable { .. } => "PartUnreadable",
        Torn::PartForeign { .. } => "PartForeign",
        Torn::EntryUnreadable { .. } => "EntryUnreadable",
        Torn::EntryMisplaced { .. } => "EntryMisplaced",
        Torn::EntryTwice { .. } => "EntryTwice",
        Torn::GatewayMissing => "GatewayMissing",
        Torn::WrongDigest => "WrongDigest",
    }
}

const WORDS: usize = 25;

const KEY: &str = "team-a/free";

fn gateway_part() -> u8 {
    EntryKind::Gateway.part_of("ai/portolan")
}

fn key_part() -> u8 {
    EntryKind::Key.part_of(KEY)
}

fn credential_part() -> u8 {
    EntryKind::Credential.part_of("ai/one")
}

fn set_index(store: &mut Store, bytes: Vec<u8>) {
    store.0.insert(("portolan-snapshot".to_owned(), false), bytes);
}

fn entries(body: &mut Value) -> &mut Vec<Value> {
    body["entries"].as_array_mut().expect("an array")
}

/// The entry with this id in a part's body.
fn entry<'a>(body: &'a mut Value, id: &str) -> &'a mut Value {
    entries(body).iter_mut().find(|entry| entry["id"] == id).expect("there")
}

fn cases() -> Vec<(&'static str, &'static str, Spoil)> {
    let mut cases = index_cases();
    cases.extend(part_cases());
    cases.extend(entry_cases());
    cases
}

fn index_cases() -> Vec<(&'static str, &'static str, Spoil)> {
    vec![
        ("IndexTooLarge", "an index padded with blanks", |store| {
            let mut bytes = store.index_bytes().expect("there").to_vec();
            bytes.resize(INDEX_BYTES_MAX + 1, b' ');
            set_index(store, bytes);
        }),
        ("IndexUnreadable", "an empty index", |store| set_index(store, Vec::new())),
        ("IndexUnreadable", "a truncated index", |store| {
            let bytes = store.index_bytes().expect("there");
            let half = bytes[..bytes.len() / 2].to_vec();
            set_index(store, half);
        }),
        ("IndexUnreadable", "an index with something behind it", |store| {
            let mut bytes = store.index_bytes().expect("there").to_vec();
            bytes.extend(b"{}");
            set_index(store, bytes);
        }),
        ("IndexUnreadable", "an index with a field more", |store| store.forge_index(|index| index["more"] = true.into())),
        ("IndexUnreadable", "an index without a sequence", |store| store.forge_index(|index| index["sequence"] = Value::Null)),
        ("IndexUnreadable", "an index without a digest", |store| store.forge_index(|index| index["digest"] = "none".into())),
        ("IndexSealBroken", "a sequence changed by hand", |store| {
            let text = String::from_utf8(store.index_bytes().expect("there").to_vec()).expect("JSON");
            set_index(store, text.replace(r#""sequence":1"#, r#""sequence":9"#).into_bytes());
        }),
        ("ForeignIndex", "the index of another gateway", |store| store.forge_index(|index| index["gateway"] = "ai/other".into())),
        ("ForeignIndex", "the index of a namesake in another namespace", |store| {
            store.forge_index(|index| index["gateway"] = "team-a/portolan".into());
        }),
        ("SchemaTooNew", "a newer schema with fields that nobody here knows", |store| {
            store.forge_index(|index| (index["schema"], index["gateway"]) = ((SCHEMA + 1).into(), json!({"not": "a text"})));
        }),
        ("SchemaTooOld", "a schema before the one before", |store| store.forge_index(|index| index["schema"] = 0.into())),
        ("FeatureMissing", "a bundle that needs more than the schema", |store| {
            store.forge_index(|index| index["requires"] = json!(["sealed-parts"]));
        }),
        ("PartUnknown", "a part too many", |store| store.forge_index(|index| index["parts"][19]["number"] = 20.into())),
        ("PartOfWrongKind", "credentials from a ConfigMap", |store| {
            store.forge_index(|index| index["parts"][16]["kind"] = "config".into());
        }),
        ("PartOfWrongKind", "configuration from a Secret", |store| {
            store.forge_index(|index| index["parts"][3]["kind"] = "credentials".into());
        }),
        ("PartTwice", "a part twice", |store| store.forge_index(|index| index["parts"][3]["number"] = 4.into())),
        ("PartNotNamed", "a part left out", |store| {
            store.forge_index(|index| drop(index["parts"].as_array_mut().expect("an array").remove(7)));
        }),
    ]
}

fn part_cases() -> Vec<(&'static str, &'static str, Spoil)> {
    vec![
        ("PartMissing", "a part in the slot that was never written", |store| {
            store.forge_index(|index| index["parts"][5]["slot"] = "b".into());
        }),
        ("PartMissing", "a credential part that is only there as a ConfigMap", |store| {
            let bytes = store.0.remove(&(format!("portolan-snapshot-{CONFIG_PARTS}-a"), true)).expect("there");
            store.0.insert((format!("portolan-snapshot-{CONFIG_PARTS}-a"), false), bytes);
        }),
        ("PartTooLarge", "a part of more bytes than an object holds", |store| store.part(0).resize(PART_BYTES_MAX + 1, 0)),
        ("PartTooLargeInflated", "a bomb that says how large it is", |store| {
            store.forge_part_bytes(0, &vec![b' '; PART_CANONICAL_BYTES_MAX + 1]);
        }),
        ("PartWrongLength", "a bomb that lies in the index", |store| {
            *store.part(0) = zstd::bulk::compress(&vec![b' '; 64 << 20], 1).expect("zstd");
        }),
        ("PartBroken", "a bomb that does not say its length", |store| {
            *store.part(0) = zstd::encode_all(vec![b' '; 64 << 20].as_slice(), 1).expect("zstd");
        }),
        ("PartBroken", "an empty part", |store| store.part(1).clear()),
        ("PartBroken", "a part that is not compressed", |store| *store.part(1) = b"{\"schema\":1}".to_vec()),
        ("PartBroken", "a truncated part", |store| store.part(credential_part()).truncate(20)),
        ("PartTrailing", "a byte behind a part", |store| store.part(2).push(0)),
        ("PartTrailing", "a second frame behind a part", |store| {
            let more = zstd::bulk::compress(b"more", 1).expect("zstd");
            store.part(2).extend(more);
        }),
        ("PartWrongLength", "a part of another revision", |store| {
            let mut config = small();
            config.0.keys.clear();
            *store.part(key_part()) = Store::of(&config).part(key_part()).clone();
        }),
        ("PartWrongDigest", "a part of another revision and the same length", |store| {
            let mut config = small();
            config.0.keys.values_mut().for_each(|key| Arc::make_mut(key).expires_at = Some(1_900_000_001));
            *store.part(key_part()) = Store::of(&config).part(key_part()).clone();
        }),
        ("PartUnreadable", "a part that is not JSON", |store| store.forge_part_bytes(4, b"schema: 1")),
        ("PartUnreadable", "a part with something behind its JSON", |store| {
            let body = zstd::decode_all(store.part(4).as_slice()).expect("zstd");
            store.forge_part_bytes(4, &[body.as_slice(), b"[]"].concat());
        }),
        ("PartUnreadable", "a part with a field more", |store| store.forge_part(4, |body| body["more"] = 1.into())),
        ("PartForeign", "a part of another gateway", |store| store.forge_part(4, |body| body["gateway"] = "ai/other".into())),
        ("PartForeign", "a part under another number", |store| store.forge_part(4, |body| body["number"] = 5.into())),
        ("PartForeign", "a part of another schema", |store| store.forge_part(4, |body| body["schema"] = 2.into())),
    ]
}

fn entry_cases() -> Vec<(&'static str, &'static str, Spoil)> {
    vec![
        ("FeatureMissing", "a gateway that needs more than the schema", |store| {
            store.forge_part(gateway_part(), |body| entry(body, "ai/portolan")["requires"] = json!(["mutual-tls"]));
        }),
        ("EntryUnreadable", "a key with a field that it does not require a feature for", |store| {
            store.forge_part(key_part(), |body| entry(body, KEY)["value"]["budget"] = 1.into());
        }),
        ("EntryUnreadable", "a kind that nobody here knows and that requires nothing", |store| {
            store.forge_part(0, |body| entries(body).push(json!({"kind": "budget", "id": "a/b", "value": {}})));
        }),
        ("EntryUnreadable", "a credential that is no text", |store| {
            store.forge_part(credential_part(), |body| entry(body, "ai/one")["value"] = json!({"key": "x"}));
        }),
        ("EntryMisplaced", "a key in the part of another", |store| {
            let value = serde_json::to_value(key("free", None)).expect("JSON");
            let elsewhere = (key_part() + 1) % CONFIG_PARTS;
            store.forge_part(elsewhere, |body| entries(body).push(json!({"kind": "key", "id": KEY, "value": value})));
        }),
        ("EntryMisplaced", "a credential in a part of configuration", |store| {
            store.forge_part(3, |body| entries(body).push(json!({"kind": "credential", "id": "ai/one", "value": "x"})));
        }),
        ("EntryMisplaced", "a key under an id that is not its own", |store| {
            let value = serde_json::to_value(key("other", None)).expect("JSON");
            store.forge_part(key_part(), |body| entry(body, KEY)["value"] = value);
        }),
        ("EntryTwice", "a key twice", |store| {
            store.forge_part(key_part(), |body| {
                let again = entry(body, KEY).clone();
                entries(body).push(again);
            });
        }),
        ("EntryTwice", "a credential twice", |store| {
            store.forge_part(credential_part(), |body| {
                let again = entry(body, "ai/one").clone();
                entries(body).push(again);
            });
        }),
        ("EntryTwice", "two gateways", |store| {
            store.forge_part(gateway_part(), |body| {
                let again = entry(body, "ai/portolan").clone();
                entries(body).push(again);
            });
        }),
        ("GatewayMissing", "no gateway", |store| {
            store.forge_part(gateway_part(), |body| entries(body).retain(|entry| entry["kind"] != "gateway"));
        }),
        ("WrongDigest", "a whole part of another revision, well sealed", |store| {
            store.forge_part(key_part(), |body| entry(body, KEY)["value"]["suspended"] = true.into());
        }),
    ]
}

#[test]
fn each_fault_is_refused_for_its_own_reason_in_words() {
    for (reason, fault, spoil) in cases() {
        let mut store = Store::of(&small());
        spoil(&mut store);
        let torn = store.join().expect_err(fault);
        assert_eq!(word(&torn), reason, "{fault}: {torn}");
        let message = torn.to_string();
        assert!(message.len() > 20 && message.len() < 600, "{fault}: {message}");
    }
}

#[test]
fn every_reason_is_brought_about_by_some_fault() {
    let reasons: BTreeSet<&str> = cases().into_iter().map(|(reason, _, _)| reason).collect();
    assert_eq!(reasons.len(), WORDS, "{reasons:?}");
}

#[test]
fn a_reader_of_another_gateway_takes_nothing() {
    let store = Store::of(&small());
    let other = snapshot::GatewayId::new("ai", "other").expect("a name");
    let index = store.index_bytes().expect("there");
    let torn = bundle::join(&other, index, |_, _| None::<Vec<u8>>).expect_err("foreign");
    assert_eq!(torn, Torn::ForeignIndex { expected: other, found: gateway_id() });
}

#[test]
fn a_message_quotes_no_more_than_an_excerpt() {
    let mut store = Store::of(&small());
    let long = "x".repeat(100_000);
    store.forge_part(0, |body| entries(body).push(json!({"kind": long, "id": long, "value": {}})));
    let message = store.join().expect_err("no such kind").to_string();
    assert!(message.len() < 600, "{}", message.len());
}
