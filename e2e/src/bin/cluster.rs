//! The cluster of the tests, for a person: started, described, and gone with Enter or Ctrl-C.
#![expect(clippy::print_stdout, reason = "a program that talks with a person")]

use std::io::BufRead as _;
use std::process::ExitCode;

use e2e::cluster::Cluster;

fn main() -> ExitCode {
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(missing) => {
            println!("a cluster needs {missing}");
            return ExitCode::FAILURE;
        }
    };
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("Tests use it with PORTOLAN_E2E_KUBECONFIG={}", cluster.kubeconfig().display());
    println!("kubectl is on your PATH or `{} kubectl`; Enter ends the cluster.", cluster.kubectl_command(&[]).get_program().display());
    drop(std::io::stdin().lock().lines().next());
    ExitCode::SUCCESS
}
