//! When a generated key is made, rotated, taken over, and when it is left alone.
#![expect(clippy::expect_used, reason = "what fails in a helper fails the test")]

use std::collections::BTreeMap;

use crds::api::virtual_key::{DeletionPolicy, Generated, MintedKey};
use k8s_openapi::jiff::Timestamp;
use operator::gather::Fetched;
use operator::keys::{DELETION_POLICY, KEY_NAME, Known, MINTED_AT, PREVIOUS_UNTIL, ROTATED_FOR, Step, decide};

const MADE_FOR: &str = crds::world::MADE_FOR;

fn at(second: u32) -> Timestamp {
    format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60).parse().expect("a time")
}

fn present(annotations: &[(&str, &str)]) -> Fetched {
    let annotations: BTreeMap<_, _> = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Fetched::Present { uid: "secret".to_owned(), version: "1".to_owned(), annotations }
}

fn made(more: &[(&str, &str)]) -> Fetched {
    let mut all = vec![(MADE_FOR, "uid-1"), (KEY_NAME, "app"), (MINTED_AT, "2026-01-01T00:00:00Z"), (DELETION_POLICY, "Delete")];
    all.retain(|(key, _)| !more.iter().any(|(other, _)| other == key));
    all.extend(more);
    present(&all)
}

fn known(secret: &Fetched) -> Known<'_> {
    let has_text = matches!(secret, Fetched::Present { .. });
    Known {
        uid: "uid-1",
        name: "app",
        place: Generated::default(),
        interval: None,
        rotate: None,
        minted: None,
        secret,
        has_text,
        has_previous: false,
    }
}

fn minted(rotated_for: Option<&str>) -> Option<MintedKey> {
    let text = str::to_owned;
    Some(MintedKey { id: text("abcdefgh"), secret_name: text("app-key"), minted_for: text("uid-1"), rotated_for: rotated_for.map(text) })
}

#[test]
fn a_key_is_made_once_for_its_uid() {
    let absent = &Fetched::Absent;
    assert_eq!(decide(&known(absent), at(0)), Step::Mint);
    assert_eq!(decide(&Known { minted: minted(None), ..known(absent) }, at(0)), Step::Revoked);
    assert_eq!(
        decide(&Known { uid: "uid-2", minted: minted(None), ..known(absent) }, at(0)),
        Step::Mint,
        "another VirtualKey of that name"
    );
    assert_eq!(decide(&known(&made(&[])), at(0)), Step::Rest(None));
    assert_eq!(decide(&known(&Fetched::Denied), at(0)), Step::Rest(None), "nobody knows whether it is there");
}

#[test]
fn a_key_whose_secret_was_deleted_comes_back_by_a_new_value_of_the_annotation_alone() {
    let absent = &Fetched::Absent;
    let key = |rotate, obeyed| Known { rotate, minted: minted(obeyed), ..known(absent) };
    assert_eq!(decide(&key(Some("a"), Some("a")), at(0)), Step::Revoked);
    assert_eq!(decide(&key(Some("b"), Some("a")), at(0)), Step::Mint);
    assert_eq!(decide(&key(None, Some("a")), at(0)), Step::Revoked);
    let emptied = made(&[]);
    assert_eq!(decide(&Known { has_text: false, ..known(&emptied) }, at(0)), Step::Revoked, "its entry was deleted");
    assert_eq!(decide(&Known { has_text: false, rotate: Some("b"), ..known(&emptied) }, at(0)), Step::Rotate);
}

#[test]
fn a_foreign_secret_is_left_alone() {
    for annotations in
        [&[][..], &[(MADE_FOR, "uid-of-another")], &[(MADE_FOR, "uid-of-another"), (KEY_NAME, "app"), (DELETION_POLICY, "Delete")]]
    {
        let secret = present(annotations);
        let key = Known { rotate: Some("now"), interval: Some(60), ..known(&secret) };
        assert_eq!(decide(&key, at(3000)), Step::Foreign, "{annotations:?}");
    }
}

#[test]
fn a_retained_secret_is_taken_over_by_a_key_of_the_same_name() {
    let left = made(&[(MADE_FOR, "uid-of-old"), (DELETION_POLICY, "Retain")]);
    assert_eq!(decide(&known(&left), at(0)), Step::Adopt);
    assert_eq!(
        decide(
            &Known { name: "other", place: Generated { secret_name: Some("app-key".to_owned()), ..Generated::default() }, ..known(&left) },
            at(0)
        ),
        Step::Foreign
    );
}

#[test]
fn a_key_rotates_on_schedule_and_on_a_new_value() {
    let secret = made(&[]);
    let scheduled = Known { interval: Some(600), ..known(&secret) };
    assert_eq!(decide(&scheduled, at(599)), Step::Rest(Some(at(600))));
    assert_eq!(decide(&scheduled, at(600)), Step::Rotate);
    let obeyed = made(&[(ROTATED_FOR, "a")]);
    assert_eq!(decide(&Known { rotate: Some("a"), ..known(&obeyed) }, at(1)), Step::Rest(None));
    assert_eq!(decide(&Known { rotate: Some("b"), ..known(&obeyed) }, at(1)), Step::Rotate);
}

#[test]
fn the_text_before_goes_when_its_overlap_is_over() {
    let secret = made(&[(PREVIOUS_UNTIL, "2026-01-01T00:05:00Z")]);
    let key = || Known { has_previous: true, ..known(&secret) };
    assert_eq!(decide(&key(), at(299)), Step::Rest(Some(at(300))));
    assert_eq!(decide(&key(), at(300)), Step::DropPrevious);
    let forever = made(&[]);
    assert_eq!(decide(&Known { has_previous: true, ..known(&forever) }, at(0)), Step::DropPrevious, "one without an end is none of ours");
}

#[test]
fn what_becomes_of_the_secret_follows_the_spec() {
    let secret = made(&[]);
    let place = Generated { deletion_policy: DeletionPolicy::Retain, ..Generated::default() };
    assert_eq!(decide(&Known { place, ..known(&secret) }, at(0)), Step::Own);
}
