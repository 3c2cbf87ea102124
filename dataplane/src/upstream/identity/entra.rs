//! Tokens of Microsoft Entra: for a client's secret, for a token of the pod, from the node's metadata service.

use http::HeaderValue;
use providers::sigv4::encoded;
use snapshot::{EntraIdentity, EntraSource, FailureClass};

use super::question::Question;
use super::{Asker, Lent, Unproven, token_of};
use crate::live::LiveIdentity;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The version of the metadata service's interface that every Azure has.
const METADATA_VERSION: &str = "2018-02-01";

impl Asker {
    /// A token, and how long it lives.
    pub(super) async fn entra(&self, identity: &LiveIdentity, entra: &EntraIdentity) -> Result<Lent, Unproven> {
        let client = entra.client_id.as_deref().unwrap_or_default();
        let mut fields = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", entra.scope.as_str())];
        match &entra.source {
            EntraSource::ClientSecret => {
                let missing = || Unproven::new(FailureClass::AuthFailed, "there is no client secret");
                fields.push(("client_secret", identity.secret.as_ref().ok_or_else(missing)?.expose()));
                self.bearer(identity, Question::form(&entra.server, &fields)).await
            }
            EntraSource::WorkloadIdentity { token_file } => {
                let token = token_of(token_file).await?;
                fields.extend([("client_assertion_type", ASSERTION_TYPE), ("client_assertion", token.as_str())]);
                self.bearer(identity, Question::form(&entra.server, &fields)).await
            }
            EntraSource::ManagedIdentity => {
                let mut question = Question::look(&entra.server);
                question.headers.insert("metadata", HeaderValue::from_static("true"));
                let resource = entra.scope.strip_suffix("/.default").unwrap_or(&entra.scope);
                question.query = format!("?api-version={METADATA_VERSION}&resource={}", encoded(resource, b""));
                if !client.is_empty() {
                    question.query.push_str(&format!("&client_id={}", encoded(client, b"")));
                }
                self.bearer(identity, question).await
            }
        }
    }
}
