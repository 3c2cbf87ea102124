//! Who leads: one at a time, and none brings back what another revoked.

use std::time::{Duration, Instant};

use e2e::until;

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, key};

#[tokio::test]
async fn a_leader_that_leaves_in_order_is_followed_at_once() {
    let tenant = Tenant::new("a_leader_that_leaves").await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    let mut first = Carrier::start(cluster().await, tenant.namespace.name()).await;
    first.leads().await;
    let second = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await;
    assert!(second.metric("portolan_operator_leading").await < 1.0, "one leads");
    first.signal("TERM");
    assert_eq!(first.ended().await, 0);
    let began = Instant::now();
    second.leads().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    tenant.apply(&key("app", 1, "  suspend: true\n")).await;
    tenant.published("it goes on", |bundle| !tenant.serves(bundle, "app")).await;
}

#[tokio::test]
async fn a_leader_that_was_paused_brings_nothing_back() {
    let tenant = Tenant::new("a_leader_that_was_paused").await;
    let keys = |more: &str| (0..10).map(|number| key(&format!("k{number}"), number, more)).collect::<String>();
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", keys(""))).await;
    let first = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let before = tenant.published("all are published", |bundle| bundle.snapshot.keys.len() == 10).await;
    first.leads().await;
    let second = Carrier::start(cluster().await, tenant.namespace.name()).await;
    first.signal("STOP");
    let began = Instant::now();
    second.leads().await;
    println!("another led {:.1} s after the leader stopped answering", began.elapsed().as_secs_f64());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    tenant.apply(&keys("  suspend: true\n")).await;
    let revoked = tenant.published("all are revoked", |bundle| bundle.snapshot.keys.values().all(|key| key.suspended)).await;
    assert!(revoked.index.sequence > before.index.sequence);
    first.signal("CONT");
    // It learns that its term is over, and whatever it was about to write is refused.
    until("the first no longer leads", async || (first.metric("portolan_operator_leading").await < 1.0).then_some(())).await;
    tenant.apply(&key("more", 99, "")).await;
    let bundle = tenant.published("the second goes on", |bundle| tenant.serves(bundle, "more")).await;
    assert!(bundle.snapshot.keys.values().filter(|key| key.suspended).count() == 10, "nothing came back");
    assert!(second.metric("portolan_operator_leading").await > 0.0);
}

#[tokio::test]
async fn a_restart_writes_nothing_that_stands_already() {
    let tenant = Tenant::new("a_restart_writes_nothing").await;
    let generated = crate::tenant::generated("made", "");
    let late = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {name: late}\nspec: {type: OpenAI, auth: {secretRef: {name: nowhere, key: apiKey}}}\n";
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{late}{generated}{}", key("app", 1, ""))).await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let first = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.roll_out().await;
    for (kind, name) in [("llmgateway", "main"), ("llmprovider", "sim"), ("virtualkey", "app"), ("virtualkey", "made")] {
        tenant.says(kind, name, "Ready", "True", "Ready").await;
    }
    tenant.says("llmprovider", "late", "Ready", "Unknown", "SecretNotFound").await;
    first.kill();
    drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
    let kinds = "llmgateways,llmproviders,virtualkeys,configmaps,secrets,deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,events.events.k8s.io";
    let versions = async || {
        let all = tenant.list(kinds).await;
        let of = |one: &serde_json::Value| format!("{} {} {}", one["kind"], one["metadata"]["name"], one["metadata"]["resourceVersion"]);
        all.iter().map(of).collect::<Vec<_>>()
    };
    let before = versions().await;
    let second = Carrier::start(cluster().await, tenant.namespace.name()).await;
    until("it passed over the world", async || (second.metric("portolan_operator_passes_total").await > 0.0).then_some(())).await;
    // Whatever it had to write, it writes now: another change goes through after all of them.
    tenant.apply(&key("app", 1, "  suspend: true\n")).await;
    tenant.published("a change goes through", |bundle| !tenant.serves(bundle, "app")).await;
    let changed: Vec<String> = versions().await.into_iter().filter(|one| !before.contains(one)).collect();
    let expected = |one: &&String| !one.contains("\"app\"") && !one.contains("main-snapshot") && !one.starts_with("\"llmgateways\"");
    assert!(!changed.iter().any(|one| expected(&one)), "{changed:#?}");
}
