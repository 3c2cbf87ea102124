//! What is held back when much vanishes, and what a spent byte budget lets through.
#![expect(clippy::expect_used, reason = "what fails in a helper fails the test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crds::compile::{Config, compile};
use crds::world::World;
use operator::clock;
use operator::publish::guard::{Alarm, Exists, Held, hold, vanished};
use operator::publish::purse::{Purse, revocations};
use operator::publish::turns::Turns;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

const GATEWAY: &str = "apiVersion: portolan.dev/v1alpha1
kind: LLMGateway
metadata: {name: main, namespace: t}
spec: {}
---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {name: p, namespace: t}
spec: {type: Simulated}
";

/// The configuration of one gateway with these keys, each with another hash; `lines` are added to the spec of each.
fn config(keys: impl IntoIterator<Item = usize>, lines: &str) -> Arc<Config> {
    let mut text = GATEWAY.to_owned();
    for number in keys {
        let head = format!("---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: k{number}, namespace: t}}\n");
        write!(text, "{head}spec:\n  source: {{type: Hash, sha256: \"{number:064x}\"}}\n{lines}").expect("text");
    }
    compiled(&text)
}

fn compiled(text: &str) -> Arc<Config> {
    let compiled = compile(&World::parse([("all.yaml", text)]), None);
    assert_eq!(compiled.gateways.len(), 1, "{:?}", compiled.reports);
    compiled.gateways.into_values().next().expect("one")
}

fn names(config: &Config) -> BTreeSet<String> {
    config.snapshot.keys.keys().map(|id| id.name().to_owned()).collect()
}

fn held(published: &Config, next: &mut Arc<Config>, exists: bool) -> Held {
    let answer = |_: &str, _: &str| exists;
    hold(published, next, &Exists { provider: &answer, key: &answer, policy: &answer }, Alarm::After(Held::default()))
}

#[test]
fn what_went_lately_counts_and_is_not_brought_back() {
    let gone = |_: &str, _: &str| false;
    let exists = || Exists { provider: &gone, key: &gone, policy: &gone };
    let lately = |keys| Held { keys, ..Held::default() };
    for (before, went, expected) in [(11, 19, 1), (12, 18, 0), (31, 19, 0), (11, 0, 0)] {
        let published = config(0..before, "");
        let mut next = config(1..before, "");
        assert_eq!(vanished(&published, &next, &exists()), lately(1));
        assert_eq!(
            hold(&published, &mut next, &exists(), Alarm::After(lately(went))),
            lately(expected),
            "one more of {before}, after {went}"
        );
        assert_eq!(next.snapshot.keys.len(), before - 1 + expected);
    }
    let (published, mut next) = (config(0..11, ""), config(1..11, ""));
    assert_eq!(hold(&published, &mut next, &exists(), Alarm::Raised), lately(1), "a minute later it is held all the same");
}

#[test]
fn what_vanishes_in_masses_is_held_and_all_else_goes_on() {
    for (before, after, expected) in [(40, 19, 21), (40, 20, 0), (38, 0, 38), (19, 0, 0), (20, 0, 20)] {
        let published = config(0..before, "");
        let mut next = config(0..after, "  suspend: true\n");
        assert_eq!(held(&published, &mut next, false).keys, expected, "{before} -> {after}");
        assert_eq!(next.snapshot.keys.len(), after + expected);
        assert!(next.snapshot.keys.values().filter(|key| key.suspended).count() == after, "edits are not held");
    }
}

#[test]
fn a_key_that_is_held_keeps_its_policy_and_a_provider_its_credential() {
    let policy = "apiVersion: portolan.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: way, namespace: t}
spec: {rules: [{name: all, targets: [{providerRef: {name: p}}]}]}
";
    let mut text = format!("{GATEWAY}---\n{policy}");
    for number in 0..40 {
        let head = format!("---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: k{number}, namespace: t}}\n");
        let way = "  routingPolicyRef: {name: way}\n";
        write!(text, "{head}spec:\n  source: {{type: Hash, sha256: \"{number:064x}\"}}\n{way}").expect("text");
        let kind = "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider";
        let auth = "auth: {secretRef: {name: s, key: k}}, models: [{name: m}]";
        write!(text, "---\n{kind}\nmetadata: {{name: o{number}, namespace: t}}\nspec: {{type: OpenAI, {auth}}}\n").expect("text");
    }
    text.push_str("---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: t}\nstringData: {k: sk-of-a-test}\n");
    let published = compiled(&text);
    assert_eq!((published.snapshot.policies.len(), published.credentials.0.len()), (1, 40));
    let mut next = config([], "");
    let held = held(&published, &mut next, false);
    assert_eq!((held.keys, held.policies, held.providers), (40, 0, 40), "one policy is no mass");
    assert_eq!(next.snapshot.policies, published.snapshot.policies, "what a held key is sent by is held with it");
    assert_eq!(next.credentials, published.credentials, "a held provider is called with what it was called with");
}

#[test]
fn an_object_that_is_refused_has_not_vanished() {
    let published = config(0..40, "");
    let mut next = config(0..1, "");
    assert_eq!(held(&published, &mut next, true), Held::default());
    assert_eq!(next.snapshot.keys.len(), 1);
}

#[test]
fn what_others_look_at_is_never_changed_by_the_guard() {
    let published = config(0..40, "");
    for (after, expected) in [(30, 0), (10, 30)] {
        let compiled = config(0..after, "");
        let (mut next, before) = (Arc::clone(&compiled), Config::clone(&compiled));
        assert_eq!(held(&published, &mut next, false).keys, expected);
        assert_eq!(*compiled, before, "what was compiled stays as it was compiled");
        assert_eq!(Arc::ptr_eq(&next, &compiled), expected == 0, "and is not copied for nothing");
    }
}

#[test]
fn a_text_that_another_key_has_now_stays_with_that_one() {
    let published = config(0..40, "");
    let mut next = config([100], "");
    let only = Arc::make_mut(Arc::make_mut(&mut next).snapshot.keys.values_mut().next().expect("one"));
    only.hashes.clone_from(&published.snapshot.keys.values().next().expect("one").hashes);
    held(&published, &mut next, false);
    assert_eq!(next.snapshot.keys.len(), 40, "39 that are held, and the one that took a text");
}

#[test]
fn a_spent_purse_fills_again_and_never_beyond_its_size() {
    let begin = clock::now();
    let mut purse = Purse::full(begin);
    assert_eq!(purse.wait(begin), Duration::ZERO);
    purse.take(begin, 310 << 20);
    let wait = purse.wait(begin);
    assert!(wait >= Duration::from_secs(10) && wait < Duration::from_secs(11), "{wait:?}");
    assert_eq!(purse.wait(begin + wait), Duration::ZERO);
    let later = begin + Duration::from_secs(3600);
    assert_eq!(purse.wait(later), Duration::ZERO);
    purse.take(later, 300 << 20);
    assert!(!purse.wait(later).is_zero(), "an hour saves five minutes' worth");
}

#[test]
fn edits_by_hand_are_published_at_once_and_a_storm_of_them_twice_a_second() {
    let begin = clock::now();
    let mut turns = Turns::all(begin);
    for _ in 0..10 {
        assert_eq!(turns.wait(begin), Duration::ZERO);
        turns.take(begin);
    }
    let (mut now, mut published) = (begin, 0);
    while now < begin + Duration::from_secs(10) {
        if turns.wait(now).is_zero() {
            turns.take(now);
            published += 1;
        }
        now += Duration::from_millis(10);
    }
    assert_eq!(published, 19, "one in each half second, from the first on");
    assert_eq!(turns.wait(now + Duration::from_secs(5)), Duration::ZERO, "and a quiet time saves up again");
}

#[test]
fn revocations_go_first_and_bring_nothing_else() {
    let published = config(0..3, "");
    assert_eq!(revocations(&published, &config(0..5, "")), None, "new keys can wait");
    let urgent = revocations(&published, &config([0, 2, 7], "  suspend: true\n")).expect("something to revoke");
    assert_eq!(names(&urgent), BTreeSet::from(["k0", "k2"].map(str::to_owned)));
    assert!(urgent.snapshot.keys.values().all(|key| key.suspended));
    let urgent = revocations(&published, &config(0..3, "  expiresAt: 2026-01-01T00:00:00Z\n")).expect("they expire sooner");
    assert!(urgent.snapshot.keys.values().all(|key| key.expires_at == Some(1_767_225_600)));
    let longer = revocations(&urgent, &config(0..3, "  expiresAt: 2027-01-01T00:00:00Z\n"));
    assert_eq!(longer, None, "what lasts longer can wait");

    let (late, soon) = (config(0..3, "  expiresAt: 2027-01-01T00:00:00Z\n"), config(0..3, "  expiresAt: 2026-01-01T00:00:00Z\n"));
    let urgent = revocations(&late, &soon).expect("they expire sooner than they would have");
    assert!(urgent.snapshot.keys.values().all(|key| key.expires_at == Some(1_767_225_600)));

    let (suspended, resumed) = (config(0..3, "  suspend: true\n"), config(0..3, ""));
    assert_eq!(revocations(&suspended, &resumed), None, "a suspension that is lifted can wait");
    let urgent = revocations(&suspended, &config(0..1, "")).expect("two to take away");
    assert!(urgent.snapshot.keys.values().all(|key| key.suspended), "and is not lifted by what goes first");

    // A key was rotated, and the text before is over.
    let (mut both, only) = (config(0..2, ""), config(0..2, ""));
    let rotated = Arc::make_mut(Arc::make_mut(&mut both).snapshot.keys.values_mut().next().expect("one"));
    let (kept, over) = (rotated.hashes.clone(), config([9], "").snapshot.keys.values().next().expect("one").hashes.clone());
    rotated.hashes.extend(&over);
    let urgent = revocations(&both, &only).expect("a text to take away");
    assert_eq!(urgent.snapshot.keys.values().next().expect("one").hashes, kept);
    assert_eq!(revocations(&only, &both), None, "a text that comes can wait");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_goes_first_never_grants_what_was_not_granted(before: BTreeSet<u8>, after: BTreeSet<u8>) {
        let published = config(before.iter().map(|n| usize::from(*n)), "");
        let next = config(after.iter().map(|n| usize::from(*n)), "");
        let urgent = revocations(&published, &next).unwrap_or_else(|| Config::clone(&published));
        let both: BTreeSet<String> = before.intersection(&after).map(|n| format!("k{n}")).collect();
        prop_assert_eq!(names(&urgent), both);
        prop_assert!(urgent.snapshot.keys.iter().all(|(id, key)| published.snapshot.keys.get(id).is_some_and(|was| was.hashes.is_superset(&key.hashes))));
    }
}
