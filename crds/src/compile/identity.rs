//! Identities of clouds: from what is written to what the machine needs to get them.

use serde::Deserialize;
use serde_json::json;
use snapshot::{AuthStyle, AwsIdentity, AwsRole, AwsSource, EntraIdentity, EntraSource, Federation, GoogleIdentity, Secret, Site};

use super::Compiler;
use super::provider::apart;
use crate::api::identity::{self as api, AWSAuth, AWSSource, EntraAuth, GoogleAuth, GoogleSource};
use crate::api::shared::SecretKeyRef;
use crate::report::{Problem, Verdict};
use crate::world::Name;

/// Where the webhook of IAM Roles for Service Accounts mounts the token.
const IRSA_TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";

/// Where EKS Pod Identity mounts it, and where its agent is.
const POD_IDENTITY_TOKEN: &str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token";
const POD_IDENTITY_AGENT: &str = "http://169.254.170.23/v1/credentials";

/// Google's metadata server, and where it gives the token of the pod's account.
const GOOGLE_METADATA: &str = "http://metadata.google.internal";
const GOOGLE_METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// Entra of the public cloud, what its tokens are for, where Azure Workload Identity mounts the pod's token, and the node's
/// metadata service.
const ENTRA_AUTHORITY: &str = "https://login.microsoftonline.com";
const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
const AZURE_TOKEN: &str = "/var/run/secrets/azure/tokens/azure-identity-token";
const AZURE_METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// The JSON of a service account's key, as Google gives it.
#[derive(Deserialize)]
struct ServiceAccountKey {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    private_key_id: String,
    private_key: String,
    token_uri: String,
}

/// The JSON of a federated account, as `gcloud` writes it.
#[derive(Deserialize)]
struct ExternalAccount {
    #[serde(rename = "type")]
    kind: String,
    audience: String,
    subject_token_type: String,
    token_url: String,
    credential_source: CredentialSource,
    service_account_impersonation_url: Option<String>,
}

#[derive(Deserialize)]
struct CredentialSource {
    file: String,
    format: Option<FileFormat>,
}

#[derive(Deserialize)]
struct FileFormat {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    subject_token_field_name: String,
}

/// An identity, and what of it is secret.
pub(super) struct Identified {
    pub(super) style: AuthStyle,
    pub(super) credential: Option<Secret<String>>,
}

impl Compiler<'_> {
    /// Keys of AWS, or where they come from.
    pub(super) fn aws(&self, namespace: &str, auth: &AWSAuth) -> Result<Identified, Verdict> {
        let region = auth.region.clone();
        let role = auth.role_arn.as_ref().map(|arn| AwsRole {
            arn: arn.clone(),
            session_name: auth.session_name.clone().unwrap_or_else(|| "portolan".to_owned()),
            external_id: auth.external_id.clone(),
        });
        let usual_sts = format!("https://sts.{region}.{}/", domain_of(&region));
        let sts = site("spec.auth.aws.stsEndpoint", auth.sts_endpoint.as_deref().unwrap_or(&usual_sts))?;
        let token_file = |usual: &str| auth.token_file.clone().unwrap_or_else(|| usual.to_owned());
        let (source, role) = match (auth.source, role) {
            (AWSSource::WebIdentity, Some(role)) => (AwsSource::WebIdentity { role, token_file: token_file(IRSA_TOKEN) }, None),
            // The schema refuses a token without a role.
            (AWSSource::Keys | AWSSource::WebIdentity, role) => (AwsSource::Keys, role),
            (AWSSource::PodIdentity, role) => {
                let agent = site("spec.auth.aws.agentEndpoint", auth.agent_endpoint.as_deref().unwrap_or(POD_IDENTITY_AGENT))?;
                (AwsSource::Container { agent, token_file: token_file(POD_IDENTITY_TOKEN) }, role)
            }
        };
        let credential = match (&auth.access_key_id_ref, &auth.secret_access_key_ref) {
            (Some(id), Some(secret)) => {
                let entry = |wanted: &SecretKeyRef| self.secret(namespace, &wanted.name, &wanted.key).map_err(Verdict::Pending);
                let mut keys = json!({ "access_key_id": entry(id)?.expose(), "secret_access_key": entry(secret)?.expose() });
                if let Some(token) = &auth.session_token_ref {
                    keys["session_token"] = json!(entry(token)?.expose());
                }
                Some(Secret::new(keys.to_string()))
            }
            _ => None,
        };
        let identity = AwsIdentity { region, service: "bedrock".to_owned(), source, role, sts };
        Ok(Identified { style: AuthStyle::Aws(Box::new(identity)), credential })
    }

    /// A token of Google: the JSON of an account is read here, so that what is wrong with it is told in a status.
    pub(super) fn google(&self, namespace: &str, auth: &GoogleAuth) -> Result<Identified, Verdict> {
        let path = "spec.auth.google.secretRef";
        let wrong = |why: &str| Verdict::Refused(Problem::Malformed { path: path.to_owned(), why: why.to_owned() });
        let text = match &auth.secret_ref {
            Some(wanted) => self.secret_text(namespace, &wanted.name, &wanted.key).map_err(Verdict::Pending)?,
            None => Secret::new(String::new()),
        };
        let (identity, credential) = match auth.source {
            GoogleSource::Metadata => {
                let endpoint = auth.metadata_endpoint.as_deref().unwrap_or(GOOGLE_METADATA).trim_end_matches('/');
                let server = site("spec.auth.google.metadataEndpoint", &format!("{endpoint}{GOOGLE_METADATA_PATH}"))?;
                (GoogleIdentity::Metadata { server }, None)
            }
            GoogleSource::ServiceAccountKey => {
                let key: ServiceAccountKey = serde_json::from_str(text.expose()).map_err(|_| {
                    wrong("the entry is no JSON of a service account's key: type, client_email, private_key_id, private_key, token_uri")
                })?;
                if key.kind != "service_account" {
                    return Err(wrong("the entry is of another type than service_account"));
                }
                let server = secure(path, &key.token_uri)?;
                let identity = GoogleIdentity::ServiceAccountKey {
                    email: key.client_email,
                    key_id: key.private_key_id,
                    audience: key.token_uri,
                    server,
                };
                (identity, Some(Secret::new(key.private_key)))
            }
            GoogleSource::Federation => {
                let account: ExternalAccount = serde_json::from_str(text.expose()).map_err(|_| {
                    wrong("the entry is no JSON of a federated account whose credential_source is a file: audience, subject_token_type, token_url, credential_source.file")
                })?;
                if account.kind != "external_account" {
                    return Err(wrong("the entry is of another type than external_account"));
                }
                let format = account.credential_source.format;
                let federation = Federation {
                    audience: account.audience,
                    subject_token_type: account.subject_token_type,
                    token_file: account.credential_source.file,
                    token_field: format.filter(|format| format.kind == "json").map(|format| format.subject_token_field_name),
                    server: secure(path, &account.token_url)?,
                    impersonate: account.service_account_impersonation_url.map(|url| secure(path, &url)).transpose()?,
                };
                (GoogleIdentity::Federation(federation), None)
            }
        };
        Ok(Identified { style: AuthStyle::Google(Box::new(identity)), credential })
    }

    /// A token of Microsoft Entra.
    pub(super) fn entra(&self, namespace: &str, auth: &EntraAuth) -> Result<Identified, Verdict> {
        let authority = auth.authority.as_deref().unwrap_or(ENTRA_AUTHORITY).trim_end_matches('/');
        let tenant = auth.tenant_id.as_deref().unwrap_or("common");
        let of_tenant = || site("spec.auth.entra.authority", &format!("{authority}/{tenant}/oauth2/v2.0/token"));
        let (source, server) = match auth.source {
            api::EntraSource::ClientSecret => (EntraSource::ClientSecret, of_tenant()?),
            api::EntraSource::WorkloadIdentity => {
                let token_file = auth.token_file.clone().unwrap_or_else(|| AZURE_TOKEN.to_owned());
                (EntraSource::WorkloadIdentity { token_file }, of_tenant()?)
            }
            api::EntraSource::ManagedIdentity => {
                let endpoint = auth.metadata_endpoint.as_deref().unwrap_or(AZURE_METADATA);
                (EntraSource::ManagedIdentity, site("spec.auth.entra.metadataEndpoint", endpoint)?)
            }
        };
        let credential = match &auth.secret_ref {
            Some(wanted) => Some(self.secret(namespace, &wanted.name, &wanted.key).map_err(Verdict::Pending)?),
            None => None,
        };
        let scope = auth.scope.clone().unwrap_or_else(|| AZURE_SCOPE.to_owned());
        let identity = EntraIdentity { client_id: auth.client_id.clone(), scope, server, source };
        Ok(Identified { style: AuthStyle::Entra(Box::new(identity)), credential })
    }

    /// What the gateway's pods are by themselves is for the gateway's own namespace: whoever writes elsewhere would act as
    /// the gateway, and could send what it shows to a host of their own.
    pub(super) fn may_be_ambient(&self, name: &Name, style: &AuthStyle) -> Result<(), Verdict> {
        let house = self.now.gateways.keys().any(|(namespace, _)| *namespace == name.0);
        if style.is_ambient() && !house { Err(Verdict::Refused(Problem::IdentityNotPermitted)) } else { Ok(()) }
    }
}

/// What the hosts of AWS end in, for a region.
pub(super) fn domain_of(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// The same, where a secret is sent there and nothing says that plain text will do.
fn secure(path: &str, url: &str) -> Result<Site, Verdict> {
    if url.starts_with("https://") {
        return site(path, url);
    }
    Err(Verdict::Refused(Problem::Malformed { path: path.to_owned(), why: format!("{url} is no URL of https://") }))
}

fn site(path: &str, url: &str) -> Result<Site, Verdict> {
    let malformed = || {
        Verdict::Refused(Problem::Malformed {
            path: path.to_owned(),
            why: format!("{url} is no URL; write it like https://sts.example.com"),
        })
    };
    let (scheme, host, port, path) = apart(url).ok_or_else(malformed)?;
    Ok(Site { scheme, host, port, path: if path.is_empty() { "/".to_owned() } else { path } })
}

/// Where Vertex AI is for a location.
pub(super) fn vertex_of(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com/v1".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{location}.rep.googleapis.com/v1"),
        region => format!("https://{region}-aiplatform.googleapis.com/v1"),
    }
}

/// Where a provider is that was not told otherwise.
pub(super) fn bedrock_of(region: &str) -> String {
    format!("https://bedrock-runtime.{region}.{}", domain_of(region))
}
