//! Services, as seen from the test.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::Namespace;
use crate::until;

/// An address that reaches a Service.
pub struct Door {
    address: SocketAddr,
    /// In a foreign cluster the addresses of Services are not this machine's.
    forward: Option<Child>,
}

impl Door {
    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(forward) = &mut self.forward {
            drop(forward.kill());
            drop(forward.wait());
        }
    }
}

/// Whether somebody behind an address takes a connection within a second.
///
/// One whose first packet leaves before the Service is known on the way never arrives: the kernel remembers where that packet
/// went for all that follow it, for two minutes. So each try is a connection of its own.
pub async fn takes_connections(address: SocketAddr) -> bool {
    tokio::time::timeout(Duration::from_secs(1), tokio::net::TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

impl Namespace<'_> {
    /// A way to a port of a Service that takes connections: its own address, with the cluster's own balancing; in a foreign
    /// cluster a forwarded port, which reaches one pod only.
    ///
    /// # Panics
    /// When there is no such Service, or no pod behind it for 30 s.
    pub async fn door(&self, service: &str, port: u16) -> Door {
        let door = if self.cluster.is_own() {
            let ip = self.kubectl(&["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"]).await;
            Door { address: SocketAddr::new(ip.parse().expect("an address"), port), forward: None }
        } else {
            self.forward(&format!("service/{service}"), port).await
        };
        until("the Service takes connections", async || takes_connections(door.address).await.then_some(())).await;
        door
    }

    /// A port of `pod/NAME` or of a pod behind `service/NAME`, by way of the API server: what policies stop gets through.
    ///
    /// # Panics
    /// When there is none.
    pub async fn forward(&self, target: &str, port: u16) -> Door {
        let arguments = ["-n", self.name(), "port-forward", target, &format!(":{port}")];
        let mut command = self.cluster.kubectl_command(&arguments);
        let mut forward = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl");
        let output = forward.stdout.take().expect("a pipe");
        let (tell, told) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            drop(tell.send(lines.next()));
            // It says a line for each connection, and ends when nobody reads them.
            lines.for_each(drop);
        });
        let line = told.await.ok().flatten().expect("kubectl tells the port");
        let address = line.split_whitespace().nth(2).and_then(|word| word.parse().ok());
        Door { address: address.unwrap_or_else(|| panic!("no address in `{line}`")), forward: Some(forward) }
    }

    /// The addresses of pods with these labels, in order. Reachable from here in a cluster of our own only.
    pub async fn pod_addresses(&self, selector: &str) -> Vec<std::net::IpAddr> {
        let query = "jsonpath={range .items[*]}{.status.podIP}{\"\\n\"}{end}";
        let told = self.kubectl(&["get", "pods", "-l", selector, "-o", query]).await;
        let mut all: Vec<_> = told.lines().filter_map(|line| line.parse().ok()).collect();
        all.sort();
        all
    }
}
