//! Credentials are in Secrets and nowhere else: in no ConfigMap, no index, no message.

use serde_json::json;
use snapshot::bundle::{self, CONFIG_PARTS, EntryKind};
use snapshot::{Credentials, Secret};

use crate::sample::{Store, provider_id, small};

const CANARY: &str = "canary-5f3a9c";

fn config_with_canary() -> (snapshot::Snapshot, Credentials) {
    (small().0, Credentials([(provider_id("one"), Secret::new(CANARY.to_owned()))].into()))
}

fn holds_canary(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

#[test]
fn a_credential_is_written_into_a_secret_alone() {
    let store = Store::of(&config_with_canary());
    let mut found = 0;
    for ((name, secret), bytes) in &store.0 {
        let plain = zstd::decode_all(bytes.as_slice()).unwrap_or_else(|_| bytes.clone());
        assert!(*secret || !holds_canary(&plain), "{name}");
        found += usize::from(*secret && holds_canary(&plain));
    }
    assert_eq!(found, 1);
}

#[test]
fn what_is_published_and_joined_prints_no_credential() {
    let (snapshot, credentials) = config_with_canary();
    let published = bundle::publish(None, &snapshot, &credentials).expect("fits");
    let joined = Store::of(&(snapshot, credentials)).join().expect("whole");
    assert!(!holds_canary(format!("{published:?}{joined:?}").as_bytes()));
    // Small bodies are hardly compressed: their bytes are the credential, so none are printed in any form.
    for write in &published.writes {
        let expected = format!("Write {{ name: {:?}, bytes: {}, secret: {} }}", write.name, write.bytes.len(), write.secret);
        assert_eq!(format!("{write:?}"), expected);
    }
}

#[test]
fn a_broken_credential_part_is_told_without_quoting_it() {
    let number = EntryKind::Credential.part_of("ai/one");
    assert!(number >= CONFIG_PARTS);
    let spoiled = [
        json!([CANARY]),
        json!({"schema": CANARY}),
        json!({CANARY: 1}),
        json!({"schema": 1, "gateway": "ai/portolan", "number": number, "entries": [{CANARY: 1}]}),
        json!({"schema": 1, "gateway": "ai/portolan", "number": number, "entries": CANARY}),
        json!({"schema": 1, "gateway": "ai/portolan", "number": number, "entries":
            [{"kind": "credential", "id": "ai/one", "value": {"key": CANARY}}]}),
        json!({"schema": 1, "gateway": "ai/portolan", "number": number, "entries":
            [{"kind": "credential", "id": "ai/one", "value": [CANARY]}]}),
    ];
    for body in spoiled {
        let mut store = Store::of(&config_with_canary());
        store.forge_part_bytes(number, body.to_string().as_bytes());
        let torn = store.join().expect_err("spoiled");
        assert!(!holds_canary(format!("{torn} {torn:?}").as_bytes()), "{body}: {torn}");
    }
}
