//! An answer that is passed on as it is: what of its head the client is told.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES,
    LAST_MODIFIED, RETRY_AFTER,
};
use http::{HeaderMap, HeaderName};

use crate::exchange::{Raw, Source};

/// What describes the content. All else a provider says of itself, of our account, or to a browser: cookies above all.
const TOLD: [HeaderName; 13] = [
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_DISPOSITION,
    CONTENT_RANGE,
    ACCEPT_RANGES,
    CACHE_CONTROL,
    EXPIRES,
    ETAG,
    LAST_MODIFIED,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("x-should-retry"),
];

/// An answer with this head and content.
pub(super) fn raw(status: u16, head: &HeaderMap, source: Source) -> Raw {
    let mut headers = HeaderMap::new();
    for name in TOLD {
        for value in head.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    Raw { status, headers, source }
}
