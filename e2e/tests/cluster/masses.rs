//! Many objects: what vanishes at once is held, and a change costs what a change costs.

use std::time::{Duration, Instant};

use e2e::metrics::sum;
use e2e::portolan::{self, Portolan, Seen, a_gateway, ask, spread, until_every};
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio::task::JoinSet;

fn hash(text: &str) -> String {
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn object(kind: &str, name: &str, spec: Value) -> (String, DynamicObject) {
    let value = json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    (kind.to_owned(), serde_json::from_value(value).expect("an object"))
}

fn hash_key(name: &str) -> (String, DynamicObject) {
    let spec = json!({"gatewayRef": {"name": "main"}, "source": {"type": "Hash", "sha256": hash(&format!("text-of-the-key-{name}"))}});
    object("VirtualKey", name, spec)
}

/// Creates objects, many at once.
async fn create(seen: &Seen<'_, '_>, objects: Vec<(String, DynamicObject)>) {
    const HANDS: usize = 16;
    let mut shares: Vec<Vec<_>> = (0..HANDS).map(|_| Vec::new()).collect();
    for (place, one) in objects.into_iter().enumerate() {
        shares[place % HANDS].push(one);
    }
    let mut hands = JoinSet::new();
    for share in shares {
        let (keys, policies) = (seen.api("VirtualKey", "virtualkeys"), seen.api("RoutingPolicy", "routingpolicies"));
        hands.spawn(async move {
            for (kind, object) in share {
                let api = if kind == "VirtualKey" { &keys } else { &policies };
                api.create(&PostParams::default(), &object).await.expect("an object that the API server takes");
            }
        });
    }
    while let Some(done) = hands.join_next().await {
        done.expect("a task");
    }
}

#[tokio::test]
async fn keys_that_vanish_in_a_mass_are_served_on_until_somebody_releases_them() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("keys_that_vanish").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(2)).await;
    create(&seen, (0..40).map(|number| hash_key(&format!("k{number}"))).collect()).await;
    let pods = seen.pods().await;
    let texts: Vec<String> = (0..40).map(|number| format!("text-of-the-key-k{number}")).collect();
    for text in &texts {
        until_every(&pods, text, "demo", Instant::now(), |answer| answer.status == 200).await;
    }
    let hash_keys = ListParams::default().fields("metadata.name!=app");
    seen.api("VirtualKey", "virtualkeys").delete_collection(&DeleteParams::default(), &hash_keys).await.expect("all go at once");
    e2e::until("none of them exists any more", async || {
        let left = seen.api("VirtualKey", "virtualkeys").list(&hash_keys).await.expect("a list");
        left.items.is_empty().then_some(())
    })
    .await;
    // The API server deletes them one by one: those that were gone before it was a mass are gone, and while it goes on the
    // status counts those that were held by then.
    let held = e2e::until("status tells how many are held, and so many are served", async || {
        let told = seen.field("lgw", "main", ".status.heldBack").await;
        let count = told.split(", ").nth(1)?.split(' ').next()?.parse::<usize>().ok().filter(|count| *count >= 20)?;
        let mut held = Vec::new();
        for text in &texts {
            if ask(pods[0], text, "demo").await.status == 200 {
                held.push(text);
            }
        }
        (held.len() == count).then(|| eprintln!("held back: {told}"))?;
        Some(held)
    })
    .await;
    for text in &held {
        assert_eq!(ask(pods[1], text, "demo").await.status, 200, "by every replica");
    }
    seen.models(&["demo", "meanwhile"]).await;
    let app = seen.text("app").await;
    until_every(&pods, &app, "meanwhile", Instant::now(), |answer| answer.status == 200).await;

    e2e::until("the annotation with the sequence lets them go", async || {
        let sequence = seen.field("lgw", "main", ".status.revision").await.split('-').next().unwrap_or_default().to_owned();
        namespace.kubectl(&["annotate", "--overwrite", "lgw", "main", &format!("portolan.dev/release-vanished={sequence}")]).await;
        (ask(pods[0], held[0], "demo").await.status == 401).then_some(())
    })
    .await;
    for text in &texts {
        until_every(&pods, text, "demo", Instant::now(), |answer| answer.status == 401).await;
    }
}

/// What a process has used: milliseconds of CPU, MiB of memory now and at most.
fn used(portolan: &Portolan, pod: &str) -> (u64, u64, u64) {
    let pid = portolan.cluster.pod_pids(pod).into_iter().next_back().expect("a process");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        found.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") / 1024
    };
    (ticks * 10, line("VmRSS:"), line("VmHWM:"))
}

/// Writes of objects of ours, of ConfigMaps and of Secrets that the API server has served; not of Leases.
async fn writes(portolan: &Portolan) -> f64 {
    let text = portolan.cluster.kubectl(&["get", "--raw", "/metrics"]).await;
    let resources = ["llmgateways", "llmproviders", "virtualkeys", "routingpolicies", "configmaps", "secrets", "deployments"];
    let verbs = ["POST", "PUT", "PATCH", "APPLY", "DELETE"];
    let pairs = resources.iter().flat_map(|resource| verbs.iter().map(move |verb| (resource, verb)));
    pairs
        .map(|(resource, verb)| sum(&text, "apiserver_request_total", &[&format!("resource=\"{resource}\""), &format!("verb=\"{verb}\"")]))
        .sum()
}

/// Waits until a leader has accepted so many keys, all of them told and served; its pod.
async fn steady(portolan: &Portolan, keys: f64) -> String {
    e2e::until_within(Duration::from_secs(300), "the operator is steady", async || {
        let leader = portolan.operators().await.into_iter().next()?;
        if !portolan.leader().await.starts_with(&leader) {
            return None;
        }
        let text = portolan.metrics(&leader).await;
        let accepted = sum(&text, "portolan_operator_objects", &["kind=\"VirtualKey\"", "verdict=\"accepted\""]);
        let served = sum(&text, "portolan_operator_programmed_replicas", &[]) >= sum(&text, "portolan_operator_ready_replicas", &[]);
        (accepted >= keys && served).then_some(leader)
    })
    .await
}

/// Waits until nothing is written any more.
async fn quiet(portolan: &Portolan) {
    let mut last = writes(portolan).await;
    e2e::until_within(Duration::from_secs(300), "nothing is written any more", async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = writes(portolan).await;
        let same = now - last < 1.0;
        last = now;
        same.then_some(())
    })
    .await;
}

#[tokio::test]
async fn with_twelve_thousand_objects_an_edit_is_served_within_a_second_and_a_restart_is_over_in_thirty() {
    const KEYS: usize = 10_000;
    const POLICIES: usize = 2_000;
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED twelve thousand objects: not in a foreign cluster");
        return;
    }
    if !e2e::has_time_to_soak("twelve thousand objects in a cluster") {
        return;
    }
    let namespace = portolan.alone("with_twelve_thousand").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(4)).await;
    let began = Instant::now();
    let policy = |number: usize| {
        let rule = json!({"name": "all", "targets": [{"providerRef": {"name": "sim"}}]});
        object("RoutingPolicy", &format!("p{number}"), json!({"rules": [rule]}))
    };
    let key = |number: usize| {
        let name = format!("k{number}");
        if number.is_multiple_of(2) {
            hash_key(&name)
        } else {
            object("VirtualKey", &name, json!({"gatewayRef": {"name": "main"}, "source": {"type": "Generated"}}))
        }
    };
    create(&seen, (0..POLICIES).map(policy).chain((0..KEYS).map(key)).collect()).await;
    eprintln!("{:6.1} s {} objects are created", began.elapsed().as_secs_f64(), KEYS + POLICIES);
    let leader = steady(portolan, (KEYS + 1) as f64).await;
    quiet(portolan).await;
    let (_, rss, most) = used(portolan, &leader);
    eprintln!("{:6.1} s all are accepted, minted and told; the operator has {rss} MiB, at most {most}", began.elapsed().as_secs_f64());

    let (pods, app) = (seen.pods().await, seen.text("app").await);
    assert_eq!(pods.len(), 4);
    let parts = async |pod: &str| sum(&portolan.metrics(pod).await, "portolan_operator_bundle_writes_total", &["object=\"part\""]);
    let (before, cpu) = (parts(&leader).await, used(portolan, &leader).0);
    let mut edits = Vec::new();
    for number in 0..40 {
        let model = format!("model-{number}");
        let began = Instant::now();
        seen.models(&["demo", &model]).await;
        edits.extend(until_every(&pods, &app, &model, began, |answer| answer.status == 200).await);
    }
    let (rewritten, cost) = ((parts(&leader).await - before) / 40.0, (used(portolan, &leader).0 - cpu) / 40);
    eprintln!("a change rewrites {rewritten:.2} parts and costs the operator {cost} ms of CPU");
    let p99 = spread("an edit with 12,000 objects, until each of 4 replicas serves it", edits);
    let mut refused = Vec::new();
    for number in (0..20).map(|number| number * 2) {
        let (name, text) = (format!("k{number}"), format!("text-of-the-key-k{number}"));
        let began = Instant::now();
        seen.patch("VirtualKey", &name, json!({"spec": {"suspend": true}})).await;
        refused.extend(until_every(&pods, &text, "demo", began, |answer| matches!(answer.status, 401 | 403)).await);
    }
    let worst = refused.iter().max().copied().unwrap_or_default();
    spread("a key suspended among 10,000, until each replica refuses it", refused);

    quiet(portolan).await;
    let idle = writes(portolan).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let idle = writes(portolan).await - idle;
    eprintln!("{idle} writes in 20 idle seconds, Leases apart");

    for operator in portolan.operators().await {
        portolan.cluster.signal_pod(&operator, "KILL");
    }
    let killed = Instant::now();
    let leader = e2e::until_within(Duration::from_secs(90), "an operator leads again", async || {
        // A pod whose container is being started answers nobody.
        let text = portolan.try_metrics(&portolan.operators().await.into_iter().next()?).await.ok()?;
        let done = sum(&text, "portolan_operator_passes_total", &["result=\"done\""]);
        (done >= 1.0 && sum(&text, "portolan_operator_leading", &[]) >= 1.0).then_some(())?;
        portolan.operators().await.into_iter().next()
    })
    .await;
    seen.models(&["demo", "after-restart"]).await;
    until_every(&pods, &app, "after-restart", killed, |answer| answer.status == 200).await;
    let restart = killed.elapsed();
    quiet(portolan).await;
    let (_, rss, most) = used(portolan, &leader);
    eprintln!("steady {:.1} s after both operators were killed; it has {rss} MiB, at most {most}", restart.as_secs_f64());

    assert!(p99 <= Duration::from_secs(1), "{p99:?}");
    assert!(worst <= Duration::from_secs(2), "{worst:?}");
    assert!(rewritten <= 1.05, "{rewritten} parts");
    assert!(idle < 1.0, "{idle} writes");
    assert!(restart <= Duration::from_secs(30), "{restart:?}");
    assert!(most <= 200, "{most} MiB");
}
