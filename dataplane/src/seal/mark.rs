//! The mark of a tenant in the name of a file: `report.jsonl` is kept as `report.ptl-<mark>.jsonl`. Providers keep a file's
//! name and nothing else that a lister could tell tenants by.

const LEAD: &str = ".ptl-";

/// Letters of a mark, all of them.
const LETTERS: usize = 10;

/// The place of a mark in a name: before what tells the type of the file, which providers go by.
pub(super) fn place(filename: &str) -> usize {
    filename.rfind('.').filter(|dot| !filename[*dot..].contains(['/', '\\'])).unwrap_or(filename.len())
}

/// What is put there.
pub(super) fn written(mark: &str) -> String {
    format!("{LEAD}{mark}")
}

/// The name without this mark; `None` where another mark or none stands in the place of one.
pub(super) fn take(filename: &str, mark: &str) -> Option<String> {
    let (name, kind) = filename.split_at(place(filename));
    if let Some((rest, found)) = ended(name) {
        return (found == mark).then(|| format!("{rest}{kind}"));
    }
    // A name without a type has it at its end.
    ended(filename).filter(|(_, found)| *found == mark).map(|(rest, _)| rest.to_owned())
}

/// A name that ends in something of a mark's shape.
fn ended(name: &str) -> Option<(&str, &str)> {
    let at = name.len().checked_sub(LEAD.len() + LETTERS)?;
    let (rest, end) = name.split_at_checked(at)?;
    Some((rest, end.strip_prefix(LEAD)?))
}
