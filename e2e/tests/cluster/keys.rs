//! The life of keys and credentials: minted once, revoked with their Secret, rotated under calls.

use std::time::{Duration, Instant};

use e2e::client::{Wire, chat, posting};
use e2e::cluster;
use e2e::portolan::{self, Seen, a_gateway, ask, provider_at, spread, until_every};
use e2e::upstream::{self, Step, Upstream};
use serde_json::json;
use tokio::sync::watch;

#[tokio::test]
async fn a_generated_key_is_minted_once_and_its_secret_deleted_is_the_key_revoked() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("a_generated_key").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(2)).await;
    let (pods, text) = (seen.pods().await, seen.text("app").await);
    let id = seen.field("vk", "app", ".status.key.id").await;
    assert!(text.starts_with(&format!("sk-ptl-{id}-")), "status names the key without telling it: {id}");

    // Neither an edit nor another operator makes it anew.
    seen.patch("VirtualKey", "app", json!({"spec": {"owner": {"application": "other"}}})).await;
    seen.ready().await;
    assert_eq!(seen.text("app").await, text);

    let began = Instant::now();
    namespace.kubectl(&["delete", "secret", "app-key"]).await;
    let took = until_every(&pods, &text, "demo", began, |answer| answer.status == 401).await;
    let worst = spread("a generated key's Secret deleted, until each replica refuses it", took);
    assert!(worst <= Duration::from_secs(2), "{worst:?}");
    e2e::until("status tells", async || seen.condition("vk", "app", "Ready").await.ends_with("False SecretMissing").then_some(())).await;
    assert!(namespace.try_kubectl("", &["get", "secret", "app-key"]).await.is_err(), "it is not minted again");

    namespace.kubectl(&["annotate", "vk", "app", "portolan.dev/rotate=again"]).await;
    e2e::until("it is minted when it is asked for", async || namespace.try_kubectl("", &["get", "secret", "app-key"]).await.ok()).await;
    let minted = seen.text("app").await;
    assert_ne!(minted, text);
    until_every(&pods, &minted, "demo", Instant::now(), |answer| answer.status == 200).await;
    assert_eq!(ask(pods[0], &text, "demo").await.status, 401, "the old text stays revoked");
}

#[tokio::test]
async fn a_rotated_key_is_good_in_both_texts_until_the_overlap_ends() {
    let portolan = portolan::shared().await;
    let namespace = portolan.namespace("a_rotated_key").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(2)).await;
    let (pods, old) = (seen.pods().await, seen.text("app").await);
    seen.patch("VirtualKey", "app", json!({"spec": {"rotation": {"overlapSeconds": 5}}})).await;
    namespace.kubectl(&["annotate", "vk", "app", "portolan.dev/rotate=1"]).await;
    let new = e2e::until("there is a new text", async || Some(seen.text("app").await).filter(|text| *text != old)).await;
    let rotated = Instant::now();
    until_every(&pods, &new, "demo", rotated, |answer| answer.status == 200).await;
    for pod in &pods {
        assert_eq!(ask(*pod, &old, "demo").await.status, 200, "the text before is good for five seconds");
    }
    let ended = until_every(&pods, &old, "demo", rotated, |answer| answer.status == 401).await;
    let worst = spread("the old text, from the rotation until each replica refuses it (overlap 5 s)", ended);
    assert!(worst <= Duration::from_secs(8), "{worst:?}");
}

#[tokio::test]
async fn a_providers_secret_changed_in_place_is_used_by_every_replica_within_two_seconds_and_calls_in_flight_end_well() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED a provider at this machine: pods of a foreign cluster do not find it");
        return;
    }
    let (open, gate) = watch::channel(false);
    // It answers in the name of the key that it is shown.
    let upstream = Upstream::start_at(cluster::HOST, move |asked| {
        let shown = asked.header("authorization").unwrap_or_default().to_owned();
        let answer = upstream::json(200, &upstream::chat_answer("far", &shown));
        let waits = asked.json()["model"] == "slow";
        if waits { [vec![Step::Await(gate.clone())], answer].concat() } else { answer }
    })
    .await;
    let provider = provider_at(upstream.address, "upstream-key-of-the-first-day", "  models: [{name: far}, {name: slow}]\n");
    let namespace = portolan.namespace("a_providers_secret").await;
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(2) + &provider)).await;
    let (pods, app) = (seen.pods().await, seen.text("app").await);
    let mut flying = Vec::new();
    for pod in &pods {
        let mut wire = Wire::to(*pod).await;
        wire.send(posting("/v1/chat/completions", &app, &chat("slow", false))).await;
        flying.push(wire);
    }
    e2e::until("the provider has the calls", async || (upstream.asked().len() == pods.len()).then_some(())).await;

    let began = Instant::now();
    namespace
        .apply("apiVersion: v1\nkind: Secret\nmetadata: {name: upstream}\nstringData: {apiKey: upstream-key-of-the-second-day}\n")
        .await;
    let took = until_every(&pods, &app, "far", began, |answer| answer.text().contains("second-day")).await;
    let worst = spread("a provider's Secret changed in place, until each replica uses it", took);
    assert!(worst <= Duration::from_secs(2), "{worst:?}");
    open.send(true).expect("the provider listens");
    for mut wire in flying {
        let answer = wire.answer().await.expect("an answer");
        assert!(answer.status == 200 && answer.text().contains("first-day"), "{} {}", answer.status, answer.text());
    }
}
