//! What holds for every configuration, every edit and every death of the writer.

use std::sync::Arc;

use proptest::prelude::*;
use snapshot::bundle::{self, Before, Index, PartKind, PublishError, Slot};
use snapshot::{Glob, Secret, Surface};

use crate::sample::{Config, Store, any_config, key, key_id, key_mut, provider_id, small};

/// One edit of one entry.
#[derive(Debug, Clone)]
enum Edit {
    Gateway,
    Provider(usize),
    Key(usize),
    AddKey,
    RemoveKey(usize),
    Policy(usize),
    Credential(usize),
    AddCredential,
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        Just(Edit::Gateway),
        any::<usize>().prop_map(Edit::Provider),
        any::<usize>().prop_map(Edit::Key),
        Just(Edit::AddKey),
        any::<usize>().prop_map(Edit::RemoveKey),
        any::<usize>().prop_map(Edit::Policy),
        any::<usize>().prop_map(Edit::Credential),
        Just(Edit::AddCredential),
    ]
}

/// Edits an entry and tells in which kind of part; nothing when there is no such entry.
fn edit((snapshot, credentials): &mut Config, edit: &Edit) -> Option<PartKind> {
    let at = |place: usize, length: usize| (length > 0).then(|| place % length);
    match *edit {
        Edit::Gateway => snapshot.gateway.body_bytes_max ^= 1,
        Edit::Provider(place) => {
            let place = at(place, snapshot.providers.len())?;
            let provider = snapshot.providers.values_mut().nth(place)?;
            if !provider.surfaces.remove(&Surface::Embeddings) {
                provider.surfaces.insert(Surface::Embeddings);
            }
        }
        Edit::Key(place) => {
            let place = at(place, snapshot.keys.len())?;
            Arc::make_mut(snapshot.keys.values_mut().nth(place)?).suspended ^= true;
        }
        Edit::AddKey => drop(snapshot.keys.insert(key_id("added"), Arc::new(key("added", None)))),
        Edit::RemoveKey(place) => {
            let id = snapshot.keys.keys().nth(at(place, snapshot.keys.len())?)?.clone();
            snapshot.keys.remove(&id);
        }
        Edit::Policy(place) => {
            let place = at(place, snapshot.policies.len())?;
            Arc::make_mut(snapshot.policies.values_mut().nth(place)?).rules[0].name.push('+');
        }
        Edit::Credential(place) => {
            let place = at(place, credentials.0.len())?;
            let credential = credentials.0.values_mut().nth(place)?;
            *credential = Secret::new(format!("{}+", credential.expose()));
            return Some(PartKind::Credentials);
        }
        Edit::AddCredential => {
            credentials.0.insert(provider_id("added"), Secret::new("new".to_owned()));
            return Some(PartKind::Credentials);
        }
    }
    Some(PartKind::Config)
}

fn joins_to(store: &Store, (snapshot, credentials): &Config) -> Result<(), TestCaseError> {
    let joined = store.join().map_err(|torn| TestCaseError::fail(torn.to_string()))?;
    prop_assert_eq!(&joined.snapshot, snapshot);
    prop_assert!(joined.credentials == *credentials);
    prop_assert_eq!(joined.index.digest, bundle::digest(snapshot, credentials));
    prop_assert!(joined.refused.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_published_joins_to_the_same(config in any_config()) {
        let store = Store::of(&config);
        joins_to(&store, &config)?;
        let again = bundle::publish(None, &config.0, &config.1).expect("fits");
        prop_assert!(again.writes.iter().all(|write| store.0[&(write.name.clone(), write.secret)] == write.bytes), "deterministic");
    }

    #[test]
    fn one_edit_rewrites_one_part_in_the_other_slot_and_the_index(config in any_config(), edits in prop::collection::vec(any_edit(), 1..6)) {
        let (mut config, mut store) = (config.clone(), Store::of(&config));
        for one in &edits {
            let old = config.clone();
            let Some(kind) = edit(&mut config, one) else { continue };
            let before = store.index().expect("an index");
            let published = bundle::publish(Some(&before), &config.0, &config.1).expect("fits");
            let known = Before { index: &before, snapshot: &old.0, credentials: &old.1 };
            prop_assert_eq!(&bundle::publish_over(&known, &config.0, &config.1).expect("fits"), &published);
            if before.digest == bundle::digest(&config.0, &config.1) {
                prop_assert!(published.writes.is_empty() && published.index == before, "nothing changed");
                continue;
            }
            let [part, index] = published.writes.as_slice() else {
                return Err(TestCaseError::fail(format!("{one:?} writes {:?}", published.writes)));
            };
            prop_assert_eq!(part.secret, kind == PartKind::Credentials);
            prop_assert!(before.part_names().all(|(_, name)| name != part.name), "{} is in use", part.name);
            prop_assert_eq!(&index.name, "portolan-snapshot");
            prop_assert_eq!(published.index.sequence, before.sequence + 1);
            let same = published.index.parts.iter().zip(&before.parts).filter(|(new, old)| new == old).count();
            prop_assert_eq!(same, usize::from(bundle::PARTS) - 1);
            published.writes.iter().for_each(|write| store.apply(write));
            joins_to(&store, &config)?;
        }
    }

    #[test]
    fn from_any_configuration_to_any_other_what_is_known_of_the_first_changes_no_byte(first in any_config(), second in any_config()) {
        let index = Store::of(&first).index().expect("an index");
        let known = Before { index: &index, snapshot: &first.0, credentials: &first.1 };
        let over = bundle::publish_over(&known, &second.0, &second.1).expect("fits");
        prop_assert_eq!(over, bundle::publish(Some(&index), &second.0, &second.1).expect("fits"));
    }

    #[test]
    fn a_writer_that_dies_between_two_writes_leaves_the_old_or_the_new(
        configs in prop::collection::vec((any_config(), any::<prop::sample::Index>()), 2..5),
    ) {
        let mut store = Store::default();
        let mut current: Option<Config> = None;
        for (config, death) in &configs {
            let previous = store.index();
            let published = bundle::publish(previous.as_ref(), &config.0, &config.1).expect("fits");
            let old_index = store.index_bytes().map(<[u8]>::to_vec);
            // Every place to die, each on a copy; then one of them for good, or none.
            let mut copy = store.clone();
            for (done, write) in published.writes.iter().enumerate() {
                match &current {
                    Some(current) => joins_to(&copy, current)?,
                    None => prop_assert!(copy.index_bytes().is_none(), "an index after {done} writes"),
                }
                copy.apply(write);
            }
            joins_to(&copy, config)?;
            if let (Some(index), Some(current)) = (&old_index, &current) {
                let slow = copy.join_by(index).map_err(|torn| TestCaseError::fail(format!("a reader in between: {torn}")))?;
                prop_assert_eq!(&slow.snapshot, &current.0);
            }
            let survived = death.index(published.writes.len() + 1);
            published.writes.iter().take(survived).for_each(|write| store.apply(write));
            if survived == published.writes.len() {
                current = Some(config.clone());
            }
        }
    }

    #[test]
    fn a_damaged_object_is_refused_or_means_the_same(config in any_config(), object in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(), damage in 1..=255_u8, cut in any::<bool>()) {
        let store = Store::of(&config);
        let mut damaged = store.clone();
        let bytes = damaged.0.values_mut().nth(object.index(store.0.len())).expect("an object");
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= damage }
        if let Ok(joined) = damaged.join() {
            prop_assert!(joined == store.join().expect("whole"));
        }
    }
}

#[test]
fn every_byte_of_a_bundle_counts() {
    let config = small();
    let store = Store::of(&config);
    let whole = store.join().expect("whole");
    let (mut refused, mut same) = (0, 0);
    for (object, bytes) in &store.0 {
        for place in 0..bytes.len() {
            let mut damaged = store.clone();
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            let cut = (place % 4 == 0).then(|| bytes[..place].to_vec());
            for bytes in [Some(flipped), cut].into_iter().flatten() {
                damaged.0.insert(object.clone(), bytes);
                match damaged.join() {
                    Ok(joined) => {
                        assert!(joined == whole, "{object:?} at {place}");
                        same += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    // A flip that turns white space or an escape into another spelling would mean the same; there are next to none.
    assert!(refused > 5_000 && same < refused / 100, "{refused} refused, {same} the same");
}

#[test]
fn what_did_not_change_is_not_written() {
    let config = small();
    let store = Store::of(&config);
    let index = store.index().expect("an index");
    let again = bundle::publish(Some(&index), &config.0, &config.1).expect("fits");
    assert_eq!((again.index, again.writes), (index, Vec::new()));
}

/// Parts that cannot be cut again, since their keys are too large by now: whoever touches one is refused.
#[test]
fn a_part_without_a_change_is_neither_cut_nor_written() {
    let mut config = small();
    let index = Store::of(&config).index().expect("an index");
    let (free, ruled) = (bundle::EntryKind::Key.part_of("team-a/free"), bundle::EntryKind::Key.part_of("team-a/ruled"));
    assert_ne!(free, ruled, "the case shows something");
    key_mut(&mut config.0, "free").allow.models = Some(vec![Glob::new(&"a".repeat(9 << 20))]);
    let before = config.clone();
    key_mut(&mut config.0, "ruled").suspended = true;
    let known = Before { index: &index, snapshot: &before.0, credentials: &before.1 };
    let published = bundle::publish_over(&known, &config.0, &config.1).expect("the part that cannot be cut is left alone");
    let names: Vec<_> = published.writes.iter().map(|write| write.name.as_str()).collect();
    assert_eq!(names, [bundle::part_name(&config.0.gateway.id, ruled, Slot::B).as_str(), "portolan-snapshot"]);
    assert_eq!(published.index.part(free), index.part(free));
    drop(bundle::publish(Some(&index), &config.0, &config.1).expect_err("the whole cannot be cut"));
    let hollow = Index { parts: Vec::new(), ..index.clone() };
    let refused = bundle::publish_over(&Before { index: &hollow, ..known }, &config.0, &config.1);
    assert_eq!(refused, Err(PublishError::NotWhole { number: 0 }), "what is not known to be there is not left out");
}

#[test]
fn a_part_changes_its_slot_with_each_of_its_own_changes() {
    let mut config = small();
    let mut index: Option<Index> = None;
    let number = bundle::EntryKind::Key.part_of("team-a/free");
    let mut slots = String::new();
    for round in 0..4 {
        key_mut(&mut config.0, "free").expires_at = Some(round);
        let published = bundle::publish(index.as_ref(), &config.0, &config.1).expect("fits");
        let name = published.writes.iter().find(|write| write.name.contains(&format!("-{number:02}-"))).expect("rewritten").name.clone();
        slots.push_str(&name[name.len() - 1..]);
        index = Some(published.index);
    }
    assert_eq!(slots, "abab");
}
