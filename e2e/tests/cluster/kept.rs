//! What providers keep for people: sealed ids are good at every replica, today's and tomorrow's, and to their owners alone.

use std::net::SocketAddr;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::client::{Answer, Wire, posting};
use e2e::cluster;
use e2e::portolan::{self, Portolan, SYSTEM, Seen, a_gateway, provider_at};
use e2e::upstream::{self, Asked, Step, Upstream};
use serde_json::{Value, json};

/// A provider at this machine that keeps one file, by the name that it was last sent under, and one answer.
fn keeper() -> impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static {
    let name = Mutex::new(String::new());
    move |asked| {
        let mut name = name.lock().expect("a name");
        if asked.method == "POST" && asked.path == "/v1/files" {
            let form = String::from_utf8_lossy(&asked.body);
            form.split_once("filename=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a name").0.clone_into(&mut name);
        }
        let file = json!({"id": "file-abc", "object": "file", "bytes": 4, "created_at": 1, "filename": *name, "purpose": "user_data"});
        let answer = match (asked.method.as_str(), asked.path.split('?').next().unwrap_or_default()) {
            ("POST", "/v1/files") | ("GET", "/v1/files/file-abc") => file,
            ("GET", "/v1/files") => json!({"object": "list", "data": [file], "has_more": false}),
            ("DELETE", "/v1/files/file-abc") => json!({"id": "file-abc", "object": "file", "deleted": true}),
            ("POST", "/v1/responses") => response(&asked.json()),
            _ => return upstream::json(404, r#"{"error":{"message":"no such thing","type":"invalid_request_error"}}"#),
        };
        upstream::json(200, &answer.to_string())
    }
}

fn response(asked: &Value) -> Value {
    json!({
        "id": "resp_abc", "object": "response", "created_at": 1, "status": "completed", "model": "far",
        "previous_response_id": asked["previous_response_id"], "output": [], "tools": [], "parallel_tool_calls": true,
        "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
                  "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2}
    })
}

/// What it speaks, and that other teams may call it.
const LINES: &str = "  allowedNamespaces: {from: All}
  surfaces: [ChatCompletions, Responses, Files]
  models: [{name: far}]
";

async fn at(pod: SocketAddr, key: &str, method: &str, path: &str) -> Answer {
    let mut wire = Wire::to(pod).await;
    wire.send(format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\ncontent-length: 0\r\n\r\n")).await;
    wire.answer().await.expect("an answer")
}

async fn send(pod: SocketAddr, key: &str) -> String {
    let form = "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--b\r\ncontent-disposition: form-data; \
                name=\"file\"; filename=\"a.txt\"\r\n\r\nwhat\r\n--b--\r\n";
    let mut wire = Wire::to(pod).await;
    wire.send(posting("/v1/files", key, form).replace("application/json", "multipart/form-data; boundary=b")).await;
    id(&wire.answer().await.expect("an answer"))
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// The id of the only file in a pod's list.
async fn listed(pod: SocketAddr, key: &str) -> String {
    let list = at(pod, key, "GET", "/v1/files").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    list["data"][0]["id"].as_str().expect("an id").to_owned()
}

/// A key of a team next door.
async fn stranger(portolan: &Portolan, seen: &Seen<'_, 'static>) -> (cluster::Namespace<'static>, String) {
    let namespace = seen.namespace.another("next_door").await;
    let account = format!("--serviceaccount={SYSTEM}:portolan");
    namespace.kubectl(&["create", "rolebinding", "portolan-tenant", "--clusterrole=portolan-tenant", &account]).await;
    let home = format!("{{name: main, namespace: {}}}", seen.namespace.name());
    namespace.apply(&portolan::generated_key("theirs").replace("{name: main}", &home)).await;
    namespace.kubectl(&["wait", "--for=condition=Ready", "vk/theirs", "--timeout=60s"]).await;
    let text = Seen::of(portolan, &namespace).text("theirs").await;
    (namespace, text)
}

/// A further key for new ids, before the one that opens those of today; the kubelet brings it sooner when the pods change.
async fn rotate(seen: &Seen<'_, '_>) {
    let told = seen.field("secret", "main-seal", ".data.keys").await;
    let old = String::from_utf8(STANDARD.decode(told).expect("base64")).expect("text");
    let keys = STANDARD.encode(format!("{}\n{old}", "cd".repeat(32)));
    seen.namespace.kubectl(&["patch", "secret", "main-seal", "--type=merge", "-p", &json!({"data": {"keys": keys}}).to_string()]).await;
    seen.namespace.kubectl(&["annotate", "pods", "-l", "portolan.dev/gateway=main", "example.com/touched=yes"]).await;
}

#[tokio::test]
async fn an_id_is_good_at_every_replica_also_at_new_ones_and_through_a_rotation_of_the_seal_and_to_its_team_alone() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED a provider at this machine: pods of a foreign cluster do not find it");
        return;
    }
    let upstream = Upstream::start_at(cluster::HOST, keeper()).await;
    let namespace = portolan.namespace("an_id_is_good").await;
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(2) + &provider_at(upstream.address, "upstream-key", LINES))).await;
    let (pods, app) = (seen.pods().await, seen.text("app").await);
    let file = send(pods[0], &app).await;
    assert!(file.starts_with("file-") && !file.contains("abc"), "{file}");
    assert_eq!(listed(pods[1], &app).await, file, "the other replica gives it the same id");
    assert_eq!(id(&at(pods[1], &app, "GET", &format!("/v1/files/{file}")).await), file);
    let (_next_door, theirs) = stranger(portolan, &seen).await;
    for pod in &pods {
        let answer = e2e::until("the stranger's key is known", async || {
            Some(at(*pod, &theirs, "GET", &format!("/v1/files/{file}")).await).filter(|answer| answer.status != 401)
        })
        .await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "object_not_found"), "to others it is unknown");
    }

    let asked = |more: &str| posting("/v1/responses", &app, &format!(r#"{{"model":"far","input":"hi"{more}}}"#));
    let mut wire = Wire::to(pods[0]).await;
    wire.send(asked("")).await;
    let first = id(&wire.answer().await.expect("an answer"));
    let mut wire = Wire::to(pods[1]).await;
    wire.send(asked(&format!(r#","previous_response_id":"{first}""#))).await;
    let second = wire.answer().await.expect("an answer");
    assert_eq!(second.json()["previous_response_id"], first.as_str(), "{}", second.text());
    let last = upstream.asked().pop().expect("a call");
    assert_eq!(last.json()["previous_response_id"], "resp_abc", "the provider is told its own id");

    namespace.kubectl(&["rollout", "restart", "deployment/main"]).await;
    namespace.kubectl(&["rollout", "status", "deployment/main", "--timeout=90s"]).await;
    let new = e2e::until("the new pods alone are ready", async || {
        let now = seen.pods().await;
        (now.len() == 2 && now.iter().all(|pod| !pods.contains(pod))).then_some(now)
    })
    .await;
    for pod in &new {
        assert_eq!(listed(*pod, &app).await, file, "a new pod seals as the old ones did");
    }

    rotate(&seen).await;
    let mut sealed = Vec::new();
    for pod in &new {
        let fresh = async || Some(listed(*pod, &app).await).filter(|id| *id != file);
        sealed.push(e2e::until_within(std::time::Duration::from_secs(120), "the pod seals with the further key", fresh).await);
    }
    assert_eq!(sealed[0], sealed[1]);
    for pod in &new {
        assert_eq!(at(*pod, &app, "GET", &format!("/v1/files/{file}")).await.status, 200, "ids of before are good");
    }
    assert_eq!(at(new[1], &app, "DELETE", &format!("/v1/files/{file}")).await.json()["deleted"], true);
    assert_eq!(upstream.asked().last().map(|asked| asked.path.clone()).as_deref(), Some("/v1/files/file-abc"));
}
