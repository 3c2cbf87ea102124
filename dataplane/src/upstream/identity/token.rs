//! Tokens that servers of OAuth 2 give: read, and put where they are shown.

use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use snapshot::{FailureClass, Secret};

use super::question::{Question, class_of};
use super::{Asker, Lent, Proof, Unproven, code};
use crate::live::LiveIdentity;

/// A token that does not say how long it lives is used for so long.
const UNSAID: Duration = Duration::from_secs(600);

/// The answer of a token server.
#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "accessToken")]
    access_token: String,
    /// A number, or a number as text.
    expires_in: Option<serde_json::Value>,
    /// A date, where the life is not told.
    #[serde(rename = "expireTime")]
    expire_time: Option<String>,
}

impl Asker {
    /// Asks for a token.
    pub(super) async fn token(&self, identity: &LiveIdentity, question: Question<'_>) -> Result<(String, Duration), Unproven> {
        let host = question.site.host.clone();
        let (status, body) = self.answer(identity, question).await?;
        if status != 200 {
            let word = error_of(&body);
            return Err(Unproven::new(class_of(status, &word), format!("`{host}` answered {status} {word}")));
        }
        let garbled = |why: &str| Unproven::new(FailureClass::InvalidResponse, format!("`{host}` answered {why}"));
        let Answer { access_token, expires_in, expire_time } = serde_json::from_slice(&body).map_err(|_| garbled("without a token"))?;
        let seconds = expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).map(Duration::from_secs);
        let life = match (seconds, expire_time) {
            (Some(life), _) => life,
            (None, Some(date)) => self.life(&date)?,
            (None, None) => UNSAID,
        };
        if life.is_zero() { Err(garbled("with a token that has ended")) } else { Ok((access_token, life)) }
    }

    /// The same, ready to be shown.
    pub(super) async fn bearer(&self, identity: &LiveIdentity, question: Question<'_>) -> Result<Lent, Unproven> {
        let (token, life) = self.token(identity, question).await?;
        Ok(Lent { proof: Proof::Bearer(Secret::new(header_of(&token)?)), life: Some(life) })
    }
}

/// The value of `authorization`.
pub(super) fn header_of(token: &str) -> Result<HeaderValue, Unproven> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Unproven::new(FailureClass::InvalidResponse, "a token came that fits no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The code of an error: `error` of OAuth 2, or the status of Google's APIs.
fn error_of(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    code(error.as_str().or_else(|| error["status"].as_str()).unwrap_or_default()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_their_code_alone() {
        for (body, word) in [
            (r#"{"error":"invalid_grant","error_description":"the token eyJ is expired"}"#, "invalid_grant"),
            (r#"{"error":{"code":403,"message":"no eyJ","status":"PERMISSION_DENIED"}}"#, "PERMISSION_DENIED"),
            (r#"{"error":"eyJ token leaked"}"#, "eyJ"),
            ("<html>", ""),
            ("[]", ""),
        ] {
            assert_eq!(error_of(body.as_bytes()), word);
        }
    }
}
