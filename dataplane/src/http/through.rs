//! A request that is passed through: its path, which must lead where it says and nowhere else, and what of its head goes on.

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use snapshot::Verb;

use crate::exchange::{Refusal, Through};

/// What is taken of methods.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Fields that never go on: those of a connection or of the message's length, who the client is and where it came from, what
/// names something at the provider or whom it bills, and what makes a server act on another method or path than it was sent.
const KEPT_BACK: [&str; 38] = [
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "ocp-apim-subscription-key",
    "openai-organization",
    "openai-project",
    "origin",
    "referer",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-api-key",
    "x-auth-token",
    "x-client-ip",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-goog-user-project",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
];

/// Beginnings of names of such fields.
const KEPT_BACK_FROM: [&str; 13] = [
    "access-control-",
    "cf-",
    "proxy-",
    "sec-",
    "x-amz-",
    "x-auth-request-",
    "x-envoy-",
    "x-forwarded",
    "x-ms-client-principal",
    "x-original-",
    "x-portkey-",
    "x-portolan-",
    "x-rewrite-",
];

/// A request for a path of a provider.
///
/// # Errors
/// The path could lead elsewhere, or the method is none that is passed through.
pub(super) fn read(head: &Parts, provider: &str, path: &str) -> Result<Through, Refusal> {
    let verb = verb(&head.method).ok_or(Refusal::MethodNotAllowed { allowed: METHODS })?;
    check(path).map_err(|why| Refusal::BadPath { why })?;
    Ok(Through {
        provider: provider.to_owned(),
        method: head.method.clone(),
        verb,
        path: path.to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: going_on(&head.headers),
    })
}

fn verb(method: &Method) -> Option<Verb> {
    Some(match *method {
        Method::GET | Method::HEAD => Verb::Get,
        Method::POST => Verb::Post,
        Method::PUT => Verb::Put,
        Method::PATCH => Verb::Patch,
        Method::DELETE => Verb::Delete,
        _ => return None,
    })
}

/// Nothing in a path may be read differently by those who pass it on and by who answers: that is how one path is allowed
/// and another served.
fn check(path: &str) -> Result<(), &'static str> {
    let Some(segments) = path.strip_prefix('/') else { return Err("a path of the provider must follow its name") };
    segments.split('/').try_for_each(check_segment)
}

fn check_segment(segment: &str) -> Result<(), &'static str> {
    match segment {
        "" => return Err("it has an empty segment"),
        "." | ".." => return Err("it has a segment that leads elsewhere"),
        _ => {}
    }
    let mut decoded = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            if !first.is_ascii_alphanumeric() && !b"-._~:@!$&'()+,=*".contains(first) {
                return Err("it has a character that servers read differently; letters, digits and -._~:@!$&'()+,=* are taken");
            }
            decoded.push(*first);
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return Err("it has a % that escapes nothing");
        };
        if byte.is_ascii_control() || b"/\\.%?#;".contains(&byte) {
            return Err("it escapes a character that separates or leads elsewhere");
        }
        decoded.push(byte);
        rest = after.get(2..).unwrap_or_default();
    }
    if std::str::from_utf8(&decoded).is_err() { Err("its escapes are no UTF-8") } else { Ok(()) }
}

fn going_on(headers: &HeaderMap) -> HeaderMap {
    let of_the_connection: Vec<&[u8]> =
        headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect();
    let stays = |name: &HeaderName| {
        let name = name.as_str();
        KEPT_BACK.contains(&name)
            || KEPT_BACK_FROM.iter().any(|start| name.starts_with(start))
            // Whoever knew another tenant's value would be given that tenant's answer.
            || name.contains("idempoten")
            // Some servers take `_` for `-`, so that a name with one could be any of these.
            || name.contains('_')
            || of_the_connection.iter().any(|other| other.eq_ignore_ascii_case(name.as_bytes()))
    };
    let mut going = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| !stays(name)) {
        going.append(name, value.clone());
    }
    going
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_path_is_taken_when_everybody_reads_it_alike() {
        for path in [
            "/files",
            "/files/file-abc_1.jsonl",
            "/models/gemini-2.5-pro:countTokens",
            "/a/b/c/d",
            "/files/a%20b",
            "/files/%C3%BC",
            "/.well-known/x",
            "/a..b/...",
            "/x*",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_path_that_could_lead_elsewhere_is_not() {
        for path in [
            "",
            "files",
            "/",
            "//",
            "//evil.example/files",
            "/files/",
            "/files//x",
            "/.",
            "/..",
            "/files/..",
            "/files/../users",
            "/files/./x",
            "/files/%2e%2e/users",
            "/files/%2E./users",
            "/files/.%2e/users",
            "/files%2f..%2fusers",
            "/files%2Fx",
            "/files%5c..%5cusers",
            "/files\\..\\users",
            "/files/..;/users",
            "/files;x=1",
            "/files%3b",
            "/files/%252e%252e/users",
            "/files/%25",
            "/files/%00",
            "/files/%0d%0aHost:%20evil",
            "/files/%7f",
            "/files%3fx",
            "/files%23x",
            "/files/%c0%ae%c0%ae/users",
            "/files/%ff",
            "/files/%",
            "/files/%2",
            "/files/%zz",
            "/files/%+1",
            "/files/ü",
            "/files/a b",
            "/files/{id}",
            "/files/a|b",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
    }

    #[test]
    fn nothing_of_who_the_client_is_goes_on() {
        let mut headers = HeaderMap::new();
        for name in KEPT_BACK.into_iter().chain([
            "x-forwarded-for",
            "x-forwarded",
            "x-portolan-model",
            "x-portkey-virtual-key",
            "proxy-authorization",
            "sec-fetch-mode",
            "idempotency-key",
            "x-idempotency-key",
            "x-amz-security-token",
            "x-original-url",
            "x_api_key",
            "content_length",
            "x-nominated",
        ]) {
            headers.insert(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_static("x"));
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close, X-Nominated"));
        assert_eq!(going_on(&headers), HeaderMap::new());
        for name in
            ["content-type", "content-encoding", "accept", "range", "anthropic-beta", "openai-beta", "x-goog-upload-command", "traceparent"]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("1"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("2"));
        }
        let going = going_on(&headers);
        assert_eq!((going.keys_len(), going.len()), (8, 16), "all lines of the rest: {going:?}");
    }
}
