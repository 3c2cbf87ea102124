//! The seal of a gateway's ids: made once, its people's from then on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::until;
use serde_json::Value;

use crate::carrier::Carrier;
use crate::tenant::{GATEWAY, PROVIDER, Tenant, cluster};

fn keys(secret: &Value) -> String {
    let text = STANDARD.decode(secret["data"]["keys"].as_str().expect("keys")).expect("base64");
    String::from_utf8(text).expect("text")
}

/// Another operator leads, and has passed over the world.
async fn led_anew(tenant: &Tenant, carrier: Carrier) -> Carrier {
    carrier.kill();
    drop(tenant.namespace.try_kubectl("", &["delete", "lease", "portolan-operator"]).await);
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    until("it has passed over the world", async || (carrier.metric("portolan_operator_passes_total").await > 0.0).then_some(())).await;
    carrier
}

#[tokio::test]
async fn a_seal_is_made_once_and_is_never_written_again() {
    let tenant = Tenant::new("a_seal_is_made_once").await;
    let carrier = Carrier::start(cluster().await, tenant.namespace.name()).await;
    tenant.apply(&format!("{GATEWAY}{PROVIDER}")).await;
    let secret = async || until("the Secret is made", async || tenant.get("secret", "main-seal").await).await;
    let made = secret().await;
    assert_eq!(keys(&made).trim_end().len(), 64);
    assert_eq!(made["metadata"]["ownerReferences"][0]["kind"], "LLMGateway", "it goes with its gateway");
    until("the pods would have it", async || {
        let deployment = tenant.get("deployment", "main").await?;
        let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array()?.clone();
        volumes.iter().any(|volume| volume["secret"]["secretName"] == "main-seal").then_some(())
    })
    .await;

    let carrier = led_anew(&tenant, carrier).await;
    assert_eq!(secret().await["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "another leader makes no other");

    // Somebody rotates it by hand: a further key before the first.
    let rotated = format!("{}\n{}", "cd".repeat(32), keys(&made));
    let patch = format!(r#"{{"data":{{"keys":"{}"}}}}"#, STANDARD.encode(&rotated));
    tenant.kubectl(&["patch", "secret", "main-seal", "--type=merge", "-p", &patch]).await;
    let carrier = led_anew(&tenant, carrier).await;
    assert_eq!(keys(&secret().await), rotated);

    // One that people brought is used as it is.
    let own = "ef".repeat(32);
    tenant.apply(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: other-seal}}\nstringData: {{keys: \"{own}\"}}\n")).await;
    tenant.apply(&GATEWAY.replace("main", "other")).await;
    until("its pods would have it", async || tenant.get("deployment", "other").await).await;
    assert_eq!(keys(&tenant.get("secret", "other-seal").await.expect("it is there")), own);
    drop(carrier);
}
