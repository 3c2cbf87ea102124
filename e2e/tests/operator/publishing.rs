//! From objects to what pods read: whole at every moment, one bad object alone, revocations, the mass guard.

use std::time::{Duration, Instant};

use e2e::until;
use snapshot::bundle::Joined;

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, key};

/// The hashes of all keys.
fn hashes(bundle: &Joined) -> Vec<String> {
    bundle.snapshot.keys.values().flat_map(|key| &key.hashes).map(ToString::to_string).collect()
}

#[tokio::test]
async fn objects_become_a_bundle_and_one_bad_object_hurts_no_other() {
    let tenant = Tenant::new("objects_become_a_bundle").await;
    let namespace = tenant.namespace.name();
    let _carrier = Carrier::start(cluster().await, namespace).await;
    let broken =
        "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {name: lost}\nspec:\n  source: {type: Hash, sha256: \""
            .to_owned()
            + &"e".repeat(64)
            + "\"}\n  owner: {team: somebody-elses}\n";
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}{broken}", key("app", 1, ""))).await;
    let bundle = tenant.published("the key is published", |bundle| tenant.serves(bundle, "app")).await;
    assert_eq!(bundle.snapshot.providers.len(), 1);
    assert!(!tenant.serves(&bundle, "lost"));
    tenant.says("virtualkey", "app", "Accepted", "True", "Accepted").await;
    let refused = tenant.says("virtualkey", "lost", "Ready", "False", "NotPermitted").await;
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("somebody-elses")), "{refused}");
    let told = until("the refusal is an Event", async || {
        let events = tenant.list("events.events.k8s.io").await;
        let of = events.into_iter().filter(|event| event["regarding"]["name"] == "lost").collect::<Vec<_>>();
        (!of.is_empty()).then_some(of)
    })
    .await;
    assert_eq!(told.len(), 1, "once for the transition: {told:?}");
    assert_eq!((&told[0]["type"], &told[0]["reason"]), (&"Warning".into(), &"NotPermitted".into()));

    // A refused update leaves the last accepted form in use, and the rest goes on.
    let bad = PROVIDER.replace("models: [{name: demo}]", "models: [{name: demo}, {name: other, aliases: [demo]}]");
    tenant.apply(&format!("{bad}{}", key("app", 2, ""))).await;
    tenant.says("llmprovider", "sim", "Accepted", "False", "Invalid").await;
    tenant.published("the other change is published", |bundle| hashes(bundle).contains(&format!("{:064x}", 2))).await;
    let served = tenant.get("llmprovider", "sim").await.expect("it is there");
    assert_eq!(served["status"]["servingGeneration"], 1);
    assert_eq!(tenant.bundle().await.expect("whole").snapshot.providers.len(), 1);
}

#[tokio::test]
async fn an_edit_rewrites_one_part_and_the_index() {
    let tenant = Tenant::new("an_edit_rewrites").await;
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let keys: String = (0..20).map(|number| key(&format!("k{number}"), number, "")).collect();
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{keys}")).await;
    tenant.published("all are published", |bundle| bundle.snapshot.keys.len() == 20).await;
    let before = carrier.metric("portolan_operator_bundle_writes_total").await;
    tenant.apply(&key("k7", 7, "  suspend: true\n")).await;
    tenant.published("the edit is published", |bundle| !tenant.serves(bundle, "k7")).await;
    assert_eq!(carrier.metric("portolan_operator_bundle_writes_total").await - before, 2.0);
}

#[tokio::test]
async fn a_revoked_key_leaves_the_bundle_at_once() {
    let tenant = Tenant::new("a_revoked_key").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}{}", key("one", 1, ""), key("two", 2, ""))).await;
    tenant.published("both are published", |bundle| tenant.serves(bundle, "one") && tenant.serves(bundle, "two")).await;
    let began = Instant::now();
    tenant.kubectl(&["delete", "virtualkey", "one", "--wait=false"]).await;
    tenant.published("it is gone", |bundle| !tenant.serves(bundle, "one")).await;
    println!("a deletion was published after {} ms, as kubectl sees it", began.elapsed().as_millis());
    let bundle = tenant.bundle().await.expect("whole");
    assert!(tenant.serves(&bundle, "two"));
    tenant.apply(&key("two", 2, "  suspend: true\n")).await;
    tenant.published("it is suspended", |bundle| !tenant.serves(bundle, "two")).await;
}

#[tokio::test]
async fn what_vanishes_in_masses_is_served_on_until_it_is_let_go() {
    let tenant = Tenant::new("what_vanishes").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let keys: String = (0..30).map(|number| key(&format!("k{number}"), number, "")).collect();
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{keys}")).await;
    tenant.published("all are published", |bundle| bundle.snapshot.keys.len() == 30).await;
    let names: Vec<String> = (0..28).map(|number| format!("k{number}")).collect();
    let mut command = vec!["delete", "virtualkey", "--wait=false"];
    command.extend(names.iter().map(String::as_str));
    tenant.kubectl(&command).await;
    until("it is told", async || tenant.get("llmgateway", "main").await?["status"]["heldBack"].as_str().map(str::to_owned)).await;
    // They go one after the other: nineteen are let go, the others are too many.
    until("all are deleted", async || (tenant.list("virtualkeys").await.len() == 2).then_some(())).await;
    // What is left can still be changed.
    tenant.apply(&key("k29", 29, "  suspend: true\n")).await;
    let bundle = tenant.published("an edit goes through", |bundle| !tenant.serves(bundle, "k29")).await;
    assert!(bundle.snapshot.keys.len() >= 11, "{} are served", bundle.snapshot.keys.len());
    let sequence = bundle.index.sequence.to_string();
    tenant.kubectl(&["annotate", "llmgateway", "main", &format!("portolan.dev/release-vanished={sequence}")]).await;
    tenant.published("they are let go", |bundle| bundle.snapshot.keys.len() == 2).await;
    until("nothing is held any more", async || tenant.get("llmgateway", "main").await?["status"].get("heldBack").is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn another_hand_on_what_is_published_does_not_last() {
    let tenant = Tenant::new("another_hand").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    let first = tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await;
    tenant.kubectl(&["delete", "configmap", "main-snapshot"]).await;
    let second = tenant.published("the index is back", |bundle| tenant.serves(bundle, "app")).await;
    assert!(second.index.sequence > first.index.sequence, "a sequence never goes backwards");
    let part = second.index.part_names().next().expect("a part").1;
    tenant.kubectl(&["delete", "configmap", &part]).await;
    until("the part is back", async || {
        let index = tenant.get("configmap", "main-snapshot").await?;
        let told = index["data"]["index"].as_str()?.to_owned();
        let index = snapshot::bundle::Index::parse(&tenant.gateway, told.as_bytes()).ok()?;
        (index.sequence > second.index.sequence).then_some(())
    })
    .await;
    tenant.published("all is whole", |bundle| tenant.serves(bundle, "app")).await;
}

#[tokio::test]
async fn an_operator_that_dies_at_any_moment_leaves_a_whole_bundle() {
    let tenant = Tenant::new("an_operator_that_dies").await;
    let all = |round: usize| (0..40).map(|number| key(&format!("k{number}"), round * 1000 + number, "")).collect::<String>();
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", all(0))).await;
    let mut last = 0;
    for round in 1..=6_usize {
        let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
        carrier.leads().await;
        tenant.apply(&all(round)).await;
        // Not a wait for anything: the moment of its death moves through what it writes.
        tokio::time::sleep(Duration::from_millis(15 * round as u64)).await;
        carrier.kill();
        // It held the Lease; the next one need not wait for it to run out.
        drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
        let sequence = tenant.bundle().await.map_or(last, |bundle| bundle.index.sequence);
        assert!(sequence >= last, "{sequence} after {last}");
        last = sequence;
    }
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let bundle = tenant.published("the next one goes on", |bundle| hashes(bundle).contains(&format!("{:064x}", 6000))).await;
    assert_eq!(bundle.snapshot.keys.len(), 40);
}
