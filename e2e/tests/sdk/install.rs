//! The SDKs, in the versions of the lock files, installed once from their registries below the user's cache folder. Where
//! Python or Node is missing, a line `SKIPPED` says so.
#![expect(clippy::print_stderr, reason = "a skipped test must be seen; the suite counts these lines")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// The programs and lock files of the tests.
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sdk");

/// What is installed together: its name in the cache, and its lock file or folder of lock files.
pub type Environment = (&'static str, &'static str);

/// The SDKs of OpenAI and Anthropic for Python.
pub const PYTHON: Environment = ("python", "python/requirements.txt");
/// Frameworks for Python, with the versions of those SDKs that they ask for.
pub const PYTHON_FRAMEWORKS: Environment = ("python-frameworks", "python/frameworks.txt");
/// A framework that asks for newer ones than the others take.
pub const PYDANTIC_AI: Environment = ("python-pydantic-ai", "python/pydantic_ai.txt");
/// The SDKs of OpenAI and Anthropic for Node.
pub const NODE: Environment = ("node", "node");
/// Frameworks for Node.
pub const NODE_FRAMEWORKS: Environment = ("node-frameworks", "node/frameworks");

/// A Python that has all of it; `None`, said loudly, where there is no Python.
pub fn python((name, lock_file): Environment) -> Option<PathBuf> {
    let version = told(Command::new("python3").args(["-c", "import sys; print(sys.version, sys.prefix)"]), "python3")?;
    let lock = read(lock_file);
    let folder = once(name, &[&lock, &version], |folder| {
        let mut venv = Command::new("python3");
        must(venv.args(["-m", "venv"]).arg(folder), "a virtual environment of Python (on Debian: apt-get install python3-venv)");
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--requirement"]);
        must(pip.arg(Path::new(SOURCES).join(lock_file)), "packages for Python from their registry");
    });
    Some(folder.join("bin/python"))
}

/// A folder that has all of it for Node; `None`, said loudly, where there is no Node.
pub fn node((name, lock_folder): Environment) -> Option<PathBuf> {
    let version = told(Command::new("node").arg("--version"), "node")?;
    told(Command::new("npm").arg("--version"), "npm")?;
    let files = ["package.json", "package-lock.json"];
    let locks = files.map(|file| read(&format!("{lock_folder}/{file}")));
    let folder = once(name, &[&locks[0], &locks[1], &version], |folder| {
        fs::create_dir_all(folder).expect("a folder in the cache");
        for (file, text) in files.iter().zip(&locks) {
            fs::write(folder.join(file), text).expect("a file in the cache");
        }
        let mut npm = Command::new("npm");
        npm.current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]);
        must(&mut npm, "packages for Node from their registry");
    });
    Some(folder)
}

/// What a program says of itself.
fn told(command: &mut Command, name: &str) -> Option<String> {
    match command.output() {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => {
            eprintln!("SKIPPED tests with SDKs: {name} is not there");
            None
        }
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(SOURCES).join(file)).expect("a file of the project")
}

/// Whether it succeeds; what it printed goes into the failure.
fn must(command: &mut Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{what} cannot be had:\n{said}");
}

/// The folder that is made from these texts. One process makes it, whole or not at all; others wait and find it.
fn once(name: &str, made_from: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache();
    fs::create_dir_all(&cache).expect("a cache folder");
    let lock = File::create(cache.join(format!("{name}.lock"))).expect("a file in the cache");
    lock.lock().expect("a lock");
    let digest = made_from.iter().fold(Sha256::new(), |hash, text| hash.chain_update(text).chain_update([0]));
    let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache.join(format!("{name}-{digest}"));
    if !folder.is_dir() {
        // What a killed process left half made.
        let partial = cache.join(format!("{name}-{digest}.partial"));
        drop(fs::remove_dir_all(&partial));
        make(&partial);
        fs::rename(&partial, &folder).expect("the folder in its place");
    }
    folder
}

fn cache() -> PathBuf {
    let named = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME or XDG_CACHE_HOME")).join(".cache");
    named.unwrap_or_else(home).join("portolan/sdk")
}
