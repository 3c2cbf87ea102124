//! Keys of AWS: from a Secret, for a token of the pod, from the node's agent; then a role, where one is to be taken on.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use providers::sigv4::{AmzDate, Keys, Scope, Signed, authorization, sha256_of};
use serde::Deserialize;
use snapshot::{AwsIdentity, AwsRole, AwsSource, FailureClass, Secret, Site};

use super::super::pieces::Pieces;
use super::question::{Question, class_of};
use super::{Asker, Lent, Proof, Unproven, code, token_of};
use crate::live::LiveIdentity;

const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const AMZ_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

const OK: u16 = 200;

/// The version of STS's interface; there was no other since.
const STS_VERSION: &str = "2011-06-15";

/// Seconds that a role is taken on for: what every role permits.
const ROLE_SECONDS: &str = "3600";

/// Signs a request for a service.
pub(super) fn sign(request: &mut Request<Pieces>, body: &[Bytes], keys: &Keys, scope: Scope<'_>, unix_ms: u64) -> Result<(), String> {
    let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    sign_headers(request.headers_mut(), (&method, &path, &query), body, keys, scope, unix_ms)
}

fn sign_headers(
    headers: &mut HeaderMap,
    (method, path, query): (&str, &str, &str),
    body: &[Bytes],
    keys: &Keys,
    scope: Scope<'_>,
    unix_ms: u64,
) -> Result<(), String> {
    let date = AmzDate::of_unix_ms(unix_ms);
    let text =
        |headers: &HeaderMap, name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (host, kind) = (text(headers, HOST), text(headers, CONTENT_TYPE));
    let mut signed = vec![("host", host.as_str()), ("x-amz-date", date.as_str())];
    if !kind.is_empty() {
        signed.push(("content-type", kind.as_str()));
    }
    if let Some(token) = &keys.session_token {
        signed.push(("x-amz-security-token", token.expose()));
    }
    let signed = Signed { method, path, query, headers: &signed, body_sha256: &sha256_of(body), normalize: true };
    let authorization = authorization(&signed, &date, scope, keys);
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| "the keys of AWS do not fit into a header".to_owned());
    let sensitive = |text: &str| {
        value(text).map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    headers.insert(AMZ_DATE, value(date.as_str())?);
    if let Some(token) = &keys.session_token {
        headers.insert(AMZ_TOKEN, sensitive(token.expose())?);
    }
    headers.insert(AUTHORIZATION, sensitive(&authorization)?);
    Ok(())
}

impl Asker {
    /// Keys, and how long they live.
    pub(super) async fn aws(&self, identity: &LiveIdentity, aws: &AwsIdentity) -> Result<Lent, Unproven> {
        let (keys, life) = match &aws.source {
            AwsSource::Keys => (from_secret(identity)?, None),
            AwsSource::WebIdentity { role, token_file } => {
                let token = token_of(token_file).await?;
                let mut fields = of_role("AssumeRoleWithWebIdentity", role);
                fields.push(("WebIdentityToken", &token));
                self.temporary(identity, Question::form(&aws.sts, &fields)).await?
            }
            AwsSource::Container { agent, token_file } => self.of_agent(identity, agent, &token_of(token_file).await?).await?,
        };
        let Some(role) = &aws.role else { return Ok(Lent { proof: Proof::Aws(keys), life }) };
        let mut fields = of_role("AssumeRole", role);
        if let Some(id) = &role.external_id {
            fields.push(("ExternalId", id));
        }
        let mut question = Question::form(&aws.sts, &fields);
        let host = HeaderValue::try_from(question.host());
        question.headers.insert(HOST, host.map_err(|_| Unproven::new(FailureClass::BadRequest, "the name of STS is no host"))?);
        let scope = Scope { region: &aws.region, service: "sts" };
        let line = ("POST", aws.sts.path.as_str(), "");
        sign_headers(&mut question.headers, line, &[question.body.clone()], &keys, scope, self.clock.unix_ms())
            .map_err(|detail| Unproven::new(FailureClass::AuthFailed, detail))?;
        let (keys, life) = self.temporary(identity, question).await?;
        Ok(Lent { proof: Proof::Aws(keys), life })
    }

    /// What STS gives.
    async fn temporary(&self, identity: &LiveIdentity, mut question: Question<'_>) -> Result<(Keys, Option<Duration>), Unproven> {
        // It speaks XML whatever is asked for.
        question.headers.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
        let (status, body) = self.answer(identity, question).await?;
        let xml = String::from_utf8_lossy(&body);
        if status != OK {
            let word = element(&xml, "Code").unwrap_or_default();
            let word = code(&word);
            return Err(Unproven::new(class_of(status, word), format!("STS answered {status} {word}")));
        }
        let garbled = || Unproven::new(FailureClass::InvalidResponse, "STS answered without keys");
        let text = |name: &str| element(&xml, name).filter(|text| !text.is_empty()).ok_or_else(garbled);
        let keys = Keys {
            access_key_id: text("AccessKeyId")?,
            secret_access_key: Secret::new(text("SecretAccessKey")?),
            session_token: Some(Secret::new(text("SessionToken")?)),
        };
        Ok((keys, Some(self.life(&text("Expiration")?)?)))
    }

    /// What the agent on the node gives.
    async fn of_agent(&self, identity: &LiveIdentity, agent: &Site, token: &str) -> Result<(Keys, Option<Duration>), Unproven> {
        let mut question = Question::look(agent);
        let mut shown =
            HeaderValue::from_str(token).map_err(|_| Unproven::new(FailureClass::AuthFailed, "the token for the agent fits no header"))?;
        shown.set_sensitive(true);
        question.headers.insert(AUTHORIZATION, shown);
        let (status, body) = self.answer(identity, question).await?;
        if status != OK {
            return Err(Unproven::new(class_of(status, ""), format!("the agent answered {status}")));
        }
        let given: FromAgent =
            serde_json::from_slice(&body).map_err(|_| Unproven::new(FailureClass::InvalidResponse, "the agent answered without keys"))?;
        let life = given.expiration.map(|date| self.life(&date)).transpose()?;
        let keys = Keys {
            access_key_id: given.access_key_id,
            secret_access_key: Secret::new(given.secret_access_key),
            session_token: given.token.map(Secret::new),
        };
        Ok((keys, life))
    }

    /// From now to a date.
    pub(super) fn life(&self, date: &str) -> Result<Duration, Unproven> {
        let wrong = |why: &str| Unproven::new(FailureClass::InvalidResponse, format!("keys were given that {why}"));
        let end: jiff::Timestamp = date.parse().map_err(|_| wrong("say no date of their end"))?;
        let left = u64::try_from(end.as_millisecond()).unwrap_or(0).saturating_sub(self.clock.unix_ms());
        if left == 0 { Err(wrong("ended already; is the clock right?")) } else { Ok(Duration::from_millis(left)) }
    }
}

/// Keys as the compiler joins them.
#[derive(Deserialize)]
struct FromSecret {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

#[derive(Deserialize)]
struct FromAgent {
    #[serde(rename = "AccessKeyId")]
    access_key_id: String,
    #[serde(rename = "SecretAccessKey")]
    secret_access_key: String,
    #[serde(rename = "Token")]
    token: Option<String>,
    #[serde(rename = "Expiration")]
    expiration: Option<String>,
}

fn from_secret(identity: &LiveIdentity) -> Result<Keys, Unproven> {
    let missing = || Unproven::new(FailureClass::AuthFailed, "there are no keys");
    let text = identity.secret.as_ref().ok_or_else(missing)?.expose();
    let FromSecret { access_key_id, secret_access_key, session_token } = serde_json::from_str(text).map_err(|_| missing())?;
    Ok(Keys { access_key_id, secret_access_key: Secret::new(secret_access_key), session_token: session_token.map(Secret::new) })
}

fn of_role<'a>(action: &'a str, role: &'a AwsRole) -> Vec<(&'a str, &'a str)> {
    vec![
        ("Action", action),
        ("Version", STS_VERSION),
        ("RoleArn", &role.arn),
        ("RoleSessionName", &role.session_name),
        ("DurationSeconds", ROLE_SECONDS),
    ]
}

/// The text of the first element of a name. STS's answers are flat where it matters.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(text.trim().to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_unescaped() {
        let xml = "<A><Code> Access&amp;lt;Denied </Code><Code>x</Code></A>";
        assert_eq!(element(xml, "Code").as_deref(), Some("Access&lt;Denied"));
        assert_eq!(element(xml, "Message"), None);
        assert_eq!(element("<Code>cut", "Code"), None);
    }

    #[test]
    fn a_strangers_word_is_a_code_or_nothing() {
        assert_eq!(code("AccessDenied"), "AccessDenied");
        assert_eq!(code("invalid_grant: the token eyJ... is not"), "invalid_grant");
        assert_eq!(code("<html>"), "");
        assert_eq!(code(&"x".repeat(400)).len(), 48);
    }
}
