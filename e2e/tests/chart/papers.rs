//! The chart's README and its schema of values, against the values.

use std::collections::BTreeSet;

use e2e::cluster::programs;
use serde_json::Value;

use crate::rendered::{chart, had, root, template, text};

/// A value: its path, what it is by default, what it means.
#[derive(Debug, PartialEq)]
struct Documented {
    path: String,
    default: Value,
    meaning: String,
}

/// Every value with the comment right above it. A map that has comments inside is not a value itself.
fn values() -> Vec<Documented> {
    let source = text("charts/portolan/values.yaml");
    let parsed: Value = serde_yaml::from_str(&source).expect("YAML");
    let (mut path, mut comment, mut found): (Vec<(usize, String)>, Vec<String>, Vec<Documented>) = Default::default();
    for line in source.lines() {
        let (indent, content) = (line.len() - line.trim_start().len(), line.trim_start());
        if let Some(words) = content.strip_prefix("# ") {
            comment.push(words.to_owned());
        } else if let Some((key, _)) = content.split_once(':').filter(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric())) {
            path.retain(|(depth, _)| *depth < indent);
            path.push((indent, key.to_owned()));
            if !comment.is_empty() {
                let keys: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
                let default = parsed.pointer(&format!("/{}", keys.join("/"))).expect("a value").clone();
                found.push(Documented { path: keys.join("."), default, meaning: std::mem::take(&mut comment).join(" ") });
            }
        } else {
            comment.clear();
        }
    }
    found
}

/// Every value that has none below it.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            map.iter().for_each(|(key, inner)| leaves(inner, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found))
        }
        None => found.push(path.to_owned()),
    }
}

fn table() -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let rows = values().into_iter().map(|value| {
        let default = match &value.default {
            Value::String(text) if text.is_empty() => "none".to_owned(),
            Value::Null => "none".to_owned(),
            Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => format!("`{}`", value.default),
        };
        format!("| `{}` | {} | {} |\n", value.path, cell(&default), cell(&value.meaning))
    });
    format!("| value | default | meaning |\n|---|---|---|\n{}", rows.collect::<String>())
}

#[test]
fn every_value_has_its_line_in_the_readme() {
    let (begin, end) = ("<!-- values -->\n", "<!-- /values -->");
    let readme = text("charts/portolan/README.md");
    let (before, rest) = readme.split_once(begin).expect("where the values begin");
    let (written, after) = rest.split_once(end).expect("where they end");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(chart().join("README.md"), format!("{before}{begin}{}{end}{after}", table())).expect("the README");
        return;
    }
    assert_eq!(written, table(), "run `UPDATE_GOLDEN=1 cargo test -p e2e --test chart` and commit charts/portolan/README.md");
}

#[test]
fn every_value_is_explained() {
    let parsed: Value = serde_yaml::from_str(&text("charts/portolan/values.yaml")).expect("YAML");
    let mut all = Vec::new();
    leaves(&parsed, "", &mut all);
    let explained: Vec<String> = values().into_iter().map(|value| value.path).collect();
    let dumb: Vec<&String> =
        all.iter().filter(|leaf| !explained.iter().any(|path| leaf.as_str() == path || leaf.starts_with(&format!("{path}.")))).collect();
    assert!(dumb.is_empty(), "no comment above {dumb:?}");
}

/// Paths that a schema has, through its `$ref`s; a map of anything ends there.
fn schema_leaves(schema: &Value, root: &Value, path: &str, found: &mut BTreeSet<String>) {
    let target = schema["$ref"].as_str().and_then(|reference| root.pointer(reference.trim_start_matches('#')));
    let schema = target.unwrap_or(schema);
    match schema["properties"].as_object() {
        Some(map) => {
            assert_eq!(schema["additionalProperties"], false, "{path} takes anything");
            for (key, inner) in map {
                schema_leaves(inner, root, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, found);
            }
        }
        None => drop(found.insert(path.to_owned())),
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&text("charts/portolan/values.schema.json")).expect("JSON");
    let parsed: Value = serde_yaml::from_str(&text("charts/portolan/values.yaml")).expect("YAML");
    let mut known = BTreeSet::new();
    schema_leaves(&schema, &schema, "", &mut known);
    let mut all = Vec::new();
    leaves(&parsed, "", &mut all);
    // Helm's own; and what a map of anything holds by default.
    known.remove("global");
    let covered = |leaf: &String| known.iter().find(|path| leaf == *path || leaf.starts_with(&format!("{path}."))).cloned();
    let met: BTreeSet<String> = all.iter().map(|leaf| covered(leaf).unwrap_or_else(|| panic!("the schema does not know {leaf}"))).collect();
    assert_eq!(met, known);
}

/// Words between quotes in the list that follows a name.
fn listed(text: &str, name: &str) -> Vec<String> {
    let (_, rest) = text.split_once(name).unwrap_or_else(|| panic!("no {name}"));
    let (list, _) = rest.split_once(']').expect("the list's end");
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_tiltfile_names_values_and_paths_that_there_are() {
    let Some(helm) = had(programs::helm()) else { return };
    let tiltfile = text("Tiltfile");
    let sets = listed(&tiltfile, "set = [");
    assert!(sets.len() > 3);
    let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    template(&helm, "{}", &arguments).unwrap_or_else(|said| panic!("{said}"));
    let only = [listed(&tiltfile, "SOURCES = ["), listed(&tiltfile, "only = SOURCES + [")].concat();
    for path in only.iter().map(String::as_str).chain(["crds/examples/kubernetes", "charts/portolan"]) {
        assert!(root().join(path).exists(), "there is no {path}");
    }
}
