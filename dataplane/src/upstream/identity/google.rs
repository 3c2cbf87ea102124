//! Tokens of Google: for the key of a service account, from the metadata server, for a token of another issuer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use snapshot::{FailureClass, Federation, GoogleIdentity, Site};

use super::question::Question;
use super::token::header_of;
use super::{Asker, Lent, Unproven, token_of};
use crate::live::LiveIdentity;

/// All of the cloud that the account may use; its roles say what that is.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Seconds that an assertion is good for: the most that Google takes.
const ASSERTION_SECONDS: u64 = 3600;

impl Asker {
    /// A token, and how long it lives.
    pub(super) async fn google(&self, identity: &LiveIdentity, google: &GoogleIdentity) -> Result<Lent, Unproven> {
        match google {
            GoogleIdentity::ServiceAccountKey { email, key_id, audience, server } => {
                let now = self.clock.unix_ms() / 1000;
                let claims = json!({ "iss": email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + ASSERTION_SECONDS });
                let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key_id });
                let assertion = signed(&header, &claims, identity)?;
                let fields = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
                self.bearer(identity, Question::form(server, &fields)).await
            }
            GoogleIdentity::Metadata { server } => {
                let mut question = Question::look(server);
                question.headers.insert("metadata-flavor", HeaderValue::from_static("Google"));
                self.bearer(identity, question).await
            }
            GoogleIdentity::Federation(federation) => self.federated(identity, federation).await,
        }
    }

    /// A token of the pod for one of Google's, and that one for a service account's where one is named.
    async fn federated(&self, identity: &LiveIdentity, federation: &Federation) -> Result<Lent, Unproven> {
        let Federation { audience, subject_token_type, token_file, token_field, server, impersonate } = federation;
        let text = token_of(token_file).await?;
        let subject = match token_field {
            None => text,
            Some(field) => {
                let missing = || Unproven::new(FailureClass::AuthFailed, format!("the token file {token_file} has no field {field}"));
                let json: serde_json::Value = serde_json::from_str(&text).map_err(|_| missing())?;
                json[field.as_str()].as_str().ok_or_else(missing)?.to_owned()
            }
        };
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", audience),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", subject_token_type),
            ("subject_token", &subject),
        ];
        let question = Question::form(server, &fields);
        let Some(account) = impersonate else { return self.bearer(identity, question).await };
        let (token, _) = self.token(identity, question).await?;
        self.bearer(identity, impersonation(account, &token)?).await
    }
}

fn impersonation<'a>(account: &'a Site, token: &str) -> Result<Question<'a>, Unproven> {
    let mut question = Question { method: Method::POST, ..Question::look(account) };
    question.headers.insert(AUTHORIZATION, header_of(token)?);
    question.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    question.body = Bytes::from(json!({ "scope": [SCOPE], "lifetime": "3600s" }).to_string());
    Ok(question)
}

/// An assertion, signed with the account's key.
fn signed(header: &serde_json::Value, claims: &serde_json::Value, identity: &LiveIdentity) -> Result<String, Unproven> {
    let unusable = || Unproven::new(FailureClass::AuthFailed, "the key of the service account is no RSA key in PEM");
    let pem = identity.secret.as_ref().ok_or_else(unusable)?.expose();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| unusable())?;
    let pair = if let PrivateKeyDer::Pkcs8(key) = &key {
        RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
    } else if let PrivateKeyDer::Pkcs1(key) = &key {
        RsaKeyPair::from_der(key.secret_pkcs1_der())
    } else {
        return Err(unusable());
    };
    let pair = pair.map_err(|_| unusable())?;
    let encoded = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encoded(header), encoded(claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(|_| unusable())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
