//! Operators that die, hang or are cut off: pods serve on, nothing that was revoked comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::client::{chat, post};
use e2e::cluster::{Namespace, takes_connections};
use e2e::portolan::{self, Seen, a_gateway, ask, generated_key, until_every};
use serde_json::json;

/// Waits until another operator than this one leads; its name.
async fn another_leads(portolan: &portolan::Portolan, than: &str) -> String {
    e2e::until("another leads", async || {
        let leader = portolan.leader().await;
        (!leader.is_empty() && !leader.starts_with(than)).then_some(leader)
    })
    .await
}

#[tokio::test]
async fn a_leader_that_hangs_is_replaced_within_twenty_seconds_and_brings_no_revoked_key_back() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED a hanging operator: not in a foreign cluster");
        return;
    }
    let namespace = portolan.alone("a_leader_that_hangs").await;
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    let seen = Seen::applied(portolan, &namespace, &(a_gateway(2) + &keys.iter().map(|key| generated_key(key)).collect::<String>())).await;
    let pods = seen.pods().await;
    let mut texts = Vec::new();
    for key in &keys {
        texts.push(seen.text(key).await);
    }
    let old = portolan.well().await;
    // In the middle of writing: something is on its way when it stops.
    seen.models(&["demo", "on-its-way"]).await;
    portolan.cluster.signal_pod(&old, "STOP");
    let paused = Instant::now();
    // Suspended, since a mass that is deleted would be held back.
    for key in &keys {
        seen.patch("VirtualKey", key, json!({"spec": {"suspend": true}})).await;
    }
    let new = another_leads(portolan, &old).await;
    let took = paused.elapsed();
    eprintln!("{new} leads {:.1} s after {old} stopped", took.as_secs_f64());
    assert!(took <= Duration::from_secs(20), "{took:?}");
    for text in &texts {
        until_every(&pods, text, "demo", paused, |answer| matches!(answer.status, 401 | 403)).await;
    }
    eprintln!("all 100 keys are refused by every replica {:.1} s after the leader stopped", paused.elapsed().as_secs_f64());

    portolan.cluster.signal_pod(&old, "CONT");
    // Whatever it does, it does at once: it goes on where it stood.
    let continued = Instant::now();
    let mut asked = 0;
    while continued.elapsed() < Duration::from_secs(8) {
        for text in texts.iter().step_by(7) {
            for pod in &pods {
                let answer = ask(*pod, text, "demo").await;
                assert!(matches!(answer.status, 401 | 403), "a revoked key answers again: {}", answer.status);
                asked += 1;
            }
        }
    }
    eprintln!("{asked} calls with revoked keys were refused while the old leader woke up");
    assert!(portolan.leader().await.starts_with(new.trim()), "the new leader leads on");
    seen.models(&["demo", "after"]).await;
    until_every(&pods, &seen.text("app").await, "after", Instant::now(), |answer| answer.status == 200).await;
}

#[tokio::test]
async fn an_operator_killed_between_any_two_writes_leaves_a_bundle_that_new_pods_start_from() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED killing operators: not in a foreign cluster");
        return;
    }
    let namespace = portolan.alone("an_operator_killed").await;
    let many: String = (0..200).map(|number| generated_key(&format!("k{number}"))).collect();
    let seen = Seen::applied(portolan, &namespace, &a_gateway(1)).await;
    for round in 0_u64..4 {
        // Keys are minted and parts are written while it dies, a little later each time.
        let leader = portolan.well().await;
        seen.models(&["demo", &format!("round-{round}")]).await;
        if round == 0 {
            namespace.apply(&many).await;
        }
        let until = Instant::now() + Duration::from_millis(40 * round);
        tokio::time::sleep_until(until.into()).await;
        for operator in portolan.operators().await {
            portolan.cluster.signal_pod(&operator, "KILL");
        }
        let killed = Instant::now();
        namespace.kubectl(&["delete", "pod", "-l", "portolan.dev/gateway=main", "--wait=false", "--grace-period=1"]).await;
        let pods = e2e::until("a new pod is ready", async || {
            let names = seen.pod_names().await;
            let pods = seen.pods().await;
            (names.len() == 1 && pods.len() == 1).then_some(pods)
        })
        .await;
        eprintln!("round {round}: {leader} killed; a new pod is Ready {:.1} s later", killed.elapsed().as_secs_f64());
        let app = seen.text("app").await;
        assert_eq!(ask(pods[0], &app, "demo").await.status, 200, "it serves");
        // The kubelet lets a container that was killed several times wait before it starts again.
        portolan.well().await;
        until_every(&pods, &app, &format!("round-{round}"), Instant::now(), |answer| answer.status == 200).await;
    }
    seen.ready().await;
}

#[tokio::test]
async fn pods_serve_and_start_again_while_the_api_server_is_down() {
    let portolan = portolan::shared().await;
    if !portolan.cluster.is_own() {
        eprintln!("SKIPPED killing the API server: not in a foreign cluster");
        return;
    }
    let namespace = portolan.alone("pods_serve_and_start_again").await;
    let seen = Seen::applied(portolan, &namespace, &a_gateway(2)).await;
    let (pods, names, app) = (seen.pods().await, seen.pod_names().await, seen.text("app").await);
    let door = namespace.door("main", 80).await;
    portolan.cluster.kill_node("apiserver");
    let down = Instant::now();
    let mut answered = 0;
    while down.elapsed() < Duration::from_secs(5) {
        let answer = post(door.address(), "/v1/chat/completions", &app, &chat("demo", false)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answered += 1;
    }
    portolan.cluster.signal_pod(&names[0], "KILL");
    let killed = Instant::now();
    let serves = async || {
        let mut well = 0;
        for pod in &pods {
            let Ok(mut wire) = e2e::client::Wire::try_to(*pod).await else { continue };
            wire.send(e2e::client::posting("/v1/chat/completions", &app, &chat("demo", false))).await;
            well += usize::from(wire.answer().await.is_some_and(|answer| answer.status == 200));
        }
        (well == pods.len()).then_some(())
    };
    e2e::until("the killed container serves again", serves).await;
    eprintln!(
        "{answered} calls answered without an API server; a killed container serves again after {:.1} s",
        killed.elapsed().as_secs_f64()
    );
    portolan.cluster.start_node("apiserver");
    e2e::until("the API server answers", async || portolan.cluster.try_kubectl("", &["get", "nodes", "--request-timeout=2s"]).await.ok())
        .await;
    let back = Instant::now();
    e2e::until("an edit is taken", async || {
        let edit = json!({"spec": {"models": [{"name": "demo"}, {"name": "after"}]}}).to_string();
        namespace.try_kubectl("", &["patch", "lp", "sim", "--type=merge", "-p", &edit]).await.ok()
    })
    .await;
    until_every(&pods, &app, "after", back, |answer| answer.status == 200).await;
    let served = back.elapsed();
    eprintln!("an edit is served {:.1} s after the API server came back", served.as_secs_f64());
    assert!(served < Duration::from_secs(15), "{served:?}");
    portolan.well().await;
    until_all_follow(&namespace).await;
}

/// What watches the API server asks again after longer and longer pauses, up to a minute, until it heard nothing bad for two:
/// no test after this one must wait for that, and no other kills the server.
async fn until_all_follow(namespace: &Namespace<'_>) {
    let (began, late) = (Instant::now(), Duration::from_secs(120));
    namespace.kubectl(&["rollout", "restart", "deployment/main"]).await;
    namespace.kubectl(&["rollout", "status", "deployment/main", "--timeout=120s"]).await;
    namespace.kubectl(&["expose", "deployment", "main", "--name=fresh", "--port=80", "--target-port=8080"]).await;
    let ip = namespace.kubectl(&["get", "service", "fresh", "-o", "jsonpath={.spec.clusterIP}"]).await;
    let fresh = SocketAddr::new(ip.parse().expect("an address"), 80);
    e2e::until_within(late, "a new Service takes connections", async || takes_connections(fresh).await.then_some(())).await;
    namespace.kubectl(&["delete", "serviceaccount", "default"]).await;
    e2e::until_within(late, "a ServiceAccount is made", async || {
        namespace.try_kubectl("", &["get", "serviceaccount", "default"]).await.ok()
    })
    .await;
    eprintln!("all follow the API server again {:.1} s later", began.elapsed().as_secs_f64());
}
