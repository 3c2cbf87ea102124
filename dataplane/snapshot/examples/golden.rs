//! Writes the golden bytes of a new schema: `cargo run -p snapshot --example golden -- dataplane/snapshot/tests/golden/schema-N`.
//! Those of a schema that was ever released are never written anew.

use std::path::PathBuf;
use std::{env, fs, io};

#[path = "../tests/bundle/sample.rs"]
#[expect(dead_code, clippy::expect_used, reason = "the tests use the rest; what fails here is a mistake in the sample")]
mod sample;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or_else(|| io::Error::other("which folder?"))?;
    for ((name, secret), bytes) in &sample::Store::of(&sample::small()).0 {
        let folder = folder.join(if *secret { "secrets" } else { "configmaps" });
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
