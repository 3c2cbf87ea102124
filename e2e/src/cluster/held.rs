//! The process that holds a cluster: what it tells, and what it is told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::say;

/// How long a cluster, or a part that starts again, may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster that ends when the pipe to it closes: when this is dropped, or when the process is gone.
pub(super) struct Held {
    process: Child,
    orders: Mutex<Option<ChildStdin>>,
    told: Arc<Told>,
    directory: PathBuf,
}

/// What it told so far.
#[derive(Default)]
struct Told {
    events: Mutex<Vec<Event>>,
    more: Condvar,
}

/// A line that it tells.
#[derive(Debug, Clone, serde::Deserialize)]
struct Event {
    event: Kind,
    what: String,
    seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// For another test run.
    Waiting,
    /// Something is there.
    Step,
    /// All is there.
    Ready,
    /// A part ended.
    Ended,
    /// A part was started again.
    Started,
    /// It cannot be.
    Failed,
}

impl Held {
    /// Starts it and waits until it is ready.
    pub(super) fn start(mut command: Command, directory: PathBuf) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the cluster's process");
        let orders = process.stdin.take();
        let output = process.stdout.take().expect("a pipe");
        let told = Arc::new(Told::default());
        let telling = Arc::clone(&told);
        std::thread::spawn(move || listen(output, &telling));
        let held = Self { process, orders: Mutex::new(orders), told, directory };
        held.told.wait(0, None, |event| event.event == Kind::Ready);
        held
    }

    /// Where it has its files: `pki`, `logs`, `node1`, ...
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Starts a part that has ended.
    pub(super) fn order_start(&self, part: &str) {
        let from = self.told.now();
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(orders.as_mut().expect("open while it lives"), "start {part}").expect("the cluster lives");
        drop(orders);
        self.told.wait(from, Some(PATIENCE), |event| event.event == Kind::Started && event.what == part);
    }

    /// How much was told until now, for [`Self::await_end`].
    pub(super) fn told(&self) -> usize {
        self.told.now()
    }

    /// Waits until a part is told to have ended, after this much was told.
    pub(super) fn await_end(&self, part: &str, from: usize) {
        self.told.wait(from, Some(PATIENCE), |event| event.event == Kind::Ended && event.what == part);
    }

    /// The command that brings an image to a node.
    pub(super) fn import(&self, node: &str, archive: &Path) -> Command {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(self.directory.join(node).join("containerd.sock")).args(["-n", "k8s.io", "images", "import"]).arg(archive);
        command
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(self.process.wait());
    }
}

fn listen(output: ChildStdout, told: &Told) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let event: Event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in `{line}`"));
        if event.event != Kind::Ended {
            say(&format!("cluster: {:?} {} after {:.1} s", event.event, event.what, event.seconds));
        }
        told.events().push(event);
        told.more.notify_all();
    }
    let ended = Event { event: Kind::Failed, what: "its process ended".to_owned(), seconds: 0.0 };
    told.events().push(ended);
    told.more.notify_all();
}

impl Told {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> usize {
        self.events().len()
    }

    /// Waits for an event after the first `from`. Without a limit it starts: others may have their turn first.
    fn wait(&self, from: usize, limit: Option<Duration>, wanted: impl Fn(&Event) -> bool) {
        let mut events = self.events();
        let mut waited = Duration::ZERO;
        let step = Duration::from_secs(1);
        loop {
            let new = events.get(from..).unwrap_or_default();
            if let Some(failed) = new.iter().find(|event| event.event == Kind::Failed) {
                panic!("the cluster failed: {}", failed.what);
            }
            if new.iter().any(&wanted) {
                return;
            }
            let (back, timeout) = self.more.wait_timeout(events, step).unwrap_or_else(PoisonError::into_inner);
            events = back;
            let turn = events.iter().any(|event| event.event == Kind::Step);
            if timeout.timed_out() && (limit.is_some() || turn) {
                waited += step;
            }
            assert!(waited < limit.unwrap_or(PATIENCE), "waited {waited:?} in vain for the cluster");
        }
    }
}
