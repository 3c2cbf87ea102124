//! The stages, in the order in which they run: what is quick to fail comes first.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use crate::children::{self, House};
use crate::tally::{Reader, Tally};

/// The tool of the stages `deny` and `advisories`.
const DENY: (&str, &str) = ("cargo-deny", "0.20.2");

/// A part of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// The form of the code.
    Fmt,
    /// Lints.
    Clippy,
    /// Licences, sources and duplicates of dependencies.
    Deny,
    /// News about dependencies: skipped where they cannot be fetched.
    Advisories,
    /// All tests, those with the SDKs among them.
    Tests,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Deny => "deny",
            Self::Advisories => "advisories",
            Self::Tests => "tests",
        })
    }
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fmt, Self::Clippy, Self::Deny, Self::Advisories, Self::Tests];

    /// Runs it. A stage that cannot run has failed.
    pub fn run(self, house: &House, filter: &[String]) -> Tally {
        match self {
            Self::Fmt => verdict(house.cargo(&["fmt", "--all", "--check"])),
            Self::Clippy => verdict(house.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
            Self::Deny => deny(house, |tool| verdict(checking(house, tool, &["bans", "licenses", "sources"]))),
            Self::Advisories => deny(house, |tool| advisories(checking(house, tool, &["advisories"]))),
            Self::Tests => tests(house, filter),
        }
    }
}

/// Passed or failed by the exit code.
fn verdict(command: Command) -> Tally {
    match children::run(command, |_, _| {}) {
        Ok(status) => Tally::of(status.success()),
        Err(error) => cannot(&error),
    }
}

fn cannot(error: &std::io::Error) -> Tally {
    println!("it does not start: {error}");
    Tally::of(false)
}

fn checking(house: &House, tool: &PathBuf, checks: &[&str]) -> Command {
    let mut command = house.program(tool);
    command.args(["check", "--hide-inclusion-graph"]).args(checks);
    command
}

/// With the tool, installed where it is absent.
fn deny(house: &House, check: impl FnOnce(&PathBuf) -> Tally) -> Tally {
    let (name, version) = DENY;
    let folder = house.tool(&format!("{name}-{version}"));
    let tool = folder.join("bin").join(name);
    if !tool.is_file() {
        println!("installing {name} {version}, once");
        let partial = folder.with_extension(format!("partial-{}", std::process::id()));
        let mut install = house.cargo(&["install", "--locked", name, "--version", version, "--root"]);
        // Not into the workspace's target folder: what a tool is built from is of no use to anybody else.
        install.arg(&partial).env_remove("CARGO_TARGET_DIR");
        if verdict(install).failed > 0 {
            println!("{name} cannot be installed");
            return Tally::of(false);
        }
        // Another suite may have been quicker; what it installed is as good.
        if std::fs::rename(&partial, &folder).is_err() {
            drop(std::fs::remove_dir_all(&partial));
        }
    }
    check(&tool)
}

fn advisories(command: Command) -> Tally {
    let mut unfetched = false;
    let status = children::run(command, |_, line| unfetched |= line.contains("failed to fetch advisory database"));
    match status {
        Ok(status) if !status.success() && unfetched => Tally::skipped("SKIPPED advisories: their database cannot be fetched"),
        Ok(status) => Tally::of(status.success()),
        Err(error) => cannot(&error),
    }
}

fn tests(house: &House, filter: &[String]) -> Tally {
    let mut command = house.cargo(&["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    command.args(filter);
    let mut reader = Reader::default();
    let status = children::run(command, |pipe, line| reader.line(pipe, line));
    let mut tally = reader.end();
    match status {
        // What did not compile or crashed has no line of results.
        Ok(status) if !status.success() && tally.failed == 0 => tally.failed = 1,
        Ok(_) => {}
        Err(error) => return cannot(&error),
    }
    tally
}
