//! What an operator writes: revisions that are told apart by the name of their one model, and a volume as the kubelet
//! keeps it.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use crds::compile::compile;
use crds::world::World;
use snapshot::bundle::{self, Index};
use snapshot::{GatewayId, Snapshot};
use tempfile::TempDir;

/// The objects of a bundle: bytes by name, and whether it is a Secret.
pub type Stored = BTreeMap<String, (Vec<u8>, bool)>;

pub const INDEX: &str = "portolan-snapshot";

pub fn gateway() -> GatewayId {
    GatewayId::new("default", "portolan").expect("a name")
}

/// An operator with what it wrote so far; older slots stay, as in a cluster.
#[derive(Clone, Default)]
pub struct Operator {
    pub index: Option<Index>,
    pub stored: Stored,
}

impl Operator {
    /// Publishes the revision with this model and gives what all objects are now.
    pub fn publish(&mut self, model: &str) -> Stored {
        let manifests = format!(
            "apiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: sim}}\nspec: {{type: Simulated, models: [{{name: {model}}}]}}\n"
        );
        let compiled = compile(&World::parse([("all.yaml", manifests.as_str())]), None);
        let config = &compiled.gateways[&gateway()];
        let published = bundle::publish(self.index.as_ref(), &config.snapshot, &config.credentials).expect("it fits");
        for write in published.writes {
            self.stored.insert(write.name, (write.bytes, write.secret));
        }
        self.index = Some(published.index);
        self.stored.clone()
    }

    /// The same, with the sequence that an operator without a memory would begin with.
    pub fn forgetful(model: &str) -> Stored {
        Self::default().publish(model)
    }

    /// The object of the part that holds the provider.
    pub fn provider_part(&self) -> String {
        let number = bundle::EntryKind::Provider.part_of("default/sim");
        let index = self.index.as_ref().expect("something is published");
        index.part_names().find(|(part, _)| part.number == number).map(|(_, name)| name).expect("every part")
    }
}

/// The model by which a revision is known.
pub fn model(snapshot: &Snapshot) -> String {
    snapshot.providers.values().flat_map(|provider| &provider.models).map(|model| model.name.as_str()).collect()
}

/// Objects without one.
pub fn without(mut stored: Stored, name: &str) -> Stored {
    stored.remove(name).expect("it was there");
    stored
}

/// Objects with one damaged in its middle.
pub fn damaged(mut stored: Stored, name: &str) -> Stored {
    let (bytes, _) = stored.get_mut(name).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    stored
}

/// A volume whose files are links through one that is swapped.
pub struct Volume {
    directory: TempDir,
    version: u32,
}

impl Volume {
    pub fn empty() -> Self {
        Self { directory: TempDir::new().expect("a folder"), version: 0 }
    }

    pub fn with(stored: &Stored) -> Self {
        let mut volume = Self::empty();
        volume.swap(stored);
        volume
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Brings another state, as the kubelet does: a new folder, one swap, the old folder away.
    pub fn swap(&mut self, stored: &Stored) {
        let at = |name: &str| self.directory.path().join(name);
        let (old, new) = (format!("..{}", self.version), format!("..{}", self.version + 1));
        std::fs::create_dir(at(&new)).expect("a folder");
        for (name, (bytes, _)) in stored {
            std::fs::write(at(&new).join(name), bytes).expect("a file");
        }
        symlink(&new, at("..data_tmp")).expect("a link");
        std::fs::rename(at("..data_tmp"), at("..data")).expect("a swap");
        for name in stored.keys().filter(|name| std::fs::symlink_metadata(at(name)).is_err()) {
            symlink(format!("..data/{name}"), at(name)).expect("a link");
        }
        for entry in std::fs::read_dir(self.directory.path()).expect("a folder").flatten() {
            let name = entry.file_name().into_string().expect("a name");
            if !name.starts_with("..") && !stored.contains_key(&name) {
                std::fs::remove_file(entry.path()).expect("a link");
            }
        }
        if self.version > 0 {
            std::fs::remove_dir_all(at(&old)).expect("a folder");
        }
        self.version += 1;
    }
}
