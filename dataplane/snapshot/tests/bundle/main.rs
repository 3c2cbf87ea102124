//! The bundle: what is published joins again, and nothing else does.

#![expect(clippy::expect_used, reason = "a helper of a test fails the test")]

mod fuzz;
mod golden;
mod properties;
mod refusals;
mod requires;
mod sample;
mod secrecy;
mod size;
