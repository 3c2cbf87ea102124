//! What is done to parts and nodes: killed, frozen, started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use super::{Cluster, held::Held};

/// The processes of this machine.
struct Processes {
    children: BTreeMap<u32, Vec<u32>>,
}

impl Processes {
    fn now() -> Self {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that ended meanwhile has no parent any more.
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            children.entry(parent.expect("the fourth field is the parent")).or_default().push(pid);
        }
        Self { children }
    }

    fn of(&self, parent: u32) -> &[u32] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// It and all below it.
    fn tree(&self, top: u32) -> BTreeSet<u32> {
        let mut all = BTreeSet::from([top]);
        let mut open = vec![top];
        while let Some(each) = open.pop() {
            open.extend(self.of(each).iter().filter(|child| all.insert(**child)));
        }
        all
    }
}

fn line(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

impl Held {
    /// The first process of a part: `etcd`, `apiserver`, `controller-manager`, `scheduler`, `dns`, `proxy` (that of the host), `node1`, `node2`.
    fn part(&self, name: &str) -> Option<u32> {
        let processes = Processes::now();
        let is = |pid: &u32| {
            let line = line(*pid);
            match name.strip_prefix("node") {
                Some(number) => line.get(1).is_some_and(|word| word == "node") && line.get(3).is_some_and(|word| word == number),
                None => line.get(1).is_some_and(|word| word == name),
            }
        };
        // Parts are children of the holder, or of the world that it holds.
        let own = processes.of(self.pid());
        own.iter().chain(own.iter().flat_map(|child| processes.of(*child))).copied().find(is)
    }

    fn pids(&self, part: &str) -> BTreeSet<u32> {
        self.part(part).map(|top| Processes::now().tree(top)).unwrap_or_default()
    }
}

/// Whether a process runs in a pod of this name: the kubelet says so in its environment.
fn is_in_pod(pid: u32, pod: &str) -> bool {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).any(|entry| entry.strip_prefix(b"HOSTNAME=") == Some(pod.as_bytes()))
}

fn signal(name: &str, pids: &BTreeSet<u32>) {
    // Some may have ended meanwhile; then `kill` tells the others all the same.
    drop(Command::new("kill").arg(format!("-{name}")).args(pids.iter().map(ToString::to_string)).output());
}

impl Cluster {
    fn own(&self) -> &Held {
        self.held.as_ref().expect("only parts of a cluster that was started here can be touched")
    }

    /// Whether its processes can be killed and frozen: not those of a foreign cluster.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.held.is_some()
    }

    /// The names of its nodes, in order: `node1` and `node2` in a cluster of our own.
    pub async fn nodes(&self) -> Vec<String> {
        let told = self.kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]).await;
        told.split_whitespace().map(str::to_owned).collect()
    }

    /// The logs of its parts, `<part>.log` and `<node>/<part>.log`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.own().directory().join("logs")
    }

    /// All processes of a node, those in pods too, as this machine numbers them. Of a part as well.
    ///
    /// # Panics
    /// When the cluster is a foreign one; so do those below.
    #[must_use]
    pub fn node_pids(&self, node: &str) -> BTreeSet<u32> {
        self.own().pids(node)
    }

    /// Kills a node at once, its pods included, or another part such as `apiserver`.
    pub fn kill_node(&self, node: &str) {
        let from = self.own().told();
        let top = self.own().part(node).unwrap_or_else(|| panic!("{node} does not run"));
        signal("KILL", &BTreeSet::from([top]));
        self.own().await_end(node, from);
    }

    /// Starts a killed node or part again, on what it left on the disk.
    pub fn start_node(&self, node: &str) {
        self.own().order_start(node);
    }

    /// Stops all processes of a node, or of a part, where they are. Connections stay open and nobody answers.
    pub fn freeze_node(&self, node: &str) {
        let mut stopped = BTreeSet::new();
        loop {
            let all = self.own().pids(node);
            assert!(!all.is_empty(), "{node} does not run");
            let new: BTreeSet<u32> = all.difference(&stopped).copied().collect();
            if new.is_empty() {
                return;
            }
            signal("STOP", &new);
            stopped.extend(new);
        }
    }

    /// The processes of a pod, without that of its sandbox.
    #[must_use]
    pub fn pod_pids(&self, pod: &str) -> BTreeSet<u32> {
        let nodes = (1..=super::NODES).flat_map(|number| self.own().pids(&format!("node{number}")));
        nodes.filter(|pid| is_in_pod(*pid, pod)).collect()
    }

    /// Sends a signal to the processes of a pod: `KILL`, `STOP`, `CONT`.
    pub fn signal_pod(&self, pod: &str, name: &str) {
        let pids = self.pod_pids(pod);
        assert!(!pids.is_empty(), "{pod} has no process");
        signal(name, &pids);
    }

    /// Lets them go on.
    pub fn thaw_node(&self, node: &str) {
        signal("CONT", &self.own().pids(node));
    }
}
