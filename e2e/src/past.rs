//! Portolan as it was before the contract between operator and data plane last changed, built from the repository's own
//! history.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{say, tools};

/// What both sides keep: the bundle, and the definitions of the objects.
const CONTRACT: [&str; 2] = ["dataplane/snapshot/src", "crds/manifests"];

/// An earlier Portolan.
pub struct Past {
    /// Its commit.
    pub commit: String,
    /// Its `portolan-gateway`.
    pub gateway: PathBuf,
    /// Its `portolan-operator`.
    pub operator: PathBuf,
    /// Its definitions of the kinds.
    pub manifests: PathBuf,
}

/// The one before the last change of the contract, built once and kept in the cache.
///
/// # Errors
/// There is no history here: a shallow clone, or sources without a repository.
///
/// # Panics
/// When it cannot be built.
pub fn before_the_contract_changed() -> Result<Past, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let changed = git(&root, &[&["rev-list", "-1", "HEAD", "--"], &CONTRACT[..]].concat())?;
    let commit = git(&root, &["rev-parse", "--verify", &format!("{changed}^")])?;
    let cache = tools::cache().map_err(|missing| missing.to_string())?.join("../past");
    let folder = cache.join(&commit);
    let past = Past {
        gateway: folder.join("bin/portolan-gateway"),
        operator: folder.join("bin/portolan-operator"),
        manifests: folder.join("source/crds/manifests"),
        commit,
    };
    if past.operator.exists() {
        return Ok(past);
    }
    say(&format!("skew: building {} into {}", past.commit, folder.display()));
    std::fs::create_dir_all(&cache).expect("a folder in the cache");
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(&cache).expect("a folder in the cache");
    let source = partial.path().join("source");
    std::fs::create_dir(&source).expect("a folder");
    let archive = partial.path().join("source.tar");
    git(&root, &["archive", "--output", archive.to_str().expect("a path in UTF-8"), &past.commit])?;
    run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source));
    // A target folder of its own: the binaries of today have the same names.
    let target = cache.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&source).args(["build", "--quiet", "--locked", "--config", "profile.dev.debug=false", "--target-dir"]).arg(&target);
    run(cargo.args(["--bin", "portolan-gateway", "--bin", "portolan-operator"]));
    let programs = partial.path().join("bin");
    std::fs::create_dir(&programs).expect("a folder");
    for name in ["portolan-gateway", "portolan-operator"] {
        std::fs::copy(target.join("debug").join(name), programs.join(name)).expect("what was built");
    }
    std::fs::remove_file(archive).expect("it is there");
    // Another test run may have been quicker.
    if let Err(error) = std::fs::rename(partial.keep(), &folder) {
        assert!(past.operator.exists(), "{}: {error}", folder.display());
    }
    Ok(past)
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git").current_dir(root).args(arguments).output().map_err(|error| format!("git: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && (!text.is_empty() || arguments[0] == "archive") {
        Ok(text)
    } else {
        Err(format!("git {}: {}", arguments[0], said.trim()))
    }
}

fn run(command: &mut Command) {
    assert!(command.status().expect("a program").success(), "{command:?} failed");
}
