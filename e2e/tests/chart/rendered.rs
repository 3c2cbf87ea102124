//! The chart as helm renders it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::cluster::{Missing, programs};
use serde_json::Value;

/// The workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The chart.
pub fn chart() -> PathBuf {
    root().join("charts/portolan")
}

/// A file of the workspace.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A program, or a line that says why the test cannot tell anything.
pub fn had(program: Result<PathBuf, Missing>) -> Option<PathBuf> {
    program.map_err(|missing| drop(writeln!(std::io::stderr(), "SKIPPED a test of the chart: {missing}"))).ok()
}

/// Values that people give. Each name says what it is for.
pub const SETS: [(&str, &str); 6] = [
    ("nothing", "{}"),
    ("tenants", "{tenantNamespaces: [team-a, team-b], gatewayNamespaces: [ai]}"),
    ("namespaces", "{watchNamespaces: [ai, team-a]}"),
    ("everywhere", "{clusterWide: true, replicas: 1}"),
    (
        "everything",
        r#"{image: {digest: "sha256:0123456789012345678901234567890123456789012345678901234567890123"}, gatewayImage: {tag: "1.2.3", pullPolicy: Always},
        imagePullSecrets: [registry], gateway: {create: true, spec: {replicas: 3, allowedNamespaces: {from: All}}},
        serviceAccount: {annotations: {a: b}}, podLabels: {a: b}, podAnnotations: {c: d}, nodeSelector: {disk: fast},
        tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}], priorityClassName: system-cluster-critical, logLevel: debug,
        networkPolicy: {monitoringNamespaces: [monitoring]}, monitors: {create: true, interval: 15s, labels: {release: prometheus}},
        rules: {create: true, labels: {release: prometheus}}, dashboard: {create: true}}"#,
    ),
    (
        "little",
        "{rbac: {create: false}, serviceAccount: {create: false, name: mine}, crds: {install: false}, networkPolicy: {create: false}}",
    ),
];

/// What a release `portolan` in the namespace `portolan-system` renders.
pub fn template(helm: &Path, values: &str, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = Command::new(helm);
    command.args(["template", "portolan"]).arg(chart()).args(["--namespace", "portolan-system", "--values", "-"]).args(arguments);
    let text = run(command, values)?;
    Ok(documents(&text))
}

/// The documents of a stream.
pub fn documents(text: &str) -> Vec<Value> {
    let each = text.split("\n---").map(|document| document.trim_start_matches("---"));
    each.map(|document| serde_yaml::from_str(document).unwrap_or_else(|error| panic!("{error} in\n{document}")))
        .filter(|value: &Value| !value.is_null())
        .collect()
}

/// `Kind name` of an object.
pub fn title(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap_or("?"), object["metadata"]["name"].as_str().unwrap_or("?"))
}

/// Runs a program; what it printed, or what it complained of.
pub fn run(mut command: Command, input: &str) -> Result<String, String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program that starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("a child that ends");
    writer.join().expect("a thread");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}

#[test]
fn helm_finds_nothing_to_complain_of() {
    let Some(helm) = had(programs::helm()) else { return };
    for (name, values) in SETS {
        let mut command = Command::new(&helm);
        command.arg("lint").arg("--strict").arg(chart()).args(["--values", "-"]);
        run(command, values).unwrap_or_else(|said| panic!("{name}: {said}"));
    }
}

#[test]
fn values_that_mean_nothing_are_refused_with_their_name() {
    let Some(helm) = had(programs::helm()) else { return };
    for (values, word) in [
        ("{replica: 3}", "replica"),
        ("{replicas: many}", "replicas"),
        ("{image: {tag: \"a b\"}}", "tag"),
        ("{logLevel: loud}", "logLevel"),
        ("{tenantNamespaces: team-a}", "tenantNamespaces"),
        ("{tenantNamespaces: [Team]}", "tenantNamespaces"),
        ("{watchNamespaces: [a], clusterWide: true}", "clusterWide"),
        ("{watchNamespaces: [a], gateway: {create: true}}", "gateway.namespace portolan-system is not one of watchNamespaces"),
        ("{gateway: {create: true, name: portolan}}", "gateway.name portolan is the name of the operator's own Deployment"),
    ] {
        let said = template(&helm, values, &[]).err().unwrap_or_else(|| panic!("{values} is taken"));
        assert!(said.contains(word), "{values}: {said}");
    }
}

#[test]
fn two_renderings_are_the_same() {
    let Some(helm) = had(programs::helm()) else { return };
    for (name, values) in SETS {
        assert_eq!(template(&helm, values, &[]), template(&helm, values, &[]), "{name}");
    }
}

#[test]
fn the_chart_carries_the_version_of_the_product() {
    let chart: Value = serde_yaml::from_str(&text("charts/portolan/Chart.yaml")).expect("YAML");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}
