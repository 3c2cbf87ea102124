//! The Secret of a generated key, as it is written.

use std::collections::BTreeMap;

use crds::api::virtual_key::{DeletionPolicy, Generated, Rotation, VirtualKey};
use crds::api::{GROUP, VERSION};
use crds::world::{MADE_FOR, Name};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use ring::rand::{SecureRandom, SystemRandom};
use snapshot::keytext;

use super::{DELETION_POLICY, KEY_NAME, Known, MINTED_AT, PREVIOUS_UNTIL, ROTATED_FOR, Step, after, word};
use crate::render::labels;

/// Why a Secret was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server did not take it.
    #[error("{0}")]
    Api(#[from] Box<kube::Error>),
    /// It is not there any more, or is another's now.
    #[error("the Secret changed meanwhile")]
    Changed,
    /// The platform has no randomness.
    #[error("the platform gives no randomness")]
    Randomness,
}

/// One Secret to be written.
pub(super) struct Job {
    step: Step,
    pub(super) name: Name,
    pub(super) uid: String,
    pub(super) secret: String,
    place: Generated,
    overlap: i64,
    rotate: Option<String>,
}

impl Job {
    pub(super) fn new(step: Step, name: &Name, known: &Known<'_>, key: &VirtualKey) -> Self {
        Self {
            step,
            name: name.clone(),
            uid: known.uid.to_owned(),
            secret: known.place.secret_of(known.name),
            place: known.place.clone(),
            overlap: key.spec.rotation.as_ref().map_or_else(|| Rotation::default().overlap_seconds, |rotation| rotation.overlap_seconds),
            rotate: known.rotate.map(str::to_owned),
        }
    }

    /// Writes it; gives it as it is stored.
    pub(super) async fn run(&self, client: &Client, now: Timestamp) -> Result<Secret, WriteError> {
        let api: Api<Secret> = Api::namespaced(client.clone(), &self.name.0);
        let boxed = |error: kube::Error| WriteError::Api(Box::new(error));
        let parameters = PostParams { field_manager: Some(crate::apply::MANAGER.to_owned()), ..PostParams::default() };
        if self.step == Step::Mint {
            // Fails where something is already: nobody's Secret is overwritten.
            return api.create(&parameters, &self.fresh(&mint()?, now)).await.map_err(boxed);
        }
        let found = api.get_opt(&self.secret).await.map_err(boxed)?.ok_or(WriteError::Changed)?;
        let text = if self.step == Step::Rotate { Some(mint()?) } else { None };
        let changed = self.changed(found, text, now)?;
        // With the resource version that was read: another's write in between is a conflict.
        api.replace(&self.secret, &parameters, &changed).await.map_err(boxed)
    }

    fn fresh(&self, text: &str, now: Timestamp) -> Secret {
        let mut secret = Secret {
            metadata: ObjectMeta { name: Some(self.secret.clone()), namespace: Some(self.name.0.clone()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([(self.place.secret_key.clone(), bytes(text))])),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let label = ("app.kubernetes.io/managed-by".to_owned(), crate::apply::MANAGER.to_owned());
        debug_assert!(labels::MANAGED.contains(&label.1), "one name");
        secret.metadata.labels = Some(BTreeMap::from([label]));
        self.own(&mut secret);
        self.stamp(&mut secret, now);
        secret
    }

    /// The Secret as it is to be, from what it is.
    pub(super) fn changed(&self, mut secret: Secret, text: Option<String>, now: Timestamp) -> Result<Secret, WriteError> {
        let made_for = secret.metadata.annotations.as_ref().and_then(|all| all.get(MADE_FOR)).cloned();
        if self.step != Step::Adopt && made_for.as_deref() != Some(self.uid.as_str()) {
            return Err(WriteError::Changed);
        }
        let data = secret.data.get_or_insert_with(BTreeMap::new);
        let previous = self.place.previous_key();
        match text {
            Some(text) => {
                let before = data.insert(self.place.secret_key.clone(), bytes(&text));
                data.remove(&previous);
                let annotations = secret.metadata.annotations.get_or_insert_with(BTreeMap::new);
                annotations.remove(PREVIOUS_UNTIL);
                if let Some(before) = before.filter(|before| self.overlap > 0 && !before.0.is_empty()) {
                    data.insert(previous, before);
                    annotations.insert(PREVIOUS_UNTIL.to_owned(), after(now, self.overlap).to_string());
                }
                self.stamp(&mut secret, now);
            }
            None if self.step == Step::DropPrevious => {
                data.remove(&previous);
                secret.metadata.annotations.get_or_insert_with(BTreeMap::new).remove(PREVIOUS_UNTIL);
            }
            None => {}
        }
        self.own(&mut secret);
        Ok(secret)
    }

    /// Says whose it is, and whether it goes with its VirtualKey.
    fn own(&self, secret: &mut Secret) {
        let annotations = secret.metadata.annotations.get_or_insert_with(BTreeMap::new);
        annotations.insert(MADE_FOR.to_owned(), self.uid.clone());
        annotations.insert(KEY_NAME.to_owned(), self.name.1.clone());
        annotations.insert(DELETION_POLICY.to_owned(), word(self.place.deletion_policy).to_owned());
        let owners = secret.metadata.owner_references.get_or_insert_with(Vec::new);
        owners.retain(|owner| owner.kind != "VirtualKey");
        if self.place.deletion_policy == DeletionPolicy::Delete {
            owners.push(OwnerReference {
                api_version: format!("{GROUP}/{VERSION}"),
                kind: "VirtualKey".to_owned(),
                name: self.name.1.clone(),
                uid: self.uid.clone(),
                controller: Some(true),
                block_owner_deletion: Some(false),
            });
        }
    }

    /// Says when its text was made, and at whose wish.
    fn stamp(&self, secret: &mut Secret, now: Timestamp) {
        let annotations = secret.metadata.annotations.get_or_insert_with(BTreeMap::new);
        annotations.insert(MINTED_AT.to_owned(), now.to_string());
        match &self.rotate {
            Some(value) => drop(annotations.insert(ROTATED_FOR.to_owned(), value.clone())),
            None => drop(annotations.remove(ROTATED_FOR)),
        }
    }
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}

/// A new text.
fn mint() -> Result<String, WriteError> {
    let mut random = [0; 40];
    SystemRandom::new().fill(&mut random).map_err(|_| WriteError::Randomness)?;
    Ok(keytext::mint(&random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ROTATED_FOR;

    fn job(step: Step, overlap: i64) -> Job {
        let text = str::to_owned;
        let name = (text("team"), text("app"));
        Job { step, name, uid: text("uid-1"), secret: text("app-key"), place: Generated::default(), overlap, rotate: Some(text("b")) }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a time")
    }

    fn annotation(secret: &Secret, name: &str) -> Option<String> {
        secret.metadata.annotations.as_ref()?.get(name).cloned()
    }

    fn entry(secret: &Secret, name: &str) -> Option<String> {
        let bytes = secret.data.as_ref()?.get(name)?;
        Some(String::from_utf8(bytes.0.clone()).expect("text"))
    }

    #[test]
    fn a_rotation_keeps_the_text_before_for_the_overlap() {
        let made = job(Step::Mint, 0).fresh("first", now());
        let rotated = job(Step::Rotate, 60).changed(made.clone(), Some("second".to_owned()), now()).expect("it is ours");
        assert_eq!(entry(&rotated, "apiKey").as_deref(), Some("second"));
        assert_eq!(entry(&rotated, "apiKey.previous").as_deref(), Some("first"));
        assert_eq!(annotation(&rotated, PREVIOUS_UNTIL).as_deref(), Some("2026-01-01T00:01:00Z"));
        assert_eq!(annotation(&rotated, ROTATED_FOR).as_deref(), Some("b"));
        let again = job(Step::Rotate, 60).changed(rotated.clone(), Some("third".to_owned()), now()).expect("it is ours");
        assert_eq!(entry(&again, "apiKey.previous").as_deref(), Some("second"), "two are good, never three");
        let dropped = job(Step::DropPrevious, 60).changed(rotated, None, now()).expect("it is ours");
        assert_eq!((entry(&dropped, "apiKey.previous"), annotation(&dropped, PREVIOUS_UNTIL)), (None, None));
        let hard = job(Step::Rotate, 0).changed(made, Some("second".to_owned()), now()).expect("it is ours");
        assert_eq!(entry(&hard, "apiKey.previous"), None, "without an overlap the one before is good no longer");
    }

    #[test]
    fn only_a_secret_that_was_left_may_be_anothers() {
        let mut made = job(Step::Mint, 0).fresh("first", now());
        made.metadata.annotations.get_or_insert_default().insert(MADE_FOR.to_owned(), "uid-of-another".to_owned());
        for step in [Step::Rotate, Step::DropPrevious, Step::Own] {
            assert!(matches!(job(step, 0).changed(made.clone(), None, now()), Err(WriteError::Changed)));
        }
        let adopted = job(Step::Adopt, 0).changed(made, None, now()).expect("it was left");
        assert_eq!(annotation(&adopted, MADE_FOR).as_deref(), Some("uid-1"));
        assert_eq!(entry(&adopted, "apiKey").as_deref(), Some("first"));
        let owners = adopted.metadata.owner_references.expect("an owner");
        assert_eq!(owners.iter().map(|owner| owner.uid.as_str()).collect::<Vec<_>>(), ["uid-1"]);
    }
}
