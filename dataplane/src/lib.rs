//! The machine: takes snapshots in and serves calls.
//!
//! Floors, each may use the floors below it, never one beside or above:
//! `args run gateway` (wiring) > `http admin` (doors) > `serve` (the story of a call) > the rooms, which are strangers to
//! one another (`auth limits routing upstream relay ledger`) > `exchange live seal clock telemetry source`.
//!
//! Invariant: no file but `source/manifests.rs` knows what a custom resource is.

pub mod admin;
pub mod args;
pub mod auth;
pub mod clock;
pub mod exchange;
pub mod gateway;
pub mod http;
pub mod ledger;
pub mod limits;
pub mod live;
pub mod relay;
pub mod routing;
pub mod run;
pub mod seal;
pub mod serve;
pub mod source;
pub mod telemetry;
pub mod upstream;
