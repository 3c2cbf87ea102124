//! The cluster of the tests, for a person: started, described, and gone with Enter or Ctrl-C. With the word `api` it is etcd
//! and an API server only.
#![expect(clippy::print_stdout, reason = "a program that talks with a person")]

use std::io::BufRead as _;
use std::process::ExitCode;

use e2e::cluster::Cluster;

fn main() -> ExitCode {
    let alone = std::env::args().nth(1).is_some_and(|word| word == "api");
    let cluster = match if alone { Cluster::start_control_plane() } else { Cluster::start() } {
        Ok(cluster) => cluster,
        Err(missing) => {
            println!("a cluster needs {missing}");
            return ExitCode::FAILURE;
        }
    };
    let (kubeconfig, kubectl) = (cluster.kubeconfig().display(), cluster.kubectl_command(&[]));
    println!(
        "export KUBECONFIG={kubeconfig}\nTests use it with PORTOLAN_E2E_KUBECONFIG={kubeconfig}\nkubectl is on your PATH or `{} kubectl`; Enter ends the cluster.",
        kubectl.get_program().display()
    );
    drop(std::io::stdin().lock().lines().next());
    ExitCode::SUCCESS
}
