//! Keeps the bytes of a form: the first in memory, the rest in a file of the spool folder that has no name.
//!
//! Without a folder all of them stay in memory, within the bounds of bodies.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::exchange::{Kept, Refusal};
use crate::limits::{BodyPermit, Hold};

/// So much of a form is in memory, in bytes.
const HERE_BYTES: usize = 64 << 10;

/// So much is gathered before it is written, in bytes.
const WRITTEN_BYTES: usize = 256 << 10;

/// Where forms are spooled; nowhere when it is `None`.
pub type Spool = Option<Arc<Path>>;

/// Keeps what comes.
pub(super) struct Keeper {
    folder: Spool,
    permit: BodyPermit,
    here: BytesMut,
    file: Option<Arc<File>>,
    /// In the file.
    written: u64,
    /// On its way there.
    pending: BytesMut,
}

impl Keeper {
    /// With room for what is announced.
    pub(super) fn new(spool: &Spool, hold: &Hold, announced: u64) -> Result<Self, Refusal> {
        let here = if spool.is_some() { announced.min(HERE_BYTES as u64) } else { announced };
        let mut permit = hold.body(here)?;
        permit.spool(announced - here)?;
        let (here, pending) = (BytesMut::new(), BytesMut::new());
        Ok(Self { folder: spool.clone(), permit, here, file: None, written: 0, pending })
    }

    /// How many bytes came.
    pub(super) fn bytes(&self) -> u64 {
        (self.here.len() + self.pending.len()) as u64 + self.written
    }

    pub(super) async fn keep(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let free = if self.folder.is_some() { HERE_BYTES.saturating_sub(self.here.len()) } else { usize::MAX };
        let (here, rest) = data.split_at(data.len().min(free));
        let kept = (self.here.len() + here.len()) as u64;
        if kept > self.permit.bytes() {
            self.permit.grow(kept - self.permit.bytes())?;
        }
        self.here.extend_from_slice(here);
        if rest.is_empty() {
            return Ok(());
        }
        let spooled = self.written + (self.pending.len() + rest.len()) as u64;
        if spooled > self.permit.spooled() {
            self.permit.spool(spooled - self.permit.spooled())?;
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() < WRITTEN_BYTES { Ok(()) } else { self.write().await }
    }

    async fn write(&mut self) -> Result<(), Refusal> {
        let bytes = self.pending.split().freeze();
        let (file, folder, at, length) = (self.file.take(), self.folder.clone(), self.written, bytes.len() as u64);
        let writing = tokio::task::spawn_blocking(move || write(file, folder.as_deref(), &bytes, at));
        match writing.await {
            Ok(Ok(file)) => {
                self.file = Some(file);
                self.written += length;
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the spool cannot be written");
                Err(full())
            }
            Err(_) => Err(full()),
        }
    }

    /// All of it.
    pub(super) async fn finish(mut self) -> Result<(Arc<Kept>, BodyPermit), Refusal> {
        if !self.pending.is_empty() {
            self.write().await?;
        }
        let bytes = self.bytes();
        let Self { permit, here, file, .. } = self;
        Ok((Arc::new(Kept { here: here.freeze(), file, bytes }), permit))
    }
}

fn full() -> Refusal {
    Refusal::Overloaded { what: "spool", retry_after: Duration::from_secs(1) }
}

fn write(file: Option<Arc<File>>, folder: Option<&Path>, bytes: &Bytes, at: u64) -> io::Result<Arc<File>> {
    let file = match (file, folder) {
        (Some(file), _) => file,
        (None, Some(folder)) => Arc::new(nameless(folder)?),
        (None, None) => return Err(io::ErrorKind::NotFound.into()),
    };
    file.write_all_at(bytes, at)?;
    Ok(file)
}

/// A file that nobody else can open: its name is taken away at once, its bytes go with the last who holds it.
fn nameless(folder: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let name = format!("form-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = folder.join(name);
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // Of a process of before, which was killed between the two.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
