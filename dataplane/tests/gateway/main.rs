//! The gateway in one process: clients and providers at the ends of in-memory pipes, and a clock that stands still
//! unless all wait, so that every time limit is met to the millisecond and no test sleeps.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why and stops")]

mod alpn;
mod azure;
mod backs;
mod bad_answers;
mod bounds;
mod browsers;
mod client;
mod clouds;
mod conditions;
mod counting;
mod counts;
mod doors;
mod fair_share;
mod fallback;
mod files;
mod forms;
#[path = "../../providers/tests/frames/mod.rs"]
mod frames;
mod fronts;
mod hostile;
mod house;
mod http2;
mod keys;
mod leaving;
mod limits_of_time;
mod manifests;
mod models;
mod native;
mod origins;
mod portkey;
mod prices;
mod provider;
mod proxy;
mod quirks;
mod realtime;
mod receipts;
mod responses;
mod revisions;
mod tenancy;
mod vertex;
