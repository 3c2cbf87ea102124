//! A folder of manifests, watched. The only file that knows what a custom resource is.
//!
//! The folder is polled, not subscribed to: that works on every volume, also where Kubernetes swaps a symbolic link. A
//! change is taken once the folder has been still for a moment, so that half-written files are not read; what cannot be
//! compiled behaves as the compiler rules: what was accepted goes on being served.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crds::compile::{Compiled, Config, compile};
use crds::report::{Problem, Report, Verdict};
use crds::schema::learn_rules;
use crds::world::{Parsed, Rejected, World};
use snapshot::{GatewayId, Secret};

use super::{Loaded, ObjectReport, Place, let_go};

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Larger files are not read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// More files are not read.
const FILES_MAX: usize = 10_000;

/// Deeper folders are not read.
const DEPTH_MAX: usize = 8;

/// Shorter values are no secrets, and stand in messages by chance.
const CONCEALED_BYTES_MIN: usize = 6;

/// Why a folder gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds more than is read.
    #[error("{path} holds more than {FILES_MAX} files")]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file is too large to be a manifest.
    #[error("{path} is larger than {} MiB; a manifest is not", FILE_BYTES_MAX >> 20)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// No gateway to be.
    #[error("the folder holds no LLMGateway {0}; it holds {1}")]
    NoGateway(GatewayId, String),
    /// Several, and none was chosen.
    #[error("the folder holds several gateways ({0}); choose one with --gateway NAMESPACE/NAME")]
    WhichGateway(String),
}

/// A folder with what was last accepted of it.
pub struct Folder {
    path: PathBuf,
    env: BTreeMap<String, Secret<String>>,
    gateway: Option<GatewayId>,
    previous: Option<Compiled>,
    /// The last text of each file that was YAML.
    readable: BTreeMap<String, String>,
}

/// The state of every file, cheap to take and to compare.
type Fingerprint = Vec<Look>;

/// What tells that a file changed: also its inode and when that changed, for a file that is moved into the place of one of
/// equal size and time, and for one that may now be read.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    real: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
    changed: (i64, i64),
}

impl Folder {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(path: PathBuf, env: BTreeMap<String, Secret<String>>, gateway: Option<GatewayId>) -> Self {
        Self { path, env, gateway, previous: None, readable: BTreeMap::new() }
    }

    /// Reads and compiles the folder. What was accepted before counts.
    ///
    /// # Errors
    /// See [`LoadError`]; what is in use stays.
    pub fn load(&mut self) -> Result<Loaded, LoadError> {
        if self.previous.is_none() {
            learn_rules();
        }
        // Many thousand keys leave a heap full of holes behind when they were parsed. On a thread it is a heap of its own,
        // which goes back to the system once all of it is free: what is kept is cloned here, and the rest is let go on a
        // thread too.
        let (loaded, compiled, readable) = std::thread::scope(|scope| {
            let compiling = scope.spawn(|| self.compile());
            compiling.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.readable = readable;
        self.previous = Some(compiled.forms());
        let_go(compiled);
        Ok(loaded)
    }

    /// What the folder gives, what the next compilation asks for, and the texts that count.
    fn compile(&self) -> Result<(Loaded, Compiled, BTreeMap<String, String>), LoadError> {
        let (parsed, readable) = self.parse()?;
        let mut compiled = compile(&parsed, self.previous.as_ref());
        // All objects are read anew the next time.
        compiled.forget();
        drop(parsed);
        let Config { snapshot, credentials } = Arc::unwrap_or_clone(self.choose(&mut compiled)?);
        compiled.gateways.clear();
        let mut reports: Vec<ObjectReport> =
            std::mem::take(&mut compiled.reports).iter().filter_map(|(id, report)| object_report(id, report)).collect();
        reports.iter_mut().for_each(|report| self.conceal(&mut report.message));
        let digest = snapshot::bundle::digest(&snapshot, &credentials);
        let loaded = Loaded { snapshot, credentials, digest, sequence: None, place: Place::Manifests, reports };
        Ok((loaded, compiled, readable))
    }

    /// Reads the files. One that is no longer YAML is a file not yet saved: its last readable text counts, and the
    /// trouble is told. The texts that count are given too.
    fn parse(&self) -> Result<(Parsed, BTreeMap<String, String>), LoadError> {
        let mut texts = BTreeMap::new();
        for path in files(&self.path)? {
            let name = path.strip_prefix(&self.path).unwrap_or(&path).display().to_string();
            let text = fs::read(&path).map_err(|source| LoadError::Read { path, source })?;
            texts.insert(name, String::from_utf8_lossy(&text).into_owned());
        }
        let world = |texts: &BTreeMap<String, String>| {
            let expanded: Vec<(&str, Cow<'_, str>)> = texts.iter().map(|(name, text)| (name.as_str(), self.expand(text))).collect();
            World::parse(expanded.iter().map(|(name, text)| (*name, &**text)))
        };
        let mut parsed = world(&texts);
        let broken: Vec<Rejected> =
            parsed.rejected.iter().filter(|rejected| matches!(rejected.problem, Problem::NotYaml { .. })).cloned().collect();
        for rejected in &broken {
            if let Problem::NotYaml { file, .. } = &rejected.problem
                && let Some(last) = self.readable.get(file)
            {
                texts.insert(file.clone(), last.clone());
            }
        }
        if !broken.is_empty() {
            parsed = world(&texts);
            parsed.rejected.retain(|rejected| !matches!(rejected.problem, Problem::NotYaml { .. }));
            parsed.rejected.extend(broken);
        }
        Ok((parsed, texts))
    }

    /// Waits for the folder to change and be still again.
    pub async fn changed(&self, seen: &mut Option<Vec<u8>>) {
        let mut before = None;
        loop {
            tokio::time::sleep(POLL).await;
            let now = fingerprint(&self.path);
            let still = before.as_ref() == Some(&now);
            let flat = flatten(&now);
            if still && seen.as_ref() != Some(&flat) {
                *seen = Some(flat);
                return;
            }
            before = Some(now);
        }
    }

    /// What the folder looks like now.
    #[must_use]
    pub fn seen(&self) -> Vec<u8> {
        flatten(&fingerprint(&self.path))
    }

    /// Takes the gateway to be out of what was compiled.
    fn choose(&self, compiled: &mut Compiled) -> Result<Arc<Config>, LoadError> {
        let names = compiled.gateways.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match &self.gateway {
            Some(wanted) => compiled.gateways.remove(wanted).ok_or_else(|| LoadError::NoGateway(wanted.clone(), names)),
            None if compiled.gateways.len() > 1 => Err(LoadError::WhichGateway(names)),
            None => compiled.gateways.pop_first().map(|(_, only)| only).ok_or(LoadError::WhichGateway(names)),
        }
    }

    /// Takes values of the environment out of a message: one that was expanded into a wrong field would be told with it.
    fn conceal(&self, message: &mut String) {
        for (name, value) in &self.env {
            let value = value.expose();
            if value.len() >= CONCEALED_BYTES_MIN && message.contains(value) {
                *message = message.replace(value, &format!("${{{name}}}"));
            }
        }
    }

    /// Puts allowed variables in the place of `${NAME}`; `$${` stands for `${`. All else stays as it is.
    fn expand<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains("${") {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if before.ends_with('$') {
                out.push_str(&before[..at - 1]);
                out.push_str("${");
                rest = &after[2..];
                continue;
            }
            out.push_str(before);
            let value = after.find('}').and_then(|end| Some((end, self.env.get(&after[2..end])?)));
            match value {
                Some((end, value)) => {
                    out.push_str(value.expose());
                    rest = &after[end + 1..];
                }
                None => {
                    out.push_str("${");
                    rest = &after[2..];
                }
            }
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

fn object_report(id: &crds::report::ObjectId, report: &Report) -> Option<ObjectReport> {
    let (problem, served) = match &report.verdict {
        Verdict::Accepted if report.warnings.is_empty() => return None,
        Verdict::Accepted => (report.warnings.first()?, true),
        Verdict::Pending(problem) | Verdict::Refused(problem) => (problem, report.serving_generation.is_some()),
    };
    Some(ObjectReport {
        kind: id.kind.to_string(),
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        reason: problem.reason().to_owned(),
        message: problem.message(),
        served,
    })
}

/// Manifest files below the folder, in order. Kubernetes mounts files as links into a hidden folder that it swaps; hidden
/// entries are not read themselves, so that each file counts once.
fn files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = Vec::new();
    walk(folder, 0, &mut found)?;
    if found.len() > FILES_MAX {
        return Err(LoadError::TooMany { path: folder.to_owned() });
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    let failed = |source| LoadError::Read { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || found.len() > FILES_MAX {
            continue;
        }
        // A link may dangle for the moment of its swap; the next look will see it.
        let Ok(meta) = fs::metadata(&path) else { continue };
        let manifest = path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if meta.is_dir() && depth < DEPTH_MAX {
            walk(&path, depth + 1, found)?;
        } else if meta.is_file() && manifest {
            if meta.len() > FILE_BYTES_MAX {
                return Err(LoadError::TooLarge { path });
            }
            found.push(path);
        }
    }
    Ok(())
}

fn fingerprint(folder: &Path) -> Fingerprint {
    let paths = files(folder).unwrap_or_default();
    let look = |path: PathBuf| {
        let meta = fs::metadata(&path).ok()?;
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let changed = (meta.ctime(), meta.ctime_nsec());
        Some(Look { real, bytes: meta.len(), modified: meta.modified().ok(), inode: meta.ino(), changed })
    };
    paths.into_iter().filter_map(look).collect()
}

fn flatten(fingerprint: &Fingerprint) -> Vec<u8> {
    format!("{fingerprint:?}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_allowed_variables_are_expanded() {
        let env = BTreeMap::from([("KEY".to_owned(), Secret::new("v".to_owned()))]);
        let folder = Folder::new("d".into(), env, None);
        for (text, expected) in [
            ("a ${KEY} b", "a v b"),
            ("${OTHER}", "${OTHER}"),
            ("$${KEY}", "${KEY}"),
            ("${KEY", "${KEY"),
            ("${KEY}${KEY}", "vv"),
            ("$", "$"),
        ] {
            assert_eq!(folder.expand(text), expected, "{text}");
        }
    }

    const PROVIDER: &str = "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: { name: sim }\nspec: { type: Simulated, models: [{ name: demo }] }\n";

    fn folder_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Folder) {
        let path = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|(name, text)| fs::write(path.path().join(name), text).expect("a file"));
        let folder = Folder::new(path.path().to_owned(), BTreeMap::new(), None);
        (path, folder)
    }

    #[test]
    fn a_file_that_is_no_longer_yaml_goes_on_as_it_was_and_is_told() {
        let (path, mut folder) = folder_with(&[("a.yaml", PROVIDER), ("b.yaml", "")]);
        assert_eq!(folder.load().expect("a load").snapshot.providers.len(), 1);
        fs::write(path.path().join("a.yaml"), "kind: [half").expect("a file");
        let loaded = folder.load().expect("a load");
        assert_eq!(loaded.snapshot.providers.len(), 1, "what was readable last is served");
        assert_eq!(loaded.reports.iter().map(|report| report.reason.as_str()).collect::<Vec<_>>(), ["Unreadable"]);
        fs::write(path.path().join("a.yaml"), "").expect("a file");
        assert!(folder.load().expect("a load").snapshot.providers.is_empty(), "an empty file is a deletion");
    }

    #[test]
    fn a_value_of_the_environment_is_in_no_message() {
        let env = BTreeMap::from([("KEY".to_owned(), Secret::new("canary-of-the-environment".to_owned()))]);
        let path = tempfile::tempdir().expect("a folder");
        fs::write(path.path().join("a.yaml"), PROVIDER.replace("Simulated", "${KEY}")).expect("a file");
        let loaded = Folder::new(path.path().to_owned(), env, None).load().expect("a load");
        let told = loaded.reports.iter().map(|report| report.message.as_str()).collect::<String>();
        assert!(told.contains("${KEY}") && !told.contains("canary"), "{told}");
    }

    #[test]
    fn a_file_that_is_moved_into_the_place_of_an_equal_one_is_seen_and_so_are_its_rights() {
        use std::os::unix::fs::PermissionsExt;
        let (path, folder) = folder_with(&[("a.yaml", PROVIDER)]);
        let at = |name: &str| path.path().join(name);
        let modified = fs::metadata(at("a.yaml")).and_then(|meta| meta.modified()).expect("a time");
        let seen = folder.seen();
        fs::write(at(".b"), PROVIDER.replace("demo", "omed")).expect("a file");
        fs::File::options().write(true).open(at(".b")).and_then(|file| file.set_modified(modified)).expect("a time");
        fs::rename(at(".b"), at("a.yaml")).expect("a move");
        let moved = folder.seen();
        assert_ne!(moved, seen, "equal in size and time, and another file");
        fs::set_permissions(at("a.yaml"), fs::Permissions::from_mode(0o600)).expect("rights");
        assert_ne!(folder.seen(), moved);
    }

    #[test]
    fn mounted_files_count_once_and_a_swap_of_their_link_is_seen() {
        let (path, mut folder) = folder_with(&[]);
        let at = |name: &str| path.path().join(name);
        for version in ["..v1", "..v2"] {
            fs::create_dir(at(version)).expect("a folder");
        }
        fs::write(at("..v1").join("a.yaml"), PROVIDER).expect("a file");
        fs::write(at("..v2").join("a.yaml"), PROVIDER.replace("demo", "other")).expect("a file");
        std::os::unix::fs::symlink("..v1", at("..data")).expect("a link");
        std::os::unix::fs::symlink("..data/a.yaml", at("a.yaml")).expect("a link");
        let first = folder.load().expect("a load");
        assert_eq!((first.snapshot.providers.len(), first.reports.len()), (1, 0), "hidden copies are not read");
        let seen = folder.seen();
        std::os::unix::fs::symlink("..v2", at("..tmp")).expect("a link");
        fs::rename(at("..tmp"), at("..data")).expect("a swap");
        assert_ne!(folder.seen(), seen, "the swap is seen");
        assert_ne!(folder.load().expect("a load").digest, first.digest);
    }

    #[test]
    fn a_folder_that_vanished_is_an_error_and_a_choice_of_gateways_is_asked_for() {
        let (path, mut folder) = folder_with(&[]);
        let gateway =
            |name: &str| format!("apiVersion: portolan.dev/v1alpha1\nkind: LLMGateway\nmetadata: {{ name: {name} }}\nspec: {{}}\n");
        fs::write(path.path().join("g.yaml"), format!("{}---\n{}", gateway("one"), gateway("two"))).expect("a file");
        assert!(matches!(folder.load(), Err(LoadError::WhichGateway(names)) if names == "default/one, default/two"));
        path.close().expect("gone");
        assert!(matches!(folder.load(), Err(LoadError::Read { .. })));
    }
}
