//! Who may know whom: packages by their manifests, rooms of the machine by their imports.

use std::collections::BTreeSet;

use crate::files::{File, words};

/// Packages, and which of ours each may depend on.
const PACKAGES: [(&str, &[&str]); 7] = [
    ("dataplane/snapshot", &[]),
    ("crds/catalog", &["snapshot"]),
    ("crds/expr", &[]),
    ("crds", &["snapshot", "catalog", "expr"]),
    ("dataplane/providers", &["snapshot"]),
    ("dataplane", &["snapshot", "providers", "catalog", "expr", "crds"]),
    ("operator", &["snapshot", "crds"]),
];

/// Packages that touch neither network nor runtime.
const PURE: [&str; 5] = ["dataplane/snapshot", "crds/catalog", "crds/expr", "crds", "dataplane/providers"];

/// What the pure packages may not depend on.
const IMPURE: [&str; 6] = ["tokio", "hyper", "hyper-util", "axum", "reqwest", "rustls"];

/// What the machine may not depend on: it knows no Kubernetes but by `crds`.
const KUBERNETES: [&str; 3] = ["kube", "kube-runtime", "k8s-openapi"];

/// Rooms of `dataplane/src`, and which others each may know. `args`, `gateway`, `run` and `main` are the wiring and may
/// know all; nobody may know them.
const ROOMS: [(&str, &[&str]); 16] = [
    // Nouns and floors: what everyone may need knows nearly nobody.
    ("clock", &[]),
    ("seal", &[]),
    // What is shown of an identity is good until a moment; what a provider keeps is kept at a place.
    ("live", &["clock", "seal"]),
    ("telemetry", &[]),
    ("source", &["clock"]),
    ("exchange", &["live", "seal"]),
    // The rooms, strangers to one another.
    ("auth", &["exchange", "live"]),
    ("limits", &["exchange", "live"]),
    ("routing", &["exchange", "live", "seal"]),
    ("upstream", &["clock", "exchange", "live", "seal", "telemetry"]),
    ("relay", &["exchange"]),
    ("ledger", &["exchange", "telemetry"]),
    // The story of a call: it knows them all.
    ("serve", &["auth", "clock", "exchange", "ledger", "limits", "live", "relay", "routing", "seal", "upstream"]),
    // The doors.
    ("http", &["exchange", "live", "serve"]),
    ("admin", &[]),
    ("lib", &[]),
];

/// Arrows beside the table: one file, one room, one reason.
const EXCEPTIONS: [(&str, &str, &str); 6] = [
    ("http/respond.rs", "auth", "a list of models is for a key, and is no call that `serve` tells"),
    ("http/models.rs", "routing", "which models a key sees is routing's to say"),
    ("http/intake.rs", "limits", "bytes are counted against their permit while they are read"),
    ("http/spool.rs", "limits", "bytes that are spooled are counted against their permit too"),
    ("http/body.rs", "relay", "a relay is the body of a response"),
    ("admin.rs", "source", "`/internal/config` shows the source's nouns `ObjectReport`, `Place` and `Certainty`"),
];

const WIRING: [&str; 4] = ["args", "gateway", "run", "main"];

/// Dependencies between packages.
pub fn packages(files: &[File]) -> Vec<String> {
    let mut offences = Vec::new();
    let ours: BTreeSet<&str> = PACKAGES.iter().map(|(folder, _)| name_of(folder)).chain(["e2e"]).collect();
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let folder = file.path.trim_end_matches("/Cargo.toml");
        let Some((_, allowed)) = PACKAGES.iter().find(|(known, _)| *known == folder) else {
            if folder != "e2e" {
                offences.push(format!("{}: a package that PACKAGES does not know", file.path));
            }
            continue;
        };
        for name in dependencies(&file.text) {
            let foreign = ours.contains(name) && !allowed.contains(&name);
            let impure = PURE.contains(&folder) && IMPURE.contains(&name);
            let kubernetes = folder.starts_with("dataplane") && KUBERNETES.contains(&name);
            if foreign || impure || kubernetes {
                offences.push(format!("{}: must not depend on {name}", file.path));
            }
        }
    }
    offences
}

fn name_of(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

/// Names under `[dependencies]` and `[build-dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = matches!(line.trim(), "[dependencies]" | "[build-dependencies]");
        } else if inside && !line.trim().is_empty() && !line.starts_with('#') {
            names.extend(line.split(['.', '=', ' ']).next());
        }
    }
    names
}

/// Imports between rooms.
pub fn rooms(files: &[File]) -> Vec<String> {
    let mut offences = Vec::new();
    for (inner, room, known) in machine(files) {
        if WIRING.contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            offences.push(format!("dataplane/src/{inner}: a room that ROOMS does not know"));
            continue;
        };
        let excepted = |other: &str| EXCEPTIONS.iter().any(|(file, to, _)| *file == inner && *to == other);
        let wrong = known.iter().filter(|other| **other != room && !allowed.contains(&other.as_str()) && !excepted(other));
        offences.extend(wrong.map(|other| format!("dataplane/src/{inner}: {room} must not know {other}")));
    }
    offences
}

/// Arrows of the tables that no manifest and no import walks: a table must not promise more than the code needs.
pub fn unwalked(files: &[File]) -> Vec<String> {
    let walked: Vec<_> = machine(files).collect();
    let drawn = ROOMS.iter().flat_map(|(room, others)| others.iter().map(move |other| (*room, *other)));
    let idle = drawn.filter(|(room, other)| !walked.iter().any(|(_, from, known)| from == room && known.contains(*other)));
    let excepted = EXCEPTIONS.iter().map(|(file, other, _)| (*file, *other));
    let idle_exceptions = excepted.filter(|(file, other)| !walked.iter().any(|(inner, _, known)| inner == file && known.contains(*other)));
    let packages = PACKAGES.iter().flat_map(|(folder, others)| others.iter().map(move |other| (*folder, *other)));
    let depends = |file: &File, folder: &str, other: &str| {
        file.path.strip_suffix("/Cargo.toml") == Some(folder) && dependencies(&file.text).contains(&other)
    };
    let idle_packages = packages.filter(|(folder, other)| !files.iter().any(|file| depends(file, folder, other)));
    idle.chain(idle_exceptions)
        .chain(idle_packages)
        .map(|(from, to)| format!("nobody walks from {from} to {to}: take the arrow out of the table"))
        .collect()
}

/// Every file of the machine: its path below `dataplane/src`, its room, the rooms that it names.
fn machine(files: &[File]) -> impl Iterator<Item = (String, String, BTreeSet<String>)> {
    files.iter().filter(|file| file.is_product()).filter_map(|file| {
        let inner = file.path.strip_prefix("dataplane/src/")?;
        let modules: Vec<&str> = inner.trim_end_matches(".rs").split('/').collect();
        let room = modules.first()?.to_string();
        Some((inner.to_owned(), room, known(&file.code(), if inner == "lib.rs" { 0 } else { modules.len() })))
    })
}

/// Names right below the crate's root that code reaches for, from a module of this depth.
fn known(code: &str, depth: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in words(code, "crate::") {
        heads(&code[at + "crate::".len()..], &mut found);
    }
    let chain = "super::".repeat(depth);
    if depth > 0 {
        for at in words(code, &chain) {
            heads(&code[at + chain.len()..], &mut found);
        }
    }
    found
}

/// The first names of a path or of a group of paths.
fn heads(path: &str, found: &mut BTreeSet<String>) {
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(path.len());
        found.insert(path[..end].to_owned());
        return;
    };
    let mut depth = 0;
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && !c.is_whitespace() => {
                expected = false;
                heads(&group[at..], found);
            }
            _ => {}
        }
    }
}

#[test]
fn a_package_that_depends_against_the_arrows_is_told() {
    let planted = |folder: &str, dependency: &str| {
        packages(&[File::new(
            &format!("{folder}/Cargo.toml"),
            &format!("[package]\nname = \"x\"\n\n[dependencies]\n{dependency}.workspace = true\n"),
        )])
    };
    for (folder, dependency) in [
        ("dataplane/snapshot", "crds"),
        ("dataplane/providers", "tokio"),
        ("dataplane/providers", "hyper"),
        ("crds", "tokio"),
        ("crds/expr", "tokio"),
        ("crds/expr", "snapshot"),
        ("crds", "dataplane"),
        ("dataplane", "kube"),
        ("operator", "dataplane"),
        ("operator", "e2e"),
    ] {
        assert_eq!(planted(folder, dependency), [format!("{folder}/Cargo.toml: must not depend on {dependency}")]);
    }
    assert_eq!(planted("dataplane", "crds"), [""; 0]);
    assert_eq!(planted("gadgets", "serde").len(), 1, "an unknown package");
}

#[test]
fn a_room_that_knows_another_is_told() {
    let planted = |inner: &str, text: &str| rooms(&[File::new(&format!("dataplane/src/{inner}"), text)]);
    for (inner, text, other) in [
        ("auth.rs", "use crate::limits::Hold;", "limits"),
        ("routing/near.rs", "use crate::{exchange::Plan, auth};", "auth"),
        ("relay.rs", "use crate::{\n    exchange::{Answer, Broken},\n    upstream::Dial,\n};", "upstream"),
        ("limits.rs", "fn f() { super::ledger::book() }", "ledger"),
        ("upstream/pool.rs", "use super::super::routing;", "routing"),
        ("ledger/price.rs", "fn f() -> crate::serve::Rooms {}", "serve"),
        ("http/path.rs", "use crate::upstream::Dial;", "upstream"),
        ("http/path.rs", "use crate::auth;", "auth"),
        ("admin.rs", "use crate::http::Door;", "http"),
        ("serve.rs", "use crate::http::Door;", "http"),
        ("serve/entry.rs", "use crate::gateway::Gateway;", "gateway"),
        ("source/manifests.rs", "use crate::live::Live;", "live"),
        ("telemetry/metrics.rs", "use crate::*;", "*"),
    ] {
        let room = inner.trim_end_matches(".rs").split('/').next().expect("a room");
        assert_eq!(planted(inner, text), [format!("dataplane/src/{inner}: {room} must not know {other}")], "{text}");
    }
    for (inner, text) in [
        ("auth.rs", "use crate::exchange::Grant;\n#[cfg(test)]\nmod tests {\n    use crate::limits::Hold;\n}\n"),
        ("auth.rs", "// use crate::limits::Hold;\nconst A: &str = \"use crate::limits::Hold;\";"),
        ("http/respond.rs", "use crate::auth;"),
        ("upstream/pool.rs", "use super::connection::Connection;"),
        ("run.rs", "use crate::{admin, http, source};"),
    ] {
        assert_eq!(planted(inner, text), [""; 0], "{text}");
    }
    assert_eq!(planted("gadgets.rs", "").len(), 1, "an unknown room");
}

#[test]
fn an_arrow_that_nobody_walks_is_told() {
    let offences = unwalked(&[File::new("dataplane/src/auth.rs", "use crate::exchange::Grant;")]);
    assert!(offences.iter().any(|offence| offence.contains("from auth to live")), "{offences:?}");
    assert!(!offences.iter().any(|offence| offence.contains("from auth to exchange")), "{offences:?}");
    assert!(offences.iter().any(|offence| offence.contains("from limits to exchange")), "another's walk does not count: {offences:?}");
    let offences = unwalked(&[File::new("crds/Cargo.toml", "[dependencies]\nexpr.workspace = true\n")]);
    assert!(offences.iter().any(|offence| offence.contains("from crds to catalog")), "{offences:?}");
    assert!(offences.iter().any(|offence| offence.contains("from dataplane to expr")), "{offences:?}");
    assert!(!offences.iter().any(|offence| offence.contains("from crds to expr")), "{offences:?}");
}
