//! What a cluster is made of: packages of the system, and programs that are built once and kept outside the checkout under
//! names made from their sources.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::say;
use crate::image::{self, Image};

/// What keeps a cluster from running here.
#[derive(Debug)]
pub struct Missing(pub(super) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Programs of the system and the package of Debian that has each.
const PROGRAMS: [(&str, &str); 10] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("conntrack", "conntrack"),
    ("socat", "socat"),
    ("ethtool", "ethtool"),
];

/// The version of Kubernetes, as `go.mod` has it.
const KUBERNETES: (&str, &str, &str) = ("1", "34", "4");

/// The sources of [`Tools`].
pub(super) const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cluster");

/// Programs of our own.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    /// All parts of Kubernetes.
    pub(super) kube: PathBuf,
    /// What starts them.
    pub(super) up: PathBuf,
    /// The archive of the image of pods' sandboxes.
    pub(super) pause: PathBuf,
}

/// The image that tests look around with from pods: `/probe serve PORT`, `/probe get URL [SECONDS]`, `/probe lookup NAME`.
///
/// # Errors
/// What this machine lacks to build it.
pub(crate) fn probe() -> Result<Image, Missing> {
    let cache = cache()?;
    let _lock = locked(&cache)?;
    let archive = once(&cache, "probe", &["probe"], PROBE, |out| static_image(PROBE, "probe", out))?;
    Ok(Image { name: PROBE.to_owned(), archive })
}

const PROBE: &str = "docker.io/portolan/probe:e2e";
const PAUSE: &str = "docker.io/portolan/pause:e2e";

/// One process builds, the others find what it built.
pub(super) fn locked(cache: &Path) -> Result<File, Missing> {
    std::fs::create_dir_all(cache).map_err(|error| Missing(format!("a cache in {}: {error}", cache.display())))?;
    let lock = File::create(cache.join("build.lock")).expect("a file in the cache");
    lock.lock().expect("a lock");
    Ok(lock)
}

/// An image of one static program of ours, `/PACKAGE`.
fn static_image(name: &str, package: &str, out: &Path) -> Result<(), Missing> {
    let binary = out.with_extension("binary");
    go(package, "-s -w", &binary)?;
    image::archive_of_one(name, &binary, &format!("/{package}"), out);
    std::fs::remove_file(binary).expect("it was just built");
    Ok(())
}

/// Whether namespaces, mounts and networks can be made.
pub(super) fn privileges() -> Result<(), Missing> {
    const NEEDED: [(u8, &str); 2] = [(21, "CAP_SYS_ADMIN"), (12, "CAP_NET_ADMIN")];
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| Missing(format!("Linux: {error}")))?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or("0");
    let effective = u64::from_str_radix(effective.trim(), 16).unwrap_or(0);
    let lacking: Vec<&str> = NEEDED.iter().filter(|(bit, _)| effective >> bit & 1 == 0).map(|(_, name)| *name).collect();
    if !is_root(&status) || !lacking.is_empty() {
        return Err(Missing(format!(
            "root is needed for namespaces and networks {lacking:?}; PORTOLAN_E2E_KUBECONFIG names a cluster instead"
        )));
    }
    Ok(())
}

fn is_root(status: &str) -> bool {
    status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// Installs what is absent of the system's packages.
pub(super) fn packages() -> Result<(), Missing> {
    let absent = absent();
    if absent.is_empty() {
        return Ok(());
    }
    if found("apt-get").is_none() {
        return Err(Missing(format!("these packages: {}", absent.join(" "))));
    }
    say(&format!("cluster: installing {}", absent.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(arguments);
        super::run(command, "")
    };
    let install = [&["install", "-y", "--no-install-recommends"], absent.as_slice()].concat();
    // The lists may be old or not there at all.
    let done = apt(&install).or_else(|_| apt(&["update"]).and_then(|_| apt(&install)));
    match (done, self::absent()) {
        (Ok(_), still) if still.is_empty() => Ok(()),
        (Err(said), _) => Err(Missing(format!("these packages: {}; apt-get says: {said}", absent.join(" ")))),
        (Ok(_), still) => Err(Missing(format!("programs that these packages should have: {}", still.join(" ")))),
    }
}

fn absent() -> Vec<&'static str> {
    let mut packages: Vec<&str> = PROGRAMS.iter().filter(|(program, _)| found(program).is_none()).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// Where a program is.
pub(super) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    folders.iter().chain(&sbin).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Finds or builds the programs. The first build takes about five minutes on two cores, later ones seconds.
pub(super) fn build() -> Result<Tools, Missing> {
    let cache = cache()?;
    let _lock = locked(&cache)?;
    let (major, minor, patch) = KUBERNETES;
    let version = "k8s.io/component-base/version";
    // Without a version the server says v0.0.0, which charts refuse.
    let stamp = format!(
        "-s -w -X {version}.gitVersion=v{major}.{minor}.{patch} -X {version}.gitMajor={major} -X {version}.gitMinor={minor} -X {version}.gitCommit=e2e -X {version}.gitTreeState=clean"
    );
    let kube = once(&cache, "kube", &["go.mod", "go.sum", "kube"], &stamp, |out| go("kube", &stamp, out))?;
    let up = once(&cache, "up", &["up"], "", |out| go("up", "-s -w", out))?;
    let pause = once(&cache, "pause", &["pause"], PAUSE, |out| static_image(PAUSE, "pause", out))?;
    Ok(Tools { kube, up, pause })
}

pub(crate) fn cache() -> Result<PathBuf, Missing> {
    let named = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let base = named.or_else(home).ok_or_else(|| Missing("HOME or XDG_CACHE_HOME, to keep programs in".to_owned()))?;
    Ok(base.join("portolan/cluster"))
}

/// `CACHE/NAME-HASH/NAME`, made by `make` when it is not there; it appears whole or not at all.
pub(super) fn once(
    cache: &Path,
    name: &str,
    sources: &[&str],
    more: &str,
    make: impl FnOnce(&Path) -> Result<(), Missing>,
) -> Result<PathBuf, Missing> {
    let mut hash = Sha256::new();
    hash.update(more);
    for source in sources {
        feed(&mut hash, &Path::new(SOURCES).join(source));
    }
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = cache.join(format!("{name}-{digest}"));
    let made = folder.join(name);
    if made.exists() {
        return Ok(made);
    }
    let began = Instant::now();
    say(&format!("cluster: building {name} into {}", folder.display()));
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(cache).expect("a folder in the cache");
    make(&partial.path().join(name))?;
    std::fs::rename(partial.keep(), &folder).expect("the built folder in its place");
    say(&format!("cluster: {name} built in {:.0} s", began.elapsed().as_secs_f64()));
    Ok(made)
}

/// Names and contents of a file or of all below a folder, in order.
fn feed(hash: &mut Sha256, path: &Path) {
    if path.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path).expect("sources").map(|entry| entry.expect("an entry").path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| feed(hash, entry));
        return;
    }
    let content = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hash.update(path.file_name().expect("a file").as_encoded_bytes());
    hash.update((content.len() as u64).to_le_bytes());
    hash.update(content);
}

fn go(package: &str, flags: &str, out: &Path) -> Result<(), Missing> {
    go_of(SOURCES.as_ref(), &format!("./{package}"), &["-ldflags", flags], out)
}

/// Builds a package of the module in a folder.
pub(super) fn go_of(module: &Path, package: &str, flags: &[&str], out: &Path) -> Result<(), Missing> {
    let mut command = go_command(module)?;
    command.args(["build", "-trimpath"]).args(flags).arg("-o").arg(out).arg(package);
    super::run(command, "").map(drop).map_err(|said| Missing(format!("a build of {package}: {said}")))
}

/// Go, in the folder of a module.
pub(super) fn go_command(module: &Path) -> Result<Command, Missing> {
    let Some(program) = found("go") else {
        return Err(Missing("Go 1.25 or later on PATH, to build with".to_owned()));
    };
    let mut command = Command::new(program);
    command.current_dir(module).env("CGO_ENABLED", "0");
    Ok(command)
}
