//! An API server that fails in every way that it can: what people wanted is what pods are given in the end.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{until, until_within};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use snapshot::bundle::Joined;
use snapshot::{KeyHash, KeyId};

use crate::carrier::Carrier;
use crate::proxy::{Proxy, Weather};
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, key};

/// For so long it storms.
const STORM: Duration = Duration::from_secs(30);
/// A change comes so often.
const CHANGE_EVERY: Duration = Duration::from_millis(150);
/// Deletions that are no mass.
const DELETIONS_MAX: usize = 12;
const GENERATED_MAX: usize = 15;
const NAMES: u64 = 40;

/// What people want, and who changes it.
struct People<'t> {
    tenant: &'t Tenant,
    dice: u64,
    /// Keys with the number of their hash, and whether they are suspended.
    keys: BTreeMap<String, (u64, bool)>,
    /// Keys that never come back.
    revoked: &'t RefCell<BTreeSet<String>>,
    generated: BTreeSet<String>,
    deletions: usize,
    edits: u64,
}

impl People<'_> {
    fn throw(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % below
    }

    fn path(&self, base: &str, plural: &str, name: &str) -> String {
        format!("/{base}/namespaces/{}/{plural}/{name}", self.tenant.namespace.name())
    }

    async fn put(&self, kind: &str, plural: &str, name: &str, spec: Value) {
        let path = self.path("apis/portolan.dev/v1alpha1", plural, name) + "?fieldManager=people&force=true";
        let object = json!({"apiVersion": "portolan.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let request = http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
        let request = request.body(object.to_string().into_bytes()).expect("a request");
        self.tenant.client.request::<Value>(request).await.expect("it is taken");
    }

    async fn delete(&self, base: &str, plural: &str, name: &str) {
        let request = http::Request::delete(self.path(base, plural, name)).body(Vec::new()).expect("a request");
        // It may be gone already: somebody deleted it a moment ago.
        drop(self.tenant.client.request::<Value>(request).await);
    }

    async fn key(&mut self, name: &str, number: u64, suspended: bool) {
        let spec = json!({"source": {"type": "Hash", "sha256": format!("{number:064x}")}, "suspend": suspended});
        self.put("VirtualKey", "virtualkeys", name, spec).await;
        self.keys.insert(name.to_owned(), (number, suspended));
    }

    /// Takes note before it is done: from when it is asked for, it may be published.
    async fn change(&mut self) {
        self.edits += 1;
        let (what, name, edit) = (self.throw(100), format!("k{}", self.throw(NAMES)), self.edits);
        let good = !self.revoked.borrow().contains(&name);
        match what {
            0..45 if good => self.key(&name, edit, false).await,
            45..60 if good && self.keys.contains_key(&name) => {
                let number = self.keys[&name].0;
                self.key(&name, number, true).await;
                self.revoked.borrow_mut().insert(name);
            }
            60..70 if good && self.keys.contains_key(&name) && self.deletions < DELETIONS_MAX => {
                self.deletions += 1;
                self.delete("apis/portolan.dev/v1alpha1", "virtualkeys", &name).await;
                self.keys.remove(&name);
                self.revoked.borrow_mut().insert(name);
            }
            70..82 if self.generated.len() < GENERATED_MAX => {
                let name = format!("g{edit}");
                self.put("VirtualKey", "virtualkeys", &name, json!({"source": {"type": "Generated"}})).await;
                self.generated.insert(name);
            }
            82..88 => self.delete("api/v1", "services", "main").await,
            88..92 => self.delete("apis/rbac.authorization.k8s.io/v1", "roles", "main-gateway").await,
            _ => {
                let models = json!([{"name": "demo"}, {"name": format!("edit-{edit}")}]);
                self.put("LLMProvider", "llmproviders", "sim", json!({"type": "Simulated", "models": models})).await;
            }
        }
    }

    /// What a bundle lacks of what people want.
    async fn lacks(&self, bundle: &Joined) -> Option<String> {
        let id = |name: &str| KeyId::new(self.tenant.namespace.name(), name).expect("a name");
        let keys = &bundle.snapshot.keys;
        for (name, (number, suspended)) in &self.keys {
            let found = keys.get(&id(name)).map(|key| (key.hashes.iter().map(ToString::to_string).collect::<Vec<_>>(), key.suspended));
            if found != Some((vec![format!("{number:064x}")], *suspended)) {
                return Some(format!("{name} is {found:?}"));
            }
        }
        for name in &self.generated {
            let text = text(&self.tenant.get("secret", &format!("{name}-key")).await?)?;
            let hash = KeyHash(Sha256::digest(text.as_bytes()).into());
            if !keys.get(&id(name)).is_some_and(|key| key.hashes.contains(&hash)) {
                return Some(format!("{name} is not what its Secret says"));
            }
        }
        (keys.len() != self.keys.len() + self.generated.len()).then(|| format!("{} keys", keys.len()))
    }

    /// What is not as people want it.
    async fn missing(&self) -> Option<String> {
        let Some(bundle) = self.tenant.bundle().await else { return Some("the bundle".to_owned()) };
        if let Some(lacks) = self.lacks(&bundle).await {
            return Some(lacks);
        }
        for (kind, name) in [("service", "main"), ("role", "main-gateway")] {
            if self.tenant.get(kind, name).await.is_none() {
                return Some(format!("{kind} {name}"));
            }
        }
        for object in self.tenant.list("llmgateways,llmproviders,virtualkeys").await {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.into_iter().find(|one| one["type"] == "Ready").unwrap_or_default();
            if ready["status"] != "True" || ready["observedGeneration"] != object["metadata"]["generation"] {
                return Some(format!("{} {}: {ready}", object["kind"], object["metadata"]["name"]));
            }
        }
        let provider = self.tenant.get("llmprovider", "sim").await.unwrap_or_default();
        let told = provider["status"]["dataPlane"]["revision"].as_str().and_then(|text| text.split('-').next()?.parse::<u64>().ok());
        (told > Some(bundle.index.sequence)).then(|| "a revision that was never published".to_owned())
    }
}

fn text(secret: &Value) -> Option<String> {
    String::from_utf8(STANDARD.decode(secret["data"]["apiKey"].as_str()?).ok()?).ok()
}

/// Looks at what is published and minted, and what of it may never change, until it is dropped.
async fn watch(tenant: &Tenant, revoked: &RefCell<BTreeSet<String>>, looks: &RefCell<usize>) {
    // Of each key whether it was ever good, and whether it was then seen revoked.
    let (mut last, mut good, mut gone, mut minted) = (0, BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    loop {
        let bundle = tenant.bundle().await.expect("what is published stays");
        let sequence = bundle.index.sequence;
        assert!(sequence >= last, "{sequence} after {last}: a sequence never goes backwards");
        last = sequence;
        let now = bundle.snapshot.keys.values().filter(|key| !key.suspended).map(|key| key.id.name().to_owned());
        let now: BTreeSet<String> = now.collect();
        for name in revoked.borrow().iter() {
            assert!(!now.contains(name) || !gone.contains(name), "{name} was revoked, and comes back with {sequence}");
            if !now.contains(name) && good.contains(name) {
                gone.insert(name.clone());
            }
        }
        good.extend(now);
        for secret in tenant.list("secrets").await {
            let Some(name) = secret["metadata"]["name"].as_str().filter(|name| name.ends_with("-key")) else { continue };
            let text = text(&secret).expect("a text");
            assert_eq!(*minted.entry(name.to_owned()).or_insert_with(|| text.clone()), text, "{name} is minted once");
        }
        *looks.borrow_mut() += 1;
    }
}

#[tokio::test]
async fn operators_whose_api_server_fails_in_every_way_end_at_the_truth_and_bring_nothing_back() {
    let tenant = Tenant::new("operators_whose_api").await;
    let proxy = Proxy::start(cluster().await, 0x5eed_0036).await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let operators = [
        Carrier::start_at(proxy.kubeconfig(), tenant.namespace.name()).await,
        Carrier::start_at(proxy.kubeconfig(), tenant.namespace.name()).await,
    ];
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("k0", 0, ""))).await;
    tenant.published("it is published", |bundle| tenant.serves(bundle, "k0")).await;
    tenant.roll_out().await;
    tenant.says("llmgateway", "main", "Ready", "True", "Ready").await;

    let (revoked, looks) = (RefCell::default(), RefCell::default());
    let mut people = People {
        tenant: &tenant,
        dice: 36,
        keys: BTreeMap::from([("k0".to_owned(), (0, false))]),
        revoked: &revoked,
        generated: BTreeSet::new(),
        deletions: 0,
        edits: 0,
    };
    proxy.weather(Weather::Rough);
    let began = Instant::now();
    let changes = async {
        while began.elapsed() < STORM {
            people.change().await;
            let next = began + CHANGE_EVERY * u32::try_from(people.edits).expect("few");
            tokio::time::sleep_until(next.into()).await;
        }
        proxy.weather(Weather::Fair);
        let fair = Instant::now();
        let mut last = None;
        let done = until_within(Duration::from_secs(60), "everything is as people want it", async || {
            let missing = people.missing().await;
            if missing != last {
                println!("{:6.1} s after the storm: {missing:?}", fair.elapsed().as_secs_f64());
                last.clone_from(&missing);
            }
            missing.is_none().then(|| fair.elapsed())
        });
        done.await
    };
    let settled = tokio::select! {
        settled = changes => settled,
        () = watch(&tenant, &revoked, &looks) => unreachable!("it watches for ever"),
    };
    let counted = proxy.counted();
    println!("{} changes, {} keys left, {} looks; {counted:?}", people.edits, people.keys.len(), looks.borrow());
    println!("all was as people want it {:.1} s after the storm", settled.as_secs_f64());
    let wrong: usize = counted.iter().filter(|(what, _)| **what != "passed").map(|(_, count)| count).sum();
    assert!(wrong > 200, "a storm: {counted:?}");
    assert!(people.edits > 100 && !people.generated.is_empty() && people.deletions > 0);
    assert!(settled < Duration::from_secs(20), "{settled:?}");
    until("one of them leads", async || {
        let (one, other) = (operators[0].metric("portolan_operator_leading").await, operators[1].metric("portolan_operator_leading").await);
        ((one + other - 1.0).abs() < 0.1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_edit_is_published_seconds_after_an_api_server_that_said_503_is_well_again() {
    let tenant = Tenant::new("an_edit_is_published").await;
    let proxy = Proxy::start(cluster().await, 503).await;
    let carrier = Carrier::start_at(proxy.kubeconfig(), tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await;
    carrier.leads().await;
    proxy.weather(Weather::Closed);
    let closed = Instant::now();
    tenant.apply(&key("app", 1, "  suspend: true\n")).await;
    until("it leads no more, since nothing answers", async || {
        (carrier.metric("portolan_operator_leading").await < 1.0 && closed.elapsed() > Duration::from_secs(20)).then_some(())
    })
    .await;
    proxy.weather(Weather::Fair);
    let fair = Instant::now();
    tenant.published("the edit is published", |bundle| !tenant.serves(bundle, "app")).await;
    println!("the edit is published {:.1} s after the API server was well again", fair.elapsed().as_secs_f64());
    assert!(fair.elapsed() < Duration::from_secs(12), "{:?}", fair.elapsed());
}

#[tokio::test]
async fn an_operator_that_can_only_list_misses_no_deletion_and_forgets_no_replica() {
    let tenant = Tenant::new("an_operator_that_can_only").await;
    let proxy = Proxy::start(cluster().await, 410).await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let carrier = Carrier::start_at(proxy.kubeconfig(), tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}{}", key("app", 1, ""), key("other", 2, ""))).await;
    until("the Deployment is there", async || tenant.get("deployment", "main").await).await;
    tenant.roll_out().await;
    tenant.says("llmgateway", "main", "Ready", "True", "Ready").await;
    let programmed = async || tenant.get("llmgateway", "main").await.expect("it is there")["status"]["programmed"].clone();
    until("the replica is counted", async || (programmed().await == "1/1").then_some(())).await;
    let told = carrier.metric("portolan_operator_status_writes_total").await;

    proxy.weather(Weather::Forgetful);
    tenant.kubectl(&["delete", "service/main", "role/main-gateway", "networkpolicy/main", "deployment/main"]).await;
    tenant.kubectl(&["delete", "virtualkey", "other"]).await;
    for (kind, name) in [("service", "main"), ("role", "main-gateway"), ("networkpolicy", "main"), ("deployment", "main")] {
        until(&format!("{kind} {name} is back"), async || tenant.get(kind, name).await).await;
    }
    tenant.published("the other key is gone", |bundle| tenant.serves(bundle, "app") && !tenant.serves(bundle, "other")).await;
    until("it listed again and again", async || (proxy.counted()["watch too old"] > 150).then_some(())).await;
    assert_eq!(programmed().await, "1/1");
    // The published deletion is one change of the gateway's revision; that its Deployment is new may be told too.
    let told = carrier.metric("portolan_operator_status_writes_total").await - told;
    assert!(told <= 4.0, "{told} statuses were written though the replica was there all the time");
    tenant.kubectl(&["delete", "pod", "main-a", "--grace-period=0", "--force"]).await;
    until("the replica is counted no longer", async || (programmed().await == "0/0").then_some(())).await;
}

#[tokio::test]
async fn nothing_is_published_before_every_kind_was_seen() {
    let tenant = Tenant::new("nothing_is_published").await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    let first = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let before = tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await.index.sequence;
    first.kill();
    tenant.kubectl(&["delete", "lease", "portolan-operator"]).await;

    let proxy = Proxy::start(cluster().await, 57).await;
    proxy.weather(Weather::Keyless);
    let second = Carrier::start_at(proxy.kubeconfig(), tenant.namespace.name()).await;
    second.leads().await;
    tenant.kubectl(&["patch", "lp", "sim", "--type=merge", "-p", r#"{"spec":{"models":[{"name":"demo"},{"name":"more"}]}}"#]).await;
    // It asks for the keys again and again meanwhile, and has seen all else.
    until("it asked often", async || (proxy.counted().get("Service Unavailable").is_some_and(|times| *times > 8)).then_some(())).await;
    let bundle = tenant.bundle().await.expect("it is there");
    assert!(bundle.index.sequence == before && tenant.serves(&bundle, "app"), "a world without its keys is not published");
    proxy.weather(Weather::Fair);
    let bundle = tenant.published("the edit is published", |bundle| bundle.index.sequence > before).await;
    assert!(tenant.serves(&bundle, "app"));
}

#[tokio::test]
async fn a_revision_whose_writer_had_no_answer_is_not_written_over() {
    let tenant = Tenant::new("a_revision_whose_writer").await;
    let proxy = Proxy::start(cluster().await, 409).await;
    let carrier = Carrier::start_at(proxy.kubeconfig(), tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    let mut sequence = tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await.index.sequence;
    carrier.leads().await;
    proxy.weather(Weather::Deaf);
    // Each edit changes the part of the one before, which is published though its writer does not know.
    for edit in 0..8 {
        tenant.apply(&key("app", 1, &format!("  owner: {{user: \"u{edit}\"}}\n"))).await;
        let user = format!("u{edit}");
        let told = |bundle: &Joined| bundle.snapshot.keys.values().any(|key| key.owner.user.as_deref() == Some(user.as_str()));
        // To read what is published is to find it whole.
        let bundle = tenant.published("the edit is published", told).await;
        assert!(bundle.index.sequence > sequence, "{} after {sequence}", bundle.index.sequence);
        sequence = bundle.index.sequence;
    }
    assert!(proxy.counted()["done, and the answer lost"] >= 8, "{:?}", proxy.counted());
}

#[tokio::test]
async fn what_a_leader_of_the_past_has_under_way_names_no_parts_of_another() {
    let tenant = Tenant::new("what_a_leader_of_the_past").await;
    let edit = |user: &str| key("app", 1, &format!("  owner: {{user: {user}}}\n"));
    let says = |bundle: &Joined, user: &str| bundle.snapshot.keys.values().any(|key| key.owner.user.as_deref() == Some(user));
    let (past, present) = (Proxy::start(cluster().await, 7).await, Proxy::start(cluster().await, 8).await);
    let first = Carrier::start_at(past.kubeconfig(), tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", edit("zero"))).await;
    tenant.published("it is published", |bundle| says(bundle, "zero")).await;
    // Its parts are written, its index is under way, and it leads no more.
    past.weather(Weather::Slow);
    tenant.apply(&edit("one")).await;
    until("an index is under way", async || past.counted().contains_key("waits").then_some(())).await;
    first.signal("STOP");
    tenant.apply(&edit("two")).await;
    drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
    present.weather(Weather::Slow);
    let second = Carrier::start_at(present.kubeconfig(), tenant.namespace.name()).await;
    until("the other has an index under way", async || present.counted().contains_key("waits").then_some(())).await;
    past.weather(Weather::Fair);
    until("the first index arrived", async || past.counted().contains_key("waited, and done").then_some(())).await;
    // To read what is published is to find it whole.
    tenant.published("what is published is whole", |bundle| !says(bundle, "two")).await;
    present.weather(Weather::Fair);
    tenant.published("the other goes on", |bundle| says(bundle, "two")).await;
    second.leads().await;
}
