//! How a call to a provider can fail: the closed classes that policies name, retries ask for and metrics count.

use serde::{Deserialize, Serialize};

/// One way to fail at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider is out of capacity (503 `overloaded`, 529).
    Overloaded,
    /// The account's money or quota is used up; waiting does not help.
    QuotaExceeded,
    /// The provider refused our credential.
    AuthFailed,
    /// The request is at fault, in no way named below.
    BadRequest,
    /// The conversation is longer than the model takes.
    ContextLengthExceeded,
    /// The provider's safety rules refused the request.
    ContentFiltered,
    /// No such model or path.
    NotFound,
    /// Name look-up, TCP, TLS, or an address that the egress rules refuse.
    ConnectError,
    /// Connected, but too late with the first byte, between bytes or in all.
    Timeout,
    /// 5xx without a closer class.
    ServerError,
    /// An answer that is not what the dialect says: HTML, broken JSON, an empty body.
    InvalidResponse,
    /// The answer began and broke off before its end.
    StreamBroken,
}

impl FailureClass {
    /// Every class, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::RateLimited,
        Self::Overloaded,
        Self::QuotaExceeded,
        Self::AuthFailed,
        Self::BadRequest,
        Self::ContextLengthExceeded,
        Self::ContentFiltered,
        Self::NotFound,
        Self::ConnectError,
        Self::Timeout,
        Self::ServerError,
        Self::InvalidResponse,
        Self::StreamBroken,
    ];

    /// A stable word for metrics, log lines and error codes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::QuotaExceeded => "quota_exceeded",
            Self::AuthFailed => "auth_failed",
            Self::BadRequest => "bad_request",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::ContentFiltered => "content_filtered",
            Self::NotFound => "not_found",
            Self::ConnectError => "connect_error",
            Self::Timeout => "timeout",
            Self::ServerError => "server_error",
            Self::InvalidResponse => "invalid_response",
            Self::StreamBroken => "stream_broken",
        }
    }

    /// Whether the request is at fault, so that the provider's own words help the caller.
    #[must_use]
    pub fn is_the_callers(self) -> bool {
        match self {
            Self::BadRequest | Self::ContextLengthExceeded | Self::ContentFiltered => true,
            Self::NotFound
            | Self::RateLimited
            | Self::Overloaded
            | Self::QuotaExceeded
            | Self::AuthFailed
            | Self::ConnectError
            | Self::Timeout
            | Self::ServerError
            | Self::InvalidResponse
            | Self::StreamBroken => false,
        }
    }
}
