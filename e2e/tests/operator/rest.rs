//! Nothing is written without a reason, and nothing is told twice.

use std::time::Duration;

use e2e::until;
use serde_json::Value;

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster, generated, key};

const POLICY: &str = "---\napiVersion: portolan.dev/v1alpha1\nkind: RoutingPolicy\nmetadata: {name: all}\nspec: {rules: [{name: all, targets: [{providerRef: {name: sim}}]}]}\n";

#[tokio::test]
async fn passes_that_find_nothing_new_write_nothing() {
    let tenant = Tenant::new("passes_that_find").await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let keys: String = (0..10).map(|number| key(&format!("k{number}"), number, "")).collect();
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{POLICY}{keys}{}", generated("made", ""))).await;
    until("the Deployment is there", async || tenant.get("deployment", "main").await).await;
    tenant.roll_out().await;
    let objects = [("llmgateway", "main"), ("llmprovider", "sim"), ("routingpolicy", "all"), ("virtualkey", "k9"), ("virtualkey", "made")];
    for (kind, name) in objects {
        tenant.says(kind, name, "Ready", "True", "Ready").await;
    }
    let kinds = "llmgateways,llmproviders,routingpolicies,virtualkeys,configmaps,secrets,deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,events.events.k8s.io";
    let versions = async || {
        let of = |one: &Value| format!("{} {} {}", one["kind"], one["metadata"]["name"], one["metadata"]["resourceVersion"]);
        tenant.list(kinds).await.iter().filter(|one| one["metadata"]["name"] != "k0").map(of).collect::<Vec<_>>()
    };
    let passes = async || carrier.metric("portolan_operator_passes_total").await;
    let writes = async || {
        (carrier.metric("portolan_operator_bundle_writes_total").await, carrier.metric("portolan_operator_status_writes_total").await)
    };
    let rests = async || (versions().await, writes().await, tenant.get("virtualkey", "k0").await.expect("it is there")["status"].clone());
    // What an Event tells may come a moment after its status.
    let mut before = rests().await;
    until("all is told", async || {
        let passed = passes().await;
        tenant.kubectl(&["annotate", "--overwrite", "virtualkey", "k0", &format!("portolan.dev/touched={passed}")]).await;
        until("there is a pass", async || (passes().await > passed).then_some(())).await;
        let now = rests().await;
        let same = now == before;
        before = now;
        same.then_some(())
    })
    .await;
    // An annotation of ours makes it look at everything again; nothing follows from this one.
    for round in 0..8 {
        let passed = passes().await;
        tenant.kubectl(&["annotate", "--overwrite", "virtualkey", "k0", &format!("portolan.dev/touched=again-{round}")]).await;
        until("there is a pass", async || (passes().await > passed).then_some(())).await;
    }
    assert_eq!(rests().await, before);
}

#[tokio::test]
async fn ten_idle_minutes_with_a_thousand_objects_write_nothing() {
    const MINUTES: u64 = 10;
    if !e2e::has_time_to_soak("ten idle minutes with a thousand objects") {
        return;
    }
    let tenant = Tenant::new("ten_idle_minutes").await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let _carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    let keys: String = (0..1_000).map(|number| key(&format!("k{number}"), number, "")).collect();
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{POLICY}{keys}")).await;
    tenant.roll_out().await;
    let kinds = "llmgateways,llmproviders,routingpolicies,virtualkeys,configmaps,secrets,deployments,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,events.events.k8s.io";
    let versions = async || {
        let of = |one: &Value| format!("{} {} {}", one["kind"], one["metadata"]["name"], one["metadata"]["resourceVersion"]);
        tenant.list(kinds).await.iter().map(of).collect::<Vec<_>>()
    };
    e2e::until_within(Duration::from_secs(120), "all are Ready and told", async || {
        let keys = tenant.list("virtualkeys").await;
        let ready = |key: &&Value| {
            let conditions = key["status"]["conditions"].as_array();
            conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
        };
        (keys.iter().filter(ready).count() == 1_000).then_some(())
    })
    .await;
    let mut before = versions().await;
    e2e::until_within(Duration::from_secs(120), "Events are told", async || {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = versions().await;
        let same = now == before;
        before = now;
        same.then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(60 * MINUTES)).await;
    assert_eq!(versions().await, before);
    println!("{MINUTES} idle minutes with {} objects: nothing was written, Leases apart", before.len());
}

#[tokio::test]
async fn a_turn_of_an_object_is_one_event_whoever_leads() {
    let tenant = Tenant::new("a_turn_of_an_object").await;
    let replica = tenant.replica("main-a").await;
    replica.serves(u64::MAX / 2);
    let good = key("app", 1, "");
    let bad = key("app", 1, "  owner: {team: somebody-elses}\n");
    tenant.apply(&format!("{GATEWAY}{PROVIDER}{good}")).await;
    let events = async || {
        let all = tenant.list("events.events.k8s.io").await;
        let of = all.iter().filter(|event| event["regarding"]["name"] == "app");
        let mut of: Vec<(String, String)> = of.map(|event| (event["eventTime"].to_string(), event["reason"].to_string())).collect();
        of.sort();
        of.into_iter().map(|(_, reason)| reason.trim_matches('"').to_owned()).collect::<Vec<_>>()
    };
    let mut turns = Vec::new();
    for round in 0..2 {
        let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
        for (form, word, reason) in [(&good, "True", "Ready"), (&bad, "False", "NotPermitted")] {
            tenant.apply(form).await;
            tenant.says("virtualkey", "app", "Ready", word, reason).await;
            turns.push(reason.to_owned());
            // Within the second that a transition's time is told in there may be several: each edit is one of its own.
            let told = turns.clone();
            until("the turn is an Event", async || (events().await.len() >= told.len()).then_some(())).await;
            assert_eq!(events().await, turns, "in round {round}");
        }
        // The same again, and whatever else it does: neither is a turn.
        let passed = carrier.metric("portolan_operator_passes_total").await;
        tenant.apply(&key("other", 2 + round, "")).await;
        tenant.says("virtualkey", "other", "Ready", "True", "Ready").await;
        assert!(carrier.metric("portolan_operator_passes_total").await > passed);
        assert_eq!(events().await, turns, "in round {round}");
        carrier.kill();
        drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
    }
    let _last = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&key("last", 9, "")).await;
    tenant.says("virtualkey", "last", "Ready", "True", "Ready").await;
    assert_eq!(events().await, turns, "a start tells nothing again");
}
