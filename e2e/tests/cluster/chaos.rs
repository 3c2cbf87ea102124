//! What breaks by itself or by another hand: the calls that were on it fail, and no others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::load::{Load, Plan};
use e2e::portolan::{self, Portolan, Seen, a_gateway, ask, until_every};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use snapshot::GatewayId;
use snapshot::bundle::{Index, PartKind};

/// A provider whose streams take about four seconds.
const STREAMING: &str = "---
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata: {name: slow}
spec:
  type: Simulated
  simulated: {answerTokens: 40, tokenIntervalMilliseconds: 100}
  models: [{name: long}]
";

/// Clients of a door.
fn load(door: SocketAddr, key: &str, rate: u32, streams: usize) -> Load {
    load_from(None, door, key, rate, streams)
}

fn load_from(from_port: Option<u16>, door: SocketAddr, key: &str, rate: u32, streams: usize) -> Load {
    let (keys, models) = (vec![key.to_owned()], vec!["demo".to_owned()]);
    Load::start(Plan { door, keys, models, rate, streaming: "long".to_owned(), streams, from_port })
}

/// Whether processes of this cluster can be touched; tells of the skip otherwise.
fn may_touch(portolan: &Portolan, what: &str) -> bool {
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED {what}: not in a foreign cluster");
    }
    portolan.cluster.is_own()
}

/// The pods of a gateway by name: their node and address, and whether they are ready.
async fn pods(seen: &Seen<'_, '_>) -> BTreeMap<String, (String, SocketAddr, bool)> {
    let query = "jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName} {.status.podIP} {.status.conditions[?(@.type=='Ready')].status}{\"\\n\"}{end}";
    let told = seen.namespace.kubectl(&["get", "pods", "-l", "portolan.dev/gateway=main", "-o", query]).await;
    let mut all = BTreeMap::new();
    for line in told.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [name, node, address, ready] = words[..]
            && let Ok(address) = address.parse()
        {
            all.insert(name.to_owned(), (node.to_owned(), SocketAddr::new(address, 8080), ready == "True"));
        }
    }
    all
}

/// Waits until the Service leads to so many pods.
async fn behind(seen: &Seen<'_, '_>, service: &str, count: usize) {
    let selector = format!("kubernetes.io/service-name={service}");
    let query = "jsonpath={range .items[*].endpoints[*]}{.conditions.ready}{\"\\n\"}{end}";
    e2e::until_within(Duration::from_secs(60), "the Service leads to as many pods as it should", async || {
        let told = seen.namespace.kubectl(&["get", "endpointslices", "-l", &selector, "-o", query]).await;
        (told.lines().filter(|ready| *ready == "true").count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_frozen_pod_is_named_as_long_as_it_counts_as_ready_and_goes_on_with_the_latest() {
    let portolan = portolan::shared().await;
    if !may_touch(portolan, "a frozen pod") {
        return;
    }
    let namespace = portolan.namespace("a_frozen_pod").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(2)).await;
    let (all, key) = (pods(&seen).await, seen.text("app").await);
    let (frozen, (_, address, _)) = all.iter().next().expect("a pod");
    let others: Vec<SocketAddr> = all.values().map(|pod| pod.1).filter(|other| other != address).collect();
    portolan.cluster.signal_pod(frozen, "STOP");
    let began = Instant::now();
    seen.models(&["demo", "after"]).await;
    until_every(&others, &key, "after", began, |answer| answer.status == 200).await;
    // All at one look: the kubelet soon finds out, too.
    let told = e2e::until("status names it", async || {
        let told = namespace.kubectl(&["get", "lp/sim", "lgw/main", "-o", "json"]).await;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let said = |condition: &str| {
            let all = told["items"][0]["status"]["conditions"].as_array().expect("conditions");
            let found = all.iter().find(|one| one["type"] == condition).expect("a condition");
            (found["status"] == "Unknown" && found["reason"] == "Propagating").then(|| found["message"].to_string())
        };
        let (programmed, gateway) = (said("Programmed")?, &told["items"][1]["status"]);
        said("Ready").filter(|_| gateway["programmed"] == "1/2" && gateway["lagging"] == json!([frozen])).map(|_| programmed)
    })
    .await;
    assert!(told.contains(frozen.as_str()), "{told}");
    eprintln!("{:.1} s after the edit: {told}", began.elapsed().as_secs_f64());

    // The kubelet takes a pod that does not answer out of the Service; what is left serves the edit.
    e2e::until("what is ready serves it", async || (seen.condition("lp", "sim", "Ready").await == "True Ready").then_some(())).await;
    e2e::until("one is counted", async || (seen.field("lgw", "main", ".status.programmed").await == "1/1").then_some(())).await;
    eprintln!("{:.1} s after the edit the frozen pod counts no longer", began.elapsed().as_secs_f64());
    portolan.cluster.signal_pod(frozen, "CONT");
    let thawed = Instant::now();
    until_every(&[*address], &key, "after", thawed, |answer| answer.status == 200).await;
    eprintln!("it serves the edit {:.1} s after it went on", thawed.elapsed().as_secs_f64());
    e2e::until("both are counted", async || (seen.field("lgw", "main", ".status.programmed").await == "2/2").then_some(())).await;
    seen.ready().await;
}

#[tokio::test]
async fn a_killed_pod_fails_the_calls_on_it_alone_and_none_once_the_service_leads_past_it() {
    let portolan = portolan::shared().await;
    if !may_touch(portolan, "a killed pod") {
        return;
    }
    let namespace = portolan.alone("a_killed_pod").await;
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(3) + STREAMING)).await;
    let (all, key, door) = (pods(&seen).await, seen.text("app").await, namespace.door("main", 80).await);
    let (victim, _) = all.iter().next().expect("a pod");
    let service = load(door.address(), &key, 150, 30);
    let direct: BTreeMap<&String, Load> = all.iter().map(|(name, pod)| (name, load(pod.1, &key, 50, 5))).collect();
    let began = Instant::now();
    e2e::until("the load is under way", async || (began.elapsed() > Duration::from_secs(5)).then_some(())).await;
    assert_eq!(service.failures(), 0);

    portolan.cluster.signal_pod(victim, "KILL");
    let killed = Instant::now();
    e2e::until("it started again and is ready", async || {
        let restarts = seen.field("pod", victim, ".status.containerStatuses[0].restartCount").await;
        (restarts == "1" && pods(&seen).await.get(victim).is_some_and(|pod| pod.2)).then_some(())
    })
    .await;
    behind(&seen, "main", 3).await;
    eprintln!("{:.1} s after its process was killed the pod is back", killed.elapsed().as_secs_f64());
    let (failed, calls) = (service.failures(), service.calls());
    e2e::until("calls go on", async || (service.calls() > calls + 600).then_some(())).await;
    assert_eq!(service.failures(), failed, "no call fails once it is back");
    let through = service.end("through the Service, a pod killed under it").await;
    eprintln!("kill -9 of one pod of three under {} calls: {failed} calls and streams through the Service failed", through.calls);
    for (name, load) in direct {
        let outcome = load.end(&format!("straight to {name}")).await;
        if name == victim {
            assert!(!outcome.failures.is_empty(), "the calls on it fail");
        } else {
            outcome.assert_whole();
        }
    }
    assert!(failed > 0, "one in three was on it");
}

#[tokio::test]
async fn a_killed_node_fails_the_calls_on_its_pods_alone_and_none_once_it_is_noticed() {
    let portolan = portolan::shared().await;
    if !may_touch(portolan, "a killed node") {
        return;
    }
    let namespace = portolan.alone("a_killed_node").await;
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(4) + STREAMING)).await;
    let (all, key, door) = (pods(&seen).await, seen.text("app").await, namespace.door("main", 80).await);
    let on = |node: &str| all.values().filter(|pod| pod.0 == node).map(|pod| pod.1).collect::<Vec<_>>();
    let (there, here) = (on("node2"), on("node1"));
    eprintln!("{} pods on the node that lives, {} on the one that dies", here.len(), there.len());
    assert!(!there.is_empty() && !here.is_empty(), "they are spread");
    let service = load(door.address(), &key, 150, 30);
    let direct: Vec<Load> = here.iter().map(|pod| load(*pod, &key, 50, 5)).collect();
    let began = Instant::now();
    e2e::until("the load is under way", async || (began.elapsed() > Duration::from_secs(5)).then_some(())).await;
    assert_eq!(service.failures(), 0);

    portolan.cluster.kill_node("node2");
    let killed = Instant::now();
    behind(&seen, "main", here.len()).await;
    eprintln!("{:.1} s after the node was killed the Service leads past its pods", killed.elapsed().as_secs_f64());
    // What was on its way to them is given up by its clients in the end; whoever comes now finds living pods, once the
    // proxy of this machine knows.
    let mut in_a_row = 0;
    e2e::until("connections find living pods", async || {
        let connected = tokio::time::timeout(Duration::from_millis(300), tokio::net::TcpStream::connect(door.address())).await;
        in_a_row = if matches!(connected, Ok(Ok(_))) { in_a_row + 1 } else { 0 };
        (in_a_row == 30).then_some(())
    })
    .await;
    let late = load_from(Some(16_000), door.address(), &key, 150, 10);
    e2e::until("calls go on", async || (late.calls() > 1000).then_some(())).await;
    portolan.cluster.start_node("node2");
    e2e::until_within(Duration::from_secs(90), "its pods are back", async || {
        let now = pods(&seen).await;
        (now.len() == all.len() && now.values().all(|pod| pod.2)).then_some(())
    })
    .await;
    behind(&seen, "main", all.len()).await;
    eprintln!("{:.1} s after the node was killed it and its pods are back", killed.elapsed().as_secs_f64());
    let calls = late.calls();
    e2e::until("calls go on", async || (late.calls() > calls + 600).then_some(())).await;
    let late = late.end("through the Service, once the node is noticed and while it comes back").await;
    // While a node comes back the network is made anew around what is on its way. A connection that was never made is the
    // network's, and one in thousands is as much as was ever seen; an answer that breaks is ours.
    let (unmade, broken): (Vec<&String>, Vec<&String>) = late.failures.iter().partition(|failure| failure.contains("no connection"));
    assert!(broken.is_empty() && unmade.len() <= 1, "{broken:#?} {unmade:#?}");
    let through = service.end("through the Service, a node killed under it").await;
    eprintln!(
        "a killed node with {} of {} pods: {} of {} calls and streams through the Service failed",
        there.len(),
        all.len(),
        through.failures.len(),
        through.calls + through.streams
    );
    for load in direct {
        load.end("straight to a pod of the node that lives").await.assert_whole();
    }
    portolan.well().await;
    seen.models(&["demo", "after"]).await;
    until_every(&seen.pods().await, &key, "after", Instant::now(), |answer| answer.status == 200).await;
    seen.ready().await;
}

/// What the index says, by its sequence; asked over and over until it is dropped.
async fn indexes(maps: &Api<ConfigMap>, gateway: &GatewayId, seen: &mut BTreeMap<u64, Index>) {
    loop {
        if let Ok(Ok(map)) = tokio::time::timeout(Duration::from_secs(1), maps.get("main-snapshot")).await {
            let index = index(&map, gateway).expect("it is whole");
            let sequence = index.sequence;
            assert!(seen.keys().next_back().is_none_or(|last| *last <= sequence), "{sequence} after {:?}", seen.keys().next_back());
            let before = seen.insert(sequence, index.clone());
            assert!(before.is_none_or(|before| before == index), "{sequence} is published twice");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_etcd_that_stalls_again_and_again_delays_edits_and_fails_no_call() {
    let portolan = portolan::shared().await;
    if !may_touch(portolan, "a slow etcd") {
        return;
    }
    let namespace = portolan.alone("an_etcd_that_stalls").await;
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(2) + STREAMING)).await;
    let (pods, key, door) = (seen.pods().await, seen.text("app").await, namespace.door("main", 80).await);
    let leader = portolan.well().await;
    let maps: Api<ConfigMap> = Api::namespaced(portolan.cluster.client(), namespace.name());
    let load = load(door.address(), &key, 100, 10);
    let (gateway, mut published) = (GatewayId::new(namespace.name(), "main").expect("a name"), BTreeMap::new());
    let story = async {
        for (round, (frozen, thawed)) in [(2, 1), (3, 1), (2, 1), (3, 1), (2, 1)].into_iter().enumerate() {
            portolan.cluster.freeze_node("etcd");
            let began = Instant::now();
            let model = format!("round-{round}");
            let models: Vec<Value> = ["demo", &model].iter().map(|name| json!({ "name": name })).collect();
            let providers = seen.api("LLMProvider", "llmproviders");
            let patch = Patch::Merge(json!({ "spec": { "models": models } }));
            let nobody = PatchParams::default();
            let mut edit = std::pin::pin!(providers.patch("sim", &nobody, &patch));
            let stalled = tokio::time::timeout(Duration::from_secs(frozen), &mut edit).await;
            portolan.cluster.thaw_node("etcd");
            let taken = match stalled {
                Ok(taken) => taken,
                Err(_) => edit.await,
            };
            taken.expect("it is taken once etcd goes on");
            let took = until_every(&pods, &key, &model, began, |answer| answer.status == 200).await;
            eprintln!(
                "etcd stalled for {frozen} s: the edit is served {:.1} s after it was asked for",
                took.iter().max().expect("pods").as_secs_f64()
            );
            assert!(took.iter().all(|took| *took < Duration::from_secs(frozen + 6)), "{took:?}");
            let next = began + Duration::from_secs(frozen + thawed);
            tokio::time::sleep_until(next.into()).await;
        }
        let leads = portolan.leader().await;
        eprintln!("{leads} leads after stalls that are shorter than a term");
        assert!(leads.starts_with(&leader), "a term outlives them: {leads} after {leader}");

        // Longer than a term, and shorter than a node is waited for: whoever led must know that it does not any more.
        portolan.cluster.freeze_node("etcd");
        let began = Instant::now();
        e2e::until("it is long", async || (began.elapsed() > Duration::from_secs(11)).then_some(())).await;
        portolan.cluster.thaw_node("etcd");
        let thawed = Instant::now();
        e2e::until("an edit is taken", async || {
            let edit = json!({"spec": {"models": [{"name": "demo"}, {"name": "after"}]}}).to_string();
            namespace.try_kubectl("", &["patch", "lp", "sim", "--type=merge", "-p", &edit]).await.ok()
        })
        .await;
        until_every(&pods, &key, "after", thawed, |answer| answer.status == 200).await;
        eprintln!("after a stall of 11 s an edit is served {:.1} s after etcd goes on", thawed.elapsed().as_secs_f64());
        assert!(thawed.elapsed() < Duration::from_secs(15), "{:?}", thawed.elapsed());
    };
    tokio::select! {
        () = story => {}
        () = indexes(&maps, &gateway, &mut published) => unreachable!("it looks for ever"),
    }
    eprintln!("sequences that were seen: {:?}", published.keys().collect::<Vec<_>>());
    load.end("while etcd stalls").await.assert_whole();
    portolan.well().await;
    seen.ready().await;
}

/// The sequence that is published and the parts of it that are ConfigMaps.
async fn published(maps: &Api<ConfigMap>, gateway: &GatewayId) -> (u64, Vec<String>) {
    let index = index(&maps.get("main-snapshot").await.expect("the index"), gateway).expect("it is whole");
    let parts = index.part_names().filter(|(part, _)| part.kind == PartKind::Config).map(|(_, name)| name);
    (index.sequence, parts.collect())
}

fn index(map: &ConfigMap, gateway: &GatewayId) -> Option<Index> {
    Index::parse(gateway, map.data.as_ref()?.get("index")?.as_bytes()).ok()
}

#[tokio::test]
async fn a_part_that_another_hand_spoils_is_healed_while_pods_serve_on_and_a_new_pod_becomes_ready() {
    let portolan = portolan::shared().await;
    if !may_touch(portolan, "spoiled parts: operators are stopped") {
        return;
    }
    let namespace = portolan.alone("a_part_that_another").await;
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(2) + STREAMING)).await;
    let (key, door) = (seen.text("app").await, namespace.door("main", 80).await);
    let maps: Api<ConfigMap> = Api::namespaced(portolan.cluster.client(), namespace.name());
    let load = load(door.address(), &key, 100, 10);
    let gateway = GatewayId::new(namespace.name(), "main").expect("a name");
    let rubbish = Patch::Merge(json!({"binaryData": {"part": STANDARD.encode("not what a part is")}}));
    let spoil = async |name: &str| maps.patch(name, &PatchParams::default(), &rubbish).await.expect("it is there");
    let healed = async |what: &str, before: u64, began: Instant| {
        e2e::until("it is published anew", async || (published(&maps, &gateway).await.0 > before).then_some(())).await;
        seen.ready().await;
        eprintln!("{what}: healed {:.1} s later", began.elapsed().as_secs_f64());
    };
    for what in ["a part is garbled", "a part is deleted", "all parts are deleted", "the index is garbled"] {
        let (sequence, parts) = published(&maps, &gateway).await;
        let began = Instant::now();
        match what {
            "a part is garbled" => drop(spoil(&parts[0]).await),
            "a part is deleted" => drop(maps.delete(&parts[0], &DeleteParams::default()).await.expect("it is there")),
            "all parts are deleted" => {
                for part in &parts {
                    drop(maps.delete(part, &DeleteParams::default()).await.expect("it is there"));
                }
            }
            _ => {
                let garbled = Patch::Merge(json!({"data": {"index": "{"}}));
                drop(maps.patch("main-snapshot", &PatchParams::default(), &garbled).await.expect("it is there"));
                e2e::until("there is an index again", async || index(&maps.get("main-snapshot").await.ok()?, &gateway)).await;
            }
        }
        healed(what, sequence, began).await;
        seen.models(&["demo", "after"]).await;
        until_every(&seen.pods().await, &key, "after", began, |answer| answer.status == 200).await;
        seen.models(&["demo"]).await;
        seen.ready().await;
    }
    let outcome = load.end("while parts are garbled and deleted").await;
    outcome.assert_whole();

    // With nobody there who heals it, a new pod has nothing whole to start from, and the others serve on.
    portolan.well().await;
    let operators = portolan.operators().await;
    for operator in &operators {
        portolan.cluster.signal_pod(operator, "STOP");
    }
    let (sequence, parts) = published(&maps, &gateway).await;
    spoil(&parts[0]).await;
    let old = pods(&seen).await;
    let leaving = old.keys().next().expect("a pod").clone();
    namespace.kubectl(&["delete", "pod", &leaving, "--wait=false", "--grace-period=1"]).await;
    let new = e2e::until("there is a new pod that runs", async || {
        let now = pods(&seen).await;
        let (name, pod) = now.into_iter().find(|(name, _)| !old.contains_key(name))?;
        let running = seen.field("pod", &name, ".status.containerStatuses[0].state.running.startedAt").await;
        (!running.is_empty()).then_some((name, pod.1))
    })
    .await;
    let stays: Vec<SocketAddr> = old.iter().filter(|(name, _)| **name != leaving).map(|(_, pod)| pod.1).collect();
    let began = Instant::now();
    e2e::until("a while passes", async || {
        assert_eq!(ask(stays[0], &key, "demo").await.status, 200, "the other serves what it had");
        (began.elapsed() > Duration::from_secs(3)).then_some(())
    })
    .await;
    assert!(!pods(&seen).await[&new.0].2, "it is not ready with a spoiled bundle");
    for operator in &operators {
        portolan.cluster.signal_pod(operator, "CONT");
    }
    let began = Instant::now();
    healed("spoiled while no operator was there", sequence, began).await;
    e2e::until("the new pod is ready", async || pods(&seen).await.get(&new.0).is_some_and(|pod| pod.2).then_some(())).await;
    eprintln!("a pod that started meanwhile is Ready {:.1} s after the operators went on", began.elapsed().as_secs_f64());
    assert_eq!(ask(new.1, &key, "demo").await.status, 200);
    portolan.well().await;
    seen.ready().await;
}
