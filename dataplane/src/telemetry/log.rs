//! The access log: lines are formatted into a buffer on the path of a call and written by a thread off it.
//!
//! The writer sleeps while there is nothing; the line that ends the silence wakes it, and what comes within the next
//! moments goes out in the same write. A full buffer drops lines and counts them: the log never slows a call.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use prometheus::IntCounter;

/// Bytes that may wait to be written.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// Bytes of an empty buffer that are kept for the next lines.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// How long lines are gathered once there is one.
const GATHER: Duration = Duration::from_millis(20);

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// A log that never blocks its callers for longer than an append.
#[derive(Debug)]
pub struct AccessLog {
    shared: Option<Arc<Shared>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    thread: Option<Thread>,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Vec<u8>>,
    /// The writer is awake or has been woken.
    awake: AtomicBool,
    closing: AtomicBool,
}

impl AccessLog {
    /// Opens the target and starts the writer. `dropped` counts lines that found no room.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not be started.
    pub fn start(target: &Target, dropped: IntCounter) -> io::Result<Self> {
        let sink: Box<dyn Write + Send> = match target {
            Target::Off => return Ok(Self { shared: None, writer: Mutex::default(), thread: None, dropped }),
            Target::Stdout => Box::new(io::stdout()),
            Target::Stderr => Box::new(io::stderr()),
            Target::File(path) => Box::new(open(path)?),
        };
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let writer = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_out(&theirs, sink))?;
        let thread = writer.thread().clone();
        Ok(Self { shared: Some(shared), writer: Mutex::new(Some(writer)), thread: Some(thread), dropped })
    }

    /// Appends one line; `format` writes it with its line feed.
    pub fn line(&self, format: impl FnOnce(&mut Vec<u8>)) {
        let (Some(shared), Some(thread)) = (&self.shared, &self.thread) else { return };
        {
            let mut buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            if buffer.len() >= BUFFER_BYTES_MAX {
                self.dropped.inc();
                return;
            }
            format(&mut buffer);
        }
        if !shared.awake.swap(true, SeqCst) {
            thread.unpark();
        }
    }

    /// Writes what is left and ends the writer.
    pub fn close(&self) {
        if let (Some(shared), Some(thread)) = (&self.shared, &self.thread) {
            shared.closing.store(true, SeqCst);
            thread.unpark();
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            drop(writer.join());
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_out(shared: &Shared, mut sink: Box<dyn Write + Send>) {
    let mut lines = Vec::new();
    loop {
        let closing = shared.closing.load(SeqCst);
        std::mem::swap(&mut lines, &mut *shared.buffer.lock().unwrap_or_else(PoisonError::into_inner));
        if !lines.is_empty() {
            // A sink that fails (a full disk, a closed pipe) loses lines; calls go on.
            drop(sink.write_all(&lines).and_then(|()| sink.flush()));
            lines.clear();
            // One burst must not be paid for in memory for ever; what a busy gateway writes each time is kept.
            lines.shrink_to(KEPT_BYTES_MAX);
            if !closing {
                std::thread::park_timeout(GATHER);
            }
            continue;
        }
        if closing {
            return;
        }
        shared.awake.store(false, SeqCst);
        let empty = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if empty && !shared.closing.load(SeqCst) {
            std::thread::park();
        }
        shared.awake.store(true, SeqCst);
        std::thread::park_timeout(GATHER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_written_before_close_returns() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let dropped = IntCounter::new("dropped", "lines").expect("a counter");
        let log = AccessLog::start(&Target::File(path.clone()), dropped.clone()).expect("a log");
        for number in 0..1000 {
            log.line(|buffer| buffer.extend_from_slice(format!("{number}\n").as_bytes()));
        }
        log.close();
        let text = std::fs::read_to_string(path).expect("the file");
        assert_eq!(text.lines().count(), 1000);
        assert_eq!(text.lines().last(), Some("999"));
        assert_eq!(dropped.get(), 0);
    }
}
