//! A namespace for a test.

use std::sync::atomic::{AtomicU32, Ordering};

use super::turn::Turn;
use super::{Cluster, run, say};
use crate::until;

/// A namespace that is deleted with this. A test that fails shows what was in it.
pub struct Namespace<'c> {
    name: String,
    pub(super) cluster: &'c Cluster,
    /// None when the namespace shares the turn of another one.
    _turn: Option<Turn<'c>>,
}

/// What namespaces of tests carry, so that those of a killed run are found in a foreign cluster.
const LABEL: &str = "portolan.dev/e2e";

impl<'c> Namespace<'c> {
    pub(super) async fn create(cluster: &'c Cluster, test: &str, turn: Option<Turn<'c>>) -> Self {
        let namespace = Self { name: unique(test), cluster, _turn: turn };
        let name = &namespace.name;
        let manifest = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{{LABEL}: \"true\", pod-security.kubernetes.io/enforce: restricted}}\n"
        );
        cluster.kubectl_with(&manifest, &["create", "-f", "-"]).await;
        if cluster.has_nodes {
            // No pod is admitted before.
            until("the namespace has its ServiceAccount", async || {
                namespace.try_kubectl("", &["get", "serviceaccount", "default"]).await.ok()
            })
            .await;
        }
        namespace
    }

    /// One more for the same test, with a word to tell it by.
    pub async fn another(&self, word: &str) -> Namespace<'c> {
        Self::create(self.cluster, word, None).await
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// kubectl in it.
    ///
    /// # Panics
    /// When it fails, with what it says.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.name], arguments].concat()).await
    }

    /// The same for what may fail, with a text to read.
    ///
    /// # Errors
    /// What it says on standard error.
    pub async fn try_kubectl(&self, input: &str, arguments: &[&str]) -> Result<String, String> {
        self.cluster.try_kubectl(input, &[&["-n", &self.name], arguments].concat()).await
    }

    /// Applies manifests to it, on the server's side.
    pub async fn apply(&self, manifests: &str) -> String {
        self.cluster.kubectl_with(manifests, &["-n", &self.name, "apply", "--server-side", "-f", "-"]).await
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for shown in [&["get", "pods", "-o", "wide"][..], &["get", "events", "--sort-by=.lastTimestamp"]] {
                let told = run(self.cluster.kubectl_command(&[&["-n", &self.name], shown].concat()), "");
                say(&format!("in namespace {}:\n{}", self.name, told.unwrap_or_else(|said| said)));
            }
        }
        let deletion = self.cluster.kubectl_command(&["delete", "namespace", &self.name, "--wait=false"]);
        if let Err(said) = run(deletion, "") {
            say(&format!("namespace {} stays: {said}", self.name));
        }
    }
}

/// A label of DNS from a test's name, and what tells it from other runs of that test.
fn unique(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = test.rsplit("::").next().unwrap_or_default().chars().map(plain).take(40).collect();
    format!("e2e-{}-{}-{}", words.trim_matches('-'), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
#[test]
fn a_name_of_a_test_becomes_a_label_and_is_never_given_twice() {
    let (one, two) = (unique("a::A_pod_is_Ready"), unique("a::A_pod_is_Ready"));
    assert!(one.starts_with("e2e-a-pod-is-ready-") && one != two, "{one} {two}");
    assert!(unique(&"x".repeat(200)).len() <= 63);
}
