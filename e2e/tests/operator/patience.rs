//! What statuses say of what takes long: a replica that hangs, a reference that does not come.

use std::time::{Duration, Instant};

use e2e::{until, until_within};
use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, key};

/// So long may anything be late before it is told as wrong.
const MINUTE: Duration = Duration::from_secs(60);
/// What a busy machine may add to it.
const MORE: Duration = Duration::from_secs(15);

/// Status, reason and message of a condition.
async fn said(tenant: &Tenant, kind: &str, name: &str, condition: &str) -> (String, String, Value) {
    until("it is told", async || tenant.condition(kind, name, condition).await).await
}

async fn told(tenant: &Tenant, name: &str, reason: &str) -> usize {
    let events = tenant.list("events.events.k8s.io").await;
    events.iter().filter(|event| event["regarding"]["name"] == name && event["reason"] == reason).count()
}

#[tokio::test]
async fn what_a_frozen_replica_does_not_serve_is_unknown_and_after_a_minute_the_replica_is_blamed() {
    let tenant = Tenant::new("what_a_frozen_replica").await;
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let (well, frozen) = (tenant.replica("main-well").await, tenant.replica("main-frozen").await);
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{}", key("app", 1, ""))).await;
    let bundle = tenant.published("it is published", |bundle| tenant.serves(bundle, "app")).await;
    well.serves(u64::MAX / 2);
    frozen.serves(bundle.index.sequence);
    tenant.roll_out().await;
    for (kind, name) in [("llmgateway", "main"), ("llmprovider", "sim"), ("virtualkey", "app")] {
        tenant.says(kind, name, "Ready", "True", "Ready").await;
    }

    frozen.freezes(true);
    let edited = Instant::now();
    tenant.apply(&key("app", 1, "  suspend: true\n")).await;
    let first = tenant.says("virtualkey", "app", "Programmed", "Unknown", "Propagating").await;
    let names = |told: &Value| told["message"].as_str().is_some_and(|text| text.contains("main-frozen") && !text.contains("main-well"));
    assert!(names(&first), "{first}");
    tenant.says("virtualkey", "app", "Ready", "Unknown", "Propagating").await;
    assert_eq!(told(&tenant, "app", "Propagating").await, 0, "what is on its way is nothing to tell");
    let late = until_within(MINUTE + MORE, "the minute is over", async || {
        let (word, reason, now) = said(&tenant, "virtualkey", "app", "Programmed").await;
        assert_eq!(word, "Unknown", "{now}");
        (reason != "Propagating").then_some((reason, now))
    })
    .await;
    let after = edited.elapsed();
    println!("{} {:.1} s after the edit: {}", late.0, after.as_secs_f64(), late.1["message"]);
    assert_eq!(late.0, "ConvergenceTimeout");
    assert!(after + Duration::from_secs(1) >= MINUTE && after < MINUTE + MORE, "{after:?}");
    assert!(names(&late.1), "{}", late.1);
    assert_eq!(late.1["lastTransitionTime"], first["lastTransitionTime"], "it was Unknown all the time");
    tenant.says("virtualkey", "app", "Ready", "Unknown", "ConvergenceTimeout").await;
    until("an Event tells it", async || (told(&tenant, "app", "ConvergenceTimeout").await == 1).then_some(())).await;
    let gateway = tenant.get("llmgateway", "main").await.expect("it is there")["status"].clone();
    assert_eq!((&gateway["programmed"], &gateway["lagging"]), (&json!("1/2"), &json!(["main-frozen"])));
    for (kind, name) in [("llmgateway", "main"), ("llmprovider", "sim")] {
        tenant.says(kind, name, "Ready", "True", "Ready").await;
    }

    frozen.serves(u64::MAX / 2);
    frozen.freezes(false);
    tenant.says("virtualkey", "app", "Ready", "True", "Ready").await;
    until("the gateway says all", async || {
        let status = tenant.get("llmgateway", "main").await?["status"].clone();
        (status["programmed"] == "2/2" && status.get("lagging").is_none()).then_some(())
    })
    .await;
    assert_eq!(told(&tenant, "app", "ConvergenceTimeout").await, 1, "told once");
}

#[tokio::test]
async fn a_reference_that_is_missing_is_unknown_for_a_minute_whoever_leads_and_then_false() {
    let tenant = Tenant::new("a_reference_that_is_missing").await;
    let first = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let head = |kind: &str, name: &str| format!("---\napiVersion: portolan.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n");
    let provider = head("LLMProvider", "real") + "spec: {type: OpenAI, auth: {secretRef: {name: late, key: apiKey}}}\n";
    let policy = head("RoutingPolicy", "all") + "spec: {rules: [{name: all, targets: [{providerRef: {name: nobody}}]}]}\n";
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let applied = Instant::now();
    tenant.apply(&format!("{GATEWAY}{provider}{policy}")).await;
    let missing = [("llmprovider", "real", "SecretNotFound"), ("routingpolicy", "all", "ProviderNotFound")];
    let mut since = Vec::new();
    for (kind, name, reason) in missing {
        since.push(tenant.says(kind, name, "ResolvedRefs", "Unknown", reason).await["lastTransitionTime"].clone());
        tenant.says(kind, name, "Ready", "Unknown", reason).await;
        assert_eq!(told(&tenant, name, reason).await, 0, "what may come by itself is nothing to tell");
    }
    // Another leader does not begin to count anew.
    until("a third of the minute is over", async || (applied.elapsed() > MINUTE / 3).then_some(())).await;
    first.kill();
    drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
    let _second = Carrier::start(cluster().await, tenant.namespace.name()).await;
    for (place, (kind, name, reason)) in missing.into_iter().enumerate() {
        let now = until_within(MINUTE + MORE, "the minute is over", async || {
            let (word, why, now) = said(&tenant, kind, name, "ResolvedRefs").await;
            if word == "Unknown" {
                assert_eq!((why.as_str(), &now["lastTransitionTime"]), (reason, &since[place]), "{now}");
            }
            (word != "Unknown").then_some((word, why))
        })
        .await;
        let after = applied.elapsed();
        println!("{kind} {name} is {now:?} {:.1} s after it was applied", after.as_secs_f64());
        assert_eq!(now, ("False".to_owned(), reason.to_owned()));
        // Times in a status are whole seconds.
        assert!(after + Duration::from_secs(2) >= MINUTE && after < MINUTE + MORE, "{after:?}");
        tenant.says(kind, name, "Ready", "False", reason).await;
        until("an Event tells it", async || (told(&tenant, name, reason).await == 1).then_some(())).await;
    }
    tenant.kubectl(&["create", "secret", "generic", "late", "--from-literal=apiKey=one"]).await;
    tenant.says("llmprovider", "real", "Ready", "True", "Ready").await;
}
