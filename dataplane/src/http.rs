//! The door for clients: sockets, HTTP/1.1 and HTTP/2, TLS; bytes become calls and replies become bytes.
//!
//! Invariant: only `refusal.rs` chooses a status of an error.

mod body;
mod card;
mod cors;
mod intake;
pub mod listener;
mod models;
mod path;
mod realtime;
pub mod refusal;
mod respond;
mod sessions;
pub mod spool;
mod stored;
mod streams;
mod through;
pub mod tls;

pub use respond::{Door, handle};
