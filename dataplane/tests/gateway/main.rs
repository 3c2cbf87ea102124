//! The gateway in one process: clients and providers at the ends of in-memory pipes, and a clock that stands still
//! unless all wait, so that every time limit is met to the millisecond and no test sleeps.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and stops")]

mod bounds;
mod client;
mod fallback;
mod house;
mod http2;
mod keys;
mod leaving;
mod limits_of_time;
mod manifests;
mod origins;
mod provider;
mod revisions;
mod tenancy;
