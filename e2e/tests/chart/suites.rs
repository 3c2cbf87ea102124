//! The chart's own suites, of helm-unittest.

use std::process::Command;

use e2e::cluster::programs;

use crate::rendered::{chart, had, run};

#[test]
fn the_suites_of_the_chart_pass() {
    let Some(unittest) = had(programs::unittest()) else { return };
    let mut command = Command::new(unittest);
    command.args(["--strict", "--file", "tests/*_test.yaml"]).arg(chart());
    let told = run(command, "").unwrap_or_else(|said| panic!("{said}"));
    assert!(told.contains("Tests:") && !told.contains("Tests:       0"), "no test ran: {told}");
}
