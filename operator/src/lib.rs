//! The carrier: keeps clusters supplied with what the compiler makes of their objects.
//!
//! Flow, told by [`story`]: gather (watches feed one world) -> compile (`crds`, pure) -> render (pure) -> publish and
//! apply -> tell (status). Only gather, publish, apply and tell touch the network. One of several replicas leads, by a
//! Lease; what it publishes carries the resource version that it last saw, so that a leader whose term is over spoils
//! nothing.
//!
//! Invariant: knows nothing of the machine but the contract of `snapshot` and what its pods answer on their admin port.

pub mod acks;
pub mod admin;
mod along;
pub mod apply;
pub mod args;
pub mod check;
pub mod clock;
pub mod connect;
pub mod gather;
pub mod keys;
pub mod lease;
pub mod metrics;
pub mod publish;
pub mod ready;
pub mod render;
pub mod run;
pub mod seal;
pub mod status;
pub mod story;
pub mod tell;
