//! Bytes that an operator of schema 1 wrote. A reader of today must take them. `examples/golden.rs` wrote them
//! and writes those of the next schema.

use std::fs;
use std::path::PathBuf;

use snapshot::bundle::{self, Index, PartKind};

use crate::sample::{Store, gateway_id, small};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schema-1")
}

fn file(name: &str, secret: bool) -> PathBuf {
    folder().join(if secret { "secrets" } else { "configmaps" }).join(name)
}

#[test]
fn a_bundle_of_schema_1_is_read() {
    let index = fs::read(file("portolan-snapshot", false)).expect("committed");
    let part = |name: &str, kind| fs::read(file(name, kind == PartKind::Credentials)).ok();
    let joined = bundle::join(&gateway_id(), &index, part).expect("whole");
    let (snapshot, credentials) = small();
    assert_eq!(joined.snapshot, snapshot);
    assert!(joined.credentials == credentials);
}

/// The index holds the digest of each part's canonical bytes. When it changes with the same configuration, every part of
/// every gateway is rewritten and every pod of before sees another revision: that is a new schema.
#[test]
fn the_canonical_bytes_of_schema_1_have_not_changed() {
    let golden = Index::parse(&gateway_id(), &fs::read(file("portolan-snapshot", false)).expect("committed")).expect("whole");
    assert_eq!(Store::of(&small()).index(), Some(golden));
}
