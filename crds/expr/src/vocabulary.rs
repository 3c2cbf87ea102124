//! What expressions may name. `docs/configuration.md` shows the same lists.

/// Variables with their types and what they are.
pub const VARIABLES: [(&str, &str, &str); 12] = [
    ("request.model", "text", "the model as the client wrote it"),
    ("request.operation", "text", "`chat`, `completions`, `embeddings`, `responses`, `images`, `audio`, `moderations` or `rerank`"),
    ("request.stream", "bool", "whether a stream is asked for"),
    ("request.bytes", "int", "bytes of the request's body"),
    ("request.headers", "map", "the client's headers by their names in lower case; of a header that stands twice the first"),
    ("key.namespace", "text", "namespace of the VirtualKey"),
    ("key.name", "text", "its name"),
    ("key.team", "text", "its team: the namespace, or what `owner.team` was granted"),
    ("key.user", "text", "`owner.user`, when set"),
    ("key.application", "text", "`owner.application`, when set"),
    ("key.environment", "text", "`owner.environment`, when set"),
    ("key.costCenter", "text", "`owner.costCenter`, when set"),
];

/// Functions and macros with what they give.
pub const FUNCTIONS: [(&str, &str); 11] = [
    ("has", "whether an optional field of `key`, or a header, is there: `has(key.user)`"),
    ("startsWith", "whether a text begins with another"),
    ("endsWith", "whether a text ends with another"),
    ("contains", "whether a text holds another"),
    ("matches", "whether a regular expression is found in a text; the expression must be written out"),
    ("lowerAscii", "a text with A to Z in lower case"),
    ("size", "characters of a text, or entries of a list"),
    ("exists", "whether a condition holds for an entry of a list, or for the name of a header: `[1, 2].exists(n, n > 1)`"),
    ("all", "whether it holds for each"),
    ("exists_one", "whether it holds for exactly one"),
    ("existsOne", "the same"),
];

/// Headers that may show credentials: no expression sees them.
pub const WITHHELD: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-amz-security-token",
    "x-portkey-api-key",
    "x-portkey-config",
    "cookie",
    "x-forwarded-client-cert",
];

pub(crate) fn is_withheld(header: &str) -> bool {
    WITHHELD.contains(&header)
}

/// The names below `request` or `key`.
pub(crate) fn fields(of: &str) -> impl Iterator<Item = &'static str> {
    VARIABLES.into_iter().filter_map(move |(path, _, _)| path.split_once('.').filter(|(root, _)| *root == of).map(|(_, field)| field))
}

pub(crate) fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.into_iter().map(|(name, _)| name)
}

/// The known name that comes nearest to what was written, when it is near.
pub(crate) fn near(written: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let written: Vec<char> = written.chars().take(32).collect();
    let far = |name: &str| distance(&written, &name.chars().collect::<Vec<char>>());
    known.into_iter().map(|name| (far(name), name)).filter(|(far, name)| *far <= name.len() / 2).min().map(|(_, name)| name)
}

/// Levenshtein's distance without regard to case.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for x in a {
        let mut diagonal = row.first().copied().unwrap_or(0);
        let mut left = diagonal + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let here = (diagonal + usize::from(!x.eq_ignore_ascii_case(y))).min(left + 1).min(*above + 1);
            diagonal = *above;
            *above = here;
            left = here;
        }
    }
    row.last().copied().unwrap_or(0)
}
