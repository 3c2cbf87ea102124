//! The namespace is the tenant: whoever may write in one gains nothing outside it. One test for each attempt.

use e2e::client::Answer;
use e2e::cluster::{HOST, Namespace};
use e2e::portolan::{self, SYSTEM, Seen, a_gateway, ask};
use e2e::upstream::{self, Upstream};

/// A gateway that admits a tenant of its own, who was let in by nobody else.
struct Neighbours {
    home: Namespace<'static>,
    tenant: Namespace<'static>,
}

impl Neighbours {
    async fn new(test: &str) -> Self {
        let portolan = portolan::shared().await;
        let home = portolan.namespace(test).await;
        let tenant = home.another("tenant").await;
        tenant.kubectl(&["create", "rolebinding", "portolan-tenant", "--clusterrole=portolan-tenant", &account()]).await;
        Self { home, tenant }
    }

    /// The gateway with more manifests beside it, Ready.
    async fn gateway(&self, more: &str) -> Seen<'_, 'static> {
        Seen::applied(portolan::shared().await, &self.home, &(a_gateway(1) + more)).await
    }

    /// What the tenant applied.
    async fn tenants(&self, manifests: &str) -> Seen<'_, 'static> {
        let manifests = manifests.replace("HOME", self.home.name());
        self.tenant.apply(&manifests).await;
        Seen::of(portolan::shared().await, &self.tenant)
    }
}

fn account() -> String {
    format!("--serviceaccount={SYSTEM}:portolan")
}

/// A key of the tenant's on the gateway next door.
const KEY: &str = "---
apiVersion: portolan.dev/v1alpha1
kind: VirtualKey
metadata: {name: mine}
spec: {gatewayRef: {name: main, namespace: HOME}, source: {type: Generated}}
";

/// The tenant's key, once it is served.
async fn served(seen: &Seen<'_, '_>) -> String {
    seen.namespace.kubectl(&["wait", "--for=condition=Ready", "vk/mine", "--timeout=60s"]).await;
    seen.text("mine").await
}

async fn reason(seen: &Seen<'_, '_>, kind: &str, name: &str, condition: &str, wanted: &str) {
    let what = format!("{kind} {name} says {wanted}");
    e2e::until(&what, async || seen.condition(kind, name, condition).await.ends_with(wanted).then_some(())).await;
}

#[tokio::test]
async fn a_tenants_key_calls_no_model_of_a_provider_that_is_not_shared() {
    let all = Neighbours::new("no_model_of_a_provider").await;
    let home = all.gateway("").await;
    let pods = home.pods().await;
    let mine = served(&all.tenants(KEY).await).await;
    for model in ["demo", "sim/demo"] {
        let answer: Answer = ask(pods[0], &mine, model).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_tenant_routes_no_call_to_a_provider_of_another() {
    let all = Neighbours::new("routes_no_call").await;
    let home = all.gateway("").await;
    let policy = "---
apiVersion: portolan.dev/v1alpha1
kind: RoutingPolicy
metadata: {name: sly}
spec: {rules: [{name: all, targets: [{providerRef: {name: sim, namespace: HOME}}]}]}
";
    let tenant = all.tenants(&(KEY.replace("spec: {", "spec: {routingPolicyRef: {name: sly}, ") + policy)).await;
    reason(&tenant, "rp", "sly", "ResolvedRefs", "RefNotPermitted").await;
    // The key waits for its policy, so it is served to nobody; what text it may have answers nothing.
    let told = tenant.condition("vk", "mine", "Ready").await;
    assert!(!told.starts_with("True"), "{told}");
    assert_eq!(home.pods().await.len(), 1);
}

#[tokio::test]
async fn a_tenant_gets_no_key_at_a_gateway_that_does_not_admit_it() {
    let all = Neighbours::new("no_key_at_a_gateway").await;
    let closed = a_gateway(1).replace("allowedNamespaces: {from: All}", "allowedNamespaces: {from: Same}");
    all.home.apply(&closed).await;
    all.home.kubectl(&["wait", "--for=condition=Ready", "lgw/main", "--timeout=90s"]).await;
    let tenant = all.tenants(KEY).await;
    reason(&tenant, "vk", "mine", "Accepted", "False NotPermitted").await;
    assert!(all.tenant.try_kubectl("", &["get", "secret", "mine-key"]).await.is_err(), "nothing is minted for it");
}

#[tokio::test]
async fn a_tenant_speaks_in_no_other_teams_name() {
    let all = Neighbours::new("no_other_teams_name").await;
    all.gateway("").await;
    let tenant = all.tenants(&KEY.replace("source:", "owner: {team: HOME}, source:")).await;
    reason(&tenant, "vk", "mine", "Accepted", "False NotPermitted").await;
}

#[tokio::test]
async fn a_tenant_steals_no_key_by_its_hash() {
    let all = Neighbours::new("steals_no_key").await;
    // SHA-256 of `sk-of-the-house-0123456789`.
    let text = "sk-of-the-house-0123456789";
    let hash = sha256(text);
    let of_house = format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: house}}\nspec: {{gatewayRef: {{name: main}}, source: {{type: Hash, sha256: {hash}}}}}\n"
    );
    let home = all.gateway(&of_house).await;
    let pods = home.pods().await;
    let tenant = all.tenants(&KEY.replace("{type: Generated}", &format!("{{type: Hash, sha256: {hash}}}"))).await;
    reason(&tenant, "vk", "mine", "Accepted", "False Conflicted").await;
    assert_eq!(ask(pods[0], text, "demo").await.status, 200, "the older key is its owner's still, with its owner's models");
}

#[tokio::test]
async fn a_tenants_provider_dials_no_private_address() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED a provider at this machine: pods of a foreign cluster do not find it");
        return;
    }
    let all = Neighbours::new("dials_no_private_address").await;
    let home = all.gateway("").await;
    let pods = home.pods().await;
    let upstream = Upstream::start_at(HOST, |_| upstream::json(200, &upstream::chat_answer("x", "reached"))).await;
    let private = format!("10.255.0.1:{}", upstream.address.port());
    let provider = |name: &str, address: &str| {
        format!(
            "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec: {{type: OpenAICompatible, endpoint: {{url: \"http://{address}/v1\", allowInsecure: true}}, auth: {{type: None}}, models: [{{name: {name}-model}}]}}\n"
        )
    };
    let named = format!("{}.{}.svc.cluster.local", "main", all.home.name());
    let targets = [("link", "169.254.169.254"), ("loop", "127.0.0.1:9090"), ("private", private.as_str()), ("named", named.as_str())];
    let providers: String = targets.iter().map(|(name, address)| provider(name, address)).collect();
    let mine = served(&all.tenants(&(KEY.to_owned() + &providers)).await).await;
    for (name, address) in targets {
        let model = format!("{name}-model");
        let took = std::time::Instant::now();
        let answer =
            e2e::until("the provider is served", async || Some(ask(pods[0], &mine, &model).await).filter(|answer| answer.status != 404))
                .await;
        eprintln!("{address}: {} {} after {:.1} s", answer.status, answer.code(), took.elapsed().as_secs_f64());
        assert!(answer.status >= 400, "{}", answer.text());
    }
    assert!(upstream.asked().is_empty(), "nobody came");
}

#[tokio::test]
async fn a_secret_that_somebody_put_where_a_key_would_be_minted_is_never_touched_nor_served() {
    let all = Neighbours::new("a_secret_that_somebody_put").await;
    let home = all.gateway("").await;
    let pods = home.pods().await;
    let forged = "---
apiVersion: v1
kind: Secret
metadata: {name: mine-key, annotations: {portolan.dev/virtual-key-uid: 00000000-0000-0000-0000-000000000000}}
stringData: {apiKey: sk-forged-by-somebody-0123456789}
";
    let tenant = all.tenants(&(forged.to_owned() + KEY)).await;
    reason(&tenant, "vk", "mine", "Accepted", "SecretForeign").await;
    assert_eq!(tenant.text("mine").await, "sk-forged-by-somebody-0123456789");
    assert_eq!(ask(pods[0], "sk-forged-by-somebody-0123456789", "demo").await.status, 401);
}

#[tokio::test]
async fn secrets_of_a_namespace_that_nobody_bound_are_not_read_and_the_object_says_so() {
    let portolan = portolan::shared().await;
    let home = portolan.namespace("secrets_of_a_namespace").await;
    let unbound = home.another("unbound").await;
    let seen = Seen::applied(portolan, &home, &a_gateway(1)).await;
    assert_eq!(seen.pods().await.len(), 1);
    unbound.apply(&KEY.replace("HOME", home.name())).await;
    let tenant = Seen::of(portolan, &unbound);
    reason(&tenant, "vk", "mine", "Accepted", "SecretAccessDenied").await;
    let asked = ["auth", "can-i", "get", "secrets", "--as", &format!("system:serviceaccount:{SYSTEM}:portolan")];
    let said = unbound.try_kubectl("", &asked).await;
    assert!(said.is_err_and(|said| said.contains("no")), "the API server itself would refuse");
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
