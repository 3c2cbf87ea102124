//! Pure translators: bytes in, bytes out, and state machines for streams.
//!
//! Flow: [`head::Head`] reads what the gateway acts on in a request; [`passage::Passage`] is one attempt's way through,
//! either the client's bytes with splices or a translation; [`fault::Fault`] is a failure that a provider told.
//!
//! Invariant: no socket, no clock, no Kubernetes. Bytes of strangers never make this package panic, take unbounded
//! memory or more than linear time.

pub mod count;
pub mod embeddings;
pub mod eventstream;
pub mod fault;
pub mod head;
pub mod json;
pub mod multipart;
pub mod passage;
pub mod realtime;
pub mod sigv4;
pub mod simulated;
pub mod sse;
pub mod stored;
pub mod usage;
pub mod vertex;

mod embed;
mod foreign;
mod measure;
mod ndjson;
mod quirks;
mod rerank;
mod same;
mod translate;
