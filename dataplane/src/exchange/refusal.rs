//! The gateway says no, and why: one closed enum. `http/refusal.rs` gives each its status, type and words.

use std::time::Duration;

use providers::fault::Fault;
use providers::head::BadBody;
use snapshot::{Operation, Surface};

use super::Unkept;

/// Why a call gets no answer from a model. Holds what the client may read, nothing internal.
#[derive(Debug)]
pub enum Refusal {
    /// No such path.
    UnknownPath {
        /// As asked, bounded.
        path: String,
    },
    /// The path exists, for another method.
    MethodNotAllowed {
        /// What it takes.
        allowed: &'static str,
    },
    /// In none of the headers that could show it.
    KeyMissing,
    /// Looks like one of our keys and its checksum is wrong.
    KeyMistyped,
    /// No such key.
    KeyUnknown,
    /// Past its expiry.
    KeyExpired,
    /// Suspended by its owner.
    KeySuspended,
    /// The key may not do this.
    OperationNotAllowed {
        /// What was tried.
        operation: Operation,
    },
    /// The key may not use this model.
    ModelNotAllowed {
        /// As asked.
        model: String,
    },
    /// No provider that the key may use has it.
    ModelUnknown {
        /// As asked.
        model: String,
        /// Names that come near, best first.
        near: Vec<String>,
    },
    /// Two providers declare it.
    ModelAmbiguous {
        /// As asked.
        model: String,
        /// How to name each: `provider/model`.
        candidates: Vec<String>,
    },
    /// Providers of several tenants have one name.
    ProviderAmbiguous {
        /// The name.
        name: String,
        /// Each as `namespace/name`.
        providers: Vec<String>,
    },
    /// The key sees no provider of the name.
    ProviderUnknown {
        /// As asked, without its `@`.
        name: String,
        /// The header or field that names it.
        named_by: &'static str,
        /// Providers that there are, as far as the key sees them.
        known: Vec<String>,
    },
    /// A header asks for what a client has no say in.
    HeaderNotTaken {
        /// Its name.
        header: String,
        /// Why, and the way out.
        why: String,
    },
    /// A path of OpenAI's that this gateway has no door for, on purpose.
    PathNotServed {
        /// Why, and the way out.
        why: &'static str,
    },
    /// The path is for a WebSocket, and the request asks for none, or not properly.
    NotAWebSocket {
        /// What is amiss.
        why: &'static str,
    },
    /// A query says something that the gateway does not pass on.
    BadQuery {
        /// What and why.
        why: String,
    },
    /// A path that could lead elsewhere than it says.
    BadPath {
        /// Why.
        why: &'static str,
    },
    /// No provider of this name that the key may use.
    NoSuchProvider {
        /// As asked, bounded.
        name: String,
    },
    /// The provider does not let this path through, or not with this method.
    PathNotAllowed {
        /// Its name.
        provider: String,
        /// As asked, bounded.
        path: String,
        /// As asked.
        method: String,
    },
    /// It is about objects that a provider keeps.
    Unkept(Unkept),
    /// The key has as many calls in flight as it may.
    TooManyInFlight {
        /// How many that is.
        limit: u32,
    },
    /// The request's body is larger than the gateway takes.
    BodyTooLarge {
        /// Bytes that it takes.
        limit: u64,
        /// The field of the gateway's limits that says so.
        field: &'static str,
    },
    /// The body came too slowly.
    BodyTimeout,
    /// The body broke off.
    BodyIncomplete,
    /// The body is not what the door takes.
    BadBody(BadBody),
    /// The body is compressed or of another type than the door takes.
    ContentType {
        /// As sent, bounded.
        found: String,
        /// What the door takes.
        wanted: &'static str,
    },
    /// The target cannot take what the call says.
    CannotSay {
        /// The model as asked.
        model: String,
        /// By which door.
        surface: Surface,
        /// What and why, and the field at fault.
        why: String,
        /// The field at fault.
        field: Option<String>,
    },
    /// The process is full.
    Overloaded {
        /// Of what: `connections`, `calls` or `body_bytes`.
        what: &'static str,
        /// When to come back.
        retry_after: Duration,
    },
    /// Configuration has not arrived yet.
    NotReady,
    /// Every attempt failed; the last one like this.
    Upstream {
        /// Name of the provider that failed last.
        provider: String,
        /// What it said, or what befell.
        fault: Box<Fault>,
        /// The provider's status, when there was an answer.
        status: Option<u16>,
        /// When the provider wants us back.
        retry_after: Option<Duration>,
        /// The provider's own error body, when client and provider speak one dialect and the fault is the request's.
        verbatim: Option<bytes::Bytes>,
    },
}
