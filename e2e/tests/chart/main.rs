//! The chart, without a cluster: what it renders, what it grants, and that its papers, rules and scripts hold.
#![expect(clippy::expect_used, clippy::panic, reason = "what fails in a helper fails the test")]

mod health;
mod monitoring;
mod papers;
mod rendered;
mod rights;
mod schemas;
mod suites;
