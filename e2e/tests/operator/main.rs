//! The operator as a process on a real API server: what it publishes, runs, makes and tells. No pods run here; where
//! replicas matter, a test plays them.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "tests measure with the clock of the machine; what fails in a helper fails the test"
)]

mod carrier;
mod faults;
mod keys;
mod leading;
mod patience;
mod proxy;
mod publishing;
mod rest;
mod running;
mod scale;
mod seal;
mod storm;
mod telling;
mod tenant;
