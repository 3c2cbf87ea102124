//! The Secret with the key that a gateway's pods seal ids of files and the like with: made once, never written again.
//!
//! A Secret of that name that is there already is used as it is: people may bring one, and put a further key before the
//! first. One that is deleted is made anew, and every id that was given before is worth nothing then.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use ring::rand::{SecureRandom, SystemRandom};

use crate::render::{Subject, labels, owner, seal_name};

/// The entry with the keys, a line for each: the first seals, all open.
pub const KEYS: &str = "keys";

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The API server did not take it.
    #[error("{0}")]
    Api(#[from] Box<kube::Error>),
    /// The platform has no randomness.
    #[error("the platform gives no randomness")]
    Randomness,
}

/// Makes the Secret, unless one is there.
///
/// # Errors
/// See [`SealError`].
pub async fn ensure(client: &Client, subject: Subject<'_>) -> Result<(), SealError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), subject.namespace);
    let boxed = |error: kube::Error| SealError::Api(Box::new(error));
    if api.get_metadata_opt(&seal_name(subject.name)).await.map_err(boxed)?.is_some() {
        return Ok(());
    }
    let parameters = PostParams { field_manager: Some(crate::apply::MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&parameters, &fresh(subject)?).await {
        Ok(_) => Ok(()),
        // Somebody was faster: nobody's Secret is overwritten.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(boxed(error)),
    }
}

fn fresh(subject: Subject<'_>) -> Result<Secret, SealError> {
    let mut random = [0; 32];
    SystemRandom::new().fill(&mut random).map_err(|_| SealError::Randomness)?;
    let line = random.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]).collect::<String>();
    let metadata = ObjectMeta {
        name: Some(seal_name(subject.name)),
        namespace: Some(subject.namespace.to_owned()),
        labels: Some(labels::of(subject.name).into_iter().collect()),
        owner_references: Some(vec![owner(subject.name, subject.uid)]),
        ..ObjectMeta::default()
    };
    let data = BTreeMap::from([(KEYS.to_owned(), ByteString(line.into_bytes()))]);
    Ok(Secret { metadata, type_: Some("Opaque".to_owned()), data: Some(data), ..Secret::default() })
}

#[cfg(test)]
mod tests {
    use crds::api::llm_gateway::LLMGatewaySpec;
    use serde_json::json;

    use super::*;
    use crate::render::Surroundings;

    #[test]
    fn a_seal_is_random_goes_with_its_gateway_and_is_what_pods_read() {
        let spec: LLMGatewaySpec = serde_json::from_value(json!({})).expect("a spec");
        let around = Surroundings { image: "i".to_owned(), image_pull_policy: "Always", operator_namespace: "o".to_owned() };
        let subject = Subject { namespace: "ns", name: "main", uid: "uid-1", spec: &spec, around: &around };
        let (one, two) = (fresh(subject).expect("a Secret"), fresh(subject).expect("a Secret"));
        let line = |secret: &Secret| String::from_utf8(secret.data.as_ref().expect("data")[KEYS].0.clone()).expect("text");
        assert_ne!(line(&one), line(&two));
        let (digits, rest) = (line(&one)[..64].to_owned(), line(&one)[64..].to_owned());
        assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && rest == "\n", "{digits}{rest}");
        let owners = one.metadata.owner_references.expect("an owner");
        assert_eq!((one.metadata.name.as_deref(), owners[0].uid.as_str()), (Some("main-seal"), "uid-1"));
    }
}
