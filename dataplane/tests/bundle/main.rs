//! Where a gateway's bundle comes from: files, as the kubelet swaps them, and an API server, scripted behind real TLS.
//! Driven through the supply, as the process drives it.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper of a test fails the test")]

mod apiserver;
mod files;
mod pod;
mod published;
mod watching;
