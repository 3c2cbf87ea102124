//! The gateway on a real Kubernetes: two nodes with pods, Services, policies and everything else that clusters do.
#![expect(clippy::disallowed_methods, reason = "tests measure with the clock of the machine")]

mod ground;
mod smoke;
