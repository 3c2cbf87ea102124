//! `portolan-operator`: looks after a cluster, prints the definitions, and checks a folder as a cluster would.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use operator::args::{Args, Command};
use operator::{check, ready, run};

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Run(settings) => run::run(*settings).map(|()| true).map_err(io::Error::other),
        Command::Crds => crds(io::stdout().lock()).map(|()| true),
        Command::Check { folder } => check::folder(&folder, io::stdout().lock()),
        Command::Ready { address } => ready::ready(&address, io::stdout().lock()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where the message itself cannot be written there is nobody to tell.
            drop(writeln!(io::stderr(), "portolan-operator: {error}"));
            ExitCode::from(2)
        }
    }
}

fn crds(mut out: impl Write) -> io::Result<()> {
    for definition in crds::api::definitions() {
        writeln!(out, "---")?;
        out.write_all(serde_yaml::to_string(&definition).map_err(io::Error::other)?.as_bytes())?;
    }
    Ok(())
}
