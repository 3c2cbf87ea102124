//! Running a program of cases, and judging what it says.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::install;

/// The longest that a program may take: it ends a hung test, it proves nothing.
const PATIENCE: Duration = Duration::from_secs(300);

/// An SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `openai` for Python.
    OpenAiPython,
    /// `openai` for Node.
    OpenAiNode,
    /// `anthropic` for Python.
    AnthropicPython,
}

impl Sdk {
    /// The dialect that it speaks, by the name of the folder of its provider's recordings.
    pub fn dialect(self) -> &'static str {
        match self {
            Self::OpenAiPython | Self::OpenAiNode => "openai",
            Self::AnthropicPython => "anthropic",
        }
    }

    /// Its program of this name, ready to run; `None`, said loudly, where what runs it is missing.
    pub async fn program(self, name: &str) -> Option<Command> {
        let file = format!("{}_{name}", self.dialect());
        let made = tokio::task::spawn_blocking(move || match self {
            Self::OpenAiPython | Self::AnthropicPython => {
                let mut command = Command::new(install::python(install::PYTHON)?);
                command.arg(Path::new(install::SOURCES).join(format!("python/{file}.py")));
                Some(command)
            }
            Self::OpenAiNode => {
                let folder = install::node(install::NODE)?;
                let mut command = Command::new("node");
                command.arg(Path::new(install::SOURCES).join(format!("node/{file}.mjs")));
                command.env("PORTOLAN_SDK", folder);
                Some(command)
            }
        });
        made.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// Runs a program in front of a gateway. Exactly these cases must come, and each must pass.
pub async fn run(mut command: Command, gateway: SocketAddr, key: &str, cases: &BTreeSet<String>) {
    let directory = TempDir::new().expect("a folder");
    let file = |name: &str| File::create(directory.path().join(name)).expect("a file");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sdk: Vec<_> = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    // Keys, proxies and base URLs of whoever runs the tests are none of the programs' business.
    command.env_clear().env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").envs(sdk);
    // What they keep and look up at home is none of its either.
    command.env("HOME", directory.path());
    command.env("PORTOLAN_BASE_URL", format!("http://{gateway}")).env("PORTOLAN_KEY", key);
    let started = command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).spawn();
    let ended = tokio::time::timeout(PATIENCE, Running(started.expect("the program starts")).end()).await;
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    let (said, errors) = (read("out"), read("err"));
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("not ok ")).collect();
    let passed: Vec<String> = said.lines().filter_map(|line| Some(line.strip_prefix("ok ")?.to_owned())).collect();
    assert!(failed.is_empty(), "{}\n{errors}", failed.join("\n"));
    assert!(ended.is_ok_and(|well| well), "the program did not end well after:\n{said}\n{errors}");
    assert_eq!(passed.iter().cloned().collect::<BTreeSet<_>>(), *cases, "just these cases are expected\n{errors}");
    assert_eq!(passed.len(), cases.len(), "each case once");
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    async fn end(mut self) -> bool {
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
