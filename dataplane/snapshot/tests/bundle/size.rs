//! Bounds of what is published.

use std::sync::Arc;

use snapshot::bundle::{self, PART_BYTES_MAX, PublishError};
use snapshot::{GatewayId, Glob};

use crate::sample::{Store, key, key_id, key_mut, small};

/// Text that does not compress much: one of 64 characters per byte.
fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + 2 + (state >> 32) as u8 % 57)
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_part_that_no_object_holds_is_refused_with_its_number() {
    let (mut snapshot, credentials) = small();
    key_mut(&mut snapshot, "free").allow.models = Some(vec![Glob::new(&noise(1_200_000))]);
    let error = bundle::publish(None, &snapshot, &credentials).expect_err("too large");
    let PublishError::PartTooLarge { number, bytes } = error else { panic!("{error}") };
    assert_eq!(number, bundle::EntryKind::Key.part_of("team-a/free"));
    assert!(bytes > PART_BYTES_MAX);
    let message = error.to_string();
    assert!(message.ends_with("too many or too large providers, keys and policies"), "{message}");
}

#[test]
fn a_part_that_no_reader_inflates_is_refused() {
    let (mut snapshot, credentials) = small();
    key_mut(&mut snapshot, "free").allow.models = Some(vec![Glob::new(&"a".repeat(9 << 20))]);
    let error = bundle::publish(None, &snapshot, &credentials).expect_err("too large");
    assert!(matches!(error, PublishError::PartTooLargeInflated { .. }), "{error}");
}

#[test]
fn ten_thousand_keys_fit_with_room_to_spare() {
    let (mut snapshot, credentials) = small();
    snapshot.keys = (0..10_000).map(|number| key(&format!("key-{number}"), None)).map(|key| (key.id.clone(), Arc::new(key))).collect();
    let published = bundle::publish(None, &snapshot, &credentials).expect("fits");
    let largest = published.writes.iter().map(|write| write.bytes.len()).max().expect("some");
    assert!(largest < PART_BYTES_MAX / 8, "{largest}");
    let joined = Store::of(&(snapshot.clone(), credentials)).join().expect("whole");
    assert_eq!(joined.snapshot, snapshot);
}

#[test]
fn what_could_not_be_joined_is_not_published() {
    let (snapshot, credentials) = small();
    let index = Store::of(&(snapshot.clone(), credentials.clone())).index().expect("an index");
    let with = |change: fn(&mut snapshot::Snapshot)| {
        let mut changed = snapshot.clone();
        change(&mut changed);
        bundle::publish(Some(&index), &changed, &credentials).expect_err("refused")
    };
    let foreign = with(|snapshot| snapshot.gateway.id = GatewayId::new("ai", "other").expect("a name"));
    assert!(matches!(foreign, PublishError::ForeignPrevious { .. }), "{foreign}");
    let misnamed = with(|snapshot| {
        let key = snapshot.keys.remove(&key_id("free")).expect("there");
        snapshot.keys.insert(key_id("other"), key);
    });
    assert_eq!(misnamed, PublishError::Misnamed { kind: "key", id: "team-a/other".to_owned() });

    let last = bundle::Index { sequence: u64::MAX, ..index.clone() };
    let mut changed = snapshot.clone();
    changed.gateway.body_bytes_max += 1;
    assert_eq!(bundle::publish(Some(&last), &changed, &credentials), Err(PublishError::SequenceExhausted));

    changed.gateway.id = GatewayId::new("ai", &"long".repeat(61)).expect("a name");
    let long = bundle::publish(None, &changed, &credentials).expect_err("refused");
    assert!(matches!(long, PublishError::NameTooLong { .. }), "{long}");
}
