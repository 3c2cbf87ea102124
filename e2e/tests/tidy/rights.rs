//! What only one file may do: ask the time, read the environment, register a metric, choose a status, know a custom
//! resource.

use crate::files::{File, line, words};

/// Places of forbidden words in the code of some files.
fn told<'a>(files: impl Iterator<Item = &'a File>, forbidden: &[&str], why: &str) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files {
        let code = file.code();
        for word in forbidden {
            offences.extend(words(&code, word).map(|at| format!("{}:{}: {word}: {why}", file.path, line(&code, at))));
        }
    }
    offences
}

fn machine(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.is_product() && file.path.starts_with("dataplane/src/"))
}

/// Who asks for the time.
pub fn clock(files: &[File]) -> Vec<String> {
    const ASKING: [&str; 6] = ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "SystemTime::UNIX_EPOCH", "UNIX_EPOCH"];
    // The machine and the carrier have a clock each.
    const CLOCKS: [&str; 2] = ["dataplane/src/clock.rs", "operator/src/clock.rs"];
    let others = || files.iter().filter(|file| file.is_product() && !CLOCKS.contains(&file.path.as_str()));
    let mut offences = told(others(), &ASKING, "only the package's clock.rs asks for the time");
    for file in others() {
        let code = file.code();
        let borrowed = words(&code, "use").filter(|at| {
            let statement = code[*at..].split(';').next().unwrap_or_default();
            let foreign = ["std::time", "tokio::time"].iter().any(|module| words(statement, module).next().is_some());
            foreign && words(statement, "Instant").next().is_some()
        });
        offences.extend(borrowed.map(|at| format!("{}:{}: take Instant from the clock", file.path, line(&code, at))));
    }
    offences
}

/// Who reads the environment. Tools of the language read their command line.
pub fn environment(files: &[File]) -> Vec<String> {
    const TOOLS: [&str; 2] = ["crds/src/bin/crdgen.rs", "crds/catalog/src/bin/catalog-refresh.rs"];
    let others = || files.iter().filter(|file| file.is_product() && file.path != "dataplane/src/args.rs");
    let why = "only dataplane/src/args.rs reads the environment";
    let code = others().filter(|file| !TOOLS.contains(&file.path.as_str()));
    let mut offences = told(code, &["env::args", "env::args_os"], why);
    offences.extend(told(others(), &["env::var", "env::var_os", "env::vars", "env::vars_os", "env::set_var", "env::remove_var"], why));
    offences
}

/// Who registers metrics.
pub fn metrics(files: &[File]) -> Vec<String> {
    const REGISTERING: [&str; 8] = [
        "Registry::new",
        "Opts::new",
        "HistogramOpts::new",
        "::with_opts",
        "IntCounter::new",
        "IntGauge::new",
        "default_registry",
        "prometheus::register",
    ];
    const REGISTERS: [&str; 2] = ["dataplane/src/telemetry/metrics.rs", "operator/src/metrics.rs"];
    let others = files.iter().filter(|file| file.is_product() && !REGISTERS.contains(&file.path.as_str()));
    let mut offences = Vec::new();
    for file in others {
        let code = file.code();
        let found = REGISTERING.iter().flat_map(|word| code.match_indices(word));
        let why = "only the package's metrics.rs registers a metric";
        offences.extend(found.map(|(at, word)| format!("{}:{}: {word}: {why}", file.path, line(&code, at))));
    }
    offences
}

/// Who chooses a status: the doors; that of an error of the first door one file alone.
pub fn status(files: &[File]) -> Vec<String> {
    const GOOD: [&str; 3] = ["OK", "NO_CONTENT", "SWITCHING_PROTOCOLS"];
    let admin = |file: &&File| file.path == "dataplane/src/admin.rs" || file.path == "operator/src/admin.rs";
    let door = |file: &&File| file.path.starts_with("dataplane/src/http/") || admin(file);
    let rooms = files.iter().filter(|file| file.is_product() && !door(file));
    let mut offences = told(rooms, &["StatusCode"], "only the doors choose a status");
    let doors = machine(files).filter(door).filter(|file| !file.path.ends_with("/http/refusal.rs") && !file.path.ends_with("/admin.rs"));
    for file in doors {
        let code = file.code();
        for at in words(&code, "StatusCode::") {
            let name = code[at + "StatusCode::".len()..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            if !GOOD.contains(&name) {
                offences.push(format!("{}:{}: {name}: only http/refusal.rs chooses the status of an error", file.path, line(&code, at)));
            }
        }
    }
    offences
}

/// Who of the machine knows what a custom resource is.
pub fn resources(files: &[File]) -> Vec<String> {
    let others = machine(files).filter(|file| file.path != "dataplane/src/source/manifests.rs");
    told(others, &["crds", "kube", "k8s_openapi"], "only dataplane/src/source/manifests.rs knows custom resources")
}

/// What translators do not know.
pub fn translators(files: &[File]) -> Vec<String> {
    let pure = files.iter().filter(|file| file.is_product() && file.path.starts_with("dataplane/providers/"));
    told(pure, &["tokio", "hyper", "kube", "std::net", "std::fs"], "translators are pure: bytes in, bytes out")
}

#[test]
fn whoever_takes_a_right_of_another_is_told() {
    type Planted = (fn(&[File]) -> Vec<String>, &'static str, &'static str, &'static str);
    let table: [Planted; 20] = [
        (clock, "dataplane/src/upstream/pool.rs", "dataplane/src/clock.rs", "let now = Instant::now();"),
        (clock, "crds/src/compile.rs", "dataplane/src/clock.rs", "let now = std::time::SystemTime::now();"),
        (clock, "operator/src/main.rs", "dataplane/src/clock.rs", "let now = jiff::Timestamp::now();"),
        (clock, "operator/src/lease.rs", "operator/src/clock.rs", "use tokio::time::Instant;"),
        (metrics, "operator/src/story.rs", "operator/src/metrics.rs", "IntGauge::new(\"a\", \"b\")"),
        (status, "operator/src/run.rs", "operator/src/admin.rs", "StatusCode::SERVICE_UNAVAILABLE"),
        (clock, "dataplane/src/relay.rs", "dataplane/src/clock.rs", "use std::{fmt, time};\nuse std::time::{Duration, Instant};"),
        (clock, "dataplane/src/relay.rs", "dataplane/src/clock.rs", "use tokio::time::Instant;"),
        (environment, "dataplane/src/source/manifests.rs", "dataplane/src/args.rs", "std::env::var(name)"),
        (environment, "crds/src/bin/crdgen.rs", "dataplane/src/args.rs", "std::env::var_os(name)"),
        (environment, "operator/src/main.rs", "dataplane/src/args.rs", "use std::env; env::args().next()"),
        (metrics, "dataplane/src/ledger.rs", "dataplane/src/telemetry/metrics.rs", "IntCounter::new(\"a\", \"b\")"),
        (metrics, "dataplane/src/telemetry/log.rs", "dataplane/src/telemetry/metrics.rs", "Histogram::with_opts(opts)"),
        (status, "dataplane/src/upstream.rs", "dataplane/src/http/refusal.rs", "StatusCode::BAD_GATEWAY"),
        (status, "dataplane/src/http/respond.rs", "dataplane/src/http/refusal.rs", "StatusCode::BAD_GATEWAY"),
        (status, "dataplane/src/http/models.rs", "dataplane/src/admin.rs", "StatusCode::from_u16(500)"),
        (resources, "dataplane/src/live.rs", "dataplane/src/source/manifests.rs", "use crds::world::World;"),
        (resources, "dataplane/src/run.rs", "dataplane/src/source/manifests.rs", "fn f(w: &crds::world::World) {}"),
        (translators, "dataplane/providers/src/same.rs", "dataplane/src/relay.rs", "use tokio::time::sleep;"),
        (translators, "dataplane/providers/src/sse.rs", "dataplane/src/relay.rs", "fn f(b: hyper::body::Incoming) {}"),
    ];
    for (law, offender, owner, text) in table {
        assert_eq!(law(&[File::new(offender, text)]).len(), 1, "{offender}: {text}");
        assert_eq!(law(&[File::new(owner, text)]), [""; 0], "{owner} may: {text}");
        let test = format!("#[cfg(test)]\nmod tests {{\n{text}\n}}\n");
        assert_eq!(law(&[File::new(offender, &test)]), [""; 0], "a test may: {text}");
    }
    assert_eq!(status(&[File::new("dataplane/src/http/respond.rs", "StatusCode::OK; StatusCode::NO_CONTENT")]), [""; 0]);
    assert_eq!(clock(&[File::new("dataplane/src/relay.rs", "use std::time::Duration;\nuse crate::clock::Instant;")]), [""; 0]);
}
