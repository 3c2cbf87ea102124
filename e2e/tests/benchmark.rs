//! The benchmark itself, for a moment: that it still runs and tells every row. Its figures mean nothing here, in a
//! profile that is not for measuring and beside whatever else runs; `docs/benchmark.md` tells how to get some that do.

use std::process::{Command, Stdio};

use e2e::gateway::binary;
use serde_json::Value;

/// How the lines of each row begin.
const ROWS: [&str; 16] = [
    "1 KB, 10 keys:",
    "1 KB, 10,000 keys:",
    "1 KB, 10,000 keys instead of 10:",
    "34 KB, 10 keys:",
    "34 KB, 10,000 keys:",
    "1 KB, translated:",
    "fixed rate:",
    "64 streams:",
    "64 streams, translated:",
    "streams at a fixed rate:",
    "1 KB, TLS + HTTP/2 on both legs:",
    "1 KB, 2 cores, one HTTP/2 connection:",
    "memory, 10 keys: peak of a reload",
    "memory, 10,000 keys: idle",
    "memory of an open stream",
    "memory of an open translated stream",
];

#[test]
fn a_moment_of_the_benchmark_measures_every_row_and_no_call_of_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let json = folder.path().join("bench.json");
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    bench.arg("--gateway").arg(binary("portolan-gateway")).arg("--json").arg(&json);
    let output = bench.args(["--rounds", "1", "--seconds", "0.2", "--reloads", "2"]).stdin(Stdio::null()).output().expect("it starts");
    let (table, progress) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{progress}");
    let told: Value = serde_json::from_slice(&std::fs::read(json).expect("the figures")).expect("JSON");
    assert_eq!(told["failedCalls"], 0, "{progress}");
    let figures = told["figures"].as_array().expect("a list");
    for row in ROWS {
        let found = figures.iter().find(|figure| figure["name"].as_str().is_some_and(|name| name.starts_with(row)));
        let figure = found.unwrap_or_else(|| panic!("no line of `{row}` in\n{table}"));
        assert!(figure["comparison"]["median"].is_number(), "nothing was measured of `{row}`: {figure}");
        assert!(table.contains(&format!("| {row}")), "`{row}` is not in the table:\n{table}");
    }
}
