//! The API server: lists, watches, and all that goes wrong with them.

use dataplane::source::{Place, Places};
use tempfile::TempDir;

use crate::apiserver::{Api, Fault, Gone};
use crate::pod::{Pod, on_api};
use crate::published::{INDEX, Operator, Stored, Volume, damaged, without};

async fn followed() -> (Operator, Api, Pod) {
    let mut operator = Operator::default();
    let api = Api::start(&operator.publish("one")).await;
    let mut pod = Pod::start(on_api(&api));
    pod.until_serves("one").await;
    pod.until("it watches", |_| api.watches() > 0).await;
    (operator, api, pod)
}

#[tokio::test]
async fn the_index_is_watched_and_only_changed_parts_are_fetched() {
    let (mut operator, api, mut pod) = followed().await;
    assert_eq!(pod.place(), Some(Place::Api));
    pod.until_settled().await;
    assert_eq!(pod.certainty.confirmed_age_seconds(), Some(0));
    assert_eq!(api.parts_asked().len(), 20, "at first every part");
    api.write(&operator.publish("two"));
    pod.until_serves("two").await;
    assert_eq!(api.parts_asked(), [operator.provider_part()], "then the one that changed");
    assert_eq!(pod.taken, [1, 2]);
}

#[tokio::test]
async fn a_rotated_token_is_used_from_the_next_connection_on() {
    let (mut operator, api, mut pod) = followed().await;
    assert!(api.asked().iter().all(|(_, token)| token == "token-1"));
    api.rotate_token("token-2");
    api.write(&operator.publish("two"));
    pod.until_serves("two").await;
    let part = api.asked().into_iter().rev().find(|(path, _)| path.ends_with(&operator.provider_part()));
    assert_eq!(part.map(|(_, token)| token).as_deref(), Some("token-2"));
}

#[tokio::test]
async fn a_version_that_is_gone_leads_to_a_new_list() {
    for gone in [Gone::Status, Gone::Event] {
        let (mut operator, api, mut pod) = followed().await;
        api.write(&operator.publish("two"));
        api.compact(gone);
        api.end_watches();
        pod.until_serves("two").await;
        api.write(&operator.publish("three"));
        pod.until_serves("three").await;
    }
}

#[tokio::test]
async fn a_watch_that_ends_or_breaks_is_begun_again() {
    let (mut operator, mut api, mut pod) = followed().await;
    for model in ["two", "three", "four"] {
        api.end_watches();
        api.write(&operator.publish(model));
        pod.until_serves(model).await;
    }
    api.stop();
    pod.until_trouble("the API server").await;
    assert_eq!(pod.serves(), "four", "what is in use stays");
    operator.publish("never seen");
    api.write(&operator.publish("six"));
    api.listen().await;
    pod.until_serves("six").await;
    pod.until_well().await;
    assert_eq!(pod.taken, [1, 2, 3, 4, 6]);
}

#[tokio::test]
async fn watches_that_end_as_they_begin_are_not_asked_for_without_pause() {
    let (mut operator, api, mut pod) = followed().await;
    api.fail(Fault::ShortWatches);
    api.end_watches();
    let before = api.watches();
    for model in ["two", "three", "four"] {
        api.write(&operator.publish(model));
        pod.until_serves(model).await;
    }
    assert!(api.watches() - before < 40, "{} watches", api.watches() - before);
}

#[tokio::test]
async fn a_part_that_is_not_what_the_index_says_leaves_what_is_in_use_and_is_told() {
    for harm in [damaged, without] {
        let (mut operator, api, mut pod) = followed().await;
        let two = operator.publish("two");
        api.write(&harm(two.clone(), &operator.provider_part()));
        pod.until_trouble(&operator.provider_part()).await;
        assert_eq!(pod.serves(), "one");
        api.write(&two);
        pod.until_serves("two").await;
        pod.until_well().await;
    }
}

#[tokio::test]
async fn an_older_sequence_is_ignored_and_told() {
    let (mut operator, api, mut pod) = followed().await;
    let one = operator.stored.clone();
    api.write(&operator.publish("two"));
    pod.until_serves("two").await;
    api.write(&one);
    pod.until_trouble("sequence 1 is older than 2").await;
    api.write(&Operator::forgetful("another"));
    api.write(&operator.publish("three"));
    pod.until_serves("three").await;
    pod.until_well().await;
    assert_eq!(pod.taken, [1, 2, 3]);
}

#[tokio::test]
async fn an_index_that_is_deleted_or_broken_leaves_what_is_in_use() {
    let (mut operator, api, mut pod) = followed().await;
    let one = operator.stored.clone();
    api.write(&without(one.clone(), INDEX));
    pod.until_trouble("no index").await;
    api.write(&damaged(one, INDEX));
    pod.until_trouble("index").await;
    assert_eq!(pod.serves(), "one");
    api.write(&operator.publish("two"));
    pod.until_serves("two").await;
    pod.until_well().await;
}

#[tokio::test]
async fn a_start_waits_for_the_index_while_the_api_server_answers() {
    let mut operator = Operator::default();
    let volume = Volume::with(&operator.publish("one"));
    let two = operator.publish("two");
    let api = Api::start(&damaged(two.clone(), &operator.provider_part())).await;
    let mut pod = Pod::start(Places { volume: Some(volume.path().to_owned()), ..on_api(&api) });
    assert_eq!(pod.serves(), "one", "the volume is behind");
    pod.until_trouble(&operator.provider_part()).await;
    assert!(!pod.certainty.settled());
    api.fail(Fault::Parts(503));
    pod.until_trouble("a fault of parts").await;
    assert!(!pod.certainty.settled(), "the index was told, and is newer");
    api.fail(Fault::None);
    api.write(&two);
    pod.until_settled().await;
    assert_eq!(pod.serves(), "two");
    api.write(&damaged(operator.publish("three"), &operator.provider_part()));
    pod.until_trouble(&operator.provider_part()).await;
    assert!(pod.certainty.settled(), "later lag takes nothing back");
}

#[tokio::test]
async fn files_do_when_the_api_server_is_down() {
    for fault in [Fault::Closed, Fault::Status(503)] {
        let mut operator = Operator::default();
        let volume = Volume::with(&operator.publish("one"));
        let api = Api::start(&operator.publish("two")).await;
        api.fail(fault);
        let mut pod = Pod::start(Places { volume: Some(volume.path().to_owned()), ..on_api(&api) });
        pod.until_settled().await;
        assert_eq!(pod.serves(), "one");
        assert!(pod.trouble.as_ref().is_some_and(|trouble| trouble.starts_with("the API server")), "{:?}", pod.trouble);
        api.fail(Fault::None);
        pod.until_serves("two").await;
        pod.until_well().await;
    }
}

#[tokio::test]
async fn a_container_that_starts_again_fetches_no_part_that_it_kept() {
    let (mut operator, last_good) = (Operator::default(), TempDir::new().expect("a folder"));
    let api = Api::start(&operator.publish("one")).await;
    let places = || Places { last_good: Some(last_good.path().to_owned()), ..on_api(&api) };
    Pod::start(places()).until_serves("one").await;
    api.parts_asked();
    let mut pod = Pod::start(places());
    assert_eq!((pod.serves().as_str(), pod.place()), ("one", Some(Place::LastGood)));
    pod.until_settled().await;
    assert_eq!(api.parts_asked(), [""; 0]);
    api.write(&operator.publish("two"));
    pod.until_serves("two").await;
    assert_eq!(api.parts_asked(), [operator.provider_part()]);
}

#[tokio::test]
async fn a_volume_that_lags_behind_the_api_server_is_no_trouble() {
    let mut operator = Operator::default();
    let one = operator.publish("one");
    let mut volume = Volume::with(&one);
    let api = Api::start(&operator.publish("two")).await;
    let mut pod = Pod::start(Places { volume: Some(volume.path().to_owned()), ..on_api(&api) });
    pod.until_serves("two").await;
    volume.swap(&one);
    volume.swap(&Stored::new());
    api.write(&operator.publish("three"));
    pod.until_serves("three").await;
    assert_eq!((pod.failed, pod.trouble), (0, None));
}

#[tokio::test]
async fn a_bookmark_moves_the_version_from_which_is_watched() {
    let (mut operator, api, mut pod) = followed().await;
    api.compact(Gone::Status);
    api.bookmark();
    let before = api.watches();
    api.end_watches();
    pod.until("it watches again", |_| api.watches() > before).await;
    // Were the bookmark lost, the version would be gone and a list would come first.
    let lists = |api: &Api| api.asked().iter().filter(|(path, _)| path.contains('?') && !path.contains("watch=true")).count();
    api.write(&operator.publish("two"));
    pod.until_serves("two").await;
    assert_eq!(lists(&api), 1);
}
