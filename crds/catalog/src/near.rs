//! Names that come near to a mistyped one.

/// At most this many names are offered for a mistyped one.
const OFFERED_MAX: usize = 3;

/// The nearest of some names, best first, none that is further than a third of the text.
pub(crate) fn best<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> = names
        .map(|known| (if known.starts_with(&wanted) { 1 } else { distance(wanted.as_bytes(), known.as_bytes()) }, known))
        .filter(|(distance, known)| *distance <= (wanted.len().max(known.len()) / 3).max(1))
        .collect();
    near.sort_unstable();
    near.into_iter().take(OFFERED_MAX).map(|(_, known)| known).collect()
}

/// Levenshtein's distance over bytes, with one row.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
