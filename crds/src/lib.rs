//! The language of Portolan and its compiler.
//!
//! Flow: texts -> [`world::World::parse`] (each document treated as the API server would, by the very schema that
//! `crdgen` prints) -> [`compile::compile`] -> one snapshot for each gateway, the credentials beside it, and a
//! [`report::Report`] for each object.
//!
//! Invariant: pure. No client, no clock, no environment; equal worlds compile to equal bytes, in whatever order their
//! objects came. One bad object never hurts another.

pub mod api;
pub mod compile;
pub mod report;
pub mod schema;
pub mod world;
