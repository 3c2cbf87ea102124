//! Hundreds of edits in each second: what is written stays bounded, and no revocation waits behind them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use e2e::metrics::sum;
use e2e::until;
use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, Tenant, cluster, key};

/// Those who edit, each as fast as the API server lets them.
const HANDS: u64 = 8;
const STORM: Duration = Duration::from_secs(12);
/// Providers, each with a few models.
const PROVIDERS: u64 = 8;
const MODELS: u64 = 10;

/// A provider whose models tell the edit, in words that do not compress to nothing.
fn provider(name: &str, edit: u64) -> Value {
    let word = |number: u64| edit.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let models: Vec<Value> = (0..MODELS).map(|number| json!({"name": format!("m{number}-{:016x}", word(number))})).collect();
    let models: Vec<Value> = models.into_iter().chain([json!({"name": format!("edit-{edit}")})]).collect();
    json!({
        "apiVersion": "portolan.dev/v1alpha1", "kind": "LLMProvider", "metadata": {"name": name},
        "spec": {"type": "Simulated", "models": models},
    })
}

async fn put(client: &kube::Client, namespace: &str, plural: &str, object: &Value) {
    let name = object["metadata"]["name"].as_str().expect("a name");
    let path = format!("/apis/portolan.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}?fieldManager=storm&force=true");
    let request = http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
    let request = request.body(object.to_string().into_bytes()).expect("a request");
    client.request::<Value>(request).await.expect("it is taken");
}

async fn edit(client: &kube::Client, namespace: &str, name: &str, edit: u64) {
    put(client, namespace, "llmproviders", &provider(name, edit)).await;
}

async fn suspend(client: &kube::Client, namespace: &str, name: &str, number: u32) {
    let suspended = json!({
        "apiVersion": "portolan.dev/v1alpha1", "kind": "VirtualKey", "metadata": {"name": name},
        "spec": {"source": {"type": "Hash", "sha256": format!("{number:064x}")}, "suspend": true},
    });
    put(client, namespace, "virtualkeys", &suspended).await;
}

/// How often it passed; what it wrote: objects, bytes, indexes.
async fn written(carrier: &Carrier) -> (f64, f64, f64, f64) {
    let text = e2e::client::get(carrier.admin, "/metrics").await.text();
    let all = |name: &str| sum(&text, name, &[]);
    (
        all("portolan_operator_passes_total"),
        all("portolan_operator_bundle_writes_total"),
        all("portolan_operator_bundle_written_bytes_total"),
        sum(&text, "portolan_operator_bundle_writes_total", &["object=\"index\""]),
    )
}

/// Waits until what is published is what stands in the providers: that is the truth, whoever was last to edit them.
async fn settles(tenant: &Tenant) {
    until("the last edit of each is published", async || {
        let bundle = tenant.bundle().await?;
        for object in tenant.list("llmproviders").await {
            let id = snapshot::ProviderId::new(tenant.namespace.name(), object["metadata"]["name"].as_str()?).ok()?;
            let wanted = object["spec"]["models"].as_array()?.iter().filter_map(|model| model["name"].as_str()).collect::<BTreeSet<_>>();
            let served = bundle.snapshot.providers.get(&id)?.models.iter().map(|model| model.name.as_str()).collect::<BTreeSet<_>>();
            (wanted == served).then_some(())?;
        }
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_storm_of_edits_is_published_in_bounded_writes_and_delays_no_revocation() {
    let tenant = Tenant::new("a_storm_of_edits").await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let keys: String = (0..10).map(|number| key(&format!("k{number}"), number, "")).collect();
    tenant.apply(&format!("{GATEWAY}{keys}")).await;
    let namespace = tenant.namespace.name().to_owned();
    for number in 0..PROVIDERS {
        edit(&tenant.client, &namespace, &format!("p{number}"), 0).await;
    }
    tenant.published("all is published", |bundle| bundle.snapshot.keys.len() == 10 && bundle.snapshot.providers.len() == 8).await;
    let before = written(&carrier).await;

    let (stop, edits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let mut hands = tokio::task::JoinSet::new();
    for hand in 0..HANDS {
        let (client, namespace, stop, edits) = (cluster().await.client(), namespace.clone(), Arc::clone(&stop), Arc::clone(&edits));
        hands.spawn(async move {
            let mut last = 0;
            while !stop.load(Relaxed) {
                last = edits.fetch_add(1, Relaxed) + 1;
                edit(&client, &namespace, &format!("p{}", hand % PROVIDERS), last).await;
            }
            last
        });
    }
    let mut revoked = Vec::new();
    for number in 0..5 {
        let at = began + STORM / 6 * (number + 1);
        tokio::time::sleep_until(at.into()).await;
        let (name, asked, passed) = (format!("k{number}"), Instant::now(), written(&carrier).await.0);
        suspend(&tenant.client, &namespace, &name, number).await;
        tenant.published("the key is revoked", |bundle| !tenant.serves(bundle, &name)).await;
        revoked.push((asked.elapsed(), written(&carrier).await.0 - passed));
    }
    tokio::time::sleep_until((began + STORM).into()).await;
    stop.store(true, Relaxed);
    hands.join_all().await;
    let (stormed, count) = (began.elapsed(), edits.load(Relaxed));
    let ended = Instant::now();
    settles(&tenant).await;
    let settled = ended.elapsed();
    let after = written(&carrier).await;
    let (passes, writes, bytes, revisions) = (after.0 - before.0, after.1 - before.1, after.2 - before.2, after.3 - before.3);
    let rate = count as f64 / stormed.as_secs_f64();
    println!(
        "{count} edits in {:.1} s ({rate:.0}/s): {passes} passes, {revisions} revisions, {writes} writes of {:.0} KiB; the last is published {} ms after it",
        stormed.as_secs_f64(),
        bytes / 1024.0,
        settled.as_millis()
    );
    for (took, passes) in &revoked {
        println!("a key revoked in the storm: {} ms, {passes} passes", took.as_millis());
    }
    assert!(rate > 5.0, "a storm: {count}");
    // Seconds on a busy machine; were it to wait for the storm, or were nobody able to read, it would be as long as that.
    assert!(revoked.iter().all(|(took, _)| *took < Duration::from_secs(10)), "{revoked:?}");
    assert!(settled < Duration::from_secs(10), "{settled:?}");
    // A pass waits for fifty milliseconds of changes, and after the first ten a revision for half a second; but those that
    // revoke. Each is an index, the part of the keys and at most one for each provider.
    let took = (stormed + settled).as_secs_f64();
    assert!(passes <= took / 0.05, "{passes} in {took} s");
    assert!(revisions <= 12.0 + took / 0.5 + revoked.len() as f64, "{revisions} in {took} s");
    assert!(writes <= revisions * (PROVIDERS as f64 + 2.0), "{writes}");
    assert!(bytes < 300.0 * f64::from(1 << 20), "the byte budget of five minutes: {bytes}");
}
