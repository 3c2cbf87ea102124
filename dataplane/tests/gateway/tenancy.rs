//! The namespace is the tenant: each way across that a tenant might try, and what it comes to.

use std::sync::Arc;

use dataplane::upstream::dial::{LookUp, LookingUp, Network};
use dataplane::upstream::tls::Trust;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{cloud_provider, key, open_gateway, policy, provider, with_credential};
use crate::provider::{ANSWER, Pipes};

const SHARED_WITH_C: &str = "allowedNamespaces: { from: Names, names: [c] }";

/// Tenants `a`, `b` and `c`; `b` has a provider for itself, one for `c` and one for all.
fn world(more: &[String]) -> House {
    let mut manifests = vec![
        open_gateway(),
        provider("a/own", "models: [{ name: a-model }]"),
        provider("b/private", "models: [{ name: b-model }, { name: twin }]"),
        provider("b/lent", &format!("models: [{{ name: lent-model }}], {SHARED_WITH_C}")),
        provider("b/public", "models: [{ name: public-model }], allowedNamespaces: { from: All }"),
    ];
    manifests.extend_from_slice(more);
    House::of(&manifests)
}

/// Calls a model as `a/app`, in vain: no provider hears of it, and the client reads what it would read if `b` had
/// nothing but what it shows to all.
async fn in_vain(house: &House, model: &str) {
    let answer = house.call(Call::chat("a/app", model)).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "model_not_found"), "{model}: {}", answer.body);
    assert_eq!(house.providers.dialled(), [""; 0]);
    let public = provider("b/public", "models: [{ name: public-model }], allowedNamespaces: { from: All }");
    let without = House::of(&[open_gateway(), provider("a/own", "models: [{ name: a-model }]"), public, key("a/app", "")]);
    assert_eq!(answer.body, without.call(Call::chat("a/app", model)).answer().await.body, "what is hidden is as if it were not");
}

async fn reaches(house: &House, key: &str, model: &str, host: &str) {
    let calling = house.call(Call::chat(key, model));
    let (_line, _) = house.providers.answers(host, 200, ANSWER).await;
    assert_eq!(calling.answer().await.status, 200, "{key} {model}");
}

#[tokio::test(start_paused = true)]
async fn a_key_cannot_name_a_provider_of_another_namespace() {
    let house = world(&[key("a/app", "")]);
    in_vain(&house, "private/b-model").await;
    in_vain(&house, "private/anything").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_cannot_name_another_namespace_in_a_model() {
    let house = world(&[key("a/app", "")]);
    for model in ["b/private/b-model", "b/b-model", "b.private/b-model", "../b/private/b-model"] {
        in_vain(&house, model).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_cannot_name_a_declared_model_of_another_namespace() {
    let house = world(&[key("a/app", "")]);
    in_vain(&house, "b-model").await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_lent_to_one_namespace_is_not_lent_to_another() {
    let house = world(&[key("a/app", ""), key("c/app", "")]);
    in_vain(&house, "lent/lent-model").await;
    in_vain(&house, "lent-model").await;
    reaches(&house, "c/app", "lent/lent-model", "lent.b.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_for_all_is_for_all_and_ones_own_is_ones_own() {
    let house = world(&[key("a/app", ""), key("b/app", "")]);
    reaches(&house, "a/app", "public-model", "public.b.example").await;
    reaches(&house, "a/app", "own/m", "own.a.example").await;
    reaches(&house, "b/app", "private/m", "private.b.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_cannot_allow_itself_a_provider_of_another_namespace() {
    let house = world(&[key("a/app", "allow: { providers: [{ namespace: b, name: private }, { name: own }] }")]);
    let answer = house.call(Call::chat("a/app", "private/b-model")).answer().await;
    assert!([401, 404].contains(&answer.status), "{}", answer.body);
    assert_eq!(house.providers.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_key_cannot_take_a_policy_of_another_namespace() {
    let theirs = policy("b/way", &["private"], "");
    let house = world(&[theirs, key("a/app", "routingPolicyRef: { namespace: b, name: way }")]);
    assert_ne!(house.reason("VirtualKey", "a", "app"), "");
    let answer = house.call(Call::chat("a/app", "b-model")).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_api_key"), "a key in doubt is not served");
    assert_eq!(house.providers.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_cannot_name_a_provider_of_another_namespace() {
    let house = world(&[policy("a/way", &["b/private"], ""), key("a/app", "routingPolicyRef: { name: way }")]);
    assert_ne!(house.reason("RoutingPolicy", "a", "way"), "");
    let answer = house.call(Call::chat("a/app", "b-model")).answer().await;
    assert_ne!(answer.status, 200);
    assert_eq!(house.providers.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_the_gateways_namespace_reaches_what_the_keys_namespace_may_use_and_no_more() {
    let shared = policy("house/way", &["b/public"], "");
    let house = world(&[shared, key("a/app", "routingPolicyRef: { namespace: house, name: way }")]);
    reaches(&house, "a/app", "anything", "public.b.example").await;
    assert_eq!(house.providers.dialled(), ["public.b.example"]);
}

#[tokio::test(start_paused = true)]
async fn the_list_of_models_shows_what_the_namespace_may_use() {
    let house = world(&[key("a/app", ""), key("b/app", ""), key("c/app", "")]);
    let lists = [
        ("a/app", vec!["a-model", "public-model"]),
        ("b/app", vec!["b-model", "lent-model", "public-model", "twin"]),
        ("c/app", vec!["lent-model", "public-model"]),
    ];
    for (id, expected) in lists {
        let list = house.call(Call::get(id, "/v1/models")).answer().await.json();
        let names: Vec<&str> = list["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
        assert_eq!(names, expected, "{id}");
    }
    let one = house.call(Call::get("a/app", "/v1/models/b-model")).answer().await;
    assert_eq!((one.status, one.code().as_str()), (404, "model_not_found"));
}

#[tokio::test(start_paused = true)]
async fn near_names_are_offered_from_ones_own_models_alone() {
    let house = world(&[key("a/app", "")]);
    let answer = house.call(Call::chat("a/app", "b-modl")).answer().await;
    assert!(answer.body.contains("a-model") && !answer.body.contains("b-model"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn a_twin_of_a_foreign_model_is_not_ambiguous() {
    let house = world(&[provider("a/mine", "models: [{ name: twin }]"), key("a/app", "")]);
    reaches(&house, "a/app", "twin", "mine.a.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_for_all_does_not_take_the_place_of_ones_own_of_the_same_name() {
    let squatter = provider("b/own", "allowedNamespaces: { from: All }");
    let house = world(&[squatter, key("a/app", "")]);
    reaches(&house, "a/app", "own/m", "own.a.example").await;
    assert_eq!(house.providers.dialled(), ["own.a.example"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_tenant_shares_takes_no_name_from_others_and_makes_none_ambiguous() {
    let price = "{ inputPerMillion: '1', outputPerMillion: '1' }";
    let shared = &format!("models: [{{ name: chat, price: {price} }}], allowedNamespaces: {{ from: All }}");
    let squatters = [provider("b/main", shared), provider("b/other", shared)];
    let house = world(&[vec![provider("house/main", shared), key("a/app", "")], squatters.to_vec()].concat());
    reaches(&house, "a/app", "chat", "main.house.example").await;
    reaches(&house, "a/app", "main/m", "main.house.example").await;
    assert_eq!(house.reason("LLMProvider", "b", "main"), "", "there is nothing to warn of");
    let own = provider("a/mine", "models: [{ name: chat }]");
    let house = world(&[vec![own, key("a/app", "")], squatters.to_vec()].concat());
    reaches(&house, "a/app", "chat", "mine.a.example").await;
}

#[tokio::test(start_paused = true)]
async fn shared_providers_of_one_name_are_told_apart_by_the_list_of_the_key() {
    let shared = "models: [{ name: chat }], allowedNamespaces: { from: All }";
    let listed = key("a/chosen", "allow: { providers: [{ namespace: c, name: pub }] }");
    let house = world(&[provider("b/pub", shared), provider("c/pub", shared), key("a/app", ""), listed]);
    for model in ["chat", "pub/chat", "pub/m"] {
        let answer = house.call(Call::chat("a/app", model)).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "model_ambiguous"), "{model}: {}", answer.body);
        for word in ["`b/pub`", "`c/pub`", "spec.allow.providers"] {
            assert!(answer.body.contains(word), "{word} is not in {}", answer.body);
        }
    }
    reaches(&house, "a/chosen", "chat", "pub.c.example").await;
    reaches(&house, "a/chosen", "pub/m", "pub.c.example").await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_the_gateway_does_not_admit_has_neither_keys_nor_providers_there() {
    let closed = open_gateway().replace("from: All", "from: Names, names: [a]");
    let theirs = provider("b/public", "models: [{ name: public-model }], allowedNamespaces: { from: All }");
    let house = House::of(&[closed, provider("a/own", ""), theirs, key("a/app", ""), key("b/app", "")]);
    assert_eq!(house.call(Call::chat("b/app", "public-model")).answer().await.code(), "invalid_api_key");
    assert_eq!(house.call(Call::chat("a/app", "public-model")).answer().await.code(), "model_not_found");
    assert_eq!(house.providers.dialled(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_credential_comes_from_a_secret_of_the_providers_own_namespace() {
    let thief = "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: { namespace: a, name: thief }\nspec: { type: OpenAICompatible, endpoint: { url: 'http://thief.example/v1', allowInsecure: true }, auth: { secretRef: { name: private, key: apiKey } } }\n";
    let house = world(&[thief.to_owned(), key("a/app", "")]);
    assert_ne!(house.reason("LLMProvider", "a", "thief"), "", "b/private is no Secret of a's");
    in_vain(&house, "thief/m").await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_names_the_namespace_as_the_team_whatever_the_key_says() {
    let house = world(&[key("a/app", ""), key("a/liar", "owner: { team: b }")]);
    assert_ne!(house.reason("VirtualKey", "a", "liar"), "");
    assert_eq!(house.call(Call::chat("a/liar", "a-model")).answer().await.code(), "invalid_api_key");
    reaches(&house, "a/app", "a-model", "own.a.example").await;
    let receipts = house.receipts();
    assert_eq!((&receipts[1]["key"], &receipts[1]["team"]), (&"a/app".into(), &"a".into()));
}

/// Over real sockets, where addresses are looked at.
fn on_loopback(host: &str, egress: &str) -> (House, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (dialling(&format!("{host}:{port}"), egress, Network::new(trust())), listener)
}

fn trust() -> Trust {
    Trust::new(None).expect("trust")
}

fn dialling(authority: &str, egress: &str, network: Network) -> House {
    let at = format!(
        "endpoint: {{ url: 'http://{authority}/v1', allowInsecure: true }}, timeouts: {{ connectMilliseconds: 600, firstByteMilliseconds: 50 }}"
    );
    let gateway = open_gateway().replace("spec: {", &format!("spec: {{ {egress}"));
    let manifests = [
        gateway,
        with_credential("a/near", "secret", &at),
        key("a/app", ""),
        with_credential("house/near", "secret", &at),
        key("house/app", ""),
    ];
    House::dialling(&manifests, |_| {}, Arc::new(Pipes::default()), Arc::new(network))
}

fn nobody_knocked(listener: &std::net::TcpListener) {
    listener.set_nonblocking(true).expect("a socket");
    assert!(listener.accept().is_err(), "nobody knocked");
}

#[tokio::test]
async fn a_tenants_provider_cannot_dial_an_address_that_is_not_public_however_it_is_written() {
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "2130706433", "127.1"] {
        let (house, listener) = on_loopback(host, "");
        let answer = house.call(Call::chat("a/app", "near/m")).answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"), "{host}");
        assert!(!answer.body.contains("127.0.0.1") && !answer.body.contains("egress"), "nothing internal is told: {}", answer.body);
        nobody_knocked(&listener);
        let receipts = house.receipts();
        let detail = receipts[0]["detail"].as_str().expect("a detail");
        assert!(detail.contains("spec.egress.allowCIDRs"), "our log names the way out: {detail}");
    }
}

#[tokio::test]
async fn a_tenants_token_server_is_dialled_under_the_same_rules_as_its_provider() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let auth = format!(
        "region: eu-west-1, source: Keys, accessKeyIDRef: {{ name: aws, key: id }}, secretAccessKeyRef: {{ name: aws, key: secret }}, roleARN: 'arn:aws:iam::123456789012:role/models', stsEndpoint: 'https://127.0.0.1:{port}'"
    );
    let spec = format!("type: Bedrock, auth: {{ type: AWS, aws: {{ {auth} }} }}");
    let provider = cloud_provider("a/aws", &spec, &[("id", "AKIDSTATIC"), ("secret", "secret-of-static")]);
    let manifests = [open_gateway(), provider, key("a/app", "")];
    let house = House::dialling(&manifests, |_| {}, Arc::new(Pipes::default()), Arc::new(Network::new(trust())));
    let answer = house.call(Call::chat("a/app", "aws/m")).answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"));
    nobody_knocked(&listener);
    let receipts = house.receipts();
    let detail = receipts[0]["detail"].as_str().expect("a detail");
    assert!(detail.starts_with("identity: `127.0.0.1` cannot be reached") && detail.contains("spec.egress.allowCIDRs"), "{detail}");
}

/// Names whose addresses change with each look-up.
struct Rebinding {
    answers: std::sync::Mutex<Vec<Vec<std::net::SocketAddr>>>,
}

impl LookUp for Rebinding {
    fn look_up<'a>(&'a self, _: &'a str, _: u16) -> LookingUp<'a> {
        Box::pin(async { Ok(self.answers.lock().expect("no panic").remove(0)) })
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_between_the_check_and_the_dialling_gains_nothing() {
    let inside = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let outside = std::net::TcpListener::bind("127.0.0.2:0").expect("a port");
    let (bad, good) = (inside.local_addr().expect("an address"), outside.local_addr().expect("an address"));
    // The second network stands for the public ones. First call: good, and bad whenever it is asked again. Second call: bad
    // first and good after it. Third call: bad alone.
    let answers = std::sync::Mutex::new(vec![vec![good], vec![bad, good], vec![bad]]);
    let network = Network::asking(trust(), Rebinding { answers });
    let house = dialling("rebinding.example", "egress: { allowCIDRs: ['127.0.0.2/32'] },", network);
    for expected in ["upstream_timeout", "upstream_timeout", "upstream_unreachable"] {
        assert_eq!(house.call(Call::chat("a/app", "near/m")).answer().await.code(), expected);
    }
    nobody_knocked(&inside);
    for _ in 0..2 {
        outside.accept().expect("dialled where it was allowed, with one look-up for each dialling");
    }
}

#[tokio::test]
async fn the_gateways_own_provider_and_an_opened_network_can_be_dialled() {
    let (house, _listener) = on_loopback("127.0.0.1", "");
    assert_eq!(house.call(Call::chat("house/app", "near/m")).answer().await.code(), "upstream_timeout", "connected");
    let (house, _listener) = on_loopback("127.0.0.1", "egress: { allowCIDRs: ['127.0.0.0/8'] },");
    assert_eq!(house.call(Call::chat("a/app", "near/m")).answer().await.code(), "upstream_timeout", "connected");
}

/// A listener that answers nobody: its queue is full.
fn silent() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(0).expect("a listener");
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    let moment = std::time::Duration::from_millis(50);
    let queued = std::iter::from_fn(|| std::net::TcpStream::connect_timeout(&address, moment).ok()).take(16).collect();
    (listener, queued)
}

#[tokio::test]
async fn an_address_that_is_silent_leaves_time_for_the_next() {
    let (dead, _queued) = silent();
    let alive = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addresses = [&dead, &alive].map(|listener| listener.local_addr().expect("an address"));
    let answers = std::sync::Mutex::new(vec![addresses.to_vec()]);
    let network = Network::asking(trust(), Rebinding { answers });
    let house = dialling("two.example", "", network);
    assert_eq!(house.call(Call::chat("house/app", "near/m")).answer().await.code(), "upstream_timeout", "the second is connected to");
    alive.set_nonblocking(true).expect("a socket");
    assert!(alive.accept().is_ok());
}
