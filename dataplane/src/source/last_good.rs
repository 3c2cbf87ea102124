//! The bundle that this pod served last, kept in a folder that outlives its containers: one file, replaced at once.
//!
//! The file is each object after the other, the index first: the lengths of name and content as two little-endian `u32`,
//! the name, the content. What it holds is verified as any other bundle when it is read.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};
use snapshot::bundle::{INDEX_BYTES_MAX, PART_BYTES_MAX, PARTS};

use super::objects::Objects;

/// No bundle is larger: an index, its parts, their names.
const FILE_BYTES_MAX: u64 = (INDEX_BYTES_MAX + PARTS as usize * PART_BYTES_MAX + (PARTS as usize + 1) * 512) as u64;

/// The folder.
#[derive(Debug)]
pub(super) struct LastGood {
    folder: PathBuf,
}

impl LastGood {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What was kept; `None`: nothing yet.
    pub(super) fn read(&self) -> io::Result<Option<Objects>> {
        let file = match File::open(self.folder.join("bundle")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        unpack(bytes.into()).map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is cut or damaged"))
    }

    /// Keeps a bundle in the place of the one before. Only the owner may read it: it holds credentials.
    pub(super) fn write(&self, objects: &Objects) -> io::Result<()> {
        let partial = self.folder.join("bundle.partial");
        write_new(&partial, objects)?;
        fs::rename(&partial, self.folder.join("bundle"))
    }
}

fn write_new(path: &Path, objects: &Objects) -> io::Result<()> {
    // One that a killed process left may be another's, or readable by others.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = io::BufWriter::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
    let parts = objects.parts.iter().map(|(name, bytes)| (name.as_str(), bytes));
    for (name, bytes) in std::iter::once(("index", &objects.index)).chain(parts) {
        let length = |length: usize| u32::try_from(length).map(u32::to_le_bytes).map_err(io::Error::other);
        file.write_all(&length(name.len())?)?;
        file.write_all(&length(bytes.len())?)?;
        file.write_all(name.as_bytes())?;
        file.write_all(bytes)?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()
}

fn unpack(mut bytes: Bytes) -> Option<Objects> {
    let (_, index) = unpack_one(&mut bytes)?;
    let mut parts = BTreeMap::new();
    while !bytes.is_empty() {
        let (name, content) = unpack_one(&mut bytes)?;
        parts.insert(name, content);
    }
    Some(Objects { index, parts })
}

fn unpack_one(bytes: &mut Bytes) -> Option<(String, Bytes)> {
    let name_length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    if bytes.len() < name_length.checked_add(length)? {
        return None;
    }
    let name = String::from_utf8(bytes.split_to(name_length).to_vec()).ok()?;
    Some((name, bytes.split_to(length)))
}
