//! The gateway on a real Kubernetes: two nodes with pods, Services, policies and everything else that clusters do.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::too_many_lines,
    reason = "tests measure with the clock of the machine; what fails in a helper fails the test; figures are for people; a story of a cluster is told in one go"
)]

mod argocd;
mod autoscaling;
mod chaos;
mod failover;
mod files;
mod ground;
mod images;
mod kept;
mod keys;
mod masses;
mod prometheus;
mod quickstart;
mod rolling;
mod security;
mod serving;
mod smoke;
mod tenants;
