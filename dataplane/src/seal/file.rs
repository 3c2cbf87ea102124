//! The file of a seal's keys: read again when it changes, made where a person runs a gateway alone.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use snapshot::Secret;

use super::{BadKeys, Keys, SealHandle};

/// Why there is no seal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSeal {
    /// The file cannot be read or made.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// It holds something else.
    #[error("{path}: {error}")]
    Keys {
        /// Which.
        path: PathBuf,
        /// Why.
        error: BadKeys,
    },
    /// The platform has no randomness.
    #[error(transparent)]
    Random(#[from] BadKeys),
}

/// Where keys come from.
#[derive(Debug)]
pub struct SealFile {
    path: PathBuf,
    /// What the last look found.
    seen: Option<Result<Secret<String>, NoSeal>>,
}

impl SealFile {
    /// At a path.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// Makes the file with a new key where there is none, for nobody but its owner to read.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> Result<(), NoSeal> {
        let text = Keys::fresh()?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
        match made.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    /// Looks at the file. `None`: it is as it was. Keys that cannot be had leave those that are in use.
    pub fn look(&mut self, handle: &SealHandle) -> Option<Result<(), NoSeal>> {
        let found = std::fs::read_to_string(&self.path).map(Secret::new).map_err(|error| self.unreadable(&error));
        if self.seen.as_ref() == Some(&found) {
            return None;
        }
        let told = match &found {
            Ok(text) => {
                Keys::parse(text.expose()).map_err(|error| NoSeal::Keys { path: self.path.clone(), error }).map(|keys| handle.swap(keys))
            }
            Err(error) => Err(error.clone()),
        };
        self.seen = Some(found);
        Some(told)
    }

    fn unreadable(&self, error: &io::Error) -> NoSeal {
        NoSeal::File { path: self.path.clone(), error: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal");
        let (mut file, handle) = (SealFile::new(path.clone()), SealHandle::default());
        assert!(matches!(file.look(&handle), Some(Err(NoSeal::File { .. }))) && handle.current().is_none());
        file.make().expect("a file");
        let first = std::fs::read_to_string(&path).expect("a text");
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(file.look(&handle), Some(Ok(())));
        file.make().expect("nothing to be done");
        assert_eq!(std::fs::read_to_string(&path).expect("a text"), first);
        assert_eq!(file.look(&handle), None, "it is as it was");
    }

    #[test]
    fn other_keys_are_taken_and_what_is_none_leaves_those_in_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal");
        let (mut file, handle) = (SealFile::new(path.clone()), SealHandle::default());
        std::fs::write(&path, "ab".repeat(32)).expect("a file");
        assert_eq!(file.look(&handle), Some(Ok(())));
        std::fs::write(&path, format!("{}\n{}", "cd".repeat(32), "ab".repeat(32))).expect("a file");
        assert_eq!(file.look(&handle), Some(Ok(())));
        let keys = format!("{:?}", handle.current());
        assert!(keys.contains("2 of them"), "{keys}");
        std::fs::write(&path, "nothing").expect("a file");
        assert!(matches!(file.look(&handle), Some(Err(NoSeal::Keys { error: BadKeys::Line { line: 1 }, .. }))));
        assert_eq!(file.look(&handle), None, "told once");
        std::fs::remove_file(&path).expect("it was there");
        assert!(matches!(file.look(&handle), Some(Err(NoSeal::File { .. }))));
        assert_eq!(format!("{:?}", handle.current()), keys);
    }
}
