//! Cross-origin rules: no header at all unless the gateway names origins.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method};
use snapshot::Cors;

/// The origin of a request when the gateway allows it, as it is to be told back.
pub(super) fn allowed(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let any = cors.allow_origins.iter().any(|allowed| allowed == "*");
    if any {
        return Some(HeaderValue::from_static("*"));
    }
    cors.allow_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// Whether answers differ by origin, so that caches must keep them apart; also those to an origin that is not allowed.
pub(super) fn varies(cors: &Cors) -> bool {
    !cors.allow_origins.is_empty()
}

/// Whether a request is a browser asking beforehand.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key("access-control-request-method")
}

/// Tells a browser that the origin may read the answer.
pub(super) fn tell(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-request-id, x-portolan-call-id, x-portolan-estimate, x-portolan-dropped, retry-after"),
    );
}

/// What a preflight is answered with, besides [`tell`].
pub(super) fn tell_preflight(headers: &mut HeaderMap, path: &str, asked: &HeaderMap) {
    let methods = if path.starts_with("/proxy/") {
        "GET, POST, PUT, PATCH, DELETE"
    } else if path.starts_with("/v1/files") || path.starts_with("/v1/responses/") {
        "GET, POST, DELETE"
    } else {
        "GET, POST"
    };
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    if let Some(names) = asked.get("access-control-request-headers") {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(allow: &[&str], origin: Option<&'static str>) -> Option<HeaderValue> {
        let cors = Cors { allow_origins: allow.iter().map(|text| (*text).to_owned()).collect() };
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        allowed(&cors, &headers)
    }

    #[test]
    fn an_origin_is_allowed_when_it_is_named_to_the_letter() {
        let allow = ["https://app.example.com", "http://localhost:3000"];
        assert_eq!(told(&allow, Some("https://app.example.com")), Some(HeaderValue::from_static("https://app.example.com")));
        for stranger in [
            "https://app.example.com.evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://example.com",
            "null",
            "*",
            "",
        ] {
            assert_eq!(told(&allow, Some(stranger)), None, "{stranger}");
        }
        assert_eq!(told(&allow, None), None, "whoever is no browser is told nothing");
    }

    #[test]
    fn without_a_list_no_origin_is_allowed_and_a_star_allows_all() {
        assert_eq!(told(&[], Some("https://app.example.com")), None);
        assert_eq!(told(&["*"], Some("https://any.example")), Some(HeaderValue::from_static("*")));
    }

    #[test]
    fn a_preflight_is_an_options_request_of_a_browser_that_asks_for_a_method() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, HeaderValue::from_static("https://app.example.com"));
        assert!(!is_preflight(&Method::OPTIONS, &headers));
        headers.insert("access-control-request-method", HeaderValue::from_static("POST"));
        assert!(is_preflight(&Method::OPTIONS, &headers));
        assert!(!is_preflight(&Method::POST, &headers));
    }
}
