//! What the README promises of a cluster. Its installation is the one that all tests here stand on.

use e2e::portolan::{self, quickstart};

/// The port of the README, or another where somebody has it.
fn port() -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).and_then(|taken| taken.local_addr());
    free(8080).or_else(|_| free(0)).expect("a free port").port()
}

#[tokio::test]
async fn the_quickstart_of_the_readme_answers_when_it_is_typed_as_it_is_written() {
    let portolan = portolan::shared().await;
    // Nobody kills what it stands on meanwhile.
    let _turn = portolan.cluster.namespace("the_quickstart").await;
    let [_, _, objects, way, call] = quickstart().try_into().expect("five blocks");
    let shown = portolan.shell(&objects).await;
    assert!(shown.contains("2/2") && shown.contains("virtualkey.portolan.dev/quickstart"), "{shown}");
    let port = port();
    let at =
        |lines: &str| lines.trim_end().replace("8080:80", &format!("{port}:80")).replace("localhost:8080", &format!("localhost:{port}"));
    let call =
        at(&call).replacen("curl ", "curl --silent --show-error --fail-with-body --retry 50 --retry-connrefused --retry-delay 1 ", 1);
    // One shell for both terminals: the way stays open until the call is over.
    let both = format!("{} > /dev/null &\nway=$!\ntrap 'kill $way' EXIT\n{call}\n", at(&way));
    let answer = portolan.shell(&both).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"));
    assert!(!answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().is_empty(), "{answer}");
    // The gateway of this namespace is in the way of nobody's keys; its pods are.
    portolan.shell("kubectl delete --namespace ai -f crds/examples/kubernetes --wait=true").await;
    portolan.shell("kubectl wait --namespace ai --for=delete pod -l portolan.dev/gateway=gateway --timeout=120s").await;
}
