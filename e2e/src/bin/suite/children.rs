//! Where the workspace is, and programs that are started in it.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;

/// Variables that `cargo run` gives to its program. Build scripts of some packages look at them, so children that inherited
/// them would build those packages again, and the next plain `cargo test` once more.
const OF_CARGO_RUN: [&str; 6] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];

/// The workspace, and what its children share.
pub struct House {
    cargo: OsString,
    root: PathBuf,
    target: Option<PathBuf>,
    cache: PathBuf,
}

impl House {
    /// The workspace of the current folder.
    ///
    /// # Errors
    /// In words for a person.
    pub fn find() -> Result<Self, String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let located = Command::new(&cargo).args(["locate-project", "--workspace", "--message-format", "plain"]).output();
        let located = located.map_err(|error| format!("cargo does not start: {error}"))?;
        let manifest = PathBuf::from(String::from_utf8_lossy(&located.stdout).trim());
        let root = manifest.parent().filter(|root| root.join("e2e").is_dir());
        let root = root.ok_or("run this from a folder inside the workspace")?.to_owned();
        let cache = cache().ok_or("neither XDG_CACHE_HOME nor HOME says where tools can be kept")?;
        // A developer keeps ./target; where checkouts come and go, what was built outlives them.
        let own = std::env::var_os("CARGO_TARGET_DIR").is_some() || std::env::var_os("CI").is_none();
        let target = if own { None } else { Some(cache.join("target")) };
        Ok(Self { cargo, root, target, cache })
    }

    /// Where a tool of one version is kept.
    pub fn tool(&self, name_and_version: &str) -> PathBuf {
        self.cache.join("tools").join(name_and_version)
    }

    /// A call of cargo in the workspace.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(&self.cargo);
        command.args(arguments);
        command
    }

    /// A call of any program in the workspace.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if OF_CARGO_RUN.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        command
    }
}

/// The project's folder in the user's cache.
fn cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))?;
    Some(base.join("portolan"))
}

/// Which of its two outputs a child wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Runs a child to its end; every line that it prints is printed, and shown to `see`.
///
/// # Errors
/// When it does not start.
pub fn run(mut command: Command, mut see: impl FnMut(Pipe, &str)) -> std::io::Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (sender, lines) = mpsc::channel();
    let outputs: [(Pipe, Option<Box<dyn Read + Send>>); 2] = [
        (Pipe::Out, child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
        (Pipe::Error, child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>)),
    ];
    for (pipe, output) in outputs {
        let (sender, output) = (sender.clone(), output.into_iter());
        std::thread::spawn(move || output.for_each(|output| read(pipe, output, &sender)));
    }
    drop(sender);
    for (pipe, line) in lines {
        println!("{line}");
        see(pipe, &line);
    }
    child.wait()
}

fn read(pipe: Pipe, output: impl Read, lines: &mpsc::Sender<(Pipe, String)>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    // What a test prints need not be UTF-8.
    while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        line.clear();
        if lines.send((pipe, text)).is_err() {
            return;
        }
    }
}
