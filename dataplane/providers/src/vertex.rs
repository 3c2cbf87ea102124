//! Anthropic's models on Vertex AI: the Messages API, but the model stands in the path and the version in the body.

use bytes::Bytes;

use crate::json::{Scanner, Wrong, write_text};

/// What Vertex AI wants to be told instead of the header `anthropic-version`.
const VERSION: &str = "vertex-2023-10-16";

/// A request to the Messages API as Vertex AI takes it. `betas` are the values of the header `anthropic-beta`, which belong
/// into the body there.
///
/// # Errors
/// The body is no object of JSON; bodies that came through the gateway are.
pub fn messages_body(pieces: &[Bytes], betas: &[&str]) -> Result<Bytes, Wrong> {
    let whole = pieces.concat();
    let mut out = Vec::with_capacity(whole.len() + 64);
    out.extend_from_slice(b"{\"anthropic_version\":");
    write_text(&mut out, VERSION);
    let betas: Vec<&str> = betas.iter().flat_map(|value| value.split(',')).map(str::trim).filter(|beta| !beta.is_empty()).collect();
    for (place, beta) in betas.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"anthropic_beta\":[" } else { b"," });
        write_text(&mut out, beta);
    }
    if !betas.is_empty() {
        out.push(b']');
    }
    Scanner::new(&whole).object(|scanner, key| {
        let value = scanner.skip()?;
        let replaced = key.is("model") || key.is("anthropic_version") || (key.is("anthropic_beta") && !betas.is_empty());
        if !replaced {
            out.push(b',');
            out.extend_from_slice(key.raw);
            out.push(b':');
            out.extend_from_slice(&whole[value]);
        }
        Ok::<(), Wrong>(())
    })?;
    out.push(b'}');
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&'static str], betas: &[&str]) -> String {
        let pieces: Vec<Bytes> = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
        String::from_utf8(messages_body(&pieces, betas).expect("a body").to_vec()).expect("text")
    }

    #[test]
    fn the_model_leaves_the_body_and_the_version_enters_it() {
        for (pieces, betas, body) in [
            (&[r#"{"model":""#, r#"claude","max_tokens":5}"#][..], &[][..], r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":5}"#),
            (
                &[r#" { "a" : [1, 2] , "model" : "c", "stream": true } "#],
                &["one, two", "three"],
                r#"{"anthropic_version":"vertex-2023-10-16","anthropic_beta":["one","two","three"],"a":[1, 2],"stream":true}"#,
            ),
            (
                &[r#"{"model":"c","anthropic_beta":["x"],"anthropic_version":"bedrock"}"#],
                &[],
                r#"{"anthropic_version":"vertex-2023-10-16","anthropic_beta":["x"]}"#,
            ),
            (&[r#"{"model":"c"}"#], &[" , "], r#"{"anthropic_version":"vertex-2023-10-16"}"#),
        ] {
            assert_eq!(said(pieces, betas), body);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["", "[]", "{\"a\":", "{\"a\" 1}"] {
            assert!(messages_body(&[Bytes::from_static(bad.as_bytes())], &[]).is_err(), "{bad}");
        }
    }
}
