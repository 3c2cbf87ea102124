//! Identities of clouds: from what is written to what the machine needs to get them.

use serde_json::json;
use snapshot::{AuthStyle, AwsIdentity, AwsRole, AwsSource, Secret, Site};

use super::Compiler;
use super::provider::apart;
use crate::api::identity::{AWSAuth, AWSSource};
use crate::api::shared::SecretKeyRef;
use crate::report::{Problem, Verdict};
use crate::world::Name;

/// Where the webhook of IAM Roles for Service Accounts mounts the token.
const IRSA_TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";

/// Where EKS Pod Identity mounts it, and where its agent is.
const POD_IDENTITY_TOKEN: &str = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token";
const POD_IDENTITY_AGENT: &str = "http://169.254.170.23/v1/credentials";

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

/// Where a provider is that was not told otherwise.
pub(super) fn bedrock_of(region: &str) -> String {
    format!("https://bedrock-runtime.{region}.{}", domain_of(region))
}
