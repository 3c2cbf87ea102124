//! AWS Signature Version 4: what a request says of itself, signed in a header.
//!
//! The path on the wire is percent-encoded once and encoded again in what is signed, as every service but S3 wants it.

use ring::digest::{Context, SHA256, digest};
use ring::hmac;
use snapshot::Secret;

/// The name of the method, as it stands in the header.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Names the secret; AWS looks the secret up by it.
    pub access_key_id: String,
    /// Signs.
    pub secret_access_key: Secret<String>,
    /// Goes with keys that are good for a while only.
    pub session_token: Option<Secret<String>>,
}

/// Where a signature is good: one service in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// `us-east-1`
    pub region: &'a str,
    /// `bedrock`
    pub service: &'a str,
}

/// The parts of a request that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `POST`
    pub method: &'a str,
    /// As on the wire, without the query.
    pub path: &'a str,
    /// Without its question mark; empty when there is none.
    pub query: &'a str,
    /// Names in lower case, each once; `host` and `x-amz-date` must be among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body's SHA-256, in hex.
    pub body_sha256: &'a str,
    /// Whether `.`, `..` and empty segments are resolved before signing. Every service but S3 does so.
    pub normalize: bool,
}

/// A moment as AWS writes it: `20150830T123600Z`, in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmzDate(String);

impl AmzDate {
    /// From milliseconds since 1970.
    #[must_use]
    pub fn of_unix_ms(unix_ms: u64) -> Self {
        let moment = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        Self(moment.unwrap_or(jiff::Timestamp::MAX).strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    /// The text of the header `x-amz-date`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn day(&self) -> &str {
        self.0.split_once('T').map_or(&self.0, |(day, _)| day)
    }
}

/// The SHA-256 of a body in pieces, in hex.
#[must_use]
pub fn sha256_of<B: AsRef<[u8]>>(pieces: &[B]) -> String {
    let mut context = Context::new(&SHA256);
    pieces.iter().for_each(|piece| context.update(piece.as_ref()));
    hex(context.finish().as_ref())
}

/// The value of the header `authorization`.
#[must_use]
pub fn authorization(signed: &Signed<'_>, date: &AmzDate, scope: Scope<'_>, keys: &Keys) -> String {
    let names = signed_names(signed);
    let signature = signature(&string_to_sign(signed, date, scope), date, scope, keys.secret_access_key.expose());
    format!("{ALGORITHM} Credential={}/{}, SignedHeaders={names}, Signature={signature}", keys.access_key_id, credential_scope(date, scope))
}

/// What is signed, in the end.
#[must_use]
pub fn string_to_sign(signed: &Signed<'_>, date: &AmzDate, scope: Scope<'_>) -> String {
    let canonical = digest(&SHA256, canonical_request(signed).as_bytes());
    format!("{ALGORITHM}\n{}\n{}\n{}", date.as_str(), credential_scope(date, scope), hex(canonical.as_ref()))
}

/// The request in the one form that both sides agree on.
#[must_use]
pub fn canonical_request(signed: &Signed<'_>) -> String {
    let mut headers = String::new();
    for (name, value) in sorted(signed.headers) {
        headers.push_str(name);
        headers.push(':');
        // Runs of spaces count as one, those around the value not at all.
        for (place, word) in value.split_ascii_whitespace().enumerate() {
            if place > 0 {
                headers.push(' ');
            }
            headers.push_str(word);
        }
        headers.push('\n');
    }
    let Signed { method, body_sha256, .. } = signed;
    let (path, query) = (canonical_path(signed.path, signed.normalize), canonical_query(signed.query));
    format!("{method}\n{path}\n{query}\n{headers}\n{}\n{body_sha256}", signed_names(signed))
}

fn signature(text: &str, date: &AmzDate, scope: Scope<'_>, secret: &str) -> String {
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let day = sign(format!("AWS4{secret}").as_bytes(), date.day());
    let region = sign(day.as_ref(), scope.region);
    let service = sign(region.as_ref(), scope.service);
    let key = sign(service.as_ref(), "aws4_request");
    hex(sign(key.as_ref(), text).as_ref())
}

fn credential_scope(date: &AmzDate, scope: Scope<'_>) -> String {
    format!("{}/{}/{}/aws4_request", date.day(), scope.region, scope.service)
}

fn signed_names(signed: &Signed<'_>) -> String {
    let names: Vec<&str> = sorted(signed.headers).into_iter().map(|(name, _)| name).collect();
    names.join(";")
}

fn sorted<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut sorted = headers.to_vec();
    sorted.sort_unstable();
    sorted
}

fn canonical_path(path: &str, normalize: bool) -> String {
    if !normalize {
        return encoded(path, b"/");
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let directory = !kept.is_empty() && (path.ends_with('/') || path.ends_with("/."));
    let joined = kept.iter().map(|segment| encoded(segment, b"")).collect::<Vec<_>>().join("/");
    format!("/{joined}{}", if directory { "/" } else { "" })
}

/// Parameters in order. What is encoded on the wire stays so.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name, b"%"), encoded(value, b"%"))
        })
        .collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// All but letters, digits, `-._~` and what is to be kept percent-encoded.
#[must_use]
pub fn encoded(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_aws_writes_them() {
        for (unix_ms, text) in [
            (0, "19700101T000000Z"),
            (951_782_400_000, "20000229T000000Z"),
            (1_440_938_160_999, "20150830T123600Z"),
            (1_767_323_045_000, "20260102T030405Z"),
            (4_107_542_399_000, "21000228T235959Z"),
            (4_107_542_400_000, "21000301T000000Z"),
        ] {
            assert_eq!(AmzDate::of_unix_ms(unix_ms).as_str(), text);
        }
    }

    #[test]
    fn runs_of_spaces_in_a_header_count_as_one() {
        let signed = Signed {
            method: "GET",
            path: "/",
            query: "",
            headers: &[("x-amz-date", "20150830T123600Z"), ("host", "h"), ("b", "  a   b \t c ")],
            body_sha256: "0",
            normalize: true,
        };
        assert_eq!(canonical_request(&signed), "GET\n/\n\nb:a b c\nhost:h\nx-amz-date:20150830T123600Z\n\nb;host;x-amz-date\n0");
    }
}
