//! What a method and a path ask for.

use http::Method;
use snapshot::{Dialect, Surface};

use crate::exchange::Refusal;

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// A call of a model.
    Call(Surface),
    /// Which models there are.
    Models,
    /// One model by its name.
    Model(&'a str),
    /// A session.
    Session,
    /// Something about what providers keep.
    Stored {
        /// What it is.
        surface: Surface,
        /// What is to be done.
        deed: Asking,
        /// With which.
        id: Option<&'a str>,
    },
    /// A path of a provider.
    Path {
        /// Its name.
        provider: &'a str,
        /// With its slash; empty when there is none.
        path: &'a str,
    },
}

/// What is to be done with what a provider keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    Send,
    List,
    Look,
    Read,
    Delete,
    Items,
    Cancel,
}

/// Longest path that an error message repeats.
const PATH_SHOWN_MAX: usize = 128;

pub(super) fn parse<'a>(method: &Method, path: &'a str) -> Result<Asked<'a>, Refusal> {
    // Cohere's clients come by the path of its second version.
    let path = if path == "/v2/rerank" { "/v1/rerank" } else { path };
    let surface = path.strip_prefix("/v1").and_then(|rest| Surface::DOORS.into_iter().find(|surface| surface.path() == rest));
    if let Some(surface) = surface {
        return if method == Method::POST { Ok(Asked::Call(surface)) } else { Err(Refusal::MethodNotAllowed { allowed: "POST" }) };
    }
    if let Some(rest) = path.strip_prefix("/proxy/") {
        let (provider, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        return Ok(Asked::Path { provider, path });
    }
    if let Some(why) = path.strip_prefix("/v1/realtime/").and_then(beside_the_gateway) {
        return Err(Refusal::PathNotServed { why });
    }
    if let Some(rest) = path.strip_prefix("/v1/files").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        return files(method, rest).unwrap_or_else(|| Err(Refusal::UnknownPath { path: shown(path) }));
    }
    if let Some(rest) = path.strip_prefix("/v1/responses/") {
        return response(method, rest).unwrap_or_else(|| Err(Refusal::UnknownPath { path: shown(path) }));
    }
    let asked = match path {
        "/v1/realtime" => Asked::Session,
        "/v1/models" | "/v1/models/" => Asked::Models,
        _ => match path.strip_prefix("/v1/models/") {
            Some(model) => Asked::Model(model),
            None => return Err(Refusal::UnknownPath { path: shown(path) }),
        },
    };
    if method == Method::GET || method == Method::HEAD { Ok(asked) } else { Err(Refusal::MethodNotAllowed { allowed: "GET" }) }
}

/// Why a path below that of sessions is none of this gateway's.
fn beside_the_gateway(below: &str) -> Option<&'static str> {
    match below.split('/').next().unwrap_or_default() {
        "client_secrets" | "sessions" | "transcription_sessions" => Some(
            "keys that open sessions at the provider are not handed out: what a client does with one goes past this gateway, its limits and its receipts; open a WebSocket at /v1/realtime with a virtual key",
        ),
        "calls" => Some(
            "calls over WebRTC and SIP are not served: their sound goes past this gateway, its limits and its receipts; open a WebSocket at /v1/realtime",
        ),
        _ => None,
    }
}

/// What stands behind `/v1/files`; `None` where nothing is.
fn files<'a>(method: &Method, rest: &'a str) -> Option<Result<Asked<'a>, Refusal>> {
    let wrong = |allowed| Some(Err(Refusal::MethodNotAllowed { allowed }));
    let asked = |deed, id| Some(Ok(Asked::Stored { surface: Surface::Files, deed, id }));
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    match rest.split_once('/') {
        None if rest.is_empty() => match *method {
            Method::POST => asked(Asking::Send, None),
            Method::GET => asked(Asking::List, None),
            _ => wrong("GET, POST"),
        },
        None => match *method {
            Method::GET => asked(Asking::Look, Some(rest)),
            Method::DELETE => asked(Asking::Delete, Some(rest)),
            _ => wrong("GET, DELETE"),
        },
        Some((id, "content")) if !id.is_empty() => {
            if method == Method::GET {
                asked(Asking::Read, Some(id))
            } else {
                wrong("GET")
            }
        }
        Some(_) => None,
    }
}

/// What stands behind `/v1/responses/`.
fn response<'a>(method: &Method, rest: &'a str) -> Option<Result<Asked<'a>, Refusal>> {
    let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
    let (deed, allowed) = match (below, method) {
        _ if id.is_empty() || rest.ends_with('/') => return None,
        ("", &Method::GET) => (Some(Asking::Look), ""),
        ("", &Method::DELETE) => (Some(Asking::Delete), ""),
        ("", _) => (None, "GET, DELETE"),
        ("input_items", &Method::GET) => (Some(Asking::Items), ""),
        ("input_items", _) => (None, "GET"),
        ("cancel", &Method::POST) => (Some(Asking::Cancel), ""),
        ("cancel", _) => (None, "POST"),
        _ => return None,
    };
    let asked = deed.map(|deed| Asked::Stored { surface: Surface::Responses, deed, id: Some(id) });
    Some(asked.ok_or(Refusal::MethodNotAllowed { allowed }))
}

/// The dialect of errors for a path, also for one that is none.
pub(super) fn dialect(path: &str) -> Dialect {
    if path.starts_with("/v1/messages") { Dialect::Anthropic } else { Dialect::OpenAi }
}

fn shown(path: &str) -> String {
    path.chars().take(PATH_SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_surface_has_one_path_that_takes_post_alone() {
        for surface in Surface::DOORS {
            let path = format!("/v1{}", surface.path());
            assert_eq!(parse(&Method::POST, &path).ok(), Some(Asked::Call(surface)));
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
                assert!(matches!(parse(&method, &path), Err(Refusal::MethodNotAllowed { allowed: "POST" })), "{method} {path}");
            }
        }
    }

    #[test]
    fn models_are_listed_and_looked_up_and_a_name_may_hold_slashes() {
        for (path, asked) in [
            ("/v1/models", Asked::Models),
            ("/v1/models/", Asked::Models),
            ("/v1/models/m", Asked::Model("m")),
            ("/v1/models/provider/org/m", Asked::Model("provider/org/m")),
        ] {
            assert_eq!(parse(&Method::GET, path).ok(), Some(asked), "{path}");
            assert!(matches!(parse(&Method::POST, path), Err(Refusal::MethodNotAllowed { allowed: "GET" })), "{path}");
        }
    }

    #[test]
    fn files_are_sent_listed_looked_at_read_and_deleted_and_responses_too() {
        let parsed = |method, path| match parse(&method, path) {
            Ok(Asked::Stored { deed, id, .. }) => Ok((deed, id)),
            Ok(_) => Err("another"),
            Err(Refusal::MethodNotAllowed { allowed }) => Err(allowed),
            Err(_) => Err(""),
        };
        for (method, path, expected) in [
            (Method::POST, "/v1/files", Ok((Asking::Send, None))),
            (Method::GET, "/v1/files", Ok((Asking::List, None))),
            (Method::GET, "/v1/files/", Ok((Asking::List, None))),
            (Method::GET, "/v1/files/file-1", Ok((Asking::Look, Some("file-1")))),
            (Method::DELETE, "/v1/files/file-1", Ok((Asking::Delete, Some("file-1")))),
            (Method::GET, "/v1/files/file-1/content", Ok((Asking::Read, Some("file-1")))),
            (Method::PUT, "/v1/files", Err("GET, POST")),
            (Method::DELETE, "/v1/files", Err("GET, POST")),
            (Method::POST, "/v1/files/file-1", Err("GET, DELETE")),
            (Method::DELETE, "/v1/files/file-1/content", Err("GET")),
            (Method::GET, "/v1/files/file-1/", Err("")),
            (Method::GET, "/v1/files/file-1/contents", Err("")),
            (Method::GET, "/v1/files//content", Err("")),
            (Method::GET, "/v1/filesx", Err("")),
            (Method::GET, "/v1/responses/resp_1", Ok((Asking::Look, Some("resp_1")))),
            (Method::DELETE, "/v1/responses/resp_1", Ok((Asking::Delete, Some("resp_1")))),
            (Method::GET, "/v1/responses/resp_1/input_items", Ok((Asking::Items, Some("resp_1")))),
            (Method::POST, "/v1/responses/resp_1/cancel", Ok((Asking::Cancel, Some("resp_1")))),
            (Method::POST, "/v1/responses/resp_1", Err("GET, DELETE")),
            (Method::POST, "/v1/responses/resp_1/input_items", Err("GET")),
            (Method::GET, "/v1/responses/resp_1/cancel", Err("POST")),
            (Method::GET, "/v1/responses/", Err("")),
            (Method::GET, "/v1/responses/resp_1/", Err("")),
            (Method::GET, "/v1/responses/resp_1/other", Err("")),
        ] {
            assert_eq!(parsed(method.clone(), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_path_of_a_provider_is_what_stands_behind_its_name_to_the_letter() {
        for (path, provider, below) in [
            ("/proxy/openai/files/f-1", "openai", "/files/f-1"),
            ("/proxy/openai/", "openai", "/"),
            ("/proxy/openai", "openai", ""),
            ("/proxy//files", "", "/files"),
            ("/proxy/openai//files/../x", "openai", "//files/../x"),
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::TRACE] {
                assert_eq!(parse(&method, path).ok(), Some(Asked::Path { provider, path: below }), "{method} {path}");
            }
        }
        for path in ["/proxy", "/proxyx/openai/files", "/v1/proxy/openai/files", "/PROXY/openai/files"] {
            assert!(matches!(parse(&Method::GET, path), Err(Refusal::UnknownPath { .. })), "{path}");
        }
    }

    #[test]
    fn what_is_near_a_path_is_none_and_is_told_back_bounded() {
        for path in
            ["", "/", "/v1", "/v1/", "/chat/completions", "/v1/chat/completions/", "/V1/chat/completions", "/v1/modelsx", "/v2/models"]
        {
            assert!(matches!(parse(&Method::POST, path), Err(Refusal::UnknownPath { .. })), "{path}");
        }
        let Err(Refusal::UnknownPath { path }) = parse(&Method::GET, &"/é".repeat(500)) else { panic!("no such path") };
        assert_eq!(path.chars().count(), PATH_SHOWN_MAX);
    }

    #[test]
    fn what_would_lead_past_the_gateway_is_refused_by_name() {
        for path in ["client_secrets", "sessions", "transcription_sessions", "calls", "calls/rtc_1/accept"] {
            let path = format!("/v1/realtime/{path}");
            assert!(matches!(parse(&Method::POST, &path), Err(Refusal::PathNotServed { .. })), "{path}");
        }
        assert_eq!(parse(&Method::GET, "/v1/realtime").ok(), Some(Asked::Session));
        for path in ["/v1/realtime/", "/v1/realtime/sessionsx", "/v1/realtimes"] {
            assert!(matches!(parse(&Method::POST, path), Err(Refusal::UnknownPath { .. })), "{path}");
        }
    }

    #[test]
    fn errors_speak_the_dialect_of_the_path() {
        assert_eq!(dialect("/v1/messages"), Dialect::Anthropic);
        assert_eq!(dialect("/v1/messages/count_tokens"), Dialect::Anthropic);
        assert_eq!(dialect("/v1/chat/completions"), Dialect::OpenAi);
        assert_eq!(dialect("/nowhere"), Dialect::OpenAi);
    }
}
