//! Recorded traffic, which is not part of the project: found beside it, or where `PORTOLAN_FIXTURES` says.

use std::path::PathBuf;

/// The folder of recordings; `None`, said loudly, when it is absent.
#[must_use]
pub fn folder(test: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures");
    let folder = std::env::var_os("PORTOLAN_FIXTURES").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must be seen; the suite counts these lines")]
    {
        eprintln!("SKIPPED {test}: no recordings at {}; set PORTOLAN_FIXTURES", folder.display());
    }
    None
}
