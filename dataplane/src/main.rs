//! `portolan-gateway`: serves calls from a folder of manifests.

use std::process::ExitCode;

use dataplane::args::{ArgsError, Settings};
use dataplane::{run, telemetry};

fn main() -> ExitCode {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(ArgsError::Flags(error)) => {
            drop(error.print());
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
        Err(error) => return refuse(&error, 64),
    };
    telemetry::start_diagnostics(&settings.log_level);
    match run::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error, 1),
    }
}

#[expect(clippy::print_stderr, reason = "the log may not have started")]
fn refuse(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("portolan-gateway: {error}");
    ExitCode::from(code)
}
