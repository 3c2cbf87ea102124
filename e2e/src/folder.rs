//! A folder of manifests, and keys for it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use snapshot::keytext;
use tempfile::TempDir;

/// A folder that a gateway watches; gone with the test.
pub struct Folder {
    directory: TempDir,
}

impl Default for Folder {
    fn default() -> Self {
        Self { directory: TempDir::new().expect("a folder") }
    }
}

impl Folder {
    /// A folder with one file.
    #[must_use]
    pub fn with(text: &str) -> Self {
        let folder = Self::default();
        folder.write("all.yaml", text);
        folder
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces a file at once, as an editor that saves well does.
    pub fn write(&self, name: &str, text: &str) {
        let partial = self.path().join(format!(".{name}.partial"));
        std::fs::write(&partial, text).expect("a file");
        std::fs::rename(partial, self.path().join(name)).expect("the file in its place");
    }

    /// Deletes a file.
    pub fn delete(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("the file was there");
    }
}

/// The text of a key, well formed and always the same for the same number.
#[must_use]
pub fn key_text(number: u32) -> String {
    let mut dice = u64::from(number) ^ 0x9e37_79b9_7f4a_7c15;
    keytext::mint(&std::array::from_fn(|_| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 56) as u8
    }))
}

/// A VirtualKey with its Secret.
#[must_use]
pub fn key(name: &str, text: &str, more: &str) -> String {
    format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: {name}}}\nspec:\n  source: {{type: SecretRef, secretRef: {{name: {name}-text, key: apiKey}}}}\n{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}-text}}\nstringData: {{apiKey: {text}}}\n",
        indented(more)
    )
}

/// An LLMProvider at an address on this machine, with its Secret.
#[must_use]
pub fn provider(name: &str, kind: &str, address: SocketAddr, models: &[&str], more: &str) -> String {
    let mut text = format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {name}}}\nspec:\n  type: {kind}\n  endpoint: {{url: \"http://{address}/v1\", allowInsecure: true}}\n  auth: {{secretRef: {{name: {name}-credential, key: apiKey}}}}\n{}  models:\n",
        indented(more)
    );
    for model in models {
        writeln!(text, "    - name: \"{model}\"").expect("a string grows");
    }
    write!(
        text,
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}-credential}}\nstringData: {{apiKey: \"credential-of-{name}\"}}\n"
    )
    .expect("a string grows");
    text
}

fn indented(more: &str) -> String {
    more.lines().fold(String::new(), |text, line| text + "  " + line + "\n")
}
