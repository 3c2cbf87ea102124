//! Everything that is tested, with one command: `cargo run -p e2e --bin suite`. It installs what it needs below the cache
//! folder, prints what its children print, and ends with one line, `N passed, N failed, N skipped`.
#![expect(clippy::print_stdout, reason = "a program that talks with a person")]
#![expect(clippy::disallowed_methods, reason = "how long a stage took is what it tells")]

mod children;
mod stage;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::children::House;
use crate::stage::Stage;
use crate::tally::Tally;

/// Runs all checks and tests of the workspace.
#[derive(Parser)]
struct Args {
    /// Only this stage; may be given several times.
    #[arg(long = "stage", value_name = "NAME")]
    stages: Vec<Stage>,
    /// What the test binaries are told, such as a part of a test's name; the stage `tests` alone is run then.
    #[arg(last = true)]
    filter: Vec<String>,
}

impl Args {
    fn chosen(&self) -> Vec<Stage> {
        match (self.stages.is_empty(), self.filter.is_empty()) {
            (true, true) => Stage::ALL.to_vec(),
            (true, false) => vec![Stage::Tests],
            (false, _) => Stage::ALL.into_iter().filter(|stage| self.stages.contains(stage)).collect(),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let house = match House::find() {
        Ok(house) => house,
        Err(why) => {
            println!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let mut done = Vec::new();
    for stage in args.chosen() {
        println!("\n=== {stage} ===");
        let began = Instant::now();
        let tally = stage.run(&house, &args.filter);
        done.push((stage, began.elapsed(), tally));
    }
    report(&done)
}

/// What failed, what was skipped and why, minutes and counts per stage, and the line of the whole.
fn report(done: &[(Stage, Duration, Tally)]) -> ExitCode {
    println!("\n=== done ===");
    let mut sum = Tally::default();
    for (_, _, tally) in done {
        for why in tally.reasons() {
            println!("{why}");
        }
        sum.add(tally);
    }
    println!("{:<11} {:>7}", "stage", "minutes");
    for (stage, took, tally) in done {
        println!("{:<11} {:>7.1}  {tally}", stage.to_string(), took.as_secs_f64() / 60.0);
    }
    println!("{sum}");
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
