//! Processes of the benchmark: how a part serves until its parent is gone, how a part is started, and what the kernel
//! says of its CPU and its memory.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::{Outcome, now};

/// Runs a server on one thread and a free port of loopback, which it prints, until standard input ends: so no part
/// outlives its parent.
pub fn serve<F: Future<Output = Outcome<()>>>(server: impl FnOnce(TcpListener) -> F) -> Outcome<()> {
    let (gone, parent) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        drop(gone);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        tokio::select! {
            ended = server(listener) => ended,
            _ = parent => Ok(()),
        }
    })
}

/// Which core processes are kept on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// Any.
    Any,
    /// This one.
    Only(u8),
}

impl Core {
    /// A command on that core.
    pub fn command(self, program: &Path) -> Command {
        match self {
            Self::Any => Command::new(program),
            Self::Only(core) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(core.to_string()).arg(program);
                command
            }
        }
    }
}

/// A process that serves. Killed when dropped.
pub struct Process {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Process {
    /// Starts a part of this benchmark and waits for its address.
    pub fn part(core: Core, arguments: &[&str]) -> Outcome<Self> {
        let mut command = core.command(&std::env::current_exe()?);
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("{} did not start", arguments.join(" ")))?;
        Ok(Self { address, child })
    }

    /// Starts any program and waits until `listening` tells where it listens.
    pub fn program(mut command: Command, listening: impl Fn() -> Option<SocketAddr>) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let began = now();
        while began.elapsed() < Duration::from_secs(60) {
            if let Some(address) = listening() {
                return Ok(Self { address, child });
            }
            if let Some(status) = child.try_wait()? {
                return Err(format!("{command:?} ended with {status}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill()?;
        Err(format!("{command:?} does not listen").into())
    }

    /// CPU of all its threads so far, of user and kernel. The scheduler counts it in nanoseconds.
    pub fn cpu(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for task in std::fs::read_dir(self.proc("task"))? {
            // A thread that ended between the listing and the reading has nothing to add.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            nanoseconds += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).ok_or("schedstat is empty")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// A line of its status in MiB: `VmRSS`, or `VmHWM` for the peak.
    pub fn memory_mib(&self, name: &str) -> Outcome<f64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).ok_or("no such line of status")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    /// Lets the peak of memory begin anew at what is resident now.
    pub fn forget_peak(&self) -> Outcome<()> {
        Ok(std::fs::write(self.proc("clear_refs"), "5")?)
    }

    fn proc(&self, name: &str) -> PathBuf {
        // `taskset` becomes what it starts, so the child's number is the program's.
        Path::new("/proc").join(self.child.id().to_string()).join(name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
