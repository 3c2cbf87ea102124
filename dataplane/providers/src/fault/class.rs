//! From a provider's words to a class.

use snapshot::{Dialect, FailureClass};

/// How providers say that a prompt is too long.
const CONTEXT: [&str; 9] = [
    "maximum context length",
    "prompt is too long",
    "prompt too long",
    "context window",
    "context length",
    "input tokens exceeded",
    "exceeds the maximum number of tokens allowed",
    "too many tokens:",
    "input is too long",
];

/// How they say that the money is used up.
const MONEY: [&str; 6] = [
    "insufficient balance",
    "insufficient_quota",
    "credit balance is too low",
    "insufficient credits",
    "used all available credits",
    "exceeded your monthly",
];

/// How they call a wrong key a bad request.
const KEY: [&str; 4] = ["api key not valid", "incorrect api key", "invalid api key", "api key is invalid"];

/// What a provider says of a failure.
pub(super) struct Said<'a> {
    pub(super) dialect: Dialect,
    pub(super) status: Option<u16>,
    pub(super) kind: &'a str,
    pub(super) code: &'a str,
    pub(super) message: &'a str,
}

pub(super) fn classify(said: &Said<'_>) -> FailureClass {
    let Said { dialect, status, kind, code, message } = *said;
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let is = |words: &[&str]| words.iter().any(|word| kind == *word || code == *word);
    let money = ["insufficient_quota", "billing_error", "billing_hard_limit_reached", "exceeded_current_quota_error", "Arrearage", "1113"];
    if is(&money) || status == Some(402) || (is_the_requests(status) && says(&MONEY)) {
        return FailureClass::QuotaExceeded;
    }
    if is(&["context_length_exceeded", "TOO_MANY_TOKENS", "too_many_prompt_tokens"]) || says(&CONTEXT) {
        return FailureClass::ContextLengthExceeded;
    }
    let filtered = [
        "content_filter",
        "content_policy_violation",
        "ResponsibleAIPolicyViolation",
        "ContentFiltered",
        "moderation_blocked",
        "invalid_prompt",
        "data_inspection_failed",
        "DataInspectionFailed",
        "1301",
    ];
    if is(&filtered) {
        return FailureClass::ContentFiltered;
    }
    if is(&["overloaded_error", "overloaded", "engine_overloaded", "engine_overloaded_error", "capacity_exceeded"]) {
        return FailureClass::Overloaded;
    }
    if status == Some(400) && says(&KEY) {
        return FailureClass::AuthFailed;
    }
    if is_the_requests(status) && (is(&["model_not_found"]) || says(&["the provided model identifier is invalid"])) {
        return FailureClass::NotFound;
    }
    match (dialect, status) {
        // The model itself failed, says Bedrock.
        (Dialect::Bedrock, Some(424)) => FailureClass::ServerError,
        // A token that is none, says Cohere; others have no room, says Groq.
        (Dialect::Cohere, Some(498)) => FailureClass::AuthFailed,
        (_, Some(498)) => FailureClass::Overloaded,
        (_, Some(401 | 403)) => FailureClass::AuthFailed,
        (_, Some(404)) => FailureClass::NotFound,
        (_, Some(408 | 499 | 504 | 524)) => FailureClass::Timeout,
        (_, Some(429)) => FailureClass::RateLimited,
        (_, Some(425 | 503 | 529)) => FailureClass::Overloaded,
        (_, Some(400..=499)) => FailureClass::BadRequest,
        (_, Some(500..=599)) => FailureClass::ServerError,
        _ => by_kind(kind, code),
    }
}

/// Whether the status, if there is one, blames the request.
fn is_the_requests(status: Option<u16>) -> bool {
    status.is_none_or(|status| (400..500).contains(&status))
}

/// An error inside an answer of 200 has no status; its type must do.
fn by_kind(kind: &str, code: &str) -> FailureClass {
    for word in [kind, code] {
        match word {
            "rate_limit_error" | "rate_limit_exceeded" | "rate_limit_reached_error" | "requests" | "tokens" => {
                return FailureClass::RateLimited;
            }
            "authentication_error" | "permission_error" | "invalid_api_key" | "invalid_authentication_error" => {
                return FailureClass::AuthFailed;
            }
            "not_found_error" | "model_not_found" | "resource_not_found_error" => return FailureClass::NotFound,
            "invalid_request_error" | "request_too_large" | "tool_use_failed" => return FailureClass::BadRequest,
            "timeout_error" => return FailureClass::Timeout,
            "api_error" | "server_error" | "internal_server_error" => return FailureClass::ServerError,
            "throttlingException" | "ThrottlingException" | "RESOURCE_EXHAUSTED" => return FailureClass::RateLimited,
            "validationException" | "ValidationException" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION" => return FailureClass::BadRequest,
            "accessDeniedException" | "UNAUTHENTICATED" | "PERMISSION_DENIED" => return FailureClass::AuthFailed,
            "serviceUnavailableException" | "modelNotReadyException" | "UNAVAILABLE" => return FailureClass::Overloaded,
            "modelTimeoutException" | "DEADLINE_EXCEEDED" => return FailureClass::Timeout,
            "resourceNotFoundException" | "NOT_FOUND" => return FailureClass::NotFound,
            _ => {}
        }
    }
    FailureClass::ServerError
}
