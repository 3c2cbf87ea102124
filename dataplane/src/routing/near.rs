//! Names that come near to a mistyped one.

/// At most this many are offered.
const OFFERED_MAX: usize = 3;

/// Names of longer texts are not compared: nobody mistypes that much.
const COMPARED_BYTES_MAX: usize = 128;

/// The nearest names, best first, none that is further than a third of the text.
pub(super) fn matches<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    if text.len() > COMPARED_BYTES_MAX {
        return Vec::new();
    }
    let wanted = text.to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> = names
        .filter(|name| name.len() <= COMPARED_BYTES_MAX)
        .map(|name| (distance(wanted.as_bytes(), name.to_ascii_lowercase().as_bytes()), name))
        .filter(|(distance, name)| *distance <= (text.len().max(name.len()) / 3).max(1))
        .collect();
    near.sort_unstable();
    near.into_iter().take(OFFERED_MAX).map(|(_, name)| name.to_owned()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_name_that_was_meant() {
        let names = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-5", "demo"];
        assert_eq!(matches("gpt-4o-mni", names.into_iter()), ["gpt-4o-mini"]);
        assert_eq!(matches("GPT-4O", names.into_iter()), ["gpt-4o"]);
        assert!(matches("something-else-entirely", names.into_iter()).is_empty());
    }
}
