//! `crdgen DIR`: writes every definition to `DIR/<plural>.yaml`.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: crdgen DIR")?);
    for definition in crds::api::definitions() {
        let name = format!("{}.yaml", definition.spec.names.plural);
        std::fs::write(folder.join(name), serde_yaml::to_string(&definition)?)?;
    }
    Ok(())
}
