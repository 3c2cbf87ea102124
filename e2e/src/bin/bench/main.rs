//! The benchmark: what the gateway costs beside a bare relay that parses nothing, both in the same round on the same
//! machine. `docs/benchmark.md` tells the method and how to read the table.
//!
//! Relay, scripted upstream and load generator are processes of their own: this binary again, by a hidden subcommand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks with a person")]

mod answers;
mod certificate;
mod figures;
mod gateway;
mod load;
mod memory;
mod paced;
mod plan;
mod process;
mod relay;
mod report;
mod rounds;
mod upstream;
mod wire;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use rounds::Row;

/// What any part of the benchmark may end with: a failure is for a person to read, nothing reacts to it.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The gateway beside a bare relay: CPU, throughput, latency and memory, as ratios of the same round
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    asked: Asked,
}

/// What to measure.
#[derive(Debug, Args)]
struct Asked {
    /// Interleaved rounds; medians are over them
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Rows to measure, by default all
    #[arg(long, value_enum, value_delimiter = ',')]
    rows: Vec<Row>,
    /// Calls a second of the rows with a fixed rate
    #[arg(long, value_name = "N", default_value_t = 400)]
    rate: u32,
    /// Reloads of the memory row
    #[arg(long, value_name = "N", default_value_t = 1000)]
    reloads: u32,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The gateway's binary; by default the one beside this binary
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Keep what is measured on core 0 and all else on core 1, with taskset
    #[arg(long)]
    pin: bool,
}

/// The parts that run as processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// A reverse proxy that does nothing but relay
    #[command(hide = true)]
    Relay {
        /// Whom to relay to
        #[arg(long)]
        upstream: SocketAddr,
        /// Folder with `cert.pem` and `key.pem`: TLS and HTTP/2 on both legs
        #[arg(long)]
        tls: Option<PathBuf>,
    },
    /// A provider that answers by a script
    #[command(hide = true)]
    Upstream {
        /// Folder with `cert.pem` and `key.pem`: TLS and HTTP/2
        #[arg(long)]
        tls: Option<PathBuf>,
    },
    /// A load generator: prints what it saw as JSON
    #[command(hide = true)]
    Load {
        /// The plan, as JSON
        plan: String,
    },
}

fn main() -> ExitCode {
    let line = Line::parse();
    let outcome = match line.part {
        None => rounds::run(&line.asked),
        Some(Part::Relay { upstream, tls }) => relay::run(upstream, tls.as_deref()),
        Some(Part::Upstream { tls }) => upstream::run(tls.as_deref()),
        Some(Part::Load { plan }) => load::run(&plan),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The time, for measuring.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time, and asks for it here alone")]
fn now() -> Instant {
    Instant::now()
}
