//! The published vectors of Signature Version 4, and requests to Bedrock that an SDK signed. They stay outside the project;
//! without them this test says so and passes.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a helper of a test fails the test, or says that it is skipped")]

use std::fs;
use std::path::{Path, PathBuf};

use providers::sigv4::{AmzDate, Keys, Scope, Signed, authorization, canonical_request, sha256_of, string_to_sign};
use serde_json::Value;
use snapshot::Secret;

fn cases(folder: &str) -> Vec<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "a test is told where vectors are")]
    let named = std::env::var("PORTOLAN_FIXTURES").map(PathBuf::from).ok();
    let root = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures"));
    let folder = root.join("_vectors").join(folder);
    if !folder.is_dir() {
        println!("SKIPPED: no vectors at {}; set PORTOLAN_FIXTURES", folder.display());
        return Vec::new();
    }
    let mut found: Vec<PathBuf> = fs::read_dir(folder).expect("vectors").map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn keys(access: &Value, secret: &Value, token: &Value) -> Keys {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Keys {
        access_key_id: text(access).expect("a key"),
        secret_access_key: Secret::new(text(secret).expect("a secret")),
        session_token: text(token).map(Secret::new),
    }
}

#[test]
fn every_published_vector_gives_its_canonical_request_its_string_and_its_signature() {
    let cases = cases("sigv4");
    for case in &cases {
        let read = |name: &str| fs::read_to_string(case.join(name)).expect(name);
        let context: Value = serde_json::from_str(&read("context.json")).expect("JSON");
        let shown = &context["credentials"];
        let keys = &keys(&shown["access_key_id"], &shown["secret_access_key"], &shown["token"]);
        let date = AmzDate::of_unix_ms(1_440_938_160_000);
        assert_eq!(context["timestamp"], "2015-08-30T12:36:00Z");
        let request = read("request.txt");
        let (line, rest) = request.split_once('\n').expect("a request line");
        let (method, rest_of_line) = line.split_once(' ').expect("a method");
        let (target, _) = rest_of_line.rsplit_once(' ').expect("a version");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<(String, &str)> =
            rest.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_lowercase(), value)).collect();
        headers.push(("x-amz-date".to_owned(), date.as_str()));
        // The token may be put on after the signature was made.
        if let Some(token) = keys.session_token.as_ref().filter(|_| context["omit_session_token"] != true) {
            headers.push(("x-amz-security-token".to_owned(), token.expose()));
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let normalize = context["normalize"].as_bool().expect("a flag");
        let signed = Signed { method, path, query, headers: &headers, body_sha256: &sha256_of(&[""]), normalize };
        let scope =
            Scope { region: context["region"].as_str().expect("a region"), service: context["service"].as_str().expect("a service") };
        let name = case.display();
        assert_eq!(canonical_request(&signed), read("header-canonical-request.txt"), "{name}");
        assert_eq!(string_to_sign(&signed, &date, scope), read("header-string-to-sign.txt"), "{name}");
        let header = authorization(&signed, &date, scope, keys);
        let expected = read("header-signed-request.txt");
        let expected = expected.lines().find_map(|line| line.strip_prefix("Authorization:")).expect("signed");
        assert_eq!(header, expected, "{name}");
        assert!(header.ends_with(&format!("Signature={}", read("header-signature.txt").trim())), "{name}");
    }
    assert!(cases.is_empty() || cases.len() >= 19, "{} vectors", cases.len());
}

#[test]
fn requests_to_bedrock_are_signed_as_an_sdk_signs_them() {
    let cases = cases("sigv4-bedrock");
    for case in &cases {
        let vector: Value = serde_json::from_str(&fs::read_to_string(case).expect("a vector")).expect("JSON");
        let text = |name: &str| vector[name].as_str().unwrap_or_default();
        let keys = keys(&vector["access_key"], &vector["secret_key"], &vector["session_token"]);
        let date = AmzDate::of_unix_ms(1_767_323_045_000);
        assert_eq!(date.as_str(), text("amz_date"));
        let (host, target) = text("url").strip_prefix("https://").and_then(|url| url.split_once('/')).expect("a URL");
        let target = format!("/{target}");
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut headers = vec![("host", host), ("x-amz-date", date.as_str())];
        if let Some(kind) = vector["headers_in"]["Content-Type"].as_str() {
            headers.push(("content-type", kind));
        }
        if let Some(token) = &keys.session_token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        let signed =
            Signed { method: text("method"), path, query, headers: &headers, body_sha256: &sha256_of(&[text("body")]), normalize: true };
        let scope = Scope { region: text("region"), service: text("service") };
        let name = case.display();
        assert_eq!(canonical_request(&signed), text("canonical_request"), "{name}");
        assert_eq!(string_to_sign(&signed, &date, scope), text("string_to_sign"), "{name}");
        let expected = vector["signed_headers_out"]["Authorization"].as_str().expect("a signature");
        assert_eq!(authorization(&signed, &date, scope, &keys), expected, "{name}");
    }
    assert!(cases.is_empty() || cases.len() == 3, "{} vectors", cases.len());
}
