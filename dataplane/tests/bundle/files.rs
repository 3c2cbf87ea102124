//! Volume and last good bundle, without an API server.

use std::os::unix::fs::PermissionsExt as _;

use dataplane::source::{Place, Places};
use snapshot::GatewayId;
use tempfile::TempDir;

use crate::pod::{Pod, nowhere, on_volume};
use crate::published::{INDEX, Operator, Stored, Volume, damaged, without};

fn both(volume: &Volume, last_good: &TempDir) -> Places {
    Places { last_good: Some(last_good.path().to_owned()), ..on_volume(volume.path()) }
}

#[tokio::test]
async fn a_volume_is_served_and_its_swaps_are_followed() {
    let mut operator = Operator::default();
    let mut volume = Volume::with(&operator.publish("one"));
    let mut pod = Pod::start(on_volume(volume.path()));
    assert_eq!((pod.serves().as_str(), pod.place()), ("one", Some(Place::Volume)));
    pod.until_settled().await;
    assert_eq!(pod.certainty.confirmed_age_seconds(), None, "nobody is asked");
    volume.swap(&operator.publish("two"));
    pod.until_serves("two").await;
    volume.swap(&operator.publish("three"));
    pod.until_serves("three").await;
    assert_eq!(pod.taken, [1, 2, 3], "the sequence is the index's");
}

#[tokio::test]
async fn a_volume_that_fills_after_the_start_is_served() {
    let mut volume = Volume::empty();
    let mut pod = Pod::start(on_volume(volume.path()));
    assert!(pod.loaded.is_none());
    pod.until_trouble("no index").await;
    volume.swap(&Operator::default().publish("one"));
    pod.until_serves("one").await;
    pod.until_well().await;
}

#[tokio::test]
async fn what_is_not_whole_leaves_what_is_in_use_and_is_told_and_mended() {
    type Harm = fn(Stored, &str) -> Stored;
    let table: [(&str, Harm, &str); 4] = [
        ("damaged", damaged, "portolan-snapshot-"),
        ("missing", without, "missing"),
        ("no index", |stored, _| without(stored, INDEX), "no index"),
        ("broken index", |stored, _| damaged(stored, INDEX), "index"),
    ];
    for (what, harm, told) in table {
        let mut operator = Operator::default();
        let mut volume = Volume::with(&operator.publish("one"));
        let mut pod = Pod::start(on_volume(volume.path()));
        let two = operator.publish("two");
        volume.swap(&harm(two.clone(), &operator.provider_part()));
        pod.until_trouble(told).await;
        assert_eq!((pod.serves().as_str(), pod.failed), ("one", 1), "{what}");
        volume.swap(&two);
        pod.until_serves("two").await;
        assert_eq!(pod.trouble, None, "{what}: it is over");
    }
}

#[tokio::test]
async fn what_is_older_or_another_history_is_not_taken() {
    let mut operator = Operator::default();
    let one = operator.publish("one");
    let mut other = operator.clone();
    let two = operator.publish("two");
    let mut volume = Volume::with(&two);
    let mut pod = Pod::start(on_volume(volume.path()));
    volume.swap(&one);
    pod.until_trouble("sequence 1 is older than 2").await;
    volume.swap(&other.publish("another two"));
    pod.until_trouble("another configuration").await;
    volume.swap(&two);
    pod.until_well().await;
    volume.swap(&operator.publish("three"));
    pod.until_serves("three").await;
    assert_eq!(pod.taken, [2, 3]);
}

#[tokio::test]
async fn a_foreign_or_newer_bundle_is_refused() {
    let stored = Operator::default().publish("one");
    let volume = Volume::with(&stored);
    let foreign = Places { gateway: GatewayId::new("elsewhere", "portolan").expect("a name"), ..on_volume(volume.path()) };
    let pod = Pod::start(foreign);
    assert!(pod.loaded.is_none());
    assert!(pod.trouble.as_ref().is_some_and(|trouble| trouble.contains("of gateway default/portolan")), "{:?}", pod.trouble);

    let mut newer = stored;
    let index = String::from_utf8(newer[INDEX].0.clone()).expect("text");
    let inner = index.strip_prefix("{\"index\":").and_then(|rest| rest.split(",\"seal\"").next()).expect("a sealed index");
    let inner = inner.replace("\"schema\":1", "\"schema\":999");
    newer.insert(INDEX.to_owned(), (format!("{{\"index\":{inner},\"seal\":\"{}\"}}", sha256(&inner)).into_bytes(), false));
    let pod = Pod::start(on_volume(Volume::with(&newer).path()));
    assert!(pod.loaded.is_none());
    let pod = Pod::start(on_volume(Volume::with(&newer).path()));
    assert!(pod.trouble.is_some_and(|trouble| !trouble.is_empty()));
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_was_served_is_served_again_when_the_volume_has_nothing() {
    let (mut operator, last_good) = (Operator::default(), TempDir::new().expect("a folder"));
    operator.publish("one");
    let two = operator.publish("two");
    let mut volume = Volume::with(&two);
    drop(Pod::start(both(&volume, &last_good)));
    let kept = last_good.path().join("bundle");
    assert_eq!(std::fs::metadata(&kept).expect("it is kept").permissions().mode() & 0o777, 0o600, "it holds credentials");

    volume.swap(&Stored::new());
    let mut pod = Pod::start(both(&volume, &last_good));
    assert_eq!((pod.serves().as_str(), pod.place(), pod.taken.as_slice()), ("two", Some(Place::LastGood), [2].as_slice()));
    pod.until_settled().await;
    let alone = Pod::start(Places { last_good: Some(last_good.path().to_owned()), ..nowhere() });
    assert_eq!(alone.serves(), "two");
    volume.swap(&operator.publish("three"));
    pod.until_serves("three").await;
    assert_eq!(Pod::start(both(&Volume::empty(), &last_good)).serves(), "three", "a later one is kept as well");
}

#[tokio::test]
async fn a_start_takes_the_highest_whole_sequence() {
    let (mut operator, last_good) = (Operator::default(), TempDir::new().expect("a folder"));
    let one = operator.publish("one");
    let two = operator.publish("two");
    let three = operator.publish("three");
    drop(Pod::start(both(&Volume::with(&two), &last_good)));

    let pod = Pod::start(both(&Volume::with(&one), &last_good));
    assert_eq!((pod.serves().as_str(), pod.place()), ("two", Some(Place::LastGood)), "an older volume");
    assert!(pod.trouble.as_ref().is_some_and(|trouble| trouble.contains("older")), "and it says so: {:?}", pod.trouble);
    let pod = Pod::start(both(&Volume::with(&damaged(three.clone(), &operator.provider_part())), &last_good));
    assert_eq!((pod.serves().as_str(), pod.place()), ("two", Some(Place::LastGood)), "a newer volume that is not whole");
    assert!(pod.trouble.is_some(), "and it says so");
    let pod = Pod::start(both(&Volume::with(&three), &last_good));
    assert_eq!((pod.serves().as_str(), pod.place()), ("three", Some(Place::Volume)), "a newer volume");
    assert_eq!(pod.trouble, None);
}

#[tokio::test]
async fn a_last_good_bundle_that_is_damaged_in_any_place_hurts_no_start() {
    let (mut operator, last_good) = (Operator::default(), TempDir::new().expect("a folder"));
    let one = operator.publish("one");
    let two = operator.publish("two");
    drop(Pod::start(both(&Volume::with(&two), &last_good)));
    let kept = last_good.path().join("bundle");
    let whole = std::fs::read(&kept).expect("a file");
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        for bytes in [bytes, whole[..at].to_vec()] {
            std::fs::write(&kept, bytes).expect("a file");
            let pod = Pod::start(both(&Volume::with(&one), &last_good));
            assert_eq!(pod.serves(), "one", "damaged or cut at {at}");
        }
    }
}

#[tokio::test]
async fn a_bundle_that_cannot_be_kept_is_served_and_told() {
    let last_good = TempDir::new().expect("a folder");
    let gone = last_good.path().join("gone");
    let mut pod = Pod::start(Places { last_good: Some(gone), ..on_volume(Volume::with(&Operator::default().publish("one")).path()) });
    assert_eq!(pod.serves(), "one");
    pod.until_trouble("cannot be kept").await;
}

#[tokio::test]
async fn what_a_killed_process_left_half_written_is_no_hindrance() {
    let (mut operator, last_good) = (Operator::default(), TempDir::new().expect("a folder"));
    std::fs::write(last_good.path().join("bundle.partial"), "half").expect("a file");
    drop(Pod::start(both(&Volume::with(&operator.publish("one")), &last_good)));
    assert_eq!(Pod::start(both(&Volume::empty(), &last_good)).serves(), "one");
}
