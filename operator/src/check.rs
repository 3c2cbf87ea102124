//! `check DIR`: the compiler's verdict on a folder, one line for each object.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crds::compile::compile;
use crds::report::Verdict;
use crds::world::World;

/// Writes the verdict on each object below the folder; true when nothing is refused.
pub fn folder(folder: &Path, mut out: impl Write) -> io::Result<bool> {
    let mut paths = Vec::new();
    walk(folder, &mut paths)?;
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        texts.push((path.display().to_string(), fs::read_to_string(&path)?));
    }
    let parsed = World::parse(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let compiled = compile(&parsed, None);
    let mut refused = 0;
    for (id, report) in &compiled.reports {
        let (word, problem) = match &report.verdict {
            Verdict::Accepted => ("accepted", None),
            Verdict::Pending(problem) => ("pending", Some(problem)),
            Verdict::Refused(problem) => {
                refused += 1;
                ("refused", Some(problem))
            }
        };
        write!(out, "{word:9} {} {}/{}", id.kind, id.namespace, id.name)?;
        match problem {
            Some(problem) => writeln!(out, ": {}: {}", problem.reason(), problem.message())?,
            None => writeln!(out)?,
        }
        for warning in &report.warnings {
            writeln!(out, "  warning: {}: {}", warning.reason(), warning.message())?;
        }
    }
    writeln!(out, "{} objects, {refused} refused", compiled.reports.len())?;
    Ok(refused == 0)
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let manifest = path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known));
        if path.is_dir() {
            walk(&path, paths)?;
        } else if manifest {
            paths.push(path);
        }
    }
    Ok(())
}
