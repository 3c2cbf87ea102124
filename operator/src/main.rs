//! `portolan-operator`: prints the definitions, and checks a folder of manifests as a cluster would.

mod check;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Carries Portolan's configuration.
#[derive(Debug, Parser)]
#[command(name = "portolan-operator", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every CustomResourceDefinition, as YAML
    Crds,
    /// Compile a folder of manifests and tell what is wrong; exit code 1 when anything is refused
    Check {
        /// The folder
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let out = io::stdout().lock();
    let done = match Args::parse().command {
        Command::Crds => crds(out).map(|()| true),
        Command::Check { folder } => check::folder(&folder, out),
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
