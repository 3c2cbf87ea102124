//! The gateway on a real Kubernetes: two nodes with pods, Services, policies and everything else that clusters do.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests measure with the clock of the machine; what fails in a helper fails the test"
)]

mod ground;
mod images;
mod smoke;
