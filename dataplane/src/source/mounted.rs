//! A bundle in a mounted volume: one file for each object, named as the object.
//!
//! The kubelet swaps such a volume by one symbolic link, but what it brings together was fetched object by object: for a
//! while the index may name parts that are not there yet. So nothing is believed that does not fit, and the volume is
//! looked at again when it changes. It is polled, not subscribed to: that works on every volume.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use snapshot::GatewayId;
use snapshot::bundle::{INDEX_BYTES_MAX, PART_BYTES_MAX, index_name};
use tokio::time::{Interval, MissedTickBehavior};

use super::objects::Objects;

/// How often the volume is looked at.
const POLL: Duration = Duration::from_millis(200);

/// How often a volume is read that changes while it is read.
const READS: usize = 3;

/// The state of every file, cheap to take and to compare.
type Look = Vec<(OsString, u64, u64, Option<SystemTime>)>;

/// A volume, and how it looked when it was read.
#[derive(Debug)]
pub(super) struct Volume {
    folder: PathBuf,
    seen: Look,
    /// Goes on when whoever waits has something else to do in between.
    poll: Interval,
}

impl Volume {
    pub(super) fn new(folder: PathBuf) -> Self {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { folder, seen: Look::new(), poll }
    }

    /// Reads what the volume's index names; `None`: there is no index yet.
    pub(super) fn read(&mut self, gateway: &GatewayId) -> io::Result<Option<Objects>> {
        let mut read = Ok(None);
        for _ in 0..READS {
            self.seen = look(&self.folder);
            read = read_once(&self.folder, gateway);
            if look(&self.folder) == self.seen {
                break;
            }
        }
        read
    }

    /// Waits until the volume looks otherwise than when it was read. May be dropped and asked again.
    pub(super) async fn changed(&mut self) {
        loop {
            self.poll.tick().await;
            if look(&self.folder) != self.seen {
                return;
            }
        }
    }
}

fn look(folder: &Path) -> Look {
    let Ok(entries) = fs::read_dir(folder) else { return Look::new() };
    let visible = entries.flatten().map(|entry| entry.file_name()).filter(|name| !name.as_encoded_bytes().starts_with(b"."));
    let mut look: Look = visible
        .map(|name| {
            let meta = fs::metadata(folder.join(&name)).ok();
            let (inode, length) = meta.as_ref().map_or((0, 0), |meta| (meta.ino(), meta.len()));
            (name, inode, length, meta.and_then(|meta| meta.modified().ok()))
        })
        .collect();
    look.sort();
    look
}

fn read_once(folder: &Path, gateway: &GatewayId) -> io::Result<Option<Objects>> {
    // All from one state of the volume: its files are links through this one.
    let state = fs::canonicalize(folder.join("..data")).unwrap_or_else(|_| folder.to_owned());
    fs::metadata(&state)?;
    let Some(index) = read_file(&state.join(index_name(gateway)), INDEX_BYTES_MAX)? else { return Ok(None) };
    let mut objects = Objects { index: index.into(), ..Objects::default() };
    // An index that cannot be read is refused by whoever judges; no part is needed to say so.
    let Ok(index) = objects.index(gateway) else { return Ok(Some(objects)) };
    for (_, name) in index.part_names() {
        if let Some(bytes) = read_file(&state.join(&name), PART_BYTES_MAX)? {
            objects.parts.insert(name, bytes.into());
        }
    }
    Ok(Some(objects))
}

/// The file's content, at most a byte more than allowed, so that whoever judges can tell; `None`: no such file.
fn read_file(path: &Path, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    // Asked before it is opened: to open a pipe would wait for its writer.
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is no file", path.display()))),
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(named(error)),
    }
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(named(error)),
    }
}
