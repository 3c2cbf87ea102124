//! What is written about the project holds: the map, metrics, receipt, errors, flags and fields.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::{File, Parted};

/// Every folder that holds Rust, and whether the README names it. Tests below a package's `tests` are named with it.
pub fn map(files: &[File]) -> Vec<String> {
    let readme = text(files, "README.md");
    let folder = |file: &'_ File| {
        let (folder, _) = file.path.rsplit_once('/')?;
        let whole = folder.find("/tests/").filter(|_| !folder.starts_with("e2e/")).map_or(folder.len(), |at| at + "/tests".len());
        Some(folder[..whole].to_owned())
    };
    let folders: BTreeSet<String> = files.iter().filter(|file| file.is_rust()).filter_map(folder).collect();
    let named = |folder: &str| readme.match_indices(folder).any(|(at, _)| stands_alone(readme, at, folder));
    folders.into_iter().filter(|folder| !named(folder)).map(|folder| format!("README.md: the map does not name {folder}")).collect()
}

/// Folders that the README's map names and links of the papers that lead nowhere.
pub fn ghosts(files: &[File]) -> Vec<String> {
    let exists = |path: &str| files.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")));
    let rows = text(files, "README.md").lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |")).map(|(cell, _)| cell);
    let folders = rows.flat_map(|cell| cell.split('`').step_by(2)).filter(|word| word.contains('/') && !word.starts_with('/'));
    let named = folders.filter(|folder| !folder.contains('<') && *folder != "provider/model");
    let mut offences: Vec<String> =
        named.filter(|folder| !exists(folder)).map(|folder| format!("README.md: there is no folder {folder}")).collect();
    for paper in files.iter().filter(|file| file.path.ends_with(".md")) {
        let home = paper.path.rsplit_once('/').map_or("", |(home, _)| home);
        for target in paper.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains("://")) {
            let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
            let path = if path.is_empty() { paper.path.clone() } else { joined(home, path) };
            let lost =
                heading.is_some_and(|heading| !text(files, &path).lines().any(|line| line.starts_with('#') && slug(line) == heading));
            if !exists(&path) || lost {
                offences.push(format!("{}: the link to {target} leads nowhere", paper.path));
            }
        }
    }
    offences
}

/// A relative path, from a folder.
fn joined(home: &str, path: &str) -> String {
    let mut parts: Vec<&str> = home.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// A heading's anchor.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Whether the path at this place is neither part of a longer one nor of another word.
fn stands_alone(text: &str, at: usize, path: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
    let after = text[at + path.len()..].strip_prefix('/').unwrap_or(&text[at + path.len()..]);
    !text[..at].chars().next_back().is_some_and(part) && !after.chars().next().is_some_and(part)
}

/// Metrics, in both directions.
pub fn metrics(files: &[File]) -> Vec<String> {
    let sources = ["dataplane/src/telemetry/metrics.rs", "operator/src/metrics.rs"].map(|path| Parted::of(text(files, path)));
    let strings = sources.iter().flat_map(|source| &source.strings);
    let registered: BTreeSet<&str> = strings.map(|(_, text)| text.as_str()).filter(|text| text.starts_with("portolan_")).collect();
    let document = text(files, "docs/metrics.md");
    let mut offences = undocumented("docs/metrics.md", document, registered.iter().copied());
    if registered.is_empty() {
        offences.push("dataplane/src/telemetry/metrics.rs: no metric found".to_owned());
    }
    let known = |name: &str| {
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        registered.contains(name) || stem.is_some_and(|stem| registered.contains(stem))
    };
    for paper in files.iter().filter(|file| file.path.starts_with("docs/")) {
        let names = paper.text.match_indices("portolan_").map(|(at, _)| {
            let rest = &paper.text[at..];
            &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
        });
        offences.extend(names.filter(|name| !known(name)).map(|name| format!("{}: there is no metric {name}", paper.path)));
    }
    offences
}

/// Fields of the receipt, in both directions.
pub fn receipt(files: &[File]) -> Vec<String> {
    let source = text(files, "dataplane/src/ledger/receipt.rs");
    let list = source.split_once("FIELDS").and_then(|(_, rest)| rest.split_once("];\n")).map_or("", |(list, _)| list);
    let fields: BTreeSet<&str> = list.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next()).collect();
    let document = text(files, "docs/logs.md");
    let mut offences = undocumented("docs/logs.md", document, fields.iter().copied());
    if fields.is_empty() {
        offences.push("dataplane/src/ledger/receipt.rs: no FIELDS found".to_owned());
    }
    let section = document.split("\n## ").find(|section| section.starts_with("The receipt")).unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    offences.extend(rows.filter(|row| !fields.contains(row)).map(|row| format!("docs/logs.md: a receipt has no field {row}")));
    offences
}

/// Codes of errors, and classes of failures as receipts and policies name them.
pub fn errors(files: &[File]) -> Vec<String> {
    let refusal = Parted::of(text(files, "dataplane/src/http/refusal.rs"));
    let failure = Parted::of(text(files, "dataplane/snapshot/src/failure.rs"));
    let mut codes: BTreeSet<String> = ["verdict", "of_class", "bad_body_code"]
        .into_iter()
        .flat_map(|function| refusal.strings_of_function(function))
        .chain(failure.strings_of_function("word"))
        .map(str::to_owned)
        .collect();
    // Bodies that are written out whole.
    for file in files.iter().filter(|file| file.is_product() && file.path.starts_with("dataplane/src/")) {
        for (_, string) in Parted::of(&file.text).strings {
            codes.extend(string.split("\"code\":\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    let mut offences = undocumented("docs/errors.md", text(files, "docs/errors.md"), codes.iter().map(String::as_str));
    if codes.is_empty() {
        offences.push("dataplane/src/http/refusal.rs: no code found".to_owned());
    }
    offences
}

/// Flags of the gateway.
pub fn flags(files: &[File]) -> Vec<String> {
    let list = |path: &str, kind: &str| {
        let list = text(files, path).split_once(kind).and_then(|(_, rest)| rest.split_once("\n}")).map_or("", |(list, _)| list);
        let fields = list.lines().map(str::trim).filter(|line| !line.starts_with(['#', '/'])).filter_map(|line| line.split_once(':'));
        let names = fields.map(|(name, _)| name.trim().trim_start_matches("pub ").replace('_', "-"));
        // What may be given several times is a plural in the code alone.
        names.map(|name| format!("--{}", if name == "namespaces" { "namespace" } else { &name })).collect::<Vec<_>>()
    };
    let mut flags = list("dataplane/src/args.rs", "struct Args {");
    flags.extend(list("operator/src/args.rs", "struct Run {"));
    let mut offences = undocumented("docs/configuration.md", text(files, "docs/configuration.md"), flags.iter().map(String::as_str));
    if flags.is_empty() {
        offences.push("dataplane/src/args.rs: no flag found".to_owned());
    }
    offences
}

/// Fields of every kind, and the reasons that reports give.
pub fn kinds(files: &[File]) -> Vec<String> {
    let definitions = crds::api::definitions().into_iter().map(|definition| serde_json::to_value(definition).expect("a definition"));
    let report = Parted::of(text(files, "crds/src/report.rs"));
    let document = text(files, "docs/configuration.md");
    let mut offences = undocumented("docs/configuration.md", document, report.strings_of_function("reason").into_iter());
    offences.extend(definitions.flat_map(|definition| undocumented_fields(&definition, document)));
    offences
}

fn undocumented_fields(definition: &Value, document: &str) -> Vec<String> {
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap_or_default();
    let heading = format!("### {kind}\n");
    let Some(section) = document.split_once(&heading).map(|(_, rest)| rest.split("\n##").next().unwrap_or_default()) else {
        return vec![format!("docs/configuration.md: no section {kind}")];
    };
    let mut paths = Vec::new();
    walk(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "", &mut paths);
    let mut offences = undocumented(&format!("docs/configuration.md, {kind}"), section, paths.iter().map(String::as_str));
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let ghosts = rows.filter(|row| !paths.iter().any(|path| path == row));
    offences.extend(ghosts.map(|row| format!("docs/configuration.md, {kind}: there is no field {row}")));
    offences
}

/// Every field below a schema, as `a.b[].c`.
fn walk(schema: &Value, prefix: &str, paths: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let inner = if property["items"].is_object() { (&property["items"], format!("{path}[]")) } else { (property, path.clone()) };
        paths.push(path);
        walk(inner.0, &inner.1, paths);
    }
}

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

fn undocumented<'a>(paper: &str, document: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let known: BTreeSet<&str> = ticked(document).collect();
    words.filter(|word| !known.contains(word)).map(|word| format!("{paper}: `{word}` is missing")).collect()
}

/// Words between back-ticks.
fn ticked(document: &str) -> impl Iterator<Item = &str> {
    document.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn a_folder_that_the_map_lacks_is_told() {
    let planted = |readme: &str| map(&[File::new("README.md", readme), File::new("dataplane/src/http/body.rs", "")]);
    assert_eq!(planted("| `dataplane/src/http/` |"), [""; 0]);
    assert_eq!(planted("dataplane/src/http  the doors"), [""; 0]);
    for readme in ["", "`dataplane/src/`", "`dataplane/src/https/`", "`dataplane/src/http/body/`", "`x/dataplane/src/http/`"] {
        assert_eq!(planted(readme), ["README.md: the map does not name dataplane/src/http"], "{readme}");
    }
}

#[test]
fn a_folder_or_a_link_that_leads_nowhere_is_told() {
    let planted = |text: &str| {
        let readme = File::new("README.md", text);
        ghosts(&[readme, File::new("docs/errors.md", "# Errors\n\n## The way out, or not?\n"), File::new("a/b/c.rs", "")])
    };
    for good in [
        "| `a/b`, `docs` | x |",
        "[e](docs/errors.md)",
        "[e](docs/errors.md#the-way-out-or-not) [f](docs)",
        "## Map\n[m](#map) [w](https://example.com/x)",
        "| `provider/model`, `/v1/models` | x |",
    ] {
        assert_eq!(planted(good), [""; 0], "{good}");
    }
    for bad in ["| `a/d` | x |", "[e](docs/error.md)", "[e](docs/errors.md#the-way-in)", "[m](#map)"] {
        assert_eq!(planted(bad).len(), 1, "{bad}");
    }
    let deep = ghosts(&[File::new("docs/a.md", "[r](../README.md) [s](b.md)"), File::new("README.md", ""), File::new("docs/b.md", "")]);
    assert_eq!(deep, [""; 0]);
}

#[test]
fn what_the_papers_lack_is_told() {
    let planted = |law: fn(&[File]) -> Vec<String>, source: (&str, &str), paper: (&str, &str)| {
        law(&[File::new(source.0, source.1), File::new(paper.0, paper.1)])
    };
    let source = ("dataplane/src/telemetry/metrics.rs", "make.gauge(\"portolan_a\", \"Help.\")");
    assert_eq!(planted(metrics, source, ("docs/metrics.md", "`portolan_a` `rate(portolan_a_bucket[5m])`")), [""; 0]);
    assert_eq!(planted(metrics, source, ("docs/metrics.md", "portolan_a")), ["docs/metrics.md: `portolan_a` is missing"]);
    assert_eq!(
        planted(metrics, source, ("docs/metrics.md", "`portolan_a` `portolan_b`")),
        ["docs/metrics.md: there is no metric portolan_b"]
    );

    let source = ("dataplane/src/ledger/receipt.rs", "pub const FIELDS: [(&str, &str); 1] = [\n    (\"time\", \"when\"),\n];\n");
    assert_eq!(planted(receipt, source, ("docs/logs.md", "\n## The receipt\n| `time` | when |\n")), [""; 0]);
    assert_eq!(planted(receipt, source, ("docs/logs.md", "")), ["docs/logs.md: `time` is missing"]);
    assert_eq!(
        planted(receipt, source, ("docs/logs.md", "\n## The receipt\n| `time` | when |\n| `tide` | how high |\n")),
        ["docs/logs.md: a receipt has no field tide"]
    );

    let source = ("dataplane/src/http/refusal.rs", "fn verdict(r: &R) -> &'static str {\n    \"overloaded\"\n}\nfn f() { \"other\" }");
    assert_eq!(planted(errors, source, ("docs/errors.md", "`overloaded`")), [""; 0]);
    assert_eq!(planted(errors, source, ("docs/errors.md", "")), ["docs/errors.md: `overloaded` is missing"]);
    let source = ("dataplane/src/http/listener.rs", "const BODY: &str = r#\"{\"error\":{\"code\":\"full\"}}\"#;");
    assert_eq!(planted(errors, source, ("docs/errors.md", "")), ["docs/errors.md: `full` is missing"]);

    let source = ("dataplane/src/args.rs", "struct Args {\n    /// Where\n    #[arg(long)]\n    tls_cert: Option<PathBuf>,\n}\n");
    assert_eq!(planted(flags, source, ("docs/configuration.md", "`--tls-cert`")), [""; 0]);
    assert_eq!(planted(flags, source, ("docs/configuration.md", "")), ["docs/configuration.md: `--tls-cert` is missing"]);
}

#[test]
fn a_field_that_the_papers_lack_is_told() {
    let schema = serde_json::json!({"properties": {"spec": {"properties": {"a": {"items": {"properties": {"b": {}}}}}}}});
    let definition = serde_json::json!({"spec": {"names": {"kind": "K"}, "versions": [{"schema": {"openAPIV3Schema": schema}}]}});
    assert_eq!(undocumented_fields(&definition, "### K\n| `a` | x |\n| `a[].b` | y |\n### L\n"), [""; 0]);
    assert_eq!(
        undocumented_fields(&definition, "### K\n| `a` | x |\n### L\n| `a[].b` |"),
        ["docs/configuration.md, K: `a[].b` is missing"]
    );
    assert_eq!(
        undocumented_fields(&definition, "### K\n| `a` | x |\n| `a[].b` | y |\n| `c` | z |\n"),
        ["docs/configuration.md, K: there is no field c"]
    );
    assert_eq!(undocumented_fields(&definition, ""), ["docs/configuration.md: no section K"]);
}
