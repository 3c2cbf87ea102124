//! Twelve thousand objects: a start, one change, and nothing to do. The operator is built as it is shipped.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant};

const KEYS: usize = 10_000;
const POLICIES: usize = 2_000;
/// Objects that are created at once.
const AT_ONCE: usize = 16;

fn policy(number: usize) -> (&'static str, Value) {
    let rules = json!([{"name": "all", "targets": [{"providerRef": {"name": "sim"}}]}]);
    ("routingpolicies", object("RoutingPolicy", &format!("p{number}"), json!({"rules": rules})))
}

/// Half of the keys are made by the operator; each names a policy.
fn one(number: usize) -> (&'static str, Value) {
    let generated = json!({"type": "Generated"});
    let source = if number.is_multiple_of(2) { json!({"type": "Hash", "sha256": format!("{number:064x}")}) } else { generated };
    let spec = json!({"source": source, "routingPolicyRef": {"name": format!("p{}", number % POLICIES)}});
    ("virtualkeys", object("VirtualKey", &format!("k{number}"), spec))
}

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_start_with_many_objects_is_soon_steady_and_one_change_is_cheap() {
    if !e2e::has_time_to_soak("an operator with twelve thousand objects") {
        return;
    }
    // Its own API server: others would be slowed down.
    let cluster: &'static _ = Box::leak(Box::new(crate::tenant::started().await));
    let tenant = Tenant::on(cluster, "a_start_with_many").await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}")).await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let all: Vec<_> = (0..POLICIES).map(policy).chain((0..KEYS).map(one)).collect();
    let mut creating = tokio::task::JoinSet::new();
    for share in all.chunks(all.len().div_ceil(AT_ONCE)) {
        let (tenant, share) = (tenant.creator(), share.to_vec());
        creating.spawn(async move {
            for (plural, object) in share {
                tenant.create(plural, &object).await;
            }
        });
    }
    creating.join_all().await;
    let first = Carrier::shipped(cluster, tenant.namespace.name()).await;
    tenant.roll_out().await;
    patiently("every key is made and told", 600, async || {
        let told = first.metric("portolan_operator_status_writes_total").await;
        let bundle = tenant.bundle().await?;
        (bundle.snapshot.keys.len() == KEYS && told >= (KEYS + POLICIES) as f64).then_some(())
    })
    .await;
    drop(tenant.says("virtualkey", "k1", "Ready", "True", "Ready").await);
    quiet(&first).await;
    let making = first.memory_kib("VmHWM");
    first.kill();
    drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);

    let began = Instant::now();
    let second = Carrier::shipped(cluster, tenant.namespace.name()).await;
    patiently("it passed over the world", 120, async || (second.metric("portolan_operator_passes_total").await > 0.0).then_some(())).await;
    let steady = began.elapsed();
    quiet(&second).await;
    let memory = second.memory_kib("VmHWM");
    // Sums of nothing are -0.
    let writes = 0.0 + second.metric("portolan_operator_bundle_writes_total").await;
    let statuses = 0.0 + second.metric("portolan_operator_status_writes_total").await;
    let mut text = String::new();
    writeln!(
        text,
        "{KEYS} keys and {POLICIES} policies: steady {:.1} s after the start, at most {} MiB; the start that made the keys, {} MiB",
        steady.as_secs_f64(),
        memory >> 10,
        making >> 10
    )
    .expect("text");
    writeln!(text, "it wrote {writes} parts and indexes and {statuses} statuses").expect("text");
    let cpu = second.cpu();
    let began = Instant::now();
    tenant.kubectl(&["patch", "virtualkey", "k0", "--type", "merge", "-p", r#"{"spec":{"suspend":true}}"#]).await;
    tenant.published("the change is published", |bundle| !tenant.serves(bundle, "k0")).await;
    let published = began.elapsed();
    drop(tenant.says("virtualkey", "k0", "Ready", "True", "Ready").await);
    quiet(&second).await;
    let (cpu, parts) = (second.cpu() - cpu, second.metric("portolan_operator_bundle_writes_total").await - writes);
    writeln!(text, "one change: published {} ms after kubectl began, {parts} writes, {} ms of CPU", published.as_millis(), cpu.as_millis())
        .expect("text");
    println!("{text}");
    assert!(steady < Duration::from_secs(30), "{text}");
    assert!(memory < 200 << 10 && making < 200 << 10, "{text}");
    assert!(statuses < 1.0 && writes < 1.0, "a restart writes nothing: {text}");
    assert!(parts <= 2.0 && cpu <= Duration::from_millis(100), "{text}");
}

/// Waits until it has written no status for a while.
async fn quiet(carrier: &Carrier) {
    let mut before = -1.0;
    loop {
        let now = carrier.metric("portolan_operator_status_writes_total").await;
        if now <= before {
            return;
        }
        before = now;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Waits longer than other tests may: so many objects take their time.
async fn patiently(what: &str, seconds: u64, mut ask: impl AsyncFnMut() -> Option<()>) {
    let began = Instant::now();
    while ask().await.is_none() {
        assert!(began.elapsed() < Duration::from_secs(seconds), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
