//! `crdgen DIR...`: writes every definition to `DIR/<plural>.yaml`, in each of the folders.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folders: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        return Err("usage: crdgen DIR...".into());
    }
    for definition in crds::api::definitions() {
        let (name, text) = (format!("{}.yaml", definition.spec.names.plural), serde_yaml::to_string(&definition)?);
        for folder in &folders {
            std::fs::write(folder.join(&name), &text)?;
        }
    }
    Ok(())
}
