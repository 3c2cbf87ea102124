//! Alerts and dashboard: every query is sound and names what exists.

use std::collections::BTreeSet;
use std::process::Command;

use e2e::cluster::programs;
use serde_json::Value;

use crate::rendered::{had, root, run, text};

/// The metrics that docs/metrics.md describes, which a law of the house holds against the code.
fn documented() -> BTreeSet<String> {
    let document = text("docs/metrics.md");
    document
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `portolan_")?.split('`').next()?.to_owned()))
        .map(|rest| format!("portolan_{rest}"))
        .collect()
}

/// Names of ours in a query.
fn named(query: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // What stands behind a colon is a part of a recorded rule's name.
    let starts = query.match_indices("portolan_").filter(|(at, _)| !query[..*at].ends_with(|c| word(c) || c == ':'));
    starts.map(|(at, _)| query[at..].split(|c| !word(c)).next().unwrap_or_default().to_owned()).collect()
}

/// Names in these queries that no document knows.
fn unknown<'a>(queries: impl Iterator<Item = &'a str>) -> Vec<String> {
    let documented = documented();
    let stem = |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).map(str::to_owned);
    let known = |name: &String| documented.contains(name) || stem(name).is_some_and(|stem| documented.contains(&stem));
    queries.flat_map(named).filter(|name| !known(name)).collect()
}

fn rules() -> Vec<Value> {
    let rules: Value = serde_yaml::from_str(&text("charts/portolan/files/rules.yaml")).expect("YAML");
    let groups = rules["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

/// Every query of the dashboard, with the title of its panel.
fn dashboard() -> Vec<(String, String)> {
    let board: Value = serde_json::from_str(&text("charts/portolan/files/dashboards/portolan.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels").iter();
    let title = |panel: &Value| panel["title"].as_str().expect("a title").to_owned();
    let word = |value: &Value| value.as_str().expect("a query").to_owned();
    let targets =
        panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(move |target| (title(panel), word(&target["expr"]))));
    let variables = board["templating"]["list"].as_array().expect("variables").iter().filter(|variable| variable["type"] == "query");
    targets.chain(variables.map(|variable| (word(&variable["name"]), word(&variable["query"]["query"])))).collect()
}

#[test]
fn every_query_of_the_dashboard_and_of_the_alerts_names_metrics_that_exist() {
    let queries = dashboard();
    assert!(queries.len() > 30, "{} queries", queries.len());
    for (title, query) in &queries {
        assert!(!named(query).is_empty(), "{title} asks for nothing of ours: {query}");
    }
    assert_eq!(unknown(queries.iter().map(|(_, query)| query.as_str())), [""; 0], "the dashboard");
    let rules = rules();
    assert!(rules.len() > 10, "{} rules", rules.len());
    assert_eq!(unknown(rules.iter().map(|rule| rule["expr"].as_str().expect("a query"))), [""; 0], "the alerts");
    assert_eq!(unknown(["rate(portolan_nonsense_total[5m]) > x:portolan_calls"].into_iter()), ["portolan_nonsense_total"; 1]);
}

#[test]
fn every_alert_says_what_it_means_and_has_a_test_in_which_it_fires_and_stays_still() {
    let tests = text("charts/portolan/tests/rules/alerts.yaml");
    for rule in rules() {
        let name = rule["alert"].as_str().expect("an alert");
        for path in ["/labels/severity", "/annotations/summary", "/annotations/description"] {
            assert!(rule.pointer(path).and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{name} has no {path}");
        }
        assert!(tests.contains(&format!("alertname: {name}")), "{name} has no test");
    }
}

#[test]
fn promtool_takes_the_alerts_and_they_fire_when_they_should() {
    let Some(promtool) = had(programs::promtool()) else { return };
    for (verb, file) in [("check", "files/rules.yaml"), ("test", "tests/rules/alerts.yaml")] {
        let mut command = Command::new(&promtool);
        command.args([verb, "rules"]).arg(root().join("charts/portolan").join(file));
        run(command, "").unwrap_or_else(|said| panic!("{file}: {said}"));
    }
}

#[test]
fn promtool_can_read_every_query_of_the_dashboard() {
    let Some(promtool) = had(programs::promtool()) else { return };
    let rules = dashboard().into_iter().filter(|(_, query)| !query.starts_with("label_values(")).enumerate().map(|(number, (_, query))| {
        let query = query.replace("$__rate_interval", "5m");
        serde_json::json!({"record": format!("panel:{number}"), "expr": query})
    });
    let file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file");
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules.collect::<Vec<_>>()}]});
    std::fs::write(file.path(), groups.to_string()).expect("a file");
    let mut command = Command::new(promtool);
    command.args(["check", "rules"]).arg(file.path());
    run(command, "").unwrap_or_else(|said| panic!("{said}"));
}
